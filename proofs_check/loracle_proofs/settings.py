"""The settings that several parts of the paper share.

Symbols in code: C1, C2, C3 for C^(1), C^(2), C^(3); W0 for the frozen weight (with its bar in
Problem 2); s for alpha/r; f, c, q, p1, p2, p for the matrices of Definitions 3.4 to 3.6 in ROW
convention: row j belongs to query j, so that q = c C3^T (the paper prints q = C3 c^T, whose column
j it is). Gradients dL_dX come from the loss by dual numbers, never from a printed formula.
The paper has as many keys as queries (M = L); corrected claims hold for M != L as well.
"""

from __future__ import annotations

from typing import Any

from loracle_proofs.setting import Setting
from loracle_reference import attention, gradient
from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = ["FULL_ADAPTATION", "PROBLEM_2", "aloragc_loss", "full_loss", "weight_loss"]


def _weight(W0: Matrix, B: Matrix, A: Matrix) -> Matrix:
    return attention.adapted_weight(W0, B, A, 1)


def _probabilities(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return attention.attention_probabilities(C1 @ W, C2)


def _residual(f: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return attention.residual(f, C3, Y)


def _q(c: Matrix, C3: Matrix) -> Matrix:
    return gradient.residual_value_products(c, C3)


def _p(f: Matrix, q: Matrix) -> Matrix:
    return gradient.p1(f, q) - gradient.p2(f, q)


_PROBABILITY_GRADIENTS = {"p1": gradient.p1, "p2": gradient.p2, "p": _p}


def aloragc_loss(
    C1: Matrix, C2: Matrix, C3: Matrix, W0: Matrix, A: Matrix, B: Matrix, Y: Matrix
) -> Matrix:
    """The loss of equation (3.3), the axiom of Problem 2."""
    return attention.aloragc_loss(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)


def weight_loss(C1: Matrix, C2: Matrix, C3: Matrix, W: Matrix, Y: Matrix) -> Matrix:
    """The loss of equation (3.4): (3.3) as a function of W = W0 + B A."""
    f = attention.attention_probabilities(C1 @ W, C2)
    return attention.half_squared_norm(attention.residual(f, C3, Y))


def _dL_dA(derivative: Any) -> Matrix:
    result: Matrix = derivative(aloragc_loss, "A")
    return result


def _dL_dB(derivative: Any) -> Matrix:
    result: Matrix = derivative(aloragc_loss, "B")
    return result


def _dL_dW(derivative: Any) -> Matrix:
    result: Matrix = derivative(weight_loss, "W")
    return result


PROBLEM_2 = Setting(
    "Problem 2",
    shapes={
        "C1": ("L", "d"),
        "C2": ("M", "d"),
        "C3": ("M", "d"),
        "W0": ("d", "d"),
        "A": ("r", "d"),
        "B": ("d", "r"),
        "Y": ("L", "d"),
    },
    derived={
        "W": _weight,
        "f": _probabilities,
        "c": _residual,
        "q": _q,
        **_PROBABILITY_GRADIENTS,
        "dL_dA": _dL_dA,
        "dL_dB": _dL_dB,
        "dL_dW": _dL_dW,
    },
    square={"M": "L"},
    limits={"r": 2},
    loss=aloragc_loss,
)


def _adapted_q(WQ0: Matrix, BQ: Matrix, AQ: Matrix, s: Scalar) -> Matrix:
    return attention.adapted_weight(WQ0, BQ, AQ, s)


def _adapted_k(WK0: Matrix, BK: Matrix, AK: Matrix, s: Scalar) -> Matrix:
    return attention.adapted_weight(WK0, BK, AK, s)


def _adapted_v(WV0: Matrix, BV: Matrix, AV: Matrix, s: Scalar) -> Matrix:
    return attention.adapted_weight(WV0, BV, AV, s)


def _full_probabilities(XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar) -> Matrix:
    return attention.attention_probabilities(XQ @ WQ, XK @ WK, beta)


def _full_residual(f: Matrix, XV: Matrix, WV: Matrix, Y: Matrix) -> Matrix:
    return attention.residual(f, XV @ WV, Y)


def _full_q(c: Matrix, XV: Matrix, WV: Matrix) -> Matrix:
    return gradient.residual_value_products(c, XV @ WV)


def full_loss(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of Definitions 1.2 and B.1 for one sample, the axiom of full adaptation."""
    return attention.lora_attention_loss(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
        w_q=WQ0,
        w_k=WK0,
        w_v=WV0,
        a_q=AQ,
        b_q=BQ,
        a_k=AK,
        b_k=BK,
        a_v=AV,
        b_v=BV,
        scaling=s,
        beta=beta,
        y=Y,
    )


FULL_ADAPTATION = Setting(
    "Definition B.1",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "XV": ("M", "d"),
        "WQ0": ("d", "d"),
        "WK0": ("d", "d"),
        "WV0": ("d", "d"),
        "AQ": ("r", "d"),
        "BQ": ("d", "r"),
        "AK": ("r", "d"),
        "BK": ("d", "r"),
        "AV": ("r", "d"),
        "BV": ("d", "r"),
        "Y": ("L", "d"),
    },
    scalars=("s", "beta"),
    derived={
        "WQ": _adapted_q,
        "WK": _adapted_k,
        "WV": _adapted_v,
        "f": _full_probabilities,
        "c": _full_residual,
        "q": _full_q,
        **_PROBABILITY_GRADIENTS,
    },
    square={"M": "L"},
    limits={"r": 2},
    loss=full_loss,
)
"""`gradient("AQ")` and the like are derivatives of `full_loss`."""
