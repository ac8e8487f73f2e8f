"""Which hypotheses explain every failing case of an output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.factors import constant_factor
from loracle.diagnosis.hypotheses import HYPOTHESES, Hypothesis
from loracle.report import Diagnosis

__all__ = ["diagnose"]

_MOST_CASES = 12
"""Failing cases that are compared; more would only cost time."""


def diagnose(failing: Sequence[Evidence]) -> tuple[Diagnosis, ...]:
    """All hypotheses that explain the failing cases of one output, specific before generic; none
    where none fits.

    A hypothesis must come close in every case in which it can be told from the truth, and there
    must be at least one such case. A name is listed once, by its closest explanation.
    """
    failing = [e for e in failing if np.isfinite(e.computed).all() and np.isfinite(e.slack)]
    failing = sorted(failing, key=Evidence.clarity, reverse=True)[:_MOST_CASES]
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
    constant = constant_factor([e for e in failing if e.truth.any()])
    return (*(diagnosis for _, diagnosis in found.values()), *constant)


def _weight(explained: int, total: int, closeness: float) -> str:
    return f" (explains {explained} of {total} cases, to {closeness:.2g} of what rounding allows)"


def _match(hypothesis: Hypothesis, failing: Sequence[Evidence]) -> tuple[int, float] | None:
    """How many cases the hypothesis explains and its worst closeness; None if it fails in one."""
    explained, worst = 0, 0.0
    for evidence in failing:
        wrong = hypothesis.wrong_truth(evidence)
        if wrong is None:
            continue
        if not evidence.explained_by(wrong):
            return None
        explained += 1
        worst = max(worst, evidence.closeness(wrong))
    # A hypothesis that applies to a minority of the failing cases leaves the others unexplained.
    return (explained, worst) if 2 * explained > len(failing) else None
