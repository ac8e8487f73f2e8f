"""The gradients in closed form, with f, q and p as L x M matrices, as the paper writes them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.projection import adapter_gradients, project, returned, widened

__all__ = ["Intermediates", "aloragc", "attention_gradients", "intermediates", "lora_attention"]


@dataclass(frozen=True)
class Intermediates:
    """What the paper's proofs pass through, row j belonging to query j throughout.

    f (L, M): the attention probabilities (Definitions 3.4, F.3). c (L, d): the residual
    (Definitions 3.5, F.4). q (L, M): c V^T (Lemma 3.2, Definition F.6), whose transpose the paper
    prints. p1, p2 (L, M): f o q and diag(<f_j, q_j>) f (Definitions 3.6, F.8), whose difference is
    the gradient of the loss in the scores.
    """

    f: Tensor
    c: Tensor
    q: Tensor
    p1: Tensor
    p2: Tensor


def intermediates(
    queries: Tensor, keys: Tensor, values: Tensor, y: Tensor, beta: float
) -> Intermediates:
    """f, c, q, p1 and p2 of 1/2 ||softmax(beta Q K^T) V - Y||_F^2, as `attention_gradients` has
    them.

    f = D^-1 exp(beta Q K^T)       (Definitions 3.2 to 3.4)
    c = f V - Y                    (Definition 3.5)
    q = c V^T                      (Lemma 3.2)
    p1 = f o q                     (Definition 3.6)
    p2 = diag(<f_j, q_j>) f        (Definition 3.6)
    The scores of W_K^T in the bracket of K (equation (B.1)) are those of Q = (X_Q W_Q) W_K^T and
    K = X_K. Shapes: queries, y (L, d); keys, values (M, d). dtype and device of the inputs.
    """
    f = torch.softmax(beta * (queries @ keys.T), dim=-1)
    c = f @ values - y
    q = c @ values.T
    p1 = f * q
    p2 = p1.sum(dim=-1, keepdim=True) * f
    return Intermediates(f, c, q, p1, p2)


def attention_gradients(
    queries: Tensor, keys: Tensor, values: Tensor, y: Tensor, beta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of 1/2 ||softmax(beta Q K^T) V - Y||_F^2 in Q, K and V.

    p = p1 - p2                    (Definition 3.6)
    dL/dQ = beta p K,   dL/dK = beta p^T Q,   dL/dV = f^T c      (Lemma F.1, Problem 1)
    Shapes: queries, y (L, d); keys, values (M, d); results as queries, keys and values.
    """
    passed = intermediates(queries, keys, values, y, beta)
    p = passed.p1 - passed.p2
    return beta * (p @ keys), beta * (p.T @ queries), passed.f.T @ passed.c


def aloragc(
    *, c1: Tensor, c2: Tensor, c3: Tensor, w: Tensor, a: Tensor, b: Tensor, y: Tensor
) -> dict[str, Tensor]:
    """Problem 2 in closed form: contract `aloragc`, whose shapes it takes and returns.

    Computes in float32 for 16-bit inputs, and returns the inputs' dtype.
    """
    t = widened({"c1": c1, "c2": c2, "c3": c3, "w": w, "a": a, "b": b, "y": y})
    queries = project(t["c1"], t["w"], t["b"], t["a"], 1.0)
    grad, _, _ = attention_gradients(queries, t["c2"], t["c3"], t["y"], 1.0)
    grad_a, grad_b = adapter_gradients(t["c1"], grad, t["b"], t["a"], 1.0)
    return returned({"grad_a": grad_a, "grad_b": grad_b}, c1.dtype)


def lora_attention(
    *,
    x_q: Tensor,
    x_k: Tensor,
    x_v: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    a_q: Tensor,
    b_q: Tensor,
    a_k: Tensor,
    b_k: Tensor,
    a_v: Tensor,
    b_v: Tensor,
    scaling: float,
    beta: float,
    y: Tensor,
) -> dict[str, Tensor]:
    """Problem 1 in closed form: contract `lora-attention`, whose shapes it takes and returns.

    Computes in float32 for 16-bit inputs, and returns the inputs' dtype.
    """
    x = widened({"q": x_q, "k": x_k, "v": x_v})
    w = widened({"q": w_q, "k": w_k, "v": w_v})
    a = widened({"q": a_q, "k": a_k, "v": a_v})
    b = widened({"q": b_q, "k": b_k, "v": b_v})
    queries, keys, values = (project(x[m], w[m], b[m], a[m], scaling) for m in "qkv")
    target = widened({"y": y})["y"]
    grads = attention_gradients(queries, keys, values, target, beta)
    results = {}
    for m, grad in zip("qkv", grads, strict=True):
        results[f"grad_a_{m}"], results[f"grad_b_{m}"] = adapter_gradients(
            x[m], grad, b[m], a[m], scaling
        )
    return returned(results, x_q.dtype)
