"""The bias test: an error too small to see in any case, but of one sign in all of them.

For each case k let b_k = <error, truth> / <truth, truth> be the relative error along the truth. Two
statistics are made of them, of which neither can do without the systematic bias that legal
evaluations have (long sums kept in 16 bits stagnate).

Against the null: b_k has a standard deviation s_k under Monte Carlo arithmetic, and legal
evaluations are biased by up to l_k. With weights w_k = 1 / (s_k^2 + l_k^2)

    z = (|sum w_k b_k| - h sum w_k) / sqrt(sum w_k^2 s_k^2)

beyond t plus twice the largest z of a strategy; h is a bias that is left to every kernel.

Against itself: over the n cases where the null is not far wider than elsewhere, with r_k = b_k less
h, which has the sign of the mean,

    T = |sum r_k| / sqrt(sum r_k^2),    z = T / sqrt(1 - T^2 / n)

(which is Student's statistic but for a factor near one) beyond what T = t gives, plus twice the
largest z of a strategy. The first knows how far the least precise legal kernels scatter, the second
takes the scatter of the kernel itself, which is far less if that is precise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from loracle.judgement.calibration import FALSE_ALARM_PROBABILITY, Null

__all__ = ["BiasTest", "FoundBias"]

_TESTS = 32
"""At least the number of tests for any contract: two for each output in each of two runs."""

_T = math.sqrt(2 * math.log(2 * _TESTS / (FALSE_ALARM_PROBABILITY / 2)))

_FEWEST_CASES = 8

_WIDE = 8.0
"""Where the null is so many times wider than its median the second statistic leaves a case out."""

_SEVERAL = math.log(1000)
"""Minus the logarithm of the probability that one factor is taken for several."""

_WIDEST = 0.5
"""The scatter of what is called one factor, as a share of it."""


@dataclass(frozen=True)
class FoundBias:
    """bias: the weighted mean of b_k. z and threshold: of the test. cases: how many it rests on."""

    bias: float
    z: float
    threshold: float
    cases: int

    @property
    def share(self) -> float:
        """z as a share of its threshold; beyond 1 the kernel is biased."""
        return self.z / self.threshold


@dataclass
class BiasTest:
    """Collects the cases of one output."""

    biases: list[float] = field(default_factory=list)
    legal: list[npt.NDArray[np.float64]] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)
    allowed: list[float] = field(default_factory=list)

    def add(
        self, computed: npt.NDArray[np.float64], truth: npt.NDArray[np.float64], null: Null
    ) -> bool:
        """One case; it counts if the truth is not zero, its null is known, and the error is not so
        large that its product with the truth overflows: that is seen without this test. Returns
        whether it does."""
        norm = float(np.square(truth).sum())
        usable = norm > 0 and null.bias_deviation > 0 and np.isfinite(null.biases).all()
        if not usable or not math.isfinite(null.bias_deviation):
            return False
        with np.errstate(invalid="ignore", over="ignore"):
            bias = float(((computed - truth) * truth).sum() / norm)
        if not math.isfinite(bias):
            return False
        self.biases.append(bias)
        self.legal.append(null.biases)
        self.deviations.append(null.bias_deviation)
        self.allowed.append(null.allowed_bias)
        return True

    def result(self) -> FoundBias | None:
        """The bias, if there is one beyond doubt."""
        beyond = [measured for measured in self.measured() if measured.share > 1]
        return max(beyond, key=lambda measured: measured.share, default=None)

    def in_common(self) -> tuple[float, bool]:
        """The weighted mean of b_k, and whether it is one factor that all cases have in common.

        Then Q = sum w_k (b_k - mean)^2 is at most chi squared with n - 1 degrees of freedom, which
        exceeds n - 1 + 2 sqrt((n - 1) x) + 2 x with probability below e^-x (B. Laurent and P.
        Massart, 2000): one factor is taken for several once in a thousand times at most. As the
        null may be wide, the scatter must also be within half of the mean.
        """
        biases, weights = np.asarray(self.biases), 1 / self._variances()
        mean = float(np.average(biases, weights=weights))
        squares = weights * np.square(biases - mean)
        freedom = len(biases) - 1
        limit = freedom + 2 * math.sqrt(freedom * _SEVERAL) + 2 * _SEVERAL
        scatter = math.sqrt(float(squares.sum() / weights.sum()))
        return mean, bool(squares.sum() <= limit and scatter <= _WIDEST * abs(mean))

    def measured(self) -> list[FoundBias]:
        """What each of the two statistics is, where there are cases enough for it."""
        if len(self.biases) < _FEWEST_CASES:
            return []
        biases, strategies = np.asarray(self.biases), np.stack(self.legal)
        deviations = np.asarray(self.deviations)
        variances = self._variances()
        scales = np.sqrt(variances)
        usual = scales <= _WIDE * np.median(scales)
        itself = _against_itself(biases[usual], strategies[usual], max(self.allowed))
        return [
            _against_the_null(biases, strategies, deviations, 1 / variances, max(self.allowed)),
            *([] if itself is None else [itself]),
        ]

    def _variances(self) -> npt.NDArray[np.float64]:
        """s_k^2 + l_k^2, (cases,)."""
        legal = np.square(np.stack(self.legal)).max(axis=1)
        return np.asarray(np.square(self.deviations) + legal)


def _against_the_null(
    biases: npt.NDArray[np.float64],
    strategies: npt.NDArray[np.float64],
    deviations: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    allowed: float,
) -> FoundBias:
    """Shapes: strategies (cases, strategies), all else (cases,)."""
    spread = float(np.sqrt(np.sum(np.square(weights * deviations))))
    free = allowed * float(weights.sum())
    z = max(abs(float(weights @ biases)) - free, 0.0) / spread
    legal = max(float(np.abs(weights @ strategies).max()) - free, 0.0) / spread
    mean = float(weights @ biases / weights.sum())
    return FoundBias(mean, z, 2 * legal + _T, len(biases))


def _against_itself(
    biases: npt.NDArray[np.float64], strategies: npt.NDArray[np.float64], allowed: float
) -> FoundBias | None:
    """None with too few cases for T to reach t, whatever they are.

    A sum of independent symmetric variables over the root of the sum of their squares is
    sub-Gaussian, whatever their distributions (B. Efron, 1969).
    """
    cases = len(biases)
    if cases <= _T**2:
        return None
    legal = max(_student(column, allowed) for column in strategies.T)
    threshold = _T / math.sqrt(1 - _T**2 / cases) + 2 * legal
    return FoundBias(float(biases.mean()), _student(biases, allowed), threshold, cases)


def _student(biases: npt.NDArray[np.float64], allowed: float) -> float:
    """The second z, 0 where the mean is within what is allowed."""
    mean = float(biases.mean())
    if abs(mean) <= allowed:
        return 0.0
    rest = biases - math.copysign(allowed, mean)
    squares = float(np.square(rest).sum())
    share = min(float(rest.sum()) ** 2 / (squares * len(rest)), 1 - 2.0**-40)
    return math.sqrt(len(rest) * share / (1 - share))
