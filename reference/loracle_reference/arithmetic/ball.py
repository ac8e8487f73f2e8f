"""Values with a rigorous radius at any precision: Arb's balls through python-flint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from operator import add, mul, sub
from typing import Any

import flint
import numpy as np

from loracle_reference.arithmetic.exact_scalar import as_float_array, as_fraction
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar, rows_of
from loracle_reference.arithmetic.shapes import (
    causal_mask,
    require_column,
    require_inner,
    require_reshape,
    require_rows,
    require_same_rows,
    require_same_shape,
)
from loracle_reference.enclosure import Enclosure

__all__ = ["Ball", "BallMatrix"]

Arb = Any
"""flint.arb, which carries no types."""

_ENCLOSURE_PRECISION = 256
"""Enough for the difference of a midpoint and two float64 numbers to be sharp."""


def _working_precision(bits: int) -> AbstractContextManager[None]:
    """Arb rounds to a precision that is global; this sets it and restores it."""
    context: AbstractContextManager[None] = flint.ctx.workprec(bits)
    return context


class BallMatrix(Matrix):
    """Balls of one precision (bits of the midpoint); every operation rounds outwards.

    entries: rows * columns balls in C order. They are immutable, so matrices share them; the
    flint matrix that products need is made once, on demand.
    """

    def __init__(self, shape: tuple[int, int], entries: list[Arb], precision: int) -> None:
        self.entries = entries
        self.precision = precision
        self._shape = shape
        self._flint: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._shape

    @property
    def T(self) -> BallMatrix:
        """The transpose."""
        rows, columns = self._shape
        entries = [ball for column in range(columns) for ball in self.entries[column::columns]]
        return BallMatrix((columns, rows), entries, self.precision)

    def row(self, index: int) -> list[Arb]:
        """The balls of one row."""
        columns = self._shape[1]
        return self.entries[index * columns : (index + 1) * columns]

    def __matmul__(self, other: BallMatrix) -> BallMatrix:
        self._require_precision(other)
        require_inner(self, other)
        with _working_precision(self.precision):
            product = self._as_flint() * other._as_flint()
        result = self._like((self.shape[0], other.shape[1]), product.entries())
        result._flint = product
        return result

    def __add__(self, other: BallMatrix) -> BallMatrix:
        return self._entrywise(add, other)

    def __sub__(self, other: BallMatrix) -> BallMatrix:
        return self._entrywise(sub, other)

    def __mul__(self, other: BallMatrix) -> BallMatrix:
        return self._entrywise(mul, other)

    def scale(self, factor: Scalar) -> BallMatrix:
        """factor * self, for an exact scalar (a rational is enclosed)."""
        ball = _exact_ball(factor, self.precision)
        with _working_precision(self.precision):
            return self._like(self.shape, [entry * ball for entry in self.entries])

    def row_sum(self) -> BallMatrix:
        """The column of row sums."""
        with _working_precision(self.precision):
            sums = [sum(self.row(index), flint.arb(0)) for index in range(self.shape[0])]
        return self._like((self.shape[0], 1), sums)

    def exp(self) -> BallMatrix:
        """The entrywise exponential."""
        with _working_precision(self.precision):
            return self._like(self.shape, [entry.exp() for entry in self.entries])

    def scale_rows(self, column: BallMatrix) -> BallMatrix:
        """diag(column) @ self."""
        self._require_precision(column)
        require_column(self, column)
        with _working_precision(self.precision):
            return self._by_rows(
                [entry * factor for entry in self.row(index)]
                for index, factor in enumerate(column.entries)
            )

    def divide_rows(self, column: BallMatrix) -> BallMatrix:
        """diag(column)^-1 @ self; nothing is known of a row whose divisor may be zero."""
        self._require_precision(column)
        require_column(self, column)
        with _working_precision(self.precision):
            return self._by_rows(
                [entry / divisor for entry in self.row(index)]
                for index, divisor in enumerate(column.entries)
            )

    def face_splitting(self, other: BallMatrix) -> BallMatrix:
        """The row-wise Kronecker product, (n, p) and (n, q) to (n, p * q)."""
        self._require_precision(other)
        require_same_rows(self, other)
        with _working_precision(self.precision):
            products = [
                left * right
                for index in range(self.shape[0])
                for left in self.row(index)
                for right in other.row(index)
            ]
        return self._like((self.shape[0], self.shape[1] * other.shape[1]), products)

    def reshape(self, rows: int, columns: int) -> BallMatrix:
        """The same balls in row-major order."""
        require_reshape(self, rows, columns)
        return self._like((rows, columns), self.entries)

    def take_rows(self, indices: Sequence[int]) -> BallMatrix:
        """Row i of the result is row indices[i]."""
        rows = require_rows(self, indices)
        entries = [entry for index in rows for entry in self.row(index)]
        return self._like((len(rows), self.shape[1]), entries)

    def beside(self, other: BallMatrix) -> BallMatrix:
        """The columns of self, then those of other."""
        self._require_precision(other)
        require_same_rows(self, other)
        entries = [
            entry
            for index in range(self.shape[0])
            for entry in (*self.row(index), *other.row(index))
        ]
        return self._like((self.shape[0], self.shape[1] + other.shape[1]), entries)

    def softmax_rows(self) -> BallMatrix:
        """Softmax of each row, shifted by (about) the largest midpoint of the row.

        The exact softmax does not change under any shift. Without one, balls of large scores lose
        no correctness, but two exponentials near Arb's limit of the exponent would say nothing.
        """
        with _working_precision(self.precision):
            shifted: list[Arb] = []
            for index in range(self.shape[0]):
                row = self.row(index)
                shift = max(float(entry.mid()) for entry in row)
                shifted += [entry - shift for entry in row] if math.isfinite(shift) else row
        exponentials = self._like(self.shape, shifted).exp()
        return exponentials.divide_rows(exponentials.row_sum())

    def causal_softmax_rows(self) -> BallMatrix:
        """Each row's softmax over its first entries, and zeros that are exact."""
        causal_mask(self)
        zero = flint.arb(0)
        entries: list[Arb] = []
        for index in range(self.shape[0]):
            seen = self._like((1, index + 1), self.row(index)[: index + 1]).softmax_rows()
            entries += seen.entries + [zero] * (self.shape[1] - index - 1)
        return self._like(self.shape, entries)

    def _entrywise(self, operation: Callable[[Arb, Arb], Arb], other: BallMatrix) -> BallMatrix:
        self._require_precision(other)
        require_same_shape(self, other)
        with _working_precision(self.precision):
            return self._like(self.shape, list(map(operation, self.entries, other.entries)))

    def _by_rows(self, rows: Iterable[list[Arb]]) -> BallMatrix:
        return self._like(self.shape, [entry for row in rows for entry in row])

    def _like(self, shape: tuple[int, int], entries: list[Arb]) -> BallMatrix:
        return BallMatrix(shape, entries, self.precision)

    def _as_flint(self) -> Any:
        if self._flint is None:
            self._flint = flint.arb_mat(*self._shape, self.entries)
        return self._flint

    def _require_precision(self, other: BallMatrix) -> None:
        if isinstance(other, BallMatrix) and other.precision != self.precision:
            raise TypeError(
                f"cannot mix balls of {self.precision} bits with balls of {other.precision} bits"
            )


class Ball(Arithmetic[BallMatrix]):
    """Balls with midpoints of `precision` bits, whatever flint's global precision is.

    Raises ValueError if the precision is below 2 bits.
    """

    name = "ball"

    def __init__(self, precision: int = 128) -> None:
        if precision < 2:
            raise ValueError(f"the precision must be at least 2 bits, got {precision}")
        self.precision = precision

    def matrix(self, entries: Entries) -> BallMatrix:
        """float64 numbers enter exactly, rationals that are no binary numbers enclosed.

        Raises ValueError unless the entries are two-dimensional and finite.
        """
        array = as_float_array(entries)
        if array is not None:
            rows, columns = array.shape
            balls = [flint.arb(entry) for entry in array.ravel().tolist()]
            return BallMatrix((rows, columns), balls, self.precision)
        nested = rows_of(entries)
        balls = [_exact_ball(entry, self.precision) for row in nested for entry in row]
        return BallMatrix((len(nested), len(nested[0])), balls, self.precision)

    def enclosure(self, matrix: BallMatrix) -> Enclosure:
        """The balls as float64 pairs with a radius rounded up, of the matrix's shape."""
        with _working_precision(max(_ENCLOSURE_PRECISION, self.precision)):
            parts = np.array([_double_double(entry) for entry in matrix.entries])
        high, low, radius = parts.T.reshape(3, *matrix.shape)
        return Enclosure(high.copy(), low.copy(), radius.copy())


def _exact_ball(value: Scalar, precision: int) -> Arb:
    """A ball of `precision` bits around a rational; exact if it has no more bits than that.

    A float64 number is exact at every precision.
    """
    fraction = as_fraction(value)
    numerator, denominator = fraction.numerator, fraction.denominator
    bits = numerator.bit_length() if denominator & (denominator - 1) == 0 else 0
    with _working_precision(max(precision, min(bits, 53))):
        return flint.arb(flint.fmpq(numerator, denominator))


def _double_double(ball: Arb) -> tuple[float, float, float]:
    """(high, low, radius) with every x of the ball within radius of high + low.

    The distance is itself a ball, computed from the whole input ball, so its upper bound covers the
    rounding of the midpoint to 106 bits too.
    """
    if not ball.is_finite():
        return 0.0, 0.0, math.inf
    high = float(ball.mid())
    if not math.isfinite(high):
        return 0.0, 0.0, math.inf
    rest = ball - high
    low = float(rest.mid())
    distance = rest - low
    if distance.is_zero():
        return high, low, 0.0
    bound = float(distance.abs_upper())
    # float() rounds in a direction that flint does not promise: step over it, twice to be sure.
    return high, low, math.nextafter(math.nextafter(bound, math.inf), math.inf)
