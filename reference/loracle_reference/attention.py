"""The forward pass: adapted weights, attention probabilities, residual and loss.

This module is the axiom. Gradients are never taken from the paper: `differentiation`
derives them from the functions here, and `gradient` states them in closed form; the two are
held together by tests. It imports nothing but the protocol.

Symbols: C1, C2, C3 are the paper's C^(1), C^(2), C^(3) of equation (3.2), of shapes (L, d),
(M, d), (M, d); the paper has M = L, everything here holds for L != M (cross-attention, Remark 2.1).
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import HALF, Matrix, Scalar

__all__ = [
    "adapted_weight",
    "aloragc_loss",
    "attention_probabilities",
    "half_squared_norm",
    "lora_attention_loss",
    "residual",
]

M = TypeVar("M", bound=Matrix)


def adapted_weight(w: M, b: M, a: M, scaling: Scalar) -> M:
    """W = W* + s B A with s = alpha / r (Definition 1.1).

    Shapes: w (m, n), b (m, r), a (r, n).
    """
    return w + (b @ a).scale(scaling)


def attention_probabilities(queries: M, keys: M, beta: Scalar = 1) -> M:
    """f = D^-1 exp(beta Q K^T) (Definitions 3.2 to 3.4, row j is f_j).

    Shapes: queries (L, d), keys (M, d), result (L, M).
    """
    scores = queries @ keys.T
    return (scores if beta == 1 else scores.scale(beta)).softmax_rows()


def residual(f: M, values: M, y: M) -> M:
    """c = f C3 - Y (Definition 3.5). Shapes: f (L, M), values (M, d), y (L, d)."""
    return f @ values - y


def half_squared_norm(c: M) -> M:
    """1/2 ||c||_F^2 as a matrix of shape (1, 1) (equation (3.4))."""
    return (c * c).row_sum().T.row_sum().scale(HALF)


def aloragc_loss(*, c1: M, c2: M, c3: M, w: M, a: M, b: M, y: M) -> M:
    """Equation (3.3): 1/2 ||D^-1 exp(C1 (W + B A) C2^T) C3 - Y||_F^2, shape (1, 1).

    Shapes: c1, y (L, d); c2, c3 (M, d); w (d, d); b (d, r); a (r, d).
    """
    f = attention_probabilities(c1 @ adapted_weight(w, b, a, 1), c2)
    return half_squared_norm(residual(f, c3, y))


def lora_attention_loss(
    *,
    x_q: M,
    x_k: M,
    x_v: M,
    w_q: M,
    w_k: M,
    w_v: M,
    a_q: M,
    b_q: M,
    a_k: M,
    b_k: M,
    a_v: M,
    b_v: M,
    scaling: Scalar,
    beta: Scalar,
    y: M,
) -> M:
    """Definition 1.2 for one sample, with the three inputs of Definition 2.5, shape (1, 1).

    1/2 ||softmax(beta (X_Q W_Q)(X_K W_K)^T) (X_V W_V) - Y||_F^2 with W_mu = W*_mu + s B_mu A_mu.
    Shapes: x_q, y (L, d); x_k, x_v (M, d); w_* (d, d); b_* (d, r); a_* (r, d).
    """
    queries = x_q @ adapted_weight(w_q, b_q, a_q, scaling)
    keys = x_k @ adapted_weight(w_k, b_k, a_k, scaling)
    values = x_v @ adapted_weight(w_v, b_v, a_v, scaling)
    return half_squared_norm(residual(attention_probabilities(queries, keys, beta), values, y))
