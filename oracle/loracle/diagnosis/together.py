"""Which mistakes many cases of an output show together, though none of them shows any alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypotheses import table_of
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.labels import term_of
from loracle.diagnosis.matching import probes
from loracle.report import Diagnosis

__all__ = ["diagnose_together"]

_LEAST_BITS = 32.0
"""By which the cases must lean toward a mistake, from the truth and from one factor; and what is so
far behind the best is not named. A wrong one out of some hundreds leans so far by chance once in
ten million times."""

_FIRST = 8
"""Cases looked at first: most mistakes are contradicted by them."""


def diagnose_together(
    cases: Sequence[Evidence], factor: float, one: Diagnosis | None
) -> tuple[Diagnosis, ...]:
    """The mistakes of the formulas that explain a bias of one output; empty if none does.

    factor: what the result is of the truth in the mean, a rival of every mistake. one: its name,
    the answer if no mistake is better; None where no one factor fits the cases.
    """
    first = probes(cases, _FIRST)
    ordered = [*first, *(e for e in cases if not any(e is known for known in first))]
    by_factor = sum(evidence.lean(evidence.truth * factor) for evidence in ordered)
    least = max(by_factor, 0.0) + _LEAST_BITS
    leaning: dict[str, tuple[float, Hypothesis]] = {}
    for hypothesis in table_of(cases[0].contract.name).mistakes if cases else ():
        bits = _lean(hypothesis, ordered)
        if bits >= leaning.get(hypothesis.name, (least,))[0]:
            leaning[hypothesis.name] = (bits, hypothesis)
    if not leaning:
        return () if one is None else (one,)
    best = max(bits for bits, _ in leaning.values())
    return tuple(
        _diagnosis(hypothesis, ordered, bits, by_factor)
        for bits, hypothesis in leaning.values()
        if bits > best - _LEAST_BITS
    )


def _lean(hypothesis: Hypothesis, cases: Sequence[Evidence]) -> float:
    """The bits by which all cases lean toward it; minus infinity if one contradicts it, or too few
    support it. A case that the mistake does not change says nothing."""
    total, toward = 0.0, []
    for evidence in cases:
        wrong = hypothesis.wrong_truth(evidence)
        if wrong is None:
            continue
        bits = evidence.lean(wrong)
        total += bits
        if total < -_LEAST_BITS or not evidence.allows(wrong, hypothesis.factor_in(evidence)):
            return -math.inf
        if bits > 0:
            toward.append(evidence)
    if len(toward) < hypothesis.fewest:
        return -math.inf
    if hypothesis.telling is not None and not any(map(hypothesis.telling, toward)):
        return -math.inf
    return total


def _diagnosis(
    hypothesis: Hypothesis, cases: Sequence[Evidence], bits: float, by_factor: float
) -> Diagnosis:
    """by_factor: the bits that a mean factor has."""
    output = cases[0].output
    text = (
        f"{hypothesis.explanation.format(output=output)} (over {len(cases)} cases, none of which"
        f" shows it alone: {bits:.0f} bits, a mean factor has {max(by_factor, 0):.0f})"
    )
    term = term_of(cases[0].contract.name, hypothesis.term, output)
    return Diagnosis(hypothesis.name, text, term)
