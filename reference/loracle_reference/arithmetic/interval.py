"""Rigorous enclosures at the speed of BLAS: float64 midpoints with radii (after S. M. Rump).

An entry (m, r) stands for every real number x with |x - m| <= r. The exact result of an operation
on any such numbers lies in the entry it returns. Rounding modes are never switched: with
u = 2^-53 and eta = 2^-1074, a sum rounded to nearest errs by at most u |fl(a + b)|, a product or
quotient by eta / 2 more, and these terms are added to the radius, which is itself a short
non-negative expression, inflated by more than its own relative error.

What is assumed of the machine, all of it covered by tests against exact rationals and balls:
  * float64 arithmetic rounds to nearest and underflows gradually (`Interval()` checks it);
  * a matrix product or a sum adds up the n exact or rounded products in any order, with or without
    fused multiply-adds, so that its error is at most gamma_n |A| |B| + n eta with
    gamma_n = n u / (1 - n u); it does not use Strassen's method (OpenBLAS, MKL, Accelerate and
    BLIS do not);
  * numpy's exp errs by at most 4 units in the last place of its result, and may flush a result
    below 2^-1022 to zero.

An entry of which nothing is known (after an overflow, or a division by an enclosure of zero) has an
infinite radius. There are no NaNs and no infinite midpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.exact_scalar import (
    as_float_array,
    as_fraction,
    nearest_float,
)
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar, rows_of
from loracle_reference.arithmetic.shapes import (
    require_column,
    require_inner,
    require_same_rows,
    require_same_shape,
)
from loracle_reference.enclosure import Enclosure

__all__ = ["Interval", "IntervalMatrix"]

FloatArray = npt.NDArray[np.float64]

UNIT = 2.0**-53
"""u, the relative error of one rounding to nearest."""
ETA = 2.0**-1074
"""The smallest positive number; half of it is lost at most when a product underflows."""
EXP_ERROR = 10 * UNIT
"""4 ulp of the computed exponential are at most 8u of it; the rest pays for 1/(1 - 8u)."""
EXP_FLUSH = 2.0**-1022
"""What an exponential may lose to a flush to zero, absolutely."""
BLOCK = 256
"""Longest sum left to BLAS: gamma of a longer one is that of a block and the number of blocks."""
CHUNK = 1 << 15
"""Entries handled at a time by entrywise operations, so that the temporaries stay in the cache."""


def inflation(operations: int) -> float:
    """A factor that makes a non-negative expression, evaluated with at most `operations` roundings
    on the way to any of its terms, at least its exact value (underflow apart)."""
    return 1.0 + 4.0 * (operations + 2) * UNIT


class IntervalMatrix(Matrix):
    """Midpoints and radii; radius None says that the midpoints are the exact values.

    mid, rad: float64 arrays of shape (rows, columns), not copied, and normalised in place (see
    `_normalised`), so give fresh ones. Raises ValueError if the shapes differ.
    """

    def __init__(self, mid: FloatArray, rad: FloatArray | None = None) -> None:
        if mid.ndim != 2 or (rad is not None and rad.shape != mid.shape):
            raise ValueError("midpoints and radii must be two matrices of one shape")
        self.mid, self.rad = _normalised(mid, rad)

    @classmethod
    def _view(cls, mid: FloatArray, rad: FloatArray | None) -> IntervalMatrix:
        """Arrays that are normalised already."""
        matrix = cls.__new__(cls)
        matrix.mid, matrix.rad = mid, rad
        return matrix

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.mid.shape
        return rows, columns

    @property
    def T(self) -> IntervalMatrix:
        """The transpose."""
        return self._view(self.mid.T, None if self.rad is None else self.rad.T)

    def __matmul__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_inner(self, other)
        return _product(self, other)

    def __add__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_same_shape(self, other)
        return self._sum(other, np.add)

    def __sub__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_same_shape(self, other)
        return self._sum(other, np.subtract)

    def _sum(self, other: IntervalMatrix, operation: np.ufunc) -> IntervalMatrix:
        mid, rad = _allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in _row_chunks(self.shape):
                total = operation(self.mid[rows], other.mid[rows], out=mid[rows])
                radius = np.abs(total, out=rad[rows])
                # 2u instead of u: the product with u may underflow, the sum does so without error.
                radius *= 2 * UNIT
                for operand in (self.rad, other.rad):
                    if operand is not None:
                        radius += operand[rows]
                radius *= inflation(3)
        return IntervalMatrix(mid, rad)

    def __mul__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_same_shape(self, other)
        mid, rad = _allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in _row_chunks(self.shape):
                _hadamard(_rows(self, rows), _rows(other, rows), mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def scale(self, factor: Scalar) -> IntervalMatrix:
        """factor * self, for an exact scalar (a rational is enclosed)."""
        mid, rad = _enclose(as_fraction(factor))
        radius = None if rad == 0 else np.full((1, 1), rad)
        return self._broadcast_product(IntervalMatrix(np.full((1, 1), mid), radius))

    def row_sum(self) -> IntervalMatrix:
        """The column of row sums, in blocks of `BLOCK` columns."""
        columns = self.shape[1]
        mid, size, rad = (np.zeros((self.shape[0], 1)) for _ in range(3))
        with np.errstate(all="ignore"):
            for block in _blocks(columns):
                part = self.mid[:, block]
                mid += part.sum(axis=1, keepdims=True)
                size += np.abs(part).sum(axis=1, keepdims=True)
                if self.rad is not None:
                    rad += self.rad[:, block].sum(axis=1, keepdims=True)
            if columns > 1:
                rad += _gamma(columns) * size + np.minimum(size, ETA)
            rad *= inflation(columns + 4)
        return IntervalMatrix(mid, rad)

    def row_dot(self, other: IntervalMatrix) -> IntervalMatrix:
        """The column of <self[j], other[j]>, without the matrix of products."""
        require_same_shape(self, other)
        mid, rad = _allocate((self.shape[0], 1))
        for rows in _row_chunks(self.shape):
            left, right = _rows(self, rows), _rows(other, rows)
            part = (self._view(*left) * self._view(*right)).row_sum()
            mid[rows] = part.mid
            rad[rows] = 0.0 if part.rad is None else part.rad
        return IntervalMatrix(mid, rad)

    def exp(self) -> IntervalMatrix:
        """The entrywise exponential; see the module docstring for what is assumed of numpy's."""
        mid, rad = _allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in _row_chunks(self.shape):
                values, radius = _rows(self, rows)
                np.exp(values, out=mid[rows])
                _exp_radius(mid[rows], radius, rad[rows])
        return IntervalMatrix(mid, rad)

    def scale_rows(self, column: IntervalMatrix) -> IntervalMatrix:
        """diag(column) @ self."""
        require_column(self, column)
        return self._broadcast_product(column)

    def _broadcast_product(self, factor: IntervalMatrix) -> IntervalMatrix:
        """Entrywise product with a matrix of shape (rows, 1) or (1, 1)."""
        mid, rad = _allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in _row_chunks(self.shape):
                some = _rows(factor, rows) if factor.shape[0] > 1 else (factor.mid, factor.rad)
                _hadamard(_rows(self, rows), some, mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def divide_rows(self, column: IntervalMatrix) -> IntervalMatrix:
        """diag(column)^-1 @ self; nothing is known of a row whose divisor may be zero."""
        require_column(self, column)
        mid, rad = _allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in _row_chunks(self.shape):
                _divide(_rows(self, rows), _rows(column, rows), mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def face_splitting(self, other: IntervalMatrix) -> IntervalMatrix:
        """The row-wise Kronecker product, (n, p) and (n, q) to (n, p * q)."""
        require_same_rows(self, other)
        rows, columns = self.shape[0], self.shape[1] * other.shape[1]
        mid, rad = np.empty((2, rows, self.shape[1], other.shape[1]))
        left = self.mid[:, :, None], None if self.rad is None else self.rad[:, :, None]
        right = other.mid[:, None, :], None if other.rad is None else other.rad[:, None, :]
        with np.errstate(all="ignore"):
            _hadamard(left, right, mid, rad)
        return IntervalMatrix(mid.reshape(rows, columns), rad.reshape(rows, columns))

    def softmax_rows(self) -> IntervalMatrix:
        """Softmax of each row, shifted by the largest midpoint of the row.

        The exact softmax does not change under any shift, so only the rounding of the subtraction
        is added. Every probability is in [0, 1], which is also what an entry says where the radii
        of the scores are too large to say more.
        """
        mid, rad = _allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in _row_chunks(self.shape):
                scores, radius = _rows(self, rows)
                shifted = scores - scores.max(axis=1, keepdims=True)
                spread = np.abs(shifted)
                spread *= 2 * UNIT
                if radius is not None:
                    spread += radius
                spread *= inflation(3)
                np.exp(shifted, out=shifted)
                deviation = np.empty_like(shifted)
                _exp_radius(shifted, spread, deviation)
                exponentials = IntervalMatrix(shifted, deviation)
                total = exponentials.row_sum()
                _divide(
                    (exponentials.mid, exponentials.rad),
                    (total.mid, total.rad),
                    mid[rows],
                    rad[rows],
                )
                vague = ~(rad[rows] <= 0.5)
                if vague.any():
                    mid[rows][vague] = 0.5
                    rad[rows][vague] = 0.5
        return IntervalMatrix(mid, rad)


class Interval(Arithmetic[IntervalMatrix]):
    """Vectorised midpoint-radius arithmetic in float64; see the module docstring.

    Raises RuntimeError where subnormal numbers are flushed to zero (a library compiled with
    -ffast-math can switch that on), because the radii would not be valid.
    """

    name = "interval"

    def __init__(self) -> None:
        smallest = np.full(8, 2.0**-1073)
        if not (smallest * 0.5 == ETA).all() or 1.0 + 2.0**-53 != 1.0 or 1.0 + 3 * 2.0**-53 <= 1.0:
            raise RuntimeError(
                "this process flushes subnormal numbers to zero or does not round to nearest: "
                "interval arithmetic is not rigorous here"
            )

    def matrix(self, entries: Entries) -> IntervalMatrix:
        """Entries that are float64 numbers are exact, others enclosed.

        Raises ValueError unless the entries are two-dimensional and finite.
        """
        array = as_float_array(entries)
        if array is not None:
            return IntervalMatrix(array)
        enclosed = [[_enclose(as_fraction(entry)) for entry in row] for row in rows_of(entries)]
        both = np.array(enclosed, dtype=np.float64)
        rad = both[:, :, 1].copy()
        return IntervalMatrix(both[:, :, 0].copy(), rad if rad.any() else None)

    def enclosure(self, matrix: IntervalMatrix) -> Enclosure:
        """The midpoints and radii, float64 arrays of the matrix's shape."""
        rad = np.zeros(matrix.shape) if matrix.rad is None else matrix.rad.copy()
        return Enclosure(matrix.mid.copy(), np.zeros(matrix.shape), rad)


_Pair = tuple[FloatArray, FloatArray | None]


def _enclose(value: Fraction) -> tuple[float, float]:
    """The nearest float64 number and a radius, 0 where it is exact."""
    mid = nearest_float(value)
    if mid - mid != 0:
        return 0.0, np.inf
    error = abs(value - Fraction(mid))
    return mid, 0.0 if error == 0 else float(np.nextafter(float(error), np.inf))


def _normalised(mid: FloatArray, rad: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    """Give every entry with an infinite midpoint, or anything NaN, an infinite radius.

    A finite sum proves that all entries are finite, in one pass without temporaries.
    """
    with np.errstate(all="ignore"):
        if not np.isfinite(mid.sum()):
            unknown = ~np.isfinite(mid)
            if unknown.any():
                rad = np.zeros(mid.shape) if rad is None else rad
                mid[unknown] = 0.0
                rad[unknown] = np.inf
        if rad is not None and np.isnan(rad.sum()):
            rad[np.isnan(rad)] = np.inf
    return mid, rad


def _allocate(shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Uninitialised midpoints and radii, side by side: one large allocation may get huge pages,
    and page faults are a large part of the cost of all that is entrywise."""
    mid, rad = np.empty((2, *shape))
    return mid, rad


def _row_chunks(shape: tuple[int, int]) -> Iterator[slice]:
    """Slices of whole rows with about CHUNK entries each."""
    rows, columns = shape
    step = max(1, CHUNK // columns)
    return (slice(start, start + step) for start in range(0, rows, step))


def _blocks(length: int) -> Iterator[slice]:
    """Slices of at most BLOCK indices."""
    return (slice(start, start + BLOCK) for start in range(0, length, BLOCK))


def _gamma(length: int) -> float:
    """gamma of a sum of `length` terms in blocks, rounded up; infinite where it says nothing.

    The terms of a block pass BLOCK roundings at most (one for the product), the blocks one each.
    """
    terms = min(length, BLOCK) + -(-length // BLOCK)
    error = terms * UNIT
    return error / (1 - error) * inflation(3) if error < 0.25 else np.inf


def _rows(matrix: IntervalMatrix, rows: slice) -> _Pair:
    return matrix.mid[rows], None if matrix.rad is None else matrix.rad[rows]


def _product(left: IntervalMatrix, right: IntervalMatrix) -> IntervalMatrix:
    """The matrix product, inner sums in blocks.

    rad >= |A| (rB + gamma |B|) + rA (|B| + rB) + n eta. A radius or gamma term may itself underflow
    before it is multiplied by a large number, so eta is added to the factor, not to the product.
    """
    inner = left.shape[1]
    mid, rad = _allocate((left.shape[0], right.shape[1]))
    gamma = _gamma(inner)
    with np.errstate(all="ignore"):
        for number, block in enumerate(_blocks(inner)):
            a, b = left.mid[:, block], right.mid[block]
            _accumulate(mid, a, b, first=number == 0)
            size_a, size_b = np.abs(a), np.abs(b)
            rad_a = None if left.rad is None else left.rad[:, block]
            rad_b = None if right.rad is None else right.rad[block]
            if rad_a is None or (rad_b is not None and size_b.size <= size_a.size):
                _accumulate(rad, size_a, _widened(size_b, rad_b, gamma), first=number == 0)
                if rad_a is not None:
                    rad += rad_a @ (size_b if rad_b is None else size_b + rad_b)
            else:
                _accumulate(rad, _widened(size_a, rad_a, gamma), size_b, first=number == 0)
                if rad_b is not None:
                    rad += (size_a + rad_a) @ rad_b
        rad += 4 * inner * ETA
        rad *= inflation(2 * inner + 8)
        # A row of exact zeros on the left, or a column of them on the right, gives exact zeros.
        rad[_zero_lines(left, axis=1)] = 0.0
        rad[:, _zero_lines(right, axis=0)] = 0.0
    return IntervalMatrix(mid, rad)


def _accumulate(total: FloatArray, left: FloatArray, right: FloatArray, *, first: bool) -> None:
    """total := left @ right, or total += left @ right if it is not the first."""
    if first:
        np.matmul(left, right, out=total)
    else:
        total += left @ right


def _widened(size: FloatArray, rad: FloatArray | None, gamma: float) -> FloatArray:
    """rad + gamma * size + eta."""
    wide: FloatArray = size * gamma
    if rad is not None:
        wide += rad
    wide += ETA
    return wide


def _zero_lines(matrix: IntervalMatrix, axis: int) -> npt.NDArray[np.bool_]:
    """Which rows (axis 1) or columns (axis 0) are exactly zero."""
    zero: Any = ~matrix.mid.any(axis=axis)
    if matrix.rad is not None and zero.any():
        zero &= ~matrix.rad.any(axis=axis)
    return np.asarray(zero)


def _hadamard(left: _Pair, right: _Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the entrywise product of two pairs that broadcast.

    rad >= |a| rb + ra (|b| + rb) + u |mid|, and 4 eta for what these products and the midpoint lose
    to underflow, unless a factor is exactly zero.
    """
    (a, rad_a), (b, rad_b) = left, right
    np.multiply(a, b, out=mid)
    np.abs(mid, out=rad)
    rad *= 2 * UNIT
    size_a, size_b = np.abs(a), np.abs(b)
    if rad_b is not None:
        rad += size_a * rad_b
        size_b += rad_b
    if rad_a is not None:
        rad += rad_a * size_b
        size_a += rad_a
    # eta if neither factor is zero: no other positive number is smaller.
    rad += 4 * np.minimum(np.minimum(size_a, ETA), size_b)
    rad *= inflation(6)


def _exp_radius(exponentials: FloatArray, rad: FloatArray | None, out: FloatArray) -> None:
    """out := a radius for the computed exponentials of midpoints with radius rad.

    |e^x - e^m| <= e^m g with g = e^r - 1, and e^m is within EXP_ERROR and EXP_FLUSH of its computed
    value e, so e (EXP_ERROR + (1 + EXP_ERROR) g) + EXP_FLUSH (1 + g) covers both.
    """
    if rad is None:
        np.multiply(exponentials, EXP_ERROR, out=out)
        out += EXP_FLUSH
    else:
        growth = rad + rad * rad  # at least e^r - 1 for r <= 1
        wide = rad > 1.0
        if wide.any():
            growth[wide] = np.exp(rad[wide])
        growth *= inflation(8)
        np.multiply(growth, 1 + 2 * EXP_ERROR, out=out)
        out += EXP_ERROR
        out *= exponentials
        growth += 1.0
        growth *= EXP_FLUSH
        out += growth
    out *= inflation(6)


def _divide(left: _Pair, right: _Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the entrywise quotient of two pairs that broadcast.

    |x / s - X / S| <= (rx + |X / S| rs) / (|S| - rs), then u |mid| + eta / 2 for the division.
    """
    (a, rad_a), (b, rad_b) = left, right
    np.divide(a, b, out=mid)
    size = np.abs(mid)
    np.multiply(size, 2 * UNIT, out=rad)
    lost = 4 * np.minimum(np.abs(a) if rad_a is None else np.abs(a) + rad_a, ETA)
    rad += lost
    lower = np.abs(b)
    if rad_b is not None:
        lower = (lower - rad_b) * (1 - 4 * UNIT)
        # The quotient X / S itself is at most |mid| (1 + 2u) + eta.
        size *= inflation(1)
        size += lost
        size *= rad_b
    if rad_a is not None:
        size = size + rad_a if rad_b is not None else rad_a
    if rad_a is not None or rad_b is not None:
        rad += (size + lost) / lower
    rad *= inflation(8)
    # Negated, so that a NaN counts as a divisor of which nothing is known.
    rad[np.broadcast_to(~(lower > 0), rad.shape)] = np.inf
