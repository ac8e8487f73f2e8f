"""Plain torch operations, differentiated by torch.autograd. Tensor shapes are the contracts'."""

from __future__ import annotations

import torch
from torch import Tensor

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_mha import lora_mha_of, plain_projections

__all__ = ["aloragc", "lora_attention", "lora_linear", "lora_mha"]


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear`: y = x W^T + s (x A^T) B^T (Definition 1.1, in the field's convention)."""
    leaves = with_grad(x=x, lora_a=lora_a, lora_b=lora_b)
    base = leaves["x"] @ weight.T
    output = base + scaling * (leaves["x"] @ leaves["lora_a"].T @ leaves["lora_b"].T)
    return {"output": output, **gradients(output, leaves, grad_output)}


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
    """`lora-attention`: the loss of Definition 1.2 with the inputs of Definition 2.5."""
    leaves = with_grad(a_q=a_q, b_q=b_q, a_k=a_k, b_k=b_k, a_v=a_v, b_v=b_v)
    queries = x_q @ (w_q + scaling * (leaves["b_q"] @ leaves["a_q"]))
    keys = x_k @ (w_k + scaling * (leaves["b_k"] @ leaves["a_k"]))
    values = x_v @ (w_v + scaling * (leaves["b_v"] @ leaves["a_v"]))
    attended = torch.softmax(beta * (queries @ keys.T), dim=-1) @ values
    return gradients(0.5 * (attended - y).square().sum(), leaves)


def aloragc(
    *, c1: Tensor, c2: Tensor, c3: Tensor, w: Tensor, a: Tensor, b: Tensor, y: Tensor
) -> dict[str, Tensor]:
    """`aloragc`: equation (3.3)."""
    leaves = with_grad(a=a, b=b)
    scores = c1 @ (w + leaves["b"] @ leaves["a"]) @ c2.T
    attended = torch.softmax(scores, dim=-1) @ c3
    return gradients(0.5 * (attended - y).square().sum(), leaves)


def _attended(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor:
    """softmax(scale Q_h K_g^T) V_g, g = h // (num_heads / num_kv_heads); j <= i if causal."""
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    scores = scale * (q @ k.transpose(2, 3))
    if causal:
        hidden = torch.ones(scores.shape[2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    return torch.softmax(scores, dim=-1) @ v


lora_mha = lora_mha_of(
    "lora_mha",
    "`lora-mha`: plain projections, and attention head by head.",
    project=plain_projections,
    attend=_attended,
)
