"""The right closed forms, each with its steps exposed so that a wrong kernel replaces exactly one.

The formulas are those of `loracle_reference.lora_linear` and `loracle_reference.gradient`, in
torch and in the dtype of the arguments. Keyword `formulas` and `steps` are the places to deviate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.corpus.calls import AloragcCall, LoraAttentionCall, LoraLinearCall, Outputs

__all__ = [
    "Rows",
    "adapted",
    "aloragc",
    "lora_attention",
    "lora_linear",
    "residual",
    "score_gradient",
    "softmax",
]


@dataclass(frozen=True)
class Rows:
    """The arguments of `lora-linear` with batch and length as one axis of n rows: x (n, in),
    g = grad_output (n, out); w (out, in), a (r, in), b (out, r), s."""

    x: Tensor
    w: Tensor
    a: Tensor
    b: Tensor
    s: float
    g: Tensor


def _output(t: Rows) -> Tensor:
    return t.x @ t.w.T + t.s * (t.x @ t.a.T @ t.b.T)


def _grad_x(t: Rows) -> Tensor:
    return t.g @ t.w + t.s * (t.g @ t.b @ t.a)


def _grad_lora_a(t: Rows) -> Tensor:
    return t.s * ((t.g @ t.b).T @ t.x)


def _grad_lora_b(t: Rows) -> Tensor:
    return t.s * (t.g.T @ (t.x @ t.a.T))


def lora_linear(call: LoraLinearCall, **formulas: Callable[[Rows], Tensor]) -> Outputs:
    """y = x W^T + s (x A^T) B^T and its gradients; `formulas` replaces the named ones."""
    rows = Rows(
        x=call["x"].flatten(0, 1),
        w=call["weight"],
        a=call["lora_a"],
        b=call["lora_b"],
        s=call["scaling"],
        g=call["grad_output"].flatten(0, 1),
    )
    return {
        "output": formulas.get("output", _output)(rows).reshape(call["grad_output"].shape),
        "grad_x": formulas.get("grad_x", _grad_x)(rows).reshape(call["x"].shape),
        "grad_lora_a": formulas.get("grad_lora_a", _grad_lora_a)(rows),
        "grad_lora_b": formulas.get("grad_lora_b", _grad_lora_b)(rows),
    }


def adapted(w: Tensor, b: Tensor, a: Tensor, s: float = 1.0) -> Tensor:
    """W = W* + s B A (Definition 1.1)."""
    return w + s * (b @ a)


def softmax(scores: Tensor) -> Tensor:
    """f, row by row, with the row's maximum subtracted first (Definitions 3.2 to 3.4)."""
    exponentials = torch.exp(scores - scores.amax(dim=1, keepdim=True))
    return exponentials / exponentials.sum(dim=1, keepdim=True)


def residual(z: Tensor, y: Tensor) -> Tensor:
    """c = Z - Y (Definition 3.5)."""
    return z - y


def score_gradient(f: Tensor, q: Tensor) -> Tensor:
    """p_j = f_j o q_j - <f_j, q_j> f_j (Definition 3.6)."""
    return f * q - f * (f * q).sum(dim=1, keepdim=True)


def aloragc(
    call: AloragcCall,
    *,
    adapted: Callable[[Tensor, Tensor, Tensor], Tensor] = adapted,
    softmax: Callable[[Tensor], Tensor] = softmax,
    residual: Callable[[Tensor, Tensor], Tensor] = residual,
    score_gradient: Callable[[Tensor, Tensor], Tensor] = score_gradient,
) -> Outputs:
    """Problem 2: dL/dA = B^T (C1^T p C2), dL/dB = (C1^T p C2) A^T; the keywords are its steps."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    f = softmax(c1 @ adapted(call["w"], call["b"], call["a"]) @ c2.T)
    c = residual(f @ c3, call["y"])
    grad_w = c1.T @ score_gradient(f, c @ c3.T) @ c2
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


def lora_attention(
    call: LoraAttentionCall,
    *,
    softmax: Callable[[Tensor], Tensor] = softmax,
    residual: Callable[[Tensor, Tensor], Tensor] = residual,
    score_gradient: Callable[[Tensor, Tensor], Tensor] = score_gradient,
    transposed: Callable[[Tensor], Tensor] = torch.t,
) -> Outputs:
    """Problems 1 and 3 with V; the keywords are its steps, `transposed` the one from p to p^T.

    dL/dW_Q = beta X_Q^T p K,   dL/dW_K = beta X_K^T p^T Q,   dL/dW_V = X_V^T f^T c,
    dL/dA = s B^T dL/dW,   dL/dB = s dL/dW A^T.
    """
    s, beta = call["scaling"], call["beta"]
    queries = call["x_q"] @ adapted(call["w_q"], call["b_q"], call["a_q"], s)
    keys = call["x_k"] @ adapted(call["w_k"], call["b_k"], call["a_k"], s)
    values = call["x_v"] @ adapted(call["w_v"], call["b_v"], call["a_v"], s)
    f = softmax(beta * (queries @ keys.T))
    c = residual(f @ values, call["y"])
    p = beta * score_gradient(f, c @ values.T)
    grad_w_q = s * (call["x_q"].T @ p @ keys)
    grad_w_k = s * (call["x_k"].T @ transposed(p) @ queries)
    grad_w_v = s * (call["x_v"].T @ f.T @ c)
    return {
        "grad_a_q": call["b_q"].T @ grad_w_q,
        "grad_b_q": grad_w_q @ call["a_q"].T,
        "grad_a_k": call["b_k"].T @ grad_w_k,
        "grad_b_k": grad_w_k @ call["a_k"].T,
        "grad_a_v": call["b_v"].T @ grad_w_v,
        "grad_b_v": grad_w_v @ call["a_v"].T,
    }
