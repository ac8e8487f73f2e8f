"""The errors of one output against their bounds, element by element, thinned out as they come."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["HIGHEST", "LOWEST", "Scatter"]

LOWEST, HIGHEST = 1e-4, 1e18
"""What lies beyond is kept at the edge: zero bounds and tolerances, infinite bounds and errors."""

_CELLS_A_DECADE = 16
_MOST_POINTS = 1500

Array = npt.NDArray[np.float64]


class Scatter:
    """Errors and bounds in units of the calibrated tolerance of their case (or of the promise that
    replaces it), so that cases of every magnitude share one picture: the tolerance is the line
    error = 1, the bound the line error = bound.

    Of the elements that fall into one small cell of the logarithmic plane one is kept; where cells
    become too many they are made larger. elements: all that were added. exact: those without any
    error, which have no place in the plane.
    """

    def __init__(self) -> None:
        self.elements = 0
        self.exact = 0
        self._cells_a_decade = _CELLS_A_DECADE
        self._points = np.zeros((0, 2))

    def add(self, error: Array, bound: Array, tolerance: float) -> None:
        """The elements of one case, all of one shape. error may hold infinities, bound too."""
        self.elements += error.size
        seen = error != 0
        self.exact += int(error.size - seen.sum())
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            new = np.stack([bound[seen], error[seen]], axis=-1) / tolerance
        # 0 / 0 is a bound that leaves no room, inf / inf one that leaves all.
        new = np.nan_to_num(new, nan=HIGHEST if tolerance else LOWEST, posinf=HIGHEST)
        self._points = np.concatenate([self._points, np.clip(new, LOWEST, HIGHEST)])
        self._thin_out()
        while len(self._points) > _MOST_POINTS:
            self._cells_a_decade = self._cells_a_decade * 3 // 4
            self._thin_out()

    @property
    def points(self) -> Array:
        """(bound, error) of the elements that were kept, a row each, by increasing error."""
        return self._points[np.argsort(self._points[:, 1], kind="stable")]

    def _thin_out(self) -> None:
        cells = np.floor(np.log10(self._points) * self._cells_a_decade)
        _, first = np.unique(cells, axis=0, return_index=True)
        self._points = self._points[np.sort(first)]
