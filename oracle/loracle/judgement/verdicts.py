"""One output of one case, judged: fail, suspect, pass or no_evidence, with the numbers behind
it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from loracle.judgement.bounds import ProvenBound
from loracle_reference.enclosure import Enclosure

__all__ = ["CaseVerdict", "Judgement", "errors_of", "judge", "judge_spread"]

CaseVerdict = Literal["fail", "suspect", "pass", "no_evidence"]

_UP = 1 + 2.0**-51
"""More than the roundings of a spread and of the sum of two bounds: certificates may be exact."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on one output of one case.

    element, error, bound, truth and computed are those of the worst element: the one with the
    largest ratio of error to bound, or the largest error where the verdict is suspect or, some
    bound being infinite, pass or no_evidence. error_to_bound and
    error_to_tolerance are the largest ratios. undecided: the radius of the truth is too wide to
    tell fail from not fail, and the truth must be enclosed more finely.
    """

    verdict: CaseVerdict
    element: tuple[int, ...]
    error: float
    bound: float
    tolerance: float
    truth: float
    computed: float
    error_to_bound: float
    error_to_tolerance: float
    undecided: bool = False
    non_finite: bool = False


def errors_of(computed: npt.NDArray[np.float64], truth: Enclosure) -> npt.NDArray[np.float64]:
    """The error of every element, against the middle of the enclosure; infinite where a result is
    not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs((computed - truth.high) - truth.low)
    return np.where(np.isfinite(computed), error, np.inf)


def judge(
    computed: npt.NDArray[np.float64],
    truth: Enclosure,
    proven: ProvenBound,
    tolerance: float,
    epsilon: float | None = None,
) -> Judgement:
    """Judge `computed` against the enclosed truth (all of one shape).

    fail: some error exceeds its proven bound by more than the radius of the truth, or a result is
    not finite although no legal evaluation overflows. suspect: the largest error exceeds the
    calibrated tolerance. no_evidence: neither, but bound and tolerance both reach the largest
    truth, so that zeros would have passed. epsilon (absolute, max norm; the promise in force)
    replaces bound and tolerance, and nothing is suspect then; if it is infinite nothing is
    promised.
    """
    bound = np.full(computed.shape, epsilon) if epsilon is not None else proven.bound
    tolerance = epsilon if epsilon is not None else tolerance
    largest = float(np.max(np.abs(truth.mid) - truth.radius, initial=0.0))
    finite = np.isfinite(computed)
    certain, possible = truth.distance(computed)
    error = errors_of(computed, truth)
    to_bound = _ratio(certain, bound)
    to_tolerance = float(_ratio(error.max(), np.asarray(tolerance)))
    claimed = proven.overflow_free if epsilon is None else epsilon < np.inf
    if not finite.all():
        verdict: CaseVerdict = "fail" if claimed else "suspect"
        if verdict == "suspect" and not np.isfinite(tolerance):
            verdict = "no_evidence"
        worst = np.unravel_index(int(np.argmin(finite)), computed.shape)
    else:
        if (certain > bound).any():
            verdict = "fail"
        elif epsilon is None and error.max() > tolerance:
            verdict = "suspect"
        elif bound.max() >= largest and tolerance >= largest:
            verdict = "no_evidence"
        else:
            verdict = "pass"
        by_bound = verdict == "fail" or (verdict != "suspect" and np.isfinite(bound).all())
        by = to_bound if by_bound else error
        worst = np.unravel_index(int(np.argmax(by)), computed.shape)
    return Judgement(
        verdict=verdict,
        element=tuple(int(i) for i in worst),
        error=float(error[worst]),
        bound=float(bound[worst]),
        tolerance=float(tolerance),
        truth=float(truth.mid[worst]),
        computed=float(computed[worst]),
        error_to_bound=float(to_bound.max()),
        error_to_tolerance=to_tolerance,
        undecided=bool(
            ((certain <= bound) & (possible > bound) & finite & (truth.radius > 0)).any()
        ),
        non_finite=not finite.all(),
    )


def judge_spread(
    spread: float,
    proven: ProvenBound,
    tolerance: float,
    promises: tuple[float | None, float | None] = (None, None),
) -> Literal["fail", "suspect", "pass"]:
    """Two runs on the same inputs that differ by more than the sum of their bounds cannot both be
    within theirs.

    promises: what replaces bound and tolerance in the first and in the second run, None if nothing
    does. An infinite spread (one result is finite, the other is not) is at least suspect, whatever
    the bound and the tolerance.
    """
    bounds = [float(proven.bound.max()) if p is None else p for p in promises]
    tolerances = [tolerance if p is None else p for p in promises]
    if spread > sum(bounds) * _UP:
        return "fail"
    return "suspect" if spread > sum(tolerances) * _UP or spread == np.inf else "pass"


def _ratio(
    error: npt.NDArray[np.float64] | np.floating, bound: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """error / bound with 0 / 0 = 0 and anything over an infinite bound 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.asarray(error / bound, dtype=np.float64)
    ratio = np.where(np.asarray(error) == 0, 0.0, ratio)
    return np.where(np.isinf(bound), 0.0, ratio)
