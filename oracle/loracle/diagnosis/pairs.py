"""Two mistakes at once, where no single one fits: a factor on top of another mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.matching import Match, probes

__all__ = ["Pair", "pairs"]

Array = npt.NDArray[np.float64]

_FEWEST_CASES = 4
_FEWEST_SIZES = 3
_FEWEST_TELLING = 2
"""Cases in which the other mistake matters, so that the factor alone does not explain them."""

_LEAST_BITS = 96.0


@dataclass(frozen=True)
class Pair:
    """Two matches that hold together: a factor and another mistake, or two factors."""

    factor: Match
    other: Match


def pairs(mistakes: Sequence[Hypothesis], failing: Sequence[Evidence]) -> list[Pair]:
    """All pairs that explain every case, one per pair of names, the closest."""
    sizes = len({evidence.shapes for evidence in failing})
    if len(failing) < _FEWEST_CASES or sizes < _FEWEST_SIZES:
        return []
    few = probes(failing)
    factors = [h for h in mistakes if h.factor is not None]
    found: dict[frozenset[str], Pair] = {}
    for other in mistakes:
        if not all(_some_multiple(other, evidence) for evidence in few):
            continue
        wrongs = [_or_truth(other, evidence) for evidence in failing]
        for factor in factors:
            if factor.name == other.name or factor.term == other.term == "scaling":
                continue
            pair = _checked(factor, other, failing, wrongs)
            names = frozenset((factor.name, other.name))
            if pair is not None and (
                names not in found or pair.other.closeness < found[names].other.closeness
            ):
                found[names] = pair
    return list(found.values())


def _some_multiple(hypothesis: Hypothesis, evidence: Evidence) -> bool:
    wrong = _or_truth(hypothesis, evidence)
    factor = evidence.factor_of(wrong)
    return factor is not None and evidence.explained_by(factor * wrong)


def _or_truth(hypothesis: Hypothesis, evidence: Evidence) -> Array:
    """Where the mistake changes nothing, the truth."""
    wrong = hypothesis.wrong_truth(evidence)
    return evidence.truth if wrong is None else wrong


def _checked(
    factor: Hypothesis,
    other: Hypothesis,
    failing: Sequence[Evidence],
    wrongs: Sequence[Array],
) -> Pair | None:
    """wrongs: what the other mistake gives in each case."""
    worst, bits, telling, applied = 0.0, 0.0, 0, 0
    for evidence, wrong in zip(failing, wrongs, strict=True):
        multiple = factor.factor(evidence) if factor.factor is not None else None
        both = wrong if multiple is None else multiple * wrong
        of_truth = factor.factor_in(evidence) * other.factor_in(evidence)
        if not evidence.explained_by(both, of_truth):
            return None
        worst = max(worst, evidence.closeness(both, of_truth))
        bits += evidence.bits(both)
        alone = evidence.truth if multiple is None else multiple * evidence.truth
        telling += not evidence.explained_by(alone, factor.factor_in(evidence))
        applied += multiple is not None
    if bits < _LEAST_BITS or telling < _FEWEST_TELLING or 2 * applied <= len(failing):
        return None
    total = len(failing)
    return Pair(Match(factor, total, total, worst), Match(other, total, total, worst))
