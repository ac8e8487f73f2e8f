"""The protocol every arithmetic implements: one opaque matrix type.

The specification (attention.py, gradient.py, lora_linear.py) is written against `Matrix`
alone, so that one formula gives exact values, multiprecision values, rigorous enclosures,
error bounds or random roundings, depending on the arithmetic its operands come from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Arithmetic", "Entries", "Matrix", "Scalar"]

Scalar = Any
"""An exact scalar: int, float (taken exactly as the binary number it is), Fraction, or a symbol."""

Entries = npt.NDArray[Any] | Sequence[Sequence[Any]]
"""Rows of exact scalars; a float64 array is taken entry by entry, exactly."""


class Matrix(ABC):
    """A two-dimensional matrix of one arithmetic.

    Both operands of a binary operation belong to the same arithmetic; mixing two is an error.
    Shapes are (rows, columns); a "column" is a matrix of shape (rows, 1).
    Every operation raises ValueError on shapes that do not fit.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""

    @property
    @abstractmethod
    def T(self) -> Self:
        """The transpose."""

    @abstractmethod
    def __matmul__(self, other: Self) -> Self:
        """The matrix product."""

    @abstractmethod
    def __add__(self, other: Self) -> Self:
        """The sum of two matrices of one shape."""

    @abstractmethod
    def __sub__(self, other: Self) -> Self:
        """The difference of two matrices of one shape."""

    @abstractmethod
    def __mul__(self, other: Self) -> Self:
        """The Hadamard (entrywise) product of two matrices of one shape."""

    @abstractmethod
    def scale(self, factor: Scalar) -> Self:
        """factor * self, for an exact scalar."""

    @abstractmethod
    def row_sum(self) -> Self:
        """The column of row sums, self @ 1."""

    @abstractmethod
    def exp(self) -> Self:
        """The entrywise exponential."""

    @abstractmethod
    def scale_rows(self, column: Self) -> Self:
        """diag(column) @ self."""

    @abstractmethod
    def divide_rows(self, column: Self) -> Self:
        """diag(column)^-1 @ self."""

    @abstractmethod
    def face_splitting(self, other: Self) -> Self:
        """The row-wise Kronecker product: row j is self[j] (x) other[j].

        Shapes: (n, p) and (n, q) give (n, p * q).
        """

    @abstractmethod
    def reshape(self, rows: int, columns: int) -> Self:
        """The same entries in row-major order, nothing rounded.

        Raises ShapeError, a ValueError, if rows * columns is not the number of entries.
        """

    @abstractmethod
    def take_rows(self, indices: Sequence[int]) -> Self:
        """Row i of the result is row indices[i], counted from 0; repeats are allowed.

        Shapes: (n, p) and k indices give (k, p). Nothing is rounded. Raises ShapeError, a
        ValueError, if there is no index, IndexError if one is negative or at least n.
        """

    @abstractmethod
    def beside(self, other: Self) -> Self:
        """[self, other]: the columns of self, then those of other, nothing rounded.

        Shapes: (n, p) and (n, q) give (n, p + q).
        """

    def take_columns(self, indices: Sequence[int]) -> Self:
        """Column i of the result is column indices[i]; as `take_rows` of the transpose."""
        return self.T.take_rows(indices).T

    def row_dot(self, other: Self) -> Self:
        """The column of <self[j], other[j]>."""
        return (self * other).row_sum()

    def sum_with(self, *others: Self) -> Self:
        """self and the others added up, in no particular order.

        An arithmetic may override it to allow for every order.
        """
        return reduce(add, others, self)

    def softmax_rows(self) -> Self:
        """D^-1 exp(self) with D = diag(exp(self) 1), Definition 1.2."""
        exponentials = self.exp()
        return exponentials.divide_rows(exponentials.row_sum())

    def causal_softmax_rows(self) -> Self:
        """Row i: the softmax of its first i + 1 entries, then exact zeros; the causal mask j <= i.

        The matrix is square. An arithmetic may override it for speed; the values are those of
        `softmax_rows` on every prefix.
        """
        size = self.shape[1]
        if self.shape[0] != size:
            raise ValueError(f"a causal mask needs as many queries as keys, got {self.shape}")
        columns = []
        for row in range(size):
            scores = self.take_rows([row])
            seen = scores.take_columns(range(row + 1)).softmax_rows()
            if row + 1 < size:
                seen = seen.beside(scores.take_columns(range(row + 1, size)).scale(0))
            columns.append(seen.T)
        return reduce(lambda left, right: left.beside(right), columns).T


M = TypeVar("M", bound=Matrix)


class Arithmetic(ABC, Generic[M]):
    """Makes the matrices of one arithmetic."""

    name: str

    @abstractmethod
    def matrix(self, entries: Entries) -> M:
        """Embed exact entries, given by rows; raises ValueError unless they are two-dimensional."""


def rows_of(entries: Entries) -> list[list[Any]]:
    """The entries as nested lists; raises ValueError unless they form a matrix with no empty
    side."""
    if isinstance(entries, np.ndarray) and entries.ndim != 2:
        raise ValueError(f"a matrix needs two dimensions, got shape {entries.shape}")
    if isinstance(entries, np.ndarray):
        entries = entries.tolist()
    rows = [list(row) if isinstance(row, Sequence | np.ndarray) else [] for row in entries]
    if not rows or not rows[0]:
        raise ValueError("a matrix needs at least one row and one column")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("the rows of a matrix must have one length")
    return rows


HALF = Fraction(1, 2)
"""The constant of the loss, exact in every arithmetic."""
