"""The picture of errors against bounds: positions for an SVG, on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.scatter import HIGHEST, Scatter

__all__ = ["Axis", "ScatterPlot", "scatter_plots"]

WIDTH, HEIGHT = 340, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 334, 6, 232
GUTTER = 24
"""Of the strip at the right and at the top for what is infinite."""

_MOST_TICKS = 6
_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Decades `low` to `high` between two positions."""

    low: int
    high: int
    start: float
    end: float

    def at(self, logarithm: float) -> float:
        """The position of a power of ten, within the axis."""
        share = (min(max(logarithm, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Position and label of every few decades, 1 being one of them if it is on the axis."""
        step = math.ceil((self.high - self.low) / _MOST_TICKS)
        shown = [n for n in range(self.low, self.high + 1) if n % step == 0]
        return [(self.at(n), f"10{str(n).translate(_DIGITS)}" if n else "1") for n in shown]


@dataclass(frozen=True)
class ScatterPlot:
    """One output. inside, above_tolerance, above_bound: SVG paths of a dot per element.
    over_tolerance, over_bound: the corners of the areas of the two latter. bound, tolerance: the
    ends of the line error = bound, and the height of error = 1."""

    output: str
    elements: int
    exact: int
    horizontal: Axis
    vertical: Axis
    inside: str
    above_tolerance: str
    above_bound: str
    over_tolerance: str
    over_bound: str
    bound: tuple[float, float, float, float]
    tolerance: float


def scatter_plots(scatter: dict[str, Scatter]) -> list[ScatterPlot]:
    """A picture for every output, all on the same axes."""
    points = {output: one.points for output, one in scatter.items()}
    horizontal = Axis(*_decades(p[:, 0] for p in points.values()), LEFT, RIGHT - GUTTER)
    vertical = Axis(*_decades(p[:, 1] for p in points.values()), BOTTOM, TOP + GUTTER)
    return [_plot(name, scatter[name], points[name], horizontal, vertical) for name in scatter]


def _decades(columns: Iterable[Array]) -> tuple[int, int]:
    """Whole decades that hold every finite number, and 1 not at the end."""
    numbers = np.concatenate([np.ones(1), *columns])
    known = np.log10(numbers[numbers < HIGHEST])
    return min(math.floor(known.min()), -1), max(math.ceil(known.max()), 1)


def _plot(
    output: str, scatter: Scatter, points: Array, horizontal: Axis, vertical: Axis
) -> ScatterPlot:
    above_bound = points[:, 1] > points[:, 0]
    above_tolerance = ~above_bound & (points[:, 1] > 1)
    inside = ~above_bound & ~above_tolerance

    def dots(chosen: npt.NDArray[np.bool_]) -> str:
        return "".join(_dot(point, horizontal, vertical) for point in points[chosen])

    low = max(horizontal.low, vertical.low)
    high = min(horizontal.high, vertical.high)
    ends = [(horizontal.at(n), vertical.at(n)) for n in (low, high)]
    one = vertical.at(0)
    upper = [(ends[1][0], TOP), (horizontal.start, TOP), (horizontal.start, ends[0][1])]
    # Between the tolerance and the bound: right of where they cross.
    crossing = (horizontal.at(0), one)
    between = [crossing, ends[1], (RIGHT, ends[1][1]), (RIGHT, one)]
    if ends[1][1] > TOP + GUTTER:
        upper.insert(0, (RIGHT, TOP))
        upper.insert(0, (RIGHT, ends[1][1]))
    else:
        between[2:3] = [(ends[1][0], TOP), (RIGHT, TOP)]
    return ScatterPlot(
        output=output,
        elements=scatter.elements,
        exact=scatter.exact,
        horizontal=horizontal,
        vertical=vertical,
        inside=dots(inside),
        above_tolerance=dots(above_tolerance),
        above_bound=dots(above_bound),
        over_tolerance=_corners(between),
        over_bound=_corners([*ends, *upper]),
        bound=(*ends[0], *ends[1]),
        tolerance=one,
    )


def _dot(point: Array, horizontal: Axis, vertical: Axis) -> str:
    """A line of no length with round ends. What is infinite lies in the middle of its strip."""
    x = RIGHT - GUTTER / 2 if point[0] >= HIGHEST else horizontal.at(math.log10(point[0]))
    y = TOP + GUTTER / 2 if point[1] >= HIGHEST else vertical.at(math.log10(point[1]))
    return f"M{x:.1f} {y:.1f}h.01"


def _corners(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
