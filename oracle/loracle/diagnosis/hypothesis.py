"""A hypothesis: what a kernel with one known mistake would return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence

__all__ = ["Hypothesis", "factor_hypothesis"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """name: the class of the diagnosis. explanation: one sentence, the output's name to be put in
    for {output}. term: a key of `loracle.diagnosis.labels`, the term of the specification that is
    affected. wrong_truth: what the mistake returns in place of the truth, None where it does not
    apply.

    factor: of a mistake that multiplies the truth, the factor, None where it does not apply.
    non_finite: the mistake makes results that are not finite; others are not compared with such.
    exponential: it leaves exponentials that no sum divides, whose roundings are larger than others.
    blank: it may be named although every entry is zero, or not finite, in every case; for the
    others that would be a coincidence. echo: the errors are compared as a pattern, which a few
    entries may miss (`Evidence.echoed_by`). fewest: cases that it must explain. telling: whether a
    case tells it from another class that it may coincide with; one of those that it explains must.
    """

    name: str
    explanation: str
    term: str
    wrong_truth: Callable[[Evidence], Array | None]
    factor: Callable[[Evidence], float | None] | None = None
    non_finite: bool = False
    exponential: bool = False
    blank: bool = False
    echo: bool = False
    fewest: int = 1
    telling: Callable[[Evidence], bool] | None = None

    def factor_in(self, evidence: Evidence) -> float:
        """What the truth is multiplied by, 1 where it is not."""
        known = None if self.factor is None else self.factor(evidence)
        return 1.0 if known is None else known


def factor_hypothesis(
    name: str, explanation: str, term: str, factor: Callable[[Evidence], float | None]
) -> Hypothesis:
    """The truth times a factor, which is None, or 1, where the mistake changes nothing."""

    def other_than_one(evidence: Evidence) -> float | None:
        value = factor(evidence)
        return None if value == 1 else value

    def wrong_truth(evidence: Evidence) -> Array | None:
        value = other_than_one(evidence)
        return None if value is None else np.asarray(evidence.truth * value)

    return Hypothesis(name, explanation, term, wrong_truth, factor=other_than_one)
