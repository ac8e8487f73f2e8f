"""The gradients in closed form, with f, q and p as L x M matrices, as the paper writes them."""

from __future__ import annotations

import torch
from torch import Tensor

from loracle.kernels.projection import adapter_gradients, project, returned, widened

__all__ = ["aloragc", "attention_gradients", "lora_attention"]


def attention_gradients(
    queries: Tensor, keys: Tensor, values: Tensor, y: Tensor, beta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of 1/2 ||softmax(beta Q K^T) V - Y||_F^2 in Q, K and V.

    f = D^-1 exp(beta Q K^T)       (Definitions 3.2 to 3.4)
    c = f V - Y                    (Definition 3.5)
    q = c V^T                      (Lemma 3.2)
    p = f o q - diag(<f_j, q_j>) f (Definition 3.6)
    dL/dQ = beta p K,   dL/dK = beta p^T Q,   dL/dV = f^T c      (Lemma F.1, Problem 1)
    Shapes: queries, y (L, d); keys, values (M, d); results as queries, keys and values.
    """
    f = torch.softmax(beta * (queries @ keys.T), dim=-1)
    c = f @ values - y
    q = c @ values.T
    p = f * q - (f * q).sum(dim=-1, keepdim=True) * f
    return beta * (p @ keys), beta * (p.T @ queries), f.T @ c


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
