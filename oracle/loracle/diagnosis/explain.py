"""Which hypotheses explain every failing case of an output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypotheses import HYPOTHESES, Hypothesis
from loracle.report import Diagnosis

__all__ = ["diagnose"]

_MOST_CASES = 12
"""Failing cases that are compared; more would only cost time."""

_CLOSE = 3.0
"""A hypothesis explains a case within this many units of slack: it has its own rounding errors."""


def diagnose(failing: Sequence[Evidence]) -> tuple[Diagnosis, ...]:
    """All hypotheses that explain the failing cases of one output, specific before generic; none
    where none fits.

    A hypothesis must come close in every case in which it can be told from the truth, and there
    must be at least one such case. A name is listed once, by its closest explanation.
    """
    failing = [e for e in failing if np.isfinite(e.computed).all() and np.isfinite(e.slack)]
    failing = sorted(failing, key=_clarity, reverse=True)[:_MOST_CASES]
    if not failing:
        return ()
    found: dict[str, tuple[float, Diagnosis]] = {}
    for hypothesis in HYPOTHESES[failing[0].contract.name]:
        match = _match(hypothesis, failing)
        if match is None:
            continue
        explained, closeness = match
        known = found.get(hypothesis.name)
        if known is None or closeness < known[0]:
            text = hypothesis.explanation.format(output=failing[0].output)
            text += _weight(explained, len(failing), closeness)
            found[hypothesis.name] = (closeness, Diagnosis(hypothesis.name, text))
    constant = _constant_factor(failing)
    return (*(diagnosis for _, diagnosis in found.values()), *constant)


def _clarity(evidence: Evidence) -> float:
    error = float(np.max(np.abs(evidence.computed - evidence.truth)))
    return error / max(evidence.slack, 1e-300)


def _weight(explained: int, total: int, closeness: float) -> str:
    return f" (explains {explained} of {total} cases, to {closeness:.2g} of what rounding allows)"


def _match(hypothesis: Hypothesis, failing: Sequence[Evidence]) -> tuple[int, float] | None:
    """How many cases the hypothesis explains and its worst closeness; None if it fails in one."""
    explained, worst = 0, 0.0
    for evidence in failing:
        wrong = hypothesis.wrong_truth(evidence)
        if wrong is None:
            continue
        closeness = evidence.closeness(wrong)
        if not closeness <= _CLOSE:
            return None
        if evidence.tells_apart(wrong):
            explained += 1
            worst = max(worst, closeness)
    # A hypothesis that applies to a minority of the failing cases leaves the others unexplained.
    return (explained, worst) if 2 * explained > len(failing) else None


def _constant_factor(failing: Sequence[Evidence]) -> tuple[Diagnosis, ...]:
    """c G with one c for all cases, fitted; never c = 1, 0 or -1, which have names of their own."""
    numerator = sum(float((e.computed * e.truth).sum()) / e.slack**2 for e in failing)
    denominator = sum(float((e.truth * e.truth).sum()) / e.slack**2 for e in failing)
    if not denominator > 0 or not np.isfinite(numerator):
        return ()
    factor = numerator / denominator
    explained, worst = 0, 0.0
    for evidence in failing:
        closeness = evidence.closeness(evidence.truth * factor)
        if not closeness <= _CLOSE:
            return ()
        if evidence.tells_apart(evidence.truth * factor):
            explained += 1
            worst = max(worst, closeness)
    named = any(abs(factor - value) < 1e-3 for value in (0.0, 1.0, -1.0))
    if named or 2 * explained <= len(failing):
        return ()
    text = f"{failing[0].output} is the true value times {factor:.6g}"
    return (Diagnosis("constant-factor", text + _weight(explained, len(failing), worst)),)
