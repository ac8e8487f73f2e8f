"""Plain float64 values: fast, with no claim about their error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.exact_scalar import (
    as_float_array,
    as_fraction,
    nearest_float,
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

__all__ = ["Double", "DoubleMatrix"]

FloatArray = npt.NDArray[np.float64]


class DoubleMatrix(Matrix):
    """A float64 matrix; every operation is numpy's."""

    def __init__(self, values: FloatArray) -> None:
        self.values = values

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.values.shape
        return rows, columns

    @property
    def T(self) -> DoubleMatrix:
        """The transpose."""
        return DoubleMatrix(self.values.T)

    def __matmul__(self, other: DoubleMatrix) -> DoubleMatrix:
        require_inner(self, other)
        return DoubleMatrix(self.values @ other.values)

    def __add__(self, other: DoubleMatrix) -> DoubleMatrix:
        require_same_shape(self, other)
        return DoubleMatrix(self.values + other.values)

    def __sub__(self, other: DoubleMatrix) -> DoubleMatrix:
        require_same_shape(self, other)
        return DoubleMatrix(self.values - other.values)

    def __mul__(self, other: DoubleMatrix) -> DoubleMatrix:
        require_same_shape(self, other)
        return DoubleMatrix(self.values * other.values)

    def scale(self, factor: Scalar) -> DoubleMatrix:
        """factor * self, the factor rounded to float64."""
        return DoubleMatrix(self.values * nearest_float(as_fraction(factor)))

    def row_sum(self) -> DoubleMatrix:
        """The column of row sums."""
        return DoubleMatrix(self.values.sum(axis=1, keepdims=True))

    def exp(self) -> DoubleMatrix:
        """The entrywise exponential; overflows to infinity as numpy's does."""
        with np.errstate(over="ignore"):
            return DoubleMatrix(np.exp(self.values))

    def scale_rows(self, column: DoubleMatrix) -> DoubleMatrix:
        """diag(column) @ self."""
        require_column(self, column)
        return DoubleMatrix(self.values * column.values)

    def divide_rows(self, column: DoubleMatrix) -> DoubleMatrix:
        """diag(column)^-1 @ self; infinite or NaN where the column is zero."""
        require_column(self, column)
        with np.errstate(divide="ignore", invalid="ignore"):
            return DoubleMatrix(self.values / column.values)

    def face_splitting(self, other: DoubleMatrix) -> DoubleMatrix:
        """The row-wise Kronecker product, (n, p) and (n, q) to (n, p * q)."""
        require_same_rows(self, other)
        products = self.values[:, :, None] * other.values[:, None, :]
        return DoubleMatrix(products.reshape(self.shape[0], -1))

    def reshape(self, rows: int, columns: int) -> DoubleMatrix:
        """The same entries in row-major order."""
        require_reshape(self, rows, columns)
        return DoubleMatrix(self.values.reshape(rows, columns))

    def take_rows(self, indices: Sequence[int]) -> DoubleMatrix:
        """Row i of the result is row indices[i]."""
        return DoubleMatrix(self.values[require_rows(self, indices)])

    def beside(self, other: DoubleMatrix) -> DoubleMatrix:
        """The columns of self, then those of other."""
        require_same_rows(self, other)
        return DoubleMatrix(np.hstack([self.values, other.values]))

    def softmax_rows(self) -> DoubleMatrix:
        """Softmax of each row, shifted by the row's largest entry so that nothing overflows."""
        shift = self.values.max(axis=1, keepdims=True)
        exponentials = DoubleMatrix(np.exp(self.values - shift))
        return exponentials.divide_rows(exponentials.row_sum())

    def causal_softmax_rows(self) -> DoubleMatrix:
        """The same over the keys up to the query; exp of minus infinity is an exact zero."""
        return DoubleMatrix(np.where(causal_mask(self), self.values, -np.inf)).softmax_rows()


class Double(Arithmetic[DoubleMatrix]):
    """float64, rounded to nearest, with numpy's own summation orders."""

    name = "double"

    def matrix(self, entries: Entries) -> DoubleMatrix:
        """Entries rounded to float64; raises ValueError unless two-dimensional and finite."""
        array = as_float_array(entries)
        if array is None:
            rows = [
                [nearest_float(as_fraction(entry)) for entry in row] for row in rows_of(entries)
            ]
            array = np.array(rows, dtype=np.float64)
        return DoubleMatrix(array)

    def array(self, matrix: DoubleMatrix) -> FloatArray:
        """A copy of the values, of the matrix's shape."""
        return matrix.values.copy()
