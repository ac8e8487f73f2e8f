"""Matrices of Python objects: what the exact and the multiprecision arithmetic share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.arithmetic.shapes import (
    require_column,
    require_inner,
    require_reshape,
    require_rows,
    require_same_rows,
    require_same_shape,
)

__all__ = ["ObjectMatrix"]

ObjectArray = npt.NDArray[Any]


class ObjectMatrix(Matrix):
    """An object array of shape (rows, columns) whose entries add and multiply by themselves."""

    def __init__(self, values: ObjectArray) -> None:
        self.values = values

    @abstractmethod
    def _like(self, values: ObjectArray) -> Self:
        """A matrix of the same arithmetic."""

    @abstractmethod
    def _scalar(self, factor: Scalar) -> Any:
        """The exact scalar as an entry."""

    @abstractmethod
    def _exp(self, value: Any) -> Any:
        """The exponential of one entry."""

    @abstractmethod
    def _divide(self, value: Any, divisor: Any) -> Any:
        """The quotient of two entries; raises ZeroDivisionError if the divisor is zero."""

    def _require_compatible(self, other: Self) -> None:
        """Raise TypeError if the two must not be mixed although they are of one type."""

    def _dot(self, left: ObjectArray, right: ObjectArray) -> Any:
        """The sum of the products of two vectors of at least one entry."""
        return np.dot(left, right)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.values.shape
        return rows, columns

    @property
    def T(self) -> Self:
        """The transpose."""
        return self._like(self.values.T)

    def __matmul__(self, other: Self) -> Self:
        require_inner(self, other)
        self._require_compatible(other)
        product = np.empty((self.shape[0], other.shape[1]), dtype=object)
        columns = list(other.values.T)
        for index, row in enumerate(self.values):
            product[index] = [self._dot(row, column) for column in columns]
        return self._like(product)

    def __add__(self, other: Self) -> Self:
        require_same_shape(self, other)
        self._require_compatible(other)
        return self._like(self.values + other.values)

    def __sub__(self, other: Self) -> Self:
        require_same_shape(self, other)
        self._require_compatible(other)
        return self._like(self.values - other.values)

    def __mul__(self, other: Self) -> Self:
        require_same_shape(self, other)
        self._require_compatible(other)
        return self._like(self.values * other.values)

    def scale(self, factor: Scalar) -> Self:
        """factor * self."""
        return self._like(self.values * self._scalar(factor))

    def row_sum(self) -> Self:
        """The column of row sums."""
        return self._like(self.values.sum(axis=1, keepdims=True))

    def exp(self) -> Self:
        """The entrywise exponential."""
        values = np.empty(self.shape, dtype=object)
        for index, value in np.ndenumerate(self.values):
            values[index] = self._exp(value)
        return self._like(values)

    def scale_rows(self, column: Self) -> Self:
        """diag(column) @ self."""
        require_column(self, column)
        self._require_compatible(column)
        return self._like(self.values * column.values)

    def divide_rows(self, column: Self) -> Self:
        """diag(column)^-1 @ self; raises ZeroDivisionError if an entry of the column is zero."""
        require_column(self, column)
        self._require_compatible(column)
        values = np.empty(self.shape, dtype=object)
        for index, value in np.ndenumerate(self.values):
            values[index] = self._divide(value, column.values[index[0], 0])
        return self._like(values)

    def face_splitting(self, other: Self) -> Self:
        """The row-wise Kronecker product, (n, p) and (n, q) to (n, p * q)."""
        require_same_rows(self, other)
        self._require_compatible(other)
        products = self.values[:, :, None] * other.values[:, None, :]
        return self._like(products.reshape(self.shape[0], -1))

    def reshape(self, rows: int, columns: int) -> Self:
        """The same entries in row-major order."""
        require_reshape(self, rows, columns)
        return self._like(self.values.reshape(rows, columns))

    def take_rows(self, indices: Sequence[int]) -> Self:
        """Row i of the result is row indices[i]."""
        return self._like(self.values[require_rows(self, indices)])

    def beside(self, other: Self) -> Self:
        """The columns of self, then those of other."""
        require_same_rows(self, other)
        self._require_compatible(other)
        return self._like(np.hstack([self.values, other.values]))
