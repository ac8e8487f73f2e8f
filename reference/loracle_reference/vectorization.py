"""Vectorisation and the products of matrices that go with it, generic over an arithmetic.

vec here is row-major, as the paper defines it (Definition 2.1). The column-major vec of most of the
literature is `vec(x.T)`; formulas for one are in general false for the other. Wherever the
paper counts from 1, arguments here count from 0.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.arithmetic.shapes import ShapeError

__all__ = [
    "column_wise_kronecker",
    "kronecker",
    "mat",
    "row_wise_kronecker",
    "sub_block",
    "tensor_trick",
    "transposition",
    "transposition_order",
    "vec",
]

M = TypeVar("M", bound=Matrix)


def vec(x: M) -> M:
    """The rows of x one after another: X[i, j] = vec(X)[(i-1) d + j] (Definition 2.1).

    Shapes: x (L, d), result (L d, 1). Row-major; the column-major one is `vec(x.T)`.
    """
    rows, columns = x.shape
    return x.reshape(rows * columns, 1)


def mat(x: M, rows: int, columns: int) -> M:
    """The matrix whose row-major vec is x, mat = vec^-1 (Definition 2.2).

    Shapes: x (rows * columns, 1), result (rows, columns). Raises ShapeError, a ValueError, if x
    has another shape.
    """
    if x.shape[1] != 1:
        raise ShapeError(f"mat needs a column of shape ({rows * columns}, 1), got {x.shape}")
    return x.reshape(rows, columns)


def kronecker(a: M, b: M) -> M:
    """A (x) B, [(i_a-1) L_b + i_b, (j_a-1) d_b + j_b] = A[i_a, j_a] B[i_b, j_b] (Definition 2.3).

    Shapes: a (L_a, d_a), b (L_b, d_b), result (L_a L_b, d_a d_b).
    """
    # Row (i_a, i_b) is A[i_a] (x) B[i_b]: a row-wise product once each row stands where it is due.
    rows_a, rows_b = range(a.shape[0]), range(b.shape[0])
    left = a.take_rows([i for i in rows_a for _ in rows_b])
    right = b.take_rows([i for _ in rows_a for i in rows_b])
    return row_wise_kronecker(left, right)


def sub_block(c: M, j: int, rows: int) -> M:
    """C_j, block j of `rows` consecutive rows of C = A (x) B (Definition 2.4).

    With rows = L_b it is A[j] (x) B. Shapes: c (L_a rows, n), result (rows, n); j counts from 0.
    Raises ValueError if the blocks do not fill c or there is no block j.
    """
    if rows < 1 or c.shape[0] % rows:
        raise ShapeError(
            f"the rows of {c.shape} are no whole number of blocks of {rows} rows: "
            "take a positive divisor"
        )
    blocks = c.shape[0] // rows
    if not 0 <= j < blocks:
        raise ValueError(
            f"block {j} is out of range: the blocks of {c.shape} are 0 to {blocks - 1}"
        )
    return c.take_rows(range(j * rows, (j + 1) * rows))


def row_wise_kronecker(a: M, b: M) -> M:
    """The face-splitting product, row j being A[j] (x) B[j].

    It is the product for which (U_1 V_1^T) o (U_2 V_2^T) = (U_1 * U_2) (V_1 * V_2)^T, what the
    proof of Lemma 3.6 needs. Shapes: a (n, p), b (n, q), result (n, p q).
    """
    return a.face_splitting(b)


def column_wise_kronecker(a: M, b: M) -> M:
    """The Khatri-Rao product, column i being A[., i] (x) B[., i], as the proof of Lemma 3.6 prints.

    Shapes: a (m, k), b (n, k), result (m n, k). Raises ShapeError, a ValueError, unless both have
    as many columns.
    """
    if a.shape[1] != b.shape[1]:
        raise ShapeError(f"the numbers of columns must be equal, got {a.shape} and {b.shape}")
    return a.T.face_splitting(b.T).T


def transposition(m: int, n: int) -> list[list[int]]:
    """T(m, n) with vec(W^T) = T(m, n) vec(W) for W of shape (m, n), rows of zeros and ones.

    T[(k-1) m + p, (p-1) n + k] = 1 for 1 <= p <= m, 1 <= k <= n, all else 0, because W[p, k] stands
    at (p-1) n + k of vec(W) and at (k-1) m + p of vec(W^T). Lemma F.2 prints the two indices in
    exchange: that is T(n, m), which belongs to the column-major vec.
    Shape: (m n, m n). Raises ValueError unless both sizes are positive.
    """
    order = transposition_order(m, n)
    return [[int(column == source) for column in range(m * n)] for source in order]


def transposition_order(m: int, n: int) -> list[int]:
    """Where the entries of vec(W^T) stand in vec(W): `vec(w).take_rows(order)` is vec(W^T).

    T(m, n) without its zeros (Lemma F.2): its row i has the one in column order[i]. T(m, n)^T is
    T(n, m). Length m n, indices from 0. Raises ValueError unless both sizes are positive.
    """
    if m < 1 or n < 1:
        raise ValueError(f"a matrix to transpose needs positive sizes, got ({m}, {n})")
    return [p * n + k for k in range(n) for p in range(m)]


def tensor_trick(a: M, x: M, b: M) -> M:
    """(A (x) B) vec(X), which is vec(A X B^T) (Lemma 2.1), formed as it stands on the left.

    Shapes: a (L_a, d_a), x (d_a, d_b), b (L_b, d_b), result (L_a L_b, 1). Raises ShapeError, a
    ValueError, if x has another shape.
    """
    if x.shape != (a.shape[1], b.shape[1]):
        raise ShapeError(f"x must be of shape ({a.shape[1]}, {b.shape[1]}), got {x.shape}")
    return kronecker(a, b) @ vec(x)
