"""The generic diagnosis: a multiple of the truth, by one factor or by one that depends on the
sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.matching import say_enough
from loracle.evaluation import bind_sizes
from loracle.report import Diagnosis

__all__ = ["constant_factor"]

_ALIKE = 0.05
"""Factors of cases that differ by no more of their mean are called one, with its range."""


@np.errstate(invalid="ignore", over="ignore")  # of results near the largest number: no multiple
def constant_factor(failing: Sequence[Evidence]) -> tuple[Diagnosis, ...]:
    """c G with c fitted: one c for all cases, or one that is the same function of the sizes in all.

    c = 1, 0 and -1 are left to the hypotheses that have names. Empty where no multiple fits.
    """
    if not failing:
        return ()
    weights = [max(e.slack, 1e-12 * float(np.abs(e.truth).max())) for e in failing]
    factors = [float((e.computed * e.truth).sum() / (e.truth * e.truth).sum()) for e in failing]
    precision = [
        w / float(np.sqrt(np.square(e.truth).sum())) for w, e in zip(weights, failing, strict=True)
    ]
    common = float(np.average(factors, weights=[1 / p**2 for p in precision]))
    output = failing[0].output
    if _fits(failing, [common] * len(failing)):
        if any(abs(common - named) < 1e-3 for named in (0.0, 1.0, -1.0)):
            return ()
        return (Diagnosis("constant-factor", f"{output} is the true value times {common:.6g}"),)
    if not _fits(failing, factors) or all(e.truth.size == 1 for e in failing):
        return ()
    for name, values in _size_factors(failing):
        if _fits(failing, values):
            text = f"{output} is the true value times {name} in every case"
            return (Diagnosis("constant-factor", text),)
    listed = list(dict.fromkeys(f"{factor:.4g}" for factor in factors))
    if len(listed) < 2:
        return ()
    low, high = min(factors), max(factors)
    if high - low <= _ALIKE * abs(common):
        text = f"{output} is the true value times {low:.4g} to {high:.4g}, by case"
        return (Diagnosis("constant-factor", text),)
    few = ", ".join(listed[:4]) + (", ..." if len(listed) > 4 else "")
    text = f"{output} is a multiple of the true value, with a factor for each case: {few}"
    return (Diagnosis("constant-factor", text),)


def _fits(failing: Sequence[Evidence], factors: Sequence[float]) -> bool:
    multiples = [(e, e.truth * c, c) for e, c in zip(failing, factors, strict=True)]
    if not all(e.explained_by(multiple, c) for e, multiple, c in multiples):
        return False
    return say_enough(len(failing), sum(e.bits(multiple) for e, multiple, _ in multiples))


def _size_factors(failing: Sequence[Evidence]) -> Iterator[tuple[str, list[float]]]:
    """n, 1/n, sqrt(n), 1/sqrt(n) for every symbol n of the contract's shapes."""
    sizes = [bind_sizes(evidence.contract, evidence.inputs) for evidence in failing]
    for symbol in sizes[0]:
        values = [float(size[symbol]) for size in sizes]
        yield symbol, values
        yield f"1/{symbol}", [1 / value for value in values]
        yield f"sqrt({symbol})", [math.sqrt(value) for value in values]
        yield f"1/sqrt({symbol})", [1 / math.sqrt(value) for value in values]
