"""The bias test: an error too small to see in any case, but of one sign in all of them.

For each case k the relative error along the truth, b_k = <error, truth> / <truth, truth>, has a
standard deviation s_k under Monte Carlo arithmetic, and legal evaluations are biased by up to l_k
(long sums kept in 16 bits stagnate). With weights w_k = 1 / (s_k^2 + l_k^2) the statistic

    z = sum w_k b_k / sqrt(sum w_k^2 s_k^2)

is standard normal for an unbiased kernel. The same z is computed for every strategy of the
ensemble, and the threshold is twice the largest of theirs plus t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from loracle.judgement.calibration import FALSE_ALARM_PROBABILITY, Null

__all__ = ["BiasTest", "FoundBias"]

_TESTS = 16
"""At least the number of tests for any contract: one for each output in each of two runs."""

_T = math.sqrt(2 * math.log(2 * _TESTS / (FALSE_ALARM_PROBABILITY / 2)))

_FEWEST_CASES = 8


@dataclass(frozen=True)
class FoundBias:
    """bias: the weighted mean of b_k. z and threshold: of the test. cases: how many it rests on."""

    bias: float
    z: float
    threshold: float
    cases: int


@dataclass
class BiasTest:
    """Collects the cases of one output."""

    biases: list[float] = field(default_factory=list)
    legal: list[npt.NDArray[np.float64]] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)

    def add(
        self, computed: npt.NDArray[np.float64], truth: npt.NDArray[np.float64], null: Null
    ) -> None:
        """One case; it counts if the truth is not zero, its null is known, and the error is not so
        large that its product with the truth overflows: that is seen without this test."""
        norm = float(np.square(truth).sum())
        usable = norm > 0 and null.bias_deviation > 0 and np.isfinite(null.biases).all()
        if not usable or not math.isfinite(null.bias_deviation):
            return
        with np.errstate(invalid="ignore", over="ignore"):
            bias = float(((computed - truth) * truth).sum() / norm)
        if math.isfinite(bias):
            self.biases.append(bias)
            self.legal.append(null.biases)
            self.deviations.append(null.bias_deviation)

    def result(self) -> FoundBias | None:
        """The bias, if there is one beyond doubt."""
        if len(self.biases) < _FEWEST_CASES:
            return None
        deviations = np.asarray(self.deviations)
        strategies = np.stack(self.legal)
        weights = 1 / (np.square(deviations) + np.square(strategies).max(axis=1))
        spread = float(np.sqrt(np.sum(np.square(weights * deviations))))
        z = abs(float(weights @ np.asarray(self.biases))) / spread
        legal = np.abs(weights @ strategies) / spread
        threshold = 2 * float(legal.max()) + _T
        if z <= threshold:
            return None
        mean = float(weights @ np.asarray(self.biases) / weights.sum())
        return FoundBias(mean, z, threshold, len(self.biases))
