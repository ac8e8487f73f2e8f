"""The shape checks that every arithmetic shares."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.protocol import Matrix

__all__ = [
    "ShapeError",
    "causal_mask",
    "require_column",
    "require_inner",
    "require_reshape",
    "require_rows",
    "require_same_rows",
    "require_same_shape",
]


class ShapeError(ValueError):
    """The shapes of the operands do not fit the operation."""


def _require_one_arithmetic(left: Matrix, right: Matrix) -> None:
    if type(left) is not type(right):
        raise TypeError(
            f"cannot mix arithmetics: {type(left).__name__} with {type(right).__name__}"
        )


def require_same_shape(left: Matrix, right: Matrix) -> None:
    """Raise ShapeError unless both have one shape, TypeError if they are of two arithmetics."""
    _require_one_arithmetic(left, right)
    if left.shape != right.shape:
        raise ShapeError(f"the shapes must be equal, got {left.shape} and {right.shape}")


def require_inner(left: Matrix, right: Matrix) -> None:
    """Raise ShapeError unless left @ right is defined, TypeError if they are of two arithmetics."""
    _require_one_arithmetic(left, right)
    if left.shape[1] != right.shape[0]:
        raise ShapeError(f"the inner sizes must be equal, got {left.shape} @ {right.shape}")


def require_same_rows(left: Matrix, right: Matrix) -> None:
    """Raise ShapeError unless both have as many rows, TypeError if they are of two arithmetics."""
    _require_one_arithmetic(left, right)
    if left.shape[0] != right.shape[0]:
        raise ShapeError(f"the numbers of rows must be equal, got {left.shape} and {right.shape}")


def require_column(matrix: Matrix, column: Matrix) -> None:
    """Raise ShapeError unless column is (rows of matrix, 1), TypeError if of two arithmetics."""
    _require_one_arithmetic(matrix, column)
    if column.shape != (matrix.shape[0], 1):
        raise ShapeError(f"expected a column of shape ({matrix.shape[0]}, 1), got {column.shape}")


def require_reshape(matrix: Matrix, rows: int, columns: int) -> None:
    """Raise ShapeError unless the entries of the matrix fill the shape (rows, columns)."""
    here = matrix.shape[0] * matrix.shape[1]
    if rows < 1 or columns < 1 or rows * columns != here:
        raise ShapeError(
            f"cannot reshape {matrix.shape} to ({rows}, {columns}): both sizes must be positive "
            f"and their product {here}"
        )


def require_rows(matrix: Matrix, indices: Sequence[int]) -> list[int]:
    """The indices as a list; raise ShapeError if there is none, IndexError if one is no row."""
    rows = [index(row) for row in indices]
    if not rows:
        raise ShapeError("a matrix needs at least one row, got no indices")
    for row in rows:
        if not 0 <= row < matrix.shape[0]:
            raise IndexError(
                f"row {row} is out of range: the rows of {matrix.shape} are 0 to "
                f"{matrix.shape[0] - 1}"
            )
    return rows


def causal_mask(matrix: Matrix) -> npt.NDArray[np.bool_]:
    """True where key j <= query i; raise ShapeError unless there are as many keys as queries."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"a causal mask needs as many queries as keys, got {matrix.shape}")
    return np.tri(matrix.shape[0], dtype=np.bool_)
