"""Attention with adapters on Q, K and V that is right and takes its steps in other orders."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraAttentionCall, Outputs, kernel
from loracle.corpus.closed_form import (
    adapted,
    lora_attention,
    residual,
    score_gradient,
    softmax,
)

__all__ = [
    "adapters_unmerged",
    "beta_last",
    "correction_from_output",
    "exp2_softmax",
    "keys_in_reverse",
    "non_contiguous_results",
    "online_softmax_in_dtype",
    "through_the_rank",
]


@kernel
def correction_from_output(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Delta = rowsum(c o Z), as flash kernels have it."""
    delta: list[Tensor] = []

    def remember(z: Tensor, y: Tensor) -> Tensor:
        c = residual(z, y)
        delta.append((c * z).sum(dim=1, keepdim=True))
        return c

    return lora_attention(call, residual=remember, score_gradient=lambda f, q: f * (q - delta[0]))


@kernel
def exp2_softmax(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """2^(x log2 e) in place of e^x."""

    def base_two(scores: Tensor) -> Tensor:
        powers = torch.exp2((scores - scores.amax(dim=1, keepdim=True)) * math.log2(math.e))
        return powers / powers.sum(dim=1, keepdim=True)

    return lora_attention(call, softmax=base_two)


@kernel
def online_softmax_in_dtype(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Row maxima and normalisers are updated block by block of four keys, stored in the dtype."""

    def online(scores: Tensor) -> Tensor:
        largest = torch.full_like(scores[:, :1], -torch.inf)
        normaliser = torch.zeros_like(largest)
        for block in torch.split(scores, 4, dim=1):
            before, largest = largest, torch.maximum(largest, block.amax(dim=1, keepdim=True))
            normaliser = torch.exp(before - largest) * normaliser
            normaliser = normaliser + torch.exp(block - largest).sum(dim=1, keepdim=True)
        return torch.exp(scores - largest) / normaliser

    return lora_attention(call, softmax=online)


@kernel
def keys_in_reverse(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Keys and values from the last to the first."""
    return lora_attention({**call, "x_k": call["x_k"].flip(0), "x_v": call["x_v"].flip(0)})


@kernel
def beta_last(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """p is kept without beta, which multiplies the gradients of Q's and K's adapters at the end."""
    beta = call["beta"]

    def without(f: Tensor, q: Tensor) -> Tensor:
        return score_gradient(f, q) / beta

    outputs = lora_attention(call, score_gradient=without)
    return {n: v if n.endswith("_v") else beta * v for n, v in outputs.items()}


def _projected(x: Tensor, w: Tensor, b: Tensor, a: Tensor, s: float) -> Tensor:
    return x @ w + s * ((x @ b) @ a)


@kernel
def adapters_unmerged(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """X W + s (X B) A: W + s B A is never formed, nor is any dL/dW."""
    s, beta = call["scaling"], call["beta"]
    queries = _projected(call["x_q"], call["w_q"], call["b_q"], call["a_q"], s)
    keys = _projected(call["x_k"], call["w_k"], call["b_k"], call["a_k"], s)
    values = _projected(call["x_v"], call["w_v"], call["b_v"], call["a_v"], s)
    f = softmax(beta * (queries @ keys.T))
    c = residual(f @ values, call["y"])
    p = beta * score_gradient(f, c @ values.T)
    d_queries, d_keys, d_values = p @ keys, p.T @ queries, f.T @ c
    return {
        "grad_a_q": s * ((call["x_q"] @ call["b_q"]).T @ d_queries),
        "grad_b_q": s * (call["x_q"].T @ (d_queries @ call["a_q"].T)),
        "grad_a_k": s * ((call["x_k"] @ call["b_k"]).T @ d_keys),
        "grad_b_k": s * (call["x_k"].T @ (d_keys @ call["a_k"].T)),
        "grad_a_v": s * ((call["x_v"] @ call["b_v"]).T @ d_values),
        "grad_b_v": s * (call["x_v"].T @ (d_values @ call["a_v"].T)),
    }


@kernel
def through_the_rank(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """As the closed form, with f^T c and p^T Q associated from the right, through the ranks."""
    s, beta = call["scaling"], call["beta"]
    queries = call["x_q"] @ adapted(call["w_q"], call["b_q"], call["a_q"], s)
    keys = call["x_k"] @ adapted(call["w_k"], call["b_k"], call["a_k"], s)
    values = call["x_v"] @ adapted(call["w_v"], call["b_v"], call["a_v"], s)
    f = softmax(beta * (queries @ keys.T))
    c = residual(f @ values, call["y"])
    p = beta * score_gradient(f, c @ values.T)
    return {
        "grad_a_q": s * (((call["x_q"] @ call["b_q"]).T @ p) @ keys),
        "grad_b_q": s * (call["x_q"].T @ (p @ (keys @ call["a_q"].T))),
        "grad_a_k": s * (((call["x_k"] @ call["b_k"]).T @ p.T) @ queries),
        "grad_b_k": s * (call["x_k"].T @ (p.T @ (queries @ call["a_k"].T))),
        "grad_a_v": s * (((call["x_v"] @ call["b_v"]).T @ f.T) @ c),
        "grad_b_v": s * (call["x_v"].T @ (f.T @ (c @ call["a_v"].T))),
    }


@kernel
def non_contiguous_results(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Results that are columns of one buffer, or transposed, or hang on a graph."""
    outputs = lora_attention({**call, "x_q": call["x_q"].clone().requires_grad_()})
    return {name: value.T.contiguous().T for name, value in outputs.items()}
