"""Where exact values are known to lie: midpoints beyond float64 with a rigorous radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Enclosure"]

FloatArray = npt.NDArray[np.float64]

_UNIT = 2.0**-53
_UP = 1.0 + 16.0 * _UNIT
"""More than the relative error of the handful of roundings of any non-negative expression here."""

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Enclosure:
    """Entrywise |x - (high + low)| <= radius for the exact value x.

    high, low, radius: float64 arrays of one shape; high + low is an unevaluated sum, so that a
    float64 result can be judged far below one unit in its last place. A radius of infinity means
    that nothing is known; a NaN anywhere is turned into that. All comparisons below are rigorous:
    their own rounding errors are bounded and counted against the claim.
    Raises ValueError if the shapes differ or a radius is negative.
    """

    high: FloatArray
    low: FloatArray
    radius: FloatArray

    def __post_init__(self) -> None:
        if not self.high.shape == self.low.shape == self.radius.shape:
            raise ValueError(
                "high, low and radius must have one shape, got "
                f"{self.high.shape}, {self.low.shape}, {self.radius.shape}"
            )
        if (self.radius < 0).any():
            raise ValueError("a radius must not be negative")
        unknown = ~(np.isfinite(self.high) & np.isfinite(self.low)) | ~(self.radius < np.inf)
        if unknown.any():
            object.__setattr__(self, "high", np.where(unknown, 0.0, self.high))
            object.__setattr__(self, "low", np.where(unknown, 0.0, self.low))
            object.__setattr__(self, "radius", np.where(unknown, np.inf, self.radius))

    @property
    def shape(self) -> tuple[int, ...]:
        """The common shape of the arrays."""
        return self.high.shape

    @property
    def mid(self) -> FloatArray:
        """high + low, rounded to float64."""
        with np.errstate(over="ignore"):
            return np.asarray(self.high + self.low)

    @property
    def magnitude(self) -> FloatArray:
        """An upper bound of |x|, entrywise."""
        with np.errstate(over="ignore"):
            return np.asarray((np.abs(self.high) + np.abs(self.low) + self.radius) * _UP)

    def reshape(self, *shape: int) -> Enclosure:
        """The same entries in C order under another shape."""
        return Enclosure(
            self.high.reshape(shape), self.low.reshape(shape), self.radius.reshape(shape)
        )

    def distance(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of |values - x|, entrywise, for finite float64 values.

        values: an array of this shape, entries taken exactly. Where nothing is known of x the
        bounds are 0 and infinity; where a value is not finite, both are infinity.
        """
        near, far = self._centre_distance(np.asarray(values, dtype=np.float64), np.zeros(()))
        with np.errstate(invalid="ignore", over="ignore"):
            lower = np.maximum(near - self.radius * _UP, 0.0) / _UP
            upper = (far + self.radius) * _UP
        known = np.isfinite(values)
        lower = np.where(self.radius < np.inf, lower, 0.0)
        return np.where(known, lower, np.inf), np.where(known, upper, np.inf)

    def contains(self, other: Enclosure) -> bool:
        """Whether every set of `other` provably lies inside the set of `self` at that entry."""
        _, far = self._centre_distance(other.high, other.low)
        with np.errstate(over="ignore"):
            # An exact comparison when both sides are exact: no inflation of a distance of zero.
            reach = np.where(far == 0, other.radius, (far + other.radius) * _UP)
        return bool((reach <= self.radius).all())

    def overlaps(self, other: Enclosure) -> bool:
        """False only if the two are provably disjoint at some entry."""
        near, _ = self._centre_distance(other.high, other.low)
        with np.errstate(over="ignore"):
            reach = (self.radius + other.radius) * _UP
        return bool((near <= reach).all())

    def _centre_distance(self, high: FloatArray, low: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of |high + low - (self.high + self.low)|, the lower one finite."""
        near, far = _difference(high, low, self.high, self.low)
        broken = ~np.isfinite(far)
        if not broken.any():
            return near, far
        # Nothing overflows in an eighth of everything. That is exact but for digits below
        # 2**-1074, which vanish beside the slack, a share of terms that overflow.
        eighths = _difference(high / 8, low / 8, self.high / 8, self.low / 8)
        with np.errstate(over="ignore"):
            scaled_near, scaled_far = (8 * bound for bound in eighths)
        near = np.where(broken, np.minimum(scaled_near, _LARGEST), near)
        return near, np.where(broken, scaled_far, far)


def _difference(
    high: FloatArray, low: FloatArray, other_high: FloatArray, other_low: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds of |high + low - (other_high + other_low)|; the upper one is not
    finite where the arithmetic overflows, and nothing is said there.

    The difference of the leading parts is split exactly by Knuth's two-sum; each of the three
    remaining additions errs by at most u times its result (and never underflows).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lead = high - other_high
        back = lead - high
        tail = (high - (lead - back)) - (other_high + back)
        rest = low - other_low
        tail += rest
        distance = np.abs(lead + tail)
        slack = 4 * _UNIT * (np.abs(rest) + np.abs(tail) + distance)
        return np.maximum(distance - slack, 0.0), distance + slack
