"""The gradients of `attention`'s losses in closed form, written once for every arithmetic.

The symbols are the paper's: u, alpha, f, c (Definitions 3.2 to 3.5), q (Lemma 3.2), p1, p2 and p
(Definition 3.6), and the same with an index Q or K (Definitions F.1 to F.8). u, f, q, p1, p2 and p
are L x M matrices whose row j belongs to query j. The paper indexes p and q by rows and by columns
in turn; here row j throughout, the reading under which Lemma 3.2 holds. f and c stand in
`attention`.

One function serves Q and K, because both see the same scores, bracketed differently:
u_Q = u(C_Q1 W_Q, C_Q2) with C_Q1 = X_Q, C_Q2 = X_K W_K, and u_K = u(C_K1 W_K^T, C_K2) with
C_K1 = X_Q W_Q, C_K2 = X_K (equation (B.1)).
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import adapted_weight, attention_probabilities, residual

__all__ = [
    "adapter_gradient",
    "aloragc_gradient",
    "key_weight_gradient",
    "lora_attention_gradient",
    "normalization",
    "p1",
    "p2",
    "query_weight_gradient",
    "residual_value_products",
    "score_gradient",
    "unnormalized_scores",
    "value_weight_gradient",
]

M = TypeVar("M", bound=Matrix)


def unnormalized_scores(queries: M, keys: M, beta: Scalar = 1) -> M:
    """u = exp(beta Q K^T), row j being exp(C_j vec(W)) for beta = 1 (Definitions 3.2, F.1).

    Shapes: queries (L, d), keys (M, d), result (L, M).
    """
    scores = queries @ keys.T
    return (scores if beta == 1 else scores.scale(beta)).exp()


def normalization(u: M) -> M:
    """alpha_j = <u_j, 1> (Definitions 3.3, F.2), so that f_j = u_j / alpha_j.

    Shapes: u (L, M), result (L, 1).
    """
    return u.row_sum()


def residual_value_products(c: M, values: M) -> M:
    """q = c C3^T, row j belonging to query j (Lemma 3.2, Definition F.6).

    The paper prints its transpose, C3 c^T, and takes column j of it as q_j.
    Shapes: c (L, d), values (M, d), result (L, M).
    """
    return c @ values.T


def p1(f: M, q: M) -> M:
    """p1_j = diag(f_j) q_j, that is f o q (Definitions 3.6, F.8).

    Shapes: f, q and the result (L, M).
    """
    return f * q


def p2(f: M, q: M) -> M:
    """p2_j = f_j f_j^T q_j, that is <f_j, q_j> f_j (Definitions 3.6, F.8).

    Shapes: f, q and the result (L, M).
    """
    return f.scale_rows(f.row_dot(q))


def score_gradient(f: M, c: M, values: M) -> M:
    """p = p1 - p2, the gradient of the loss in the scores (Definition 3.6, Lemma 3.2).

    Shapes: f (L, M), c (L, d), values (M, d); result (L, M).
    """
    q = residual_value_products(c, values)
    return p1(f, q) - p2(f, q)


def query_weight_gradient(x_q: M, p: M, keys: M) -> M:
    """dL/dW_Q = X_Q^T p (X_K W_K) = C_Q1^T p C_Q2 (Lemma F.1).

    p: the gradient in Q K^T, that is `score_gradient` times beta.
    Shapes: x_q (L, d), p (L, M), keys (M, d), result (d, d).
    """
    return x_q.T @ p @ keys


def key_weight_gradient(x_k: M, p: M, queries: M) -> M:
    """dL/dW_K = X_K^T p^T (X_Q W_Q), the transpose of dL/d(W_K^T) = C_K1^T p C_K2 (Lemma F.1).

    p: the gradient in Q K^T, that is `score_gradient` times beta.
    Shapes: x_k (M, d), p (L, M), queries (L, d), result (d, d).
    """
    return x_k.T @ p.T @ queries


def value_weight_gradient(x_v: M, f: M, c: M) -> M:
    """dL/dW_V = X_V^T f^T c (W_V is fixed in (S1), stated here for the whole Problem 1).

    Shapes: x_v (M, d), f (L, M), c (L, d), result (d, d).
    """
    return x_v.T @ f.T @ c


def aloragc_gradient(*, c1: M, c2: M, c3: M, w: M, a: M, b: M, y: M) -> dict[str, M]:
    """Problem 2: the gradients of equation (3.3) in the adapter.

    dL/dW = C1^T p C2              (Lemma 3.1)
    dL/dA = B^T C1^T p C2          (equation (3.6), first half)
    dL/dB = C1^T p C2 A^T          (equation (3.6), second half, whose printed product is ill-typed)
    Shapes: c1, y (L, d); c2, c3 (M, d); w (d, d); b, grad_b (d, r); a, grad_a (r, d).
    """
    f = attention_probabilities(c1 @ adapted_weight(w, b, a, 1), c2)
    p = score_gradient(f, residual(f, c3, y), c3)
    grad_w = query_weight_gradient(c1, p, c2)
    return {"grad_a": b.T @ grad_w, "grad_b": grad_w @ a.T}


def lora_attention_gradient(
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
) -> dict[str, M]:
    """Problems 1 and 3, and V: the gradients of `lora_attention_loss` in all six adapters.

    dL/dW_mu by the three functions above, with beta p for p.
    dL/dA_mu = s B_mu^T dL/dW_mu,   dL/dB_mu = s dL/dW_mu A_mu^T     (Lemmas E.1, F.3)
    Shapes: x_q, y (L, d); x_k, x_v (M, d); w_* (d, d); b_*, grad_b_* (d, r); a_*, grad_a_* (r, d).
    """
    queries = x_q @ adapted_weight(w_q, b_q, a_q, scaling)
    keys = x_k @ adapted_weight(w_k, b_k, a_k, scaling)
    values = x_v @ adapted_weight(w_v, b_v, a_v, scaling)
    f = attention_probabilities(queries, keys, beta)
    c = residual(f, values, y)
    p = score_gradient(f, c, values).scale(beta)
    return {
        **adapter_gradient("q", query_weight_gradient(x_q, p, keys).scale(scaling), a_q, b_q),
        **adapter_gradient("k", key_weight_gradient(x_k, p, queries).scale(scaling), a_k, b_k),
        **adapter_gradient("v", value_weight_gradient(x_v, f, c).scale(scaling), a_v, b_v),
    }


def adapter_gradient(projection: str, grad_w: M, a: M, b: M) -> dict[str, M]:
    """dL/dA = B^T (s dL/dW) and dL/dB = (s dL/dW) A^T of one projection (Lemmas E.1, F.3).

    Shapes: grad_w, which is s dL/dW, (d, d); a (r, d); b (d, r).
    """
    return {f"grad_a_{projection}": b.T @ grad_w, f"grad_b_{projection}": grad_w @ a.T}
