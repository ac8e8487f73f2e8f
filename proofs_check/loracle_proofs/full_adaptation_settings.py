"""The settings of Appendices B and F: full adaptation after the simplifications of Appendix B.

W_V is fixed, alpha/r = beta = 1 and there is one sample, as the text sets them after Definition
B.1. Symbols in code: CQ1, CQ2, CK1, CK2 for C_Q^(1), C_Q^(2), C_K^(1), C_K^(2) of equation (B.1);
C3 for C^(3); WKT for W_K^T; fQ, cQ, pQ and fK, cK, pK by Definitions F.1 to F.7, in which vectors
with an index j are columns, and f, c, p by the reference, in row convention. Gradients dL_dX come
from the loss by dual numbers; pQ and pK are held against dL_dS, the gradient in the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from typing import Any

from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    half_squared_norm,
    residual,
)
from loracle_reference.gradient import p1, p2, residual_value_products
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = [
    "ANY_KEYS",
    "FIXED_VALUES",
    "ONE_ADAPTER",
    "UNIT_SCALARS",
    "WEIGHTS",
    "Constant",
    "Derivative",
    "Gradient",
    "Sized",
    "attention_rows",
    "attention_vector",
    "fixed_values_loss",
    "query_key_loss",
    "squared_norm",
    "sum_of",
    "transposed_key_loss",
]

Gradient = Callable[[str], Matrix]
"""The method `gradient` of an instance."""

Derivative = Callable[[Callable[..., Any], str], Matrix]
"""The method `derivative` of an instance."""

Constant = Callable[[Any], Matrix]
"""The method `constant` of an instance."""

Sized = Callable[[int], Matrix]
"""The methods `identity` and `ones` of an instance."""


def sum_of(terms: Iterable[Matrix]) -> Matrix:
    """The sum of at least one matrix."""
    return reduce(lambda one, other: one + other, terms)


def squared_norm(x: Matrix) -> Matrix:
    """||X||_F^2 as a matrix of shape (1, 1)."""
    return (x * x).row_sum().T.row_sum()


def attention_vector(C1: Matrix, C2: Matrix, W: Matrix, j: int) -> Matrix:
    """f(W)_j = alpha(W)_j^-1 u(W)_j, u(W)_j = exp(C_j vec(W)), C = C1 (x) C2 (Definition F.3).

    Shapes: C1 (L, d), C2 (M, d), W (d, d), result (M, 1).
    """
    u = (sub_block(kronecker(C1, C2), j, C2.shape[0]) @ vec(W)).exp()
    return u.T.divide_rows(u.T.row_sum()).T


def attention_rows(C1: Matrix, C2: Matrix, W: Matrix) -> Matrix:
    """f(W), whose row j is f(W)_j^T (Definition F.3). Shape: (L, M)."""
    columns = [attention_vector(C1, C2, W, j) for j in range(C1.shape[0])]
    return reduce(lambda one, other: one.beside(other), columns).T


def fixed_values_loss(
    XQ: Matrix,
    XK: Matrix,
    C3: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
) -> Matrix:
    """The loss of Definition B.1 for one sample, values C3 and alpha/r = beta = 1."""
    queries = XQ @ adapted_weight(WQ0, BQ, AQ, 1)
    keys = XK @ adapted_weight(WK0, BK, AK, 1)
    return half_squared_norm(residual(attention_probabilities(queries, keys), C3, Y))


def query_key_loss(XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WK: Matrix, Y: Matrix) -> Matrix:
    """The same as a function of W_Q and W_K."""
    return half_squared_norm(residual(attention_probabilities(XQ @ WQ, XK @ WK), C3, Y))


def transposed_key_loss(
    XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WKT: Matrix, Y: Matrix
) -> Matrix:
    """The same as a function of W_K^T, the variable of equation (F.2)."""
    return query_key_loss(XQ, XK, C3, WQ, WKT.T, Y)


def _score_loss(S: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return half_squared_norm(residual(S.softmax_rows(), C3, Y))


def _one() -> int:
    return 1


UNIT_SCALARS = replace(
    FULL_ADAPTATION,
    name="Definition B.1 with alpha/r = beta = 1",
    scalars=(),
    derived={**FULL_ADAPTATION.derived, "s": _one, "beta": _one},
)
"""Definition B.1 with the adapters of all three weights; s and beta are 1."""


def _adapted_query_weight(WQ0: Matrix, BQ: Matrix, AQ: Matrix) -> Matrix:
    return adapted_weight(WQ0, BQ, AQ, 1)


def _adapted_key_weight(WK0: Matrix, BK: Matrix, AK: Matrix) -> Matrix:
    return adapted_weight(WK0, BK, AK, 1)


def _transposed(WK: Matrix) -> Matrix:
    return WK.T


def _cq1(XQ: Matrix) -> Matrix:
    return XQ


def _cq2(XK: Matrix, WK: Matrix) -> Matrix:
    return XK @ WK


def _ck1(XQ: Matrix, WQ: Matrix) -> Matrix:
    return XQ @ WQ


def _ck2(XK: Matrix) -> Matrix:
    return XK


def _f(CQ1: Matrix, CQ2: Matrix, WQ: Matrix) -> Matrix:
    return attention_probabilities(CQ1 @ WQ, CQ2)


def _c(f: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return residual(f, C3, Y)


def _p(f: Matrix, c: Matrix, C3: Matrix) -> Matrix:
    q = residual_value_products(c, C3)
    return p1(f, q) - p2(f, q)


_SCORES: dict[str, Callable[..., Any]] = {
    "WKT": _transposed,
    "CQ1": _cq1,
    "CQ2": _cq2,
    "CK1": _ck1,
    "CK2": _ck2,
    "f": _f,
    "c": _c,
    "p": _p,
}


def _dL_dAQ(gradient: Gradient) -> Matrix:
    return gradient("AQ")


def _dL_dBQ(gradient: Gradient) -> Matrix:
    return gradient("BQ")


def _dL_dAK(gradient: Gradient) -> Matrix:
    return gradient("AK")


def _dL_dBK(gradient: Gradient) -> Matrix:
    return gradient("BK")


FIXED_VALUES = Setting(
    "Equation (B.2)",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "C3": ("M", "d"),
        "WQ0": ("d", "d"),
        "WK0": ("d", "d"),
        "AQ": ("r", "d"),
        "BQ": ("d", "r"),
        "AK": ("r", "d"),
        "BK": ("d", "r"),
        "Y": ("L", "d"),
    },
    derived={
        "WQ": _adapted_query_weight,
        "WK": _adapted_key_weight,
        **_SCORES,
        "dL_dAQ": _dL_dAQ,
        "dL_dBQ": _dL_dBQ,
        "dL_dAK": _dL_dAK,
        "dL_dBK": _dL_dBK,
    },
    square={"M": "L"},
    limits={"r": 2},
    loss=fixed_values_loss,
)
"""The adapters of W_Q and W_K; dL_dAQ and the like are gradients of `fixed_values_loss`."""


def _key_loss(
    CK1: Matrix, CK2: Matrix, C3: Matrix, WK0: Matrix, AK: Matrix, BK: Matrix, Y: Matrix
) -> Matrix:
    scores = CK1 @ adapted_weight(WK0, BK, AK, 1).T @ CK2.T
    return half_squared_norm(residual(scores.softmax_rows(), C3, Y))


def _f_of_keys(CK1: Matrix, CK2: Matrix, WK: Matrix) -> Matrix:
    return attention_probabilities(CK1 @ WK.T, CK2)


ONE_ADAPTER = Setting(
    "Remark B.1, the adapter of W_K",
    shapes={
        "CK1": ("L", "d"),
        "CK2": ("M", "d"),
        "C3": ("M", "d"),
        "WK0": ("d", "d"),
        "AK": ("r", "d"),
        "BK": ("d", "r"),
        "Y": ("L", "d"),
    },
    derived={
        "WK": _adapted_key_weight,
        "f": _f_of_keys,
        "c": _c,
        "p": _p,
        "dL_dAK": _dL_dAK,
        "dL_dBK": _dL_dBK,
    },
    square={"M": "L"},
    limits={"r": 2},
    loss=_key_loss,
)
"""The loss as a function of the adapter of W_K, for any C_K1, which stands for X_Q W_Q."""


def _scores(XQ: Matrix, WQ: Matrix, XK: Matrix, WK: Matrix) -> Matrix:
    return (XQ @ WQ) @ (XK @ WK).T


def _f_query(CQ1: Matrix, CQ2: Matrix, WQ: Matrix) -> Matrix:
    return attention_rows(CQ1, CQ2, WQ)


def _f_key(CK1: Matrix, CK2: Matrix, WKT: Matrix) -> Matrix:
    return attention_rows(CK1, CK2, WKT)


def _c_query(fQ: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return fQ @ C3 - Y


def _c_key(fK: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return fK @ C3 - Y


def _probabilities_loss(f: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return half_squared_norm(residual(f, C3, Y))


def _probabilities_gradient(derivative: Derivative) -> Matrix:
    return derivative(_probabilities_loss, "f")


def _score_gradient(derivative: Derivative) -> Matrix:
    return derivative(_score_loss, "S")


def _query_weight_gradient(derivative: Derivative) -> Matrix:
    return derivative(query_key_loss, "WQ")


def _transposed_key_weight_gradient(derivative: Derivative) -> Matrix:
    return derivative(transposed_key_loss, "WKT")


WEIGHTS = Setting(
    "Appendix F",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "C3": ("M", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "Y": ("L", "d"),
    },
    derived={
        **_SCORES,
        "S": _scores,
        "fQ": _f_query,
        "fK": _f_key,
        "cQ": _c_query,
        "cK": _c_key,
        "loss": query_key_loss,
        "dL_df": _probabilities_gradient,
        "dL_dS": _score_gradient,
        "dL_dWQ": _query_weight_gradient,
        "dL_dWKT": _transposed_key_weight_gradient,
    },
    square={"M": "L"},
    loss=query_key_loss,
)
ANY_KEYS = replace(WEIGHTS, square={})
"""W_Q and W_K without their parts; fQ, fK, cQ, cK by the printed Definitions F.3 and F.4.
ANY_KEYS is for what holds as it stands, at M keys, of which the paper has L."""
