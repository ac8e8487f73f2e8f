"""The gradients of `attention`'s losses in closed form, written once for every arithmetic.

The symbols are the paper's: q (Lemma 3.2), p1, p2 and p (Definition 3.6), each an L x M matrix
whose row j belongs to query j. The paper indexes p and q by rows and by columns in turn; here
row j throughout, the reading under which Lemma 3.2 holds.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import adapted_weight, attention_probabilities, residual

__all__ = [
    "adapter_gradient",
    "aloragc_gradient",
    "lora_attention_gradient",
    "score_gradient",
]

M = TypeVar("M", bound=Matrix)


def score_gradient(f: M, c: M, values: M) -> M:
    """p = p1 - p2, the gradient of the loss in the scores (Definition 3.6, Lemma 3.2).

    q  = c C3^T                    (Lemma 3.2, transposed to rows)
    p1 = f o q,                    p2_j = <f_j, q_j> f_j
    Shapes: f (L, M), c (L, d), values (M, d); result (L, M).
    """
    q = c @ values.T
    p1 = f * q
    p2 = f.scale_rows(f.row_dot(q))
    return p1 - p2


def aloragc_gradient(*, c1: M, c2: M, c3: M, w: M, a: M, b: M, y: M) -> dict[str, M]:
    """Problem 2: the gradients of equation (3.3) in the adapter.

    dL/dW = C1^T p C2              (Lemma 3.1)
    dL/dA = B^T C1^T p C2          (equation (3.6), first half)
    dL/dB = C1^T p C2 A^T          (equation (3.6), second half, whose printed product is ill-typed)
    Shapes: c1, y (L, d); c2, c3 (M, d); w (d, d); b, grad_b (d, r); a, grad_a (r, d).
    """
    f = attention_probabilities(c1 @ adapted_weight(w, b, a, 1), c2)
    p = score_gradient(f, residual(f, c3, y), c3)
    grad_w = c1.T @ p @ c2
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

    dL/dW_Q = beta X_Q^T p   (X_K W_K)        (Lemma F.1; B.1: C_Q^(2) = X_K W_K)
    dL/dW_K = beta X_K^T p^T (X_Q W_Q)        (Lemma F.1 transposed; B.1: C_K^(1) = X_Q W_Q)
    dL/dW_V =      X_V^T f^T c                (fixed in (S1), stated here for the whole Problem 1)
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
        **adapter_gradient("q", (x_q.T @ p @ keys).scale(scaling), a_q, b_q),
        **adapter_gradient("k", (x_k.T @ p.T @ queries).scale(scaling), a_k, b_k),
        **adapter_gradient("v", (x_v.T @ f.T @ c).scale(scaling), a_v, b_v),
    }


def adapter_gradient(projection: str, grad_w: M, a: M, b: M) -> dict[str, M]:
    """dL/dA = B^T (s dL/dW) and dL/dB = (s dL/dW) A^T of one projection (Lemmas E.1, F.3).

    Shapes: grad_w, which is s dL/dW, (d, d); a (r, d); b (d, r).
    """
    return {f"grad_a_{projection}": b.T @ grad_w, f"grad_b_{projection}": grad_w @ a.T}
