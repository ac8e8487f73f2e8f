"""The settings of Definitions 3.2 to 3.6, and the vectors of the queries as matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from loracle_proofs.setting import Setting
from loracle_proofs.settings import PROBLEM_2
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import half_squared_norm
from loracle_reference.vectorization import kronecker

__all__ = ["ANY_KEYS", "SCORES", "Constant", "Identity", "Ones", "as_columns", "diagonal"]

Identity = Callable[[int], Matrix]
Ones = Callable[[int], Matrix]
Constant = Callable[[Any], Matrix]


def diagonal(column: Matrix, identity: Identity) -> Matrix:
    """diag(column). Shapes: column (n, 1), result (n, n)."""
    return identity(column.shape[0]).scale_rows(column)


def as_columns(columns: Sequence[Matrix]) -> Matrix:
    """The matrix with these columns, at least one. Shapes: n of (m, 1) give (m, n)."""
    return reduce(lambda left, right: left.beside(right), columns)


def _tensor(C1: Matrix, C2: Matrix) -> Matrix:
    return kronecker(C1, C2)


def _scores(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return C1 @ W @ C2.T


def _score_loss(S: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return half_squared_norm(S.softmax_rows() @ C3 - Y)


def _dL_dS(derivative: Any) -> Matrix:
    result: Matrix = derivative(_score_loss, "S")
    return result


def _printed_q(c: Matrix, C3: Matrix) -> Matrix:
    return C3 @ c.T


SCORES = Setting(
    "Definitions 3.2 to 3.6",
    shapes={
        "C1": ("L", "d"),
        "C2": ("M", "d"),
        "C3": ("M", "d"),
        "W": ("d", "d"),
        "Y": ("L", "d"),
    },
    derived={
        **{name: PROBLEM_2.derived[name] for name in ("f", "c", "dL_dW")},
        "C": _tensor,
        "S": _scores,
        "dL_dS": _dL_dS,
        "printed_q": _printed_q,
    },
    square={"M": "L"},
)
"""The loss as a function of W. C = C1 (x) C2, S = C1 W C2^T, printed_q = C3 c^T of Lemma 3.2, of
shape (M, L); dL_dW and dL_dS are derivatives of the loss."""

ANY_KEYS = replace(SCORES, square={})
"""For what holds as it stands, with M keys, of which the paper has L."""
