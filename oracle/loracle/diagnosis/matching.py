"""How well a hypothesis explains the failing cases of an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import CLOSE, Evidence
from loracle.diagnosis.hypothesis import Hypothesis

__all__ = ["Match", "count", "explains", "match", "probes", "said", "say_enough", "without_outdone"]

Array = npt.NDArray[np.float64]

_PROBES = 4
"""Cases that every hypothesis is compared with; only what explains these is compared with all."""

_RICH = 6
"""Entries of a result that is good for telling hypotheses apart."""

_LEAST_BITS = 32.0
"""What the cases that are explained must say in all (`Evidence.bits`)."""

_FEW_CASES = 2
_LEAST_BITS_OF_FEW = 64.0
"""What so few cases must say: several wrong truths may be near one another in one of them."""

_ECHOED = 0.75
"""The part of the cases that must be an echo of a pattern of roundings."""


@dataclass(frozen=True)
class Match:
    """explained of total cases: all, but for the pattern of a rounding. closeness: the largest
    distance in them, in units of slack. hidden: in so many of them the largest entries do not tell
    it from the truth (`Evidence.explained_where_beyond`)."""

    hypothesis: Hypothesis
    explained: int
    total: int
    closeness: float
    hidden: int = 0


def probes(failing: Sequence[Evidence], number: int = _PROBES) -> list[Evidence]:
    """A few cases, cheap and telling ones, of different sizes if there are."""
    by_cost = sorted(failing, key=lambda e: sum(t.size for t in e.inputs.tensors.values()))
    rich = [e for e in by_cost if e.truth.size >= _RICH] or by_cost
    chosen: list[Evidence] = []
    for evidence in rich:
        if evidence.shapes not in {known.shapes for known in chosen}:
            chosen.append(evidence)
    chosen += [e for e in rich if not any(e is known for known in chosen)]
    return chosen[:number]


def explains(hypothesis: Hypothesis, evidence: Evidence) -> bool:
    """Whether one case is what the hypothesis gives. A case in which the mistake changes nothing,
    and which fails all the same, is not."""
    wrong = hypothesis.wrong_truth(evidence)
    return wrong is not None and _is_near(hypothesis, wrong, evidence)


def count(hypothesis: Hypothesis, cases: Sequence[Evidence]) -> int:
    """Of the cases, those that it explains."""
    return sum(explains(hypothesis, evidence) for evidence in cases)


def match(hypothesis: Hypothesis, failing: Sequence[Evidence]) -> Match | None:
    """None unless it explains every case, and these say enough; one in which the largest entries do
    not tell it from the truth says nothing for it."""
    hidden, worst, bits, blank = 0, 0.0, 0.0, True
    telling: list[Evidence] = []
    for evidence in failing:
        wrong = hypothesis.wrong_truth(evidence)
        if wrong is not None and _is_near_overall(hypothesis, wrong, evidence):
            telling.append(evidence)
            echo = evidence.bits_of_echo(wrong) if hypothesis.echo else 0.0
            bits += max(evidence.bits(wrong), echo)
            worst = max(worst, evidence.closeness(wrong, hypothesis.factor_in(evidence)))
            blank = blank and not (np.isfinite(wrong) & (wrong != 0)).any()
        elif wrong is not None and _is_near(hypothesis, wrong, evidence):
            hidden += 1
        elif not hypothesis.echo:
            return None
    explained = len(telling)
    if explained < hypothesis.fewest or (blank and not hypothesis.blank):
        return None
    if not say_enough(explained, bits):
        return None
    if hypothesis.telling is not None and not any(map(hypothesis.telling, telling)):
        return None
    if hypothesis.echo and explained < _ECHOED * len(failing):
        return None
    return Match(hypothesis, explained + hidden, len(failing), worst, hidden)


def without_outdone(found: Sequence[Match], failing: Sequence[Evidence]) -> list[Match]:
    """Those with hidden cases only if no other leans toward the results by so much more as would
    be a diagnosis: what is compared in a few small entries may be another mistake as well."""
    if len(found) < 2 or not any(one.hidden for one in found):
        return list(found)
    leans = [_lean(one.hypothesis, failing) for one in found]
    least = max(leans) - _LEAST_BITS
    return [one for one, lean in zip(found, leans, strict=True) if not one.hidden or lean > least]


def _lean(hypothesis: Hypothesis, failing: Sequence[Evidence]) -> float:
    wrongs = [(evidence, hypothesis.wrong_truth(evidence)) for evidence in failing]
    return sum(evidence.lean(wrong) for evidence, wrong in wrongs if wrong is not None)


def say_enough(cases: int, bits: float) -> bool:
    """Whether so many cases that are explained, and say so much, are no coincidence."""
    return bits >= (_LEAST_BITS if cases > _FEW_CASES else _LEAST_BITS_OF_FEW)


def _is_near(hypothesis: Hypothesis, wrong: Array, evidence: Evidence) -> bool:
    if _is_near_overall(hypothesis, wrong, evidence):
        return True
    factor = hypothesis.factor_in(evidence)
    return not hypothesis.echo and evidence.explained_where_beyond(wrong, factor)


def _is_near_overall(hypothesis: Hypothesis, wrong: Array, evidence: Evidence) -> bool:
    if hypothesis.echo and evidence.echoed_by(wrong):
        return True
    factor = hypothesis.factor_in(evidence)
    return evidence.explained_by(wrong, factor, exponential=hypothesis.exponential)


def said(found: Match, kind: str, more: str) -> str:
    """The evidence, in brackets. kind: of the cases, as `failing`; more: what is to be added, as on
    the next best; may be empty."""
    cases = f"explains {found.explained} of {found.total} {kind} cases"
    how = f"to {found.closeness:.2g} of what rounding allows"
    if found.hypothesis.echo:
        how = "but for a few entries"
    elif found.closeness > CLOSE:
        # What is allowed there is what rounding does to the truth, which is smaller.
        how = "to a few roundings of the larger numbers that it gives"
    return f" ({'; '.join(part for part in (f'{cases}, {how}', more) if part)})"
