"""Plain torch operations, differentiated by torch.autograd. Tensor shapes are the contracts'."""

from __future__ import annotations

import torch
from torch import Tensor

from loracle.adapters.differentiation import gradients, with_grad

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


def lora_mha(
    *,
    x: Tensor,
    weight_q: Tensor,
    weight_k: Tensor,
    weight_v: Tensor,
    lora_a_q: Tensor,
    lora_b_q: Tensor,
    lora_a_k: Tensor,
    lora_b_k: Tensor,
    lora_a_v: Tensor,
    lora_b_v: Tensor,
    scaling_q: float,
    scaling_k: float,
    scaling_v: float,
    num_heads: int,
    num_kv_heads: int,
    causal: bool,
    softmax_scale: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-mha`: O_h = softmax(scale Q_h K_g^T) V_g with g = h // (num_heads / num_kv_heads)."""
    leaves = with_grad(
        x=x,
        lora_a_q=lora_a_q,
        lora_b_q=lora_b_q,
        lora_a_k=lora_a_k,
        lora_b_k=lora_b_k,
        lora_a_v=lora_a_v,
        lora_b_v=lora_b_v,
    )
    batch, length, _ = x.shape
    projections = (
        ("q", weight_q, scaling_q, num_heads),
        ("k", weight_k, scaling_k, num_kv_heads),
        ("v", weight_v, scaling_v, num_kv_heads),
    )
    heads = {}
    for m, weight, scaling, count in projections:
        adapted = leaves["x"] @ leaves[f"lora_a_{m}"].T @ leaves[f"lora_b_{m}"].T
        projected = leaves["x"] @ weight.T + scaling * adapted
        heads[m] = projected.view(batch, length, count, -1).transpose(1, 2)
        heads[m] = heads[m].repeat_interleave(num_heads // count, dim=1)
    scores = softmax_scale * (heads["q"] @ heads["k"].transpose(2, 3))
    if causal:
        hidden = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    attended = torch.softmax(scores, dim=-1) @ heads["v"]
    output = attended.transpose(1, 2).reshape(grad_output.shape)
    return {"output": output, **gradients(output, leaves, grad_output)}
