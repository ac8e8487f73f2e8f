"""The shape checks that every arithmetic shares."""

from __future__ import annotations

from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["require_column", "require_inner", "require_same_rows", "require_same_shape"]


def _require_one_arithmetic(left: Matrix, right: Matrix) -> None:
    if type(left) is not type(right):
        raise TypeError(
            f"cannot mix arithmetics: {type(left).__name__} with {type(right).__name__}"
        )


def require_same_shape(left: Matrix, right: Matrix) -> None:
    """Raise ValueError unless both have one shape, TypeError if they are of two arithmetics."""
    _require_one_arithmetic(left, right)
    if left.shape != right.shape:
        raise ValueError(f"the shapes must be equal, got {left.shape} and {right.shape}")


def require_inner(left: Matrix, right: Matrix) -> None:
    """Raise ValueError unless left @ right is defined, TypeError if they are of two arithmetics."""
    _require_one_arithmetic(left, right)
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"the inner sizes must be equal, got {left.shape} @ {right.shape}")


def require_same_rows(left: Matrix, right: Matrix) -> None:
    """Raise ValueError unless both have as many rows, TypeError if they are of two arithmetics."""
    _require_one_arithmetic(left, right)
    if left.shape[0] != right.shape[0]:
        raise ValueError(f"the numbers of rows must be equal, got {left.shape} and {right.shape}")


def require_column(matrix: Matrix, column: Matrix) -> None:
    """Raise ValueError unless column is (rows of matrix, 1), TypeError if of two arithmetics."""
    _require_one_arithmetic(matrix, column)
    if column.shape != (matrix.shape[0], 1):
        raise ValueError(f"expected a column of shape ({matrix.shape[0]}, 1), got {column.shape}")
