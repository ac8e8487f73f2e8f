"""Norms of the matrices at hand, as exact upper bounds; none needs a product of two matrices.

Read from balls they bound every matrix that the balls may stand for, read from rational entries
they are exact but for a square root. All have one dtype, Fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint

from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.object_matrix import ObjectMatrix
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.upper_bounds import lower_fraction, square_root_above, upper_fraction

__all__ = ["Norms", "dot_bound"]


@dataclass(frozen=True)
class Norms:
    """Norms of a matrix x whose entries lie between `lower` and `upper`, lists of rows.

    All norms are upper bounds (of the exact matrix, not of its midpoints).
    """

    lower: list[list[Fraction]]
    upper: list[list[Fraction]]

    @classmethod
    def of(cls, matrix: Matrix) -> Norms:
        """Read the entries of a ball matrix or of a matrix of rational numbers.

        Raises TypeError if the arithmetic's entries are neither, ValueError if a ball is not
        finite.
        """
        if isinstance(matrix, BallMatrix):
            entries = [matrix.row(index) for index in range(matrix.shape[0])]
        elif isinstance(matrix, ObjectMatrix):
            entries = matrix.values.tolist()
        else:
            raise TypeError(
                f"norms are read from balls or from rational entries, not from a "
                f"{type(matrix).__name__}: evaluate in Ball or in Exact"
            )
        bounds = [[_bounds(entry) for entry in row] for row in entries]
        return cls(
            [[low for low, _ in row] for row in bounds],
            [[high for _, high in row] for row in bounds],
        )

    @cached_property
    def magnitudes(self) -> list[list[Fraction]]:
        """Upper bounds of |x_ji|."""
        return [
            [max(high, -low) for low, high in zip(lows, highs, strict=True)]
            for lows, highs in zip(self.lower, self.upper, strict=True)
        ]

    @property
    def maximum(self) -> Fraction:
        """||x||_max = max_ji |x_ji|, which the paper writes with an infinity."""
        return max(map(max, self.magnitudes))

    @property
    def column_maxima(self) -> list[Fraction]:
        """max_j |x_ji| for each column i."""
        return [max(column) for column in zip(*self.magnitudes, strict=True)]

    @property
    def column_sums(self) -> list[Fraction]:
        """sum_j |x_ji| for each column i."""
        return [sum(column, Fraction(0)) for column in zip(*self.magnitudes, strict=True)]

    @property
    def row_sum(self) -> Fraction:
        """max_j sum_i |x_ji|, the operator norm from the maximum norm to itself."""
        return max(sum(row, Fraction(0)) for row in self.magnitudes)

    @property
    def row_length(self) -> Fraction:
        """max_j |x_j|_2."""
        return square_root_above(
            max(sum((e * e for e in row), Fraction(0)) for row in self.magnitudes)
        )

    @property
    def middles(self) -> list[Fraction]:
        """A number about halfway between the extremes of each column."""
        return [(low + high) / 2 for low, high in self._extremes()]

    @property
    def half_spreads(self) -> list[Fraction]:
        """(max_j x_ji - min_j x_ji) / 2 for each column i, what is left of its maximum when the
        best constant is subtracted from the column."""
        return [(high - low) / 2 for low, high in self._extremes()]

    def _extremes(self) -> list[tuple[Fraction, Fraction]]:
        lows, highs = zip(*self.lower, strict=True), zip(*self.upper, strict=True)
        return [(min(low), max(high)) for low, high in zip(lows, highs, strict=True)]


def dot_bound(left: Norms, right: Norms) -> Fraction:
    """A bound of max |<x_j, y_l>| over all rows, from (L + M) d entries and no L x M matrix.

    The smallest of: the columns' maxima multiplied; Hoelder's inequality with exponents (1, inf),
    (inf, 1) and (2, 2). Each is at most d ||x||_max ||y||_max, the last but for the rounding of its
    square roots. Raises ShapeError, a ValueError, unless the rows have one length.
    """
    widths = len(left.lower[0]), len(right.lower[0])
    if widths[0] != widths[1]:
        raise ShapeError(f"the numbers of columns must be equal, got {widths[0]} and {widths[1]}")
    columns = zip(left.column_maxima, right.column_maxima, strict=True)
    return min(
        sum((x * y for x, y in columns), Fraction(0)),
        left.row_sum * right.maximum,
        left.maximum * right.row_sum,
        left.row_length * right.row_length,
    )


def _bounds(entry: Any) -> tuple[Fraction, Fraction]:
    if isinstance(entry, flint.arb):
        return lower_fraction(entry), upper_fraction(entry)
    if isinstance(entry, flint.fmpq):
        exact = Fraction(int(entry.p), int(entry.q))
    else:
        exact = as_fraction(entry)
    return exact, exact
