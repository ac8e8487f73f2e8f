"""Power laws between length and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

__all__ = ["PowerLaw", "fitted", "through"]

_SQUARE = 2.0


@dataclass(frozen=True)
class PowerLaw:
    """seconds = factor * length^exponent, from times at the lengths `source`."""

    exponent: float
    factor: float
    source: tuple[int, ...]

    def __call__(self, length: int) -> float:
        """Seconds at that length."""
        return self.factor * exp(self.exponent * log(length))


def fitted(seconds: Mapping[int, float]) -> PowerLaw | None:
    """Least squares of log seconds on log length; None for fewer than two lengths.

    seconds: by length, all positive.
    """
    if len(seconds) < 2:
        return None
    points = [(log(length), log(time)) for length, time in sorted(seconds.items())]
    middle_x, middle_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points)
    slope /= sum((x - middle_x) ** 2 for x, _ in points)
    return PowerLaw(slope, exp(middle_y - slope * middle_x), tuple(sorted(seconds)))


def through(length: int, seconds: float) -> PowerLaw:
    """The square law of an exact method through one measurement."""
    return PowerLaw(_SQUARE, seconds / length**_SQUARE, (length,))
