"""Norms as matrices of shape (1, 1), and the size that such a matrix has."""

from __future__ import annotations

from loracle_proofs.records.vectorization import entry, indices
from loracle_proofs.relation import max_norm
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["is_scalar", "largest", "sum_of_squares"]


def largest(*matrices: Matrix) -> Matrix:
    """The maximum of the max norms, of shape (1, 1)."""
    rows = [matrix.reshape(1, matrix.shape[0] * matrix.shape[1]) for matrix in matrices]
    joined = rows[0]
    for other in rows[1:]:
        joined = joined.beside(other)
    return max_norm(joined)


def sum_of_squares(x: Matrix) -> Matrix:
    """||x||_F^2 as the sum over the entries, shape (1, 1)."""
    total = entry(x, 1, 1).scale(0)
    for i in indices(x.shape[0]):
        for j in indices(x.shape[1]):
            total = total + entry(x, i, j) * entry(x, i, j)
    return total


def is_scalar(one: int) -> bool:
    return one == 1
