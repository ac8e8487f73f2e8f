"""The settings of Lemmas 3.3 to 3.7 and F.5 to F.9, and the norms and balls that their claims use.

f, c, q, p1, p2 in row convention throughout: q = c C3^T is the transpose of the q that Lemma 3.2
and Definition F.6 print.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from loracle_proofs.relation import NotOrdered, absolute, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, PROBLEM_2, weight_loss
from loracle_reference import gradient
from loracle_reference.arithmetic.ball import Ball, BallMatrix
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.arithmetic.rational import RationalMatrix
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    half_squared_norm,
    residual,
)
from loracle_reference.norms import Norms

__all__ = [
    "APPROXIMATIONS",
    "BALLS",
    "CERTIFIED",
    "FULL_APPROXIMATIONS",
    "FULL_CERTIFIED",
    "PRINTED_Q",
    "SMALL_FULL_ADAPTATION",
    "SMALL_PROBLEM_2",
    "apart",
    "distance",
]

BALLS = Ball(128)
"""The arithmetic of certified constructions."""


def distance(left: Matrix, right: Matrix) -> Matrix:
    """||left - right||, the largest entry of the difference, of shape (1, 1)."""
    return max_norm(left - right)


def apart(left: Matrix, right: Matrix) -> Matrix:
    """|left - right|, entry by entry."""
    return absolute(left - right)


def _dL_dW(derivative: Any) -> Matrix:
    result: Matrix = derivative(weight_loss, "W")
    return result


def _probabilities(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return attention_probabilities(C1 @ W, C2)


def _error_f(f: Matrix, U1: Matrix, V1: Matrix) -> Matrix:
    return U1 @ V1.T - f


def _error_q(q: Matrix, U2: Matrix, V2: Matrix) -> Matrix:
    return U2 @ V2.T - q


def _r(f: Matrix, q: Matrix) -> Matrix:
    return f.row_dot(q)


APPROXIMATIONS = Setting(
    "Lemmas 3.3 to 3.7",
    shapes={
        "C1": ("L", "d"),
        "C2": ("M", "d"),
        "C3": ("M", "d"),
        "W": ("d", "d"),
        "Y": ("L", "d"),
        "U1": ("L", "k1"),
        "V1": ("M", "k1"),
        "U2": ("L", "k2"),
        "V2": ("M", "k2"),
    },
    derived={
        **{name: PROBLEM_2.derived[name] for name in ("c", "q", "p1", "p2")},
        "f": _probabilities,
        "r": _r,
        "error_f": _error_f,
        "error_q": _error_q,
        "dL_dW": _dL_dW,
    },
    square={"M": "L"},
    limits={"k1": 2, "k2": 2},
)
"""U1 V1^T near f and U2 V2^T near c C3^T, as near as they happen to be: error_f and error_q are the
differences. r_j = <f_j, q_j>."""

PRINTED_Q = replace(
    APPROXIMATIONS,
    name="Lemmas 3.3 to 3.7, q in the paper's orientation",
    shapes={**APPROXIMATIONS.shapes, "U2": ("M", "k2"), "V2": ("L", "k2")},
    derived={
        name: function
        for name, function in APPROXIMATIONS.derived.items()
        if name not in ("error_f", "error_q")
    },
)
"""U2 V2^T near C3 c^T, the q of Lemma 3.2, whose column j belongs to query j."""


def _full_loss(XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WK: Matrix, Y: Matrix) -> Matrix:
    return half_squared_norm(residual(attention_probabilities(XQ @ WQ, XK @ WK), C3, Y))


def _dL_dWQ(derivative: Any) -> Matrix:
    result: Matrix = derivative(_full_loss, "WQ")
    return result


def _dL_dWK(derivative: Any) -> Matrix:
    result: Matrix = derivative(_full_loss, "WK")
    return result


def _CQ2(XK: Matrix, WK: Matrix) -> Matrix:
    return XK @ WK


def _CK1(XQ: Matrix, WQ: Matrix) -> Matrix:
    return XQ @ WQ


def _fQ(XQ: Matrix, WQ: Matrix, CQ2: Matrix) -> Matrix:
    return attention_probabilities(XQ @ WQ, CQ2)


def _fK(CK1: Matrix, WK: Matrix, XK: Matrix) -> Matrix:
    return attention_probabilities(CK1 @ WK.T, XK)


def _cQ(fQ: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return residual(fQ, C3, Y)


def _cK(fK: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return residual(fK, C3, Y)


def _qQ(cQ: Matrix, C3: Matrix) -> Matrix:
    return gradient.residual_value_products(cQ, C3)


def _qK(cK: Matrix, C3: Matrix) -> Matrix:
    return gradient.residual_value_products(cK, C3)


FULL_APPROXIMATIONS = Setting(
    "Lemmas F.5 to F.9",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "C3": ("M", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "Y": ("L", "d"),
        **{f"U1{mu}": ("L", "k1") for mu in "QK"},
        **{f"V1{mu}": ("M", "k1") for mu in "QK"},
        **{f"U2{mu}": ("M", "k2") for mu in "QK"},
        **{f"V2{mu}": ("L", "k2") for mu in "QK"},
    },
    derived={
        "CQ2": _CQ2,
        "CK1": _CK1,
        "fQ": _fQ,
        "fK": _fK,
        "cQ": _cQ,
        "cK": _cK,
        "qQ": _qQ,
        "qK": _qK,
        "dL_dWQ": _dL_dWQ,
        "dL_dWK": _dL_dWK,
    },
    square={"M": "L"},
    limits={"k1": 1, "k2": 1},
)
"""Definitions F.1 to F.6, alpha/r = beta = 1: f_Q from C_Q1 W_Q = X_Q W_Q and C_Q2 = X_K W_K, f_K
from C_K1 W_K^T with C_K1 = X_Q W_Q, and C_K2 = X_K. U2 V2^T is near C3 c^T for either."""

_LARGEST_ENTRY = 2
"""Rank grows quickly with the scores: entries of the certified instances are kept within this."""


def _balls(matrix: Matrix) -> BallMatrix:
    """The matrix in balls. Raises NotOrdered for symbols: certificates are read from numbers."""
    if isinstance(matrix, BallMatrix):
        return matrix
    if isinstance(matrix, RationalMatrix):
        exact = [[Fraction(int(x.p), int(x.q)) for x in row] for row in matrix.values]
        return BALLS.matrix(exact)
    raise NotOrdered(f"{type(matrix).__name__} has no norms")


def _bounded(matrix: Matrix) -> BallMatrix:
    """The matrix divided by an integer, if that takes for its entries to be at most 2."""
    balls = _balls(matrix)
    divisor = max(1, (Norms.of(balls).maximum / _LARGEST_ENTRY).__ceil__())
    return balls.scale(Fraction(1, divisor))


def _at_most_three_columns(d: int) -> bool:
    return d <= 3


def _bounded_queries(C1: Matrix, W: Matrix) -> BallMatrix:
    return _bounded(C1 @ W)


def _bounded_keys(C2: Matrix) -> BallMatrix:
    return _bounded(C2)


def _values(C3: Matrix) -> BallMatrix:
    return _balls(C3)


def _labels(Y: Matrix) -> BallMatrix:
    return _balls(Y)


def _certified_f(queries: Matrix, keys: Matrix) -> Matrix:
    return attention_probabilities(queries, keys)


def _certified_c(f: Matrix, values: Matrix, labels: Matrix) -> Matrix:
    return residual(f, values, labels)


CERTIFIED = Setting(
    "Lemmas 3.3 to 3.5 with norms",
    shapes={
        "C1": ("L", "d"),
        "C2": ("M", "d"),
        "C3": ("M", "d"),
        "W": ("d", "d"),
        "Y": ("L", "d"),
    },
    derived={
        "queries": _bounded_queries,
        "keys": _bounded_keys,
        "values": _values,
        "labels": _labels,
        "f": _certified_f,
        "c": _certified_c,
    },
    square={"M": "L"},
    constraint=_at_most_three_columns,
)
"""queries = C1 W and keys = C2 scaled down to entries of at most 2, everything in balls."""


def _full_queries(XQ: Matrix, WQ: Matrix) -> BallMatrix:
    return _bounded(XQ @ WQ)


def _keys_of_q(XK: Matrix, WK: Matrix) -> BallMatrix:
    return _bounded(XK @ WK)


def _queries_of_k(XQ: Matrix, WQ: Matrix, WK: Matrix) -> BallMatrix:
    return _bounded(XQ @ WQ @ WK.T)


def _keys_of_k(XK: Matrix) -> BallMatrix:
    return _bounded(XK)


def _certified_fQ(queriesQ: Matrix, keysQ: Matrix) -> Matrix:
    return attention_probabilities(queriesQ, keysQ)


def _certified_fK(queriesK: Matrix, keysK: Matrix) -> Matrix:
    return attention_probabilities(queriesK, keysK)


def _certified_cQ(fQ: Matrix, values: Matrix, labels: Matrix) -> Matrix:
    return residual(fQ, values, labels)


def _certified_cK(fK: Matrix, values: Matrix, labels: Matrix) -> Matrix:
    return residual(fK, values, labels)


_FULL_DERIVED: dict[str, Callable[..., Any]] = {
    "queriesQ": _full_queries,
    "keysQ": _keys_of_q,
    "queriesK": _queries_of_k,
    "keysK": _keys_of_k,
    "values": _values,
    "labels": _labels,
    "fQ": _certified_fQ,
    "fK": _certified_fK,
    "cQ": _certified_cQ,
    "cK": _certified_cK,
}

FULL_CERTIFIED = Setting(
    "Lemmas F.5 to F.7 with norms",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "C3": ("M", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "Y": ("L", "d"),
    },
    derived=_FULL_DERIVED,
    square={"M": "L"},
    constraint=_at_most_three_columns,
)
"""C_Q1 W_Q and C_Q2, and C_K1 W_K^T and C_K2, each scaled down to entries of at most 2: the two
pairs are scaled apart, so f_Q and f_K differ here."""


def _divided(matrix: Matrix, product: Matrix) -> BallMatrix:
    """The matrix divided by an integer, if that takes for the product to be at most 2."""
    divisor = max(1, (Norms.of(_balls(product)).maximum / _LARGEST_ENTRY).__ceil__())
    return _balls(matrix).scale(Fraction(1, divisor))


def _in_balls(name: str) -> Callable[..., BallMatrix]:
    """A derived quantity: the matrix of that name in balls."""

    def derived(**values: Matrix) -> BallMatrix:
        return _balls(values[name])

    parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
    derived.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    return derived


def _small_c1(C1: Matrix, W0: Matrix, B: Matrix, A: Matrix) -> BallMatrix:
    return _divided(C1, C1 @ (W0 + B @ A))


def _aloragc_arguments(
    c1: Matrix, keys: Matrix, values: Matrix, w0: Matrix, a: Matrix, b: Matrix, labels: Matrix
) -> dict[str, Matrix]:
    return {"c1": c1, "c2": keys, "c3": values, "w": w0, "a": a, "b": b, "y": labels}


SMALL_PROBLEM_2 = Setting(
    "Problem 2 with norms",
    shapes=PROBLEM_2.shapes,
    derived={
        "c1": _small_c1,
        "keys": _bounded_keys,
        "values": _values,
        "labels": _labels,
        "w0": _in_balls("W0"),
        "a": _in_balls("A"),
        "b": _in_balls("B"),
        "arguments": _aloragc_arguments,
    },
    square=PROBLEM_2.square,
    constraint=_at_most_three_columns,
    limits=PROBLEM_2.limits,
)
"""C1 and C2 scaled down to entries of C1 W and of C2 of at most 2, everything in balls; arguments:
of `attention.aloragc_loss`."""


SCALING, BETA = Fraction(3, 2), Fraction(1, 2)
"""alpha/r and beta of the certified instances of full adaptation: not 1, so that either is missed
where it is left out."""


def _small_xq(XQ: Matrix, WQ0: Matrix, BQ: Matrix, AQ: Matrix) -> BallMatrix:
    return _divided(XQ, XQ @ adapted_weight(WQ0, BQ, AQ, SCALING))


def _small_xk(XK: Matrix, WK0: Matrix, BK: Matrix, AK: Matrix) -> BallMatrix:
    return _divided(XK, XK @ adapted_weight(WK0, BK, AK, SCALING))


def _full_arguments(
    x_q: Matrix,
    x_k: Matrix,
    x_v: Matrix,
    w_q: Matrix,
    w_k: Matrix,
    w_v: Matrix,
    a_q: Matrix,
    b_q: Matrix,
    a_k: Matrix,
    b_k: Matrix,
    a_v: Matrix,
    b_v: Matrix,
    y: Matrix,
) -> dict[str, Any]:
    return {**locals(), "scaling": SCALING, "beta": BETA}


SMALL_FULL_ADAPTATION = Setting(
    "Definition B.1 with norms",
    shapes=FULL_ADAPTATION.shapes,
    derived={
        "x_q": _small_xq,
        "x_k": _small_xk,
        "x_v": _in_balls("XV"),
        "y": _in_balls("Y"),
        **{f"w_{mu}": _in_balls(f"W{mu.upper()}0") for mu in "qkv"},
        **{
            f"{kind}_{mu}": _in_balls(f"{kind.upper()}{mu.upper()}")
            for kind in "ab"
            for mu in "qkv"
        },
        "arguments": _full_arguments,
    },
    square=FULL_ADAPTATION.square,
    constraint=_at_most_three_columns,
    limits=FULL_ADAPTATION.limits,
)
"""X_Q and X_K scaled down to entries of X_Q W_Q and of X_K W_K of at most 2, everything in balls;
arguments: of `attention.lora_attention_loss`."""
