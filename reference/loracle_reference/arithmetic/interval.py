"""Rigorous enclosures at the speed of BLAS: float64 midpoints with radii (after S. M. Rump).

An entry (m, r) stands for every real number x with |x - m| <= r. The exact result of an operation
on any such numbers lies in the entry it returns; `midpoint_radius` derives the radii.

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

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from loracle_reference.arithmetic.exact_scalar import (
    as_float_array,
    as_fraction,
    nearest_float,
)
from loracle_reference.arithmetic.midpoint_radius import (
    ETA,
    FloatArray,
    Pair,
    add,
    allocate,
    divide,
    exp_radius,
    hadamard,
    normalised,
    product,
    row_chunks,
    row_sum,
    softmax,
)
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

__all__ = ["Interval", "IntervalMatrix"]


class IntervalMatrix(Matrix):
    """Midpoints and radii; radius None says that the midpoints are the exact values.

    mid, rad: float64 arrays of shape (rows, columns), not copied, and normalised in place (see
    `normalised`), so give fresh ones. Raises ValueError if the shapes differ.
    """

    def __init__(self, mid: FloatArray, rad: FloatArray | None = None) -> None:
        if mid.ndim != 2 or (rad is not None and rad.shape != mid.shape):
            raise ValueError("midpoints and radii must be two matrices of one shape")
        self.mid, self.rad = normalised(mid, rad)

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
    def pair(self) -> Pair:
        """(mid, rad), for the operations on arrays."""
        return self.mid, self.rad

    @property
    def T(self) -> IntervalMatrix:
        """The transpose."""
        return self._view(self.mid.T, None if self.rad is None else self.rad.T)

    def __matmul__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_inner(self, other)
        return IntervalMatrix(*product(self.pair, other.pair))

    def __add__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_same_shape(self, other)
        return self._sum(other, np.add)

    def __sub__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_same_shape(self, other)
        return self._sum(other, np.subtract)

    def _sum(self, other: IntervalMatrix, operation: np.ufunc) -> IntervalMatrix:
        mid, rad = allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in row_chunks(self.shape):
                add(operation, _rows(self, rows), _rows(other, rows), mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def __mul__(self, other: IntervalMatrix) -> IntervalMatrix:
        require_same_shape(self, other)
        mid, rad = allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in row_chunks(self.shape):
                hadamard(_rows(self, rows), _rows(other, rows), mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def scale(self, factor: Scalar) -> IntervalMatrix:
        """factor * self, for an exact scalar (a rational is enclosed)."""
        mid, rad = _enclose(as_fraction(factor))
        radius = None if rad == 0 else np.full((1, 1), rad)
        return self._broadcast_product(IntervalMatrix(np.full((1, 1), mid), radius))

    def row_sum(self) -> IntervalMatrix:
        """The column of row sums, in blocks of `BLOCK` columns."""
        with np.errstate(all="ignore"):
            return IntervalMatrix(*row_sum(self.pair))

    def row_dot(self, other: IntervalMatrix) -> IntervalMatrix:
        """The column of <self[j], other[j]>, without the matrix of products."""
        require_same_shape(self, other)
        mid, rad = allocate((self.shape[0], 1))
        for rows in row_chunks(self.shape):
            left, right = _rows(self, rows), _rows(other, rows)
            part = (self._view(*left) * self._view(*right)).row_sum()
            mid[rows] = part.mid
            rad[rows] = 0.0 if part.rad is None else part.rad
        return IntervalMatrix(mid, rad)

    def exp(self) -> IntervalMatrix:
        """The entrywise exponential; see the module docstring for what is assumed of numpy's."""
        mid, rad = allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in row_chunks(self.shape):
                values, radius = _rows(self, rows)
                np.exp(values, out=mid[rows])
                exp_radius(mid[rows], radius, rad[rows])
        return IntervalMatrix(mid, rad)

    def scale_rows(self, column: IntervalMatrix) -> IntervalMatrix:
        """diag(column) @ self."""
        require_column(self, column)
        return self._broadcast_product(column)

    def _broadcast_product(self, factor: IntervalMatrix) -> IntervalMatrix:
        """Entrywise product with a matrix of shape (rows, 1) or (1, 1)."""
        mid, rad = allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in row_chunks(self.shape):
                some = _rows(factor, rows) if factor.shape[0] > 1 else factor.pair
                hadamard(_rows(self, rows), some, mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def divide_rows(self, column: IntervalMatrix) -> IntervalMatrix:
        """diag(column)^-1 @ self; nothing is known of a row whose divisor may be zero."""
        require_column(self, column)
        mid, rad = allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in row_chunks(self.shape):
                divide(_rows(self, rows), _rows(column, rows), mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def face_splitting(self, other: IntervalMatrix) -> IntervalMatrix:
        """The row-wise Kronecker product, (n, p) and (n, q) to (n, p * q)."""
        require_same_rows(self, other)
        rows, columns = self.shape[0], self.shape[1] * other.shape[1]
        mid, rad = np.empty((2, rows, self.shape[1], other.shape[1]))
        left = self.mid[:, :, None], None if self.rad is None else self.rad[:, :, None]
        right = other.mid[:, None, :], None if other.rad is None else other.rad[:, None, :]
        with np.errstate(all="ignore"):
            hadamard(left, right, mid, rad)
        return IntervalMatrix(mid.reshape(rows, columns), rad.reshape(rows, columns))

    def reshape(self, rows: int, columns: int) -> IntervalMatrix:
        """The same entries in row-major order."""
        require_reshape(self, rows, columns)
        rad = None if self.rad is None else self.rad.reshape(rows, columns)
        return self._view(self.mid.reshape(rows, columns), rad)

    def take_rows(self, indices: Sequence[int]) -> IntervalMatrix:
        """Row i of the result is row indices[i]."""
        rows = require_rows(self, indices)
        return self._view(self.mid[rows], None if self.rad is None else self.rad[rows])

    def beside(self, other: IntervalMatrix) -> IntervalMatrix:
        """The columns of self, then those of other."""
        require_same_rows(self, other)
        mid = np.hstack([self.mid, other.mid])
        if self.rad is None and other.rad is None:
            return self._view(mid, None)
        radii = [np.zeros(one.shape) if one.rad is None else one.rad for one in (self, other)]
        return self._view(mid, np.hstack(radii))

    def softmax_rows(self) -> IntervalMatrix:
        """Softmax of each row, shifted by the largest midpoint of the row.

        Every probability is in [0, 1], which is what an entry says where the radii of the scores
        are too large to say more.
        """
        mid, rad = allocate(self.shape)
        with np.errstate(all="ignore"):
            for rows in row_chunks(self.shape):
                softmax(_rows(self, rows), mid[rows], rad[rows])
        return IntervalMatrix(mid, rad)

    def causal_softmax_rows(self) -> IntervalMatrix:
        """Each row's softmax over its first entries, and zeros that are exact."""
        causal_mask(self)
        mid, rad = np.zeros((2, *self.shape))
        with np.errstate(all="ignore"):
            for row in range(self.shape[0]):
                seen = slice(row, row + 1), slice(row + 1)
                scores = self.mid[seen], None if self.rad is None else self.rad[seen]
                softmax(scores, mid[seen], rad[seen])
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


def _enclose(value: Fraction) -> tuple[float, float]:
    """The nearest float64 number and a radius, 0 where it is exact."""
    mid = nearest_float(value)
    if mid - mid != 0:
        return 0.0, np.inf
    error = abs(value - Fraction(mid))
    return mid, 0.0 if error == 0 else float(np.nextafter(float(error), np.inf))


def _rows(matrix: IntervalMatrix, rows: slice) -> Pair:
    return matrix.mid[rows], None if matrix.rad is None else matrix.rad[rows]
