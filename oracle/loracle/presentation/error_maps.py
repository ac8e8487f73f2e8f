"""The pictures of the worst case of a finding: its true and its computed values and its errors, a
cell per element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.report import ErrorMap

__all__ = ["LEVELS", "Paths", "Pictures", "pictures"]

_MOST_CELLS = 48
"""Rows, and columns. Of the elements that share a cell the largest one is shown."""

LEVELS = 8
_FAINTEST = 1e-4
"""Of its limit: an error below it leaves its cell empty."""

Paths = dict[int, str]
"""Per level of intensity, its cells as an SVG path in units of a cell. Negative levels are negative
numbers, or errors within the limit; LEVELS + 1 is what is not finite."""

Array = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """True values, computed values on the same scale, and errors. rows, columns: of cells. shape:
    of the output. elements: its rows (all axes but the last) and columns. worst: the cell of the
    worst element."""

    case: str
    rows: int
    columns: int
    shape: tuple[int, ...]
    elements: tuple[int, int]
    worst: tuple[int, int]
    truth: Paths
    computed: Paths
    errors: Paths

    @property
    def thinned(self) -> bool:
        """Whether several elements share a cell."""
        return (self.rows, self.columns) != self.elements


def pictures(errors: ErrorMap, *, by_tolerance: bool = False) -> Pictures:
    """by_tolerance: the errors are compared with the tolerance, not with the bound of each
    element."""
    truth, computed, error = (_flat(a) for a in (errors.truth, errors.computed, errors.error))
    bound = np.full(truth.shape, errors.tolerance) if by_tolerance else _flat(errors.bound)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(error == 0, 0.0, error / bound)
    ratio = np.where(np.isfinite(computed), ratio, np.nan)
    rows, columns = (_edges(size) for size in truth.shape)
    scale = float(np.abs(truth).max()) or 1.0
    place = np.unravel_index(np.ravel_multi_index(errors.element, errors.truth.shape), truth.shape)
    worst_row, worst_column = (
        int(np.searchsorted(edges, at, side="right")) - 1
        for edges, at in zip((rows, columns), place, strict=True)
    )
    return Pictures(
        case=errors.case,
        rows=len(rows),
        columns=len(columns),
        shape=errors.truth.shape,
        elements=(truth.shape[0], truth.shape[1]),
        worst=(worst_row, worst_column),
        truth=_paths(_signed_levels(_pooled(truth, rows, columns) / scale)),
        computed=_paths(_signed_levels(_pooled(computed, rows, columns) / scale)),
        errors=_paths(_error_levels(_pooled(ratio, rows, columns))),
    )


def _flat(values: Array) -> Array:
    return values.reshape(-1, values.shape[-1])


def _edges(size: int) -> npt.NDArray[np.int64]:
    """Where the cells begin."""
    cells = min(size, _MOST_CELLS)
    return np.arange(cells, dtype=np.int64) * size // cells


def _pooled(values: Array, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Array:
    high = np.maximum.reduceat(np.maximum.reduceat(values, rows, 0), columns, 1)
    low = np.minimum.reduceat(np.minimum.reduceat(values, rows, 0), columns, 1)
    return np.where(np.abs(low) > high, low, high)


def _signed_levels(values: Array) -> Levels:
    """From -LEVELS to LEVELS for -1 to 1, linear, and no level 0 but for 0."""
    with np.errstate(invalid="ignore"):
        sizes = np.ceil(np.minimum(np.abs(values), 1.0) * LEVELS)
        levels = np.where(np.isfinite(values), np.sign(values) * sizes, LEVELS + 1)
    return np.asarray(levels, dtype=np.int64)


def _error_levels(ratio: Array) -> Levels:
    """Negative within the limit, a level every half decade; positive beyond it, every decade."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(ratio)
        within = -np.ceil(LEVELS * (1 - decades / np.log10(_FAINTEST)))
        beyond = np.ceil(decades)
        levels = np.where(ratio > 1, np.clip(beyond, 1, LEVELS), np.clip(within, -LEVELS, 0))
    levels = np.where(ratio < _FAINTEST, 0, levels)
    levels = np.where(np.isnan(ratio), LEVELS + 1, levels)
    return np.asarray(levels, dtype=np.int64)


def _paths(levels: Levels) -> Paths:
    """Neighbours of one level in a row are one rectangle."""
    paths: dict[int, list[str]] = {}
    for row, line in enumerate(levels):
        starts = np.flatnonzero(np.diff(line, prepend=line[0] - 1))
        ends = np.append(starts[1:], len(line))
        for start, end in zip(starts, ends, strict=True):
            if line[start]:
                width = int(end - start)
                step = f"M{start} {row}h{width}v1h-{width}z"
                paths.setdefault(int(line[start]), []).append(step)
    return {level: "".join(steps) for level, steps in sorted(paths.items())}
