"""Multiples of the truth by a known factor, and zero."""

from __future__ import annotations

import math

import numpy as np

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis, factor_hypothesis
from loracle.evaluation import bind_sizes

__all__ = ["DOUBLED", "SIGN", "ZERO", "factors", "mean_instead_of_sum"]

ZERO = Hypothesis(
    "zero-gradient",
    "{output} is exactly zero in every entry",
    "whole",
    lambda evidence: np.zeros_like(evidence.truth) if not evidence.computed.any() else None,
    blank=True,
)

SIGN = factor_hypothesis(
    "wrong-sign", "{output} has the opposite sign", "whole", lambda evidence: -1.0
)

DOUBLED = (
    factor_hypothesis(
        "factor-two",
        "{output} is twice the true value, as without the 1/2 of the loss or added up twice",
        "half",
        lambda evidence: 2.0,
    ),
    factor_hypothesis(
        "factor-two", "{output} is half the true value", "half", lambda evidence: 0.5
    ),
)


def mean_instead_of_sum(symbols: tuple[str, ...]) -> Hypothesis:
    """The truth divided by the product of the sizes with these symbols."""

    def factor(evidence: Evidence) -> float | None:
        sizes = bind_sizes(evidence.contract, evidence.inputs)
        return 1 / math.prod(sizes[symbol] for symbol in symbols)

    explanation = f"{{output}} is the true value divided by {' * '.join(symbols)}: a mean, no sum"
    return factor_hypothesis("mean-instead-of-sum", explanation, "sum", factor)


def factors(*means: tuple[str, ...]) -> tuple[Hypothesis, ...]:
    """Zero, sign, two, and the means over the given symbols."""
    return (ZERO, SIGN, *DOUBLED, *(mean_instead_of_sum(symbols) for symbols in means))
