"""Attention with adapters on Q, K and V that is right and unlike the specification's formulas."""

from __future__ import annotations

import math
from typing import Unpack, cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from loracle.corpus.calls import LoraAttentionCall, Outputs, kernel, only
from loracle.corpus.closed_form import adapted, lora_attention, residual, score_gradient, softmax
from loracle.kernels import streaming

__all__ = [
    "beta_folded_into_queries",
    "closed_form",
    "eager_autograd",
    "float32_inside",
    "float64_inside",
    "query_key_weights_premultiplied",
    "root_beta_on_both_sides",
    "scaling_folded_into_b",
    "sdpa_flash",
    "sdpa_math",
    "streaming_forward",
    "streaming_reverse",
]


@kernel
def closed_form(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Lemmas F.1 and F.3, step by step in the dtype."""
    return lora_attention(call)


_ADAPTERS = ("a_q", "b_q", "a_k", "b_k", "a_v", "b_v")


def _by_autograd(call: LoraAttentionCall, *, fused: SDPBackend | None) -> Outputs:
    """The loss of Definition 1.2 differentiated by torch, the attention by a fused backend or from
    its parts."""
    inputs = cast(dict[str, Tensor], call)
    leaves = {name: inputs[name].clone().requires_grad_() for name in _ADAPTERS}
    queries, keys, values = (
        inputs[f"x_{m}"]
        @ (inputs[f"w_{m}"] + call["scaling"] * (leaves[f"b_{m}"] @ leaves[f"a_{m}"]))
        for m in "qkv"
    )
    if fused is None:
        z = torch.softmax(call["beta"] * (queries @ keys.T), dim=1) @ values
    else:
        with sdpa_kernel(fused):
            z = torch.nn.functional.scaled_dot_product_attention(
                queries[None, None], keys[None, None], values[None, None], scale=call["beta"]
            )[0, 0]
    loss = 0.5 * (z - call["y"]).square().sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {f"grad_{name}": g for name, g in zip(leaves, gradients, strict=True)}


@kernel
def eager_autograd(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The loss as it is usually written, differentiated by torch."""
    return _by_autograd(call, fused=None)


@kernel
def sdpa_math(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """torch's scaled_dot_product_attention, unfused backend."""
    return _by_autograd(call, fused=SDPBackend.MATH)


@kernel
def sdpa_flash(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """torch's scaled_dot_product_attention, flash backend with its own backward pass."""
    return _by_autograd(call, fused=SDPBackend.FLASH_ATTENTION)


@kernel
def query_key_weights_premultiplied(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Scores as X_Q (W_Q W_K^T) X_K^T; both gradients from the one product X_Q^T p X_K."""
    s, beta = call["scaling"], call["beta"]
    x_q, x_k = call["x_q"], call["x_k"]
    w_q = adapted(call["w_q"], call["b_q"], call["a_q"], s)
    w_k = adapted(call["w_k"], call["b_k"], call["a_k"], s)
    values = call["x_v"] @ adapted(call["w_v"], call["b_v"], call["a_v"], s)
    f = softmax(beta * (x_q @ (w_q @ w_k.T) @ x_k.T))
    c = residual(f @ values, call["y"])
    inner = x_q.T @ score_gradient(f, c @ values.T) @ x_k
    grad_w_q, grad_w_k = inner @ w_k, inner.T @ w_q
    return {
        "grad_a_q": s * beta * (call["b_q"].T @ grad_w_q),
        "grad_b_q": s * beta * (grad_w_q @ call["a_q"].T),
        "grad_a_k": s * beta * (call["b_k"].T @ grad_w_k),
        "grad_b_k": s * beta * (grad_w_k @ call["a_k"].T),
        "grad_a_v": s * ((call["b_v"].T @ call["x_v"].T) @ (f.T @ c)),
        "grad_b_v": s * (call["x_v"].T @ (f.T @ (c @ call["a_v"].T))),
    }


def _with_beta_in_the_weights(call: LoraAttentionCall, left: float, right: float) -> Outputs:
    """beta = left * right, folded into X_Q and X_K, whose gradients then carry all of it."""
    return lora_attention(
        {**call, "x_q": left * call["x_q"], "x_k": right * call["x_k"], "beta": 1.0}
    )


@kernel
def root_beta_on_both_sides(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """sqrt(beta) X_Q and sqrt(beta) X_K, as torch's unfused attention scales both sides."""
    root = math.sqrt(call["beta"])
    return _with_beta_in_the_weights(call, root, root)


@kernel
def beta_folded_into_queries(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """beta X_Q once, and no factor afterwards."""
    return _with_beta_in_the_weights(call, call["beta"], 1.0)


@kernel
def scaling_folded_into_b(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """s B_mu once, used everywhere; the gradients of B_mu have their own s."""
    s = call["scaling"]
    outputs = lora_attention(
        {
            **call,
            "b_q": s * call["b_q"],
            "b_k": s * call["b_k"],
            "b_v": s * call["b_v"],
            "scaling": 1.0,
        }
    )
    grad_b = only(outputs, "grad_b_q", "grad_b_k", "grad_b_v")
    return outputs | {name: s * value for name, value in grad_b.items()}


def _inside(call: LoraAttentionCall, dtype: torch.dtype) -> Outputs:
    wide = {k: v.to(dtype) if isinstance(v, Tensor) else v for k, v in call.items()}
    outputs = lora_attention(cast(LoraAttentionCall, wide))
    return {name: value.to(call["y"].dtype) for name, value in outputs.items()}


@kernel
def float64_inside(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Everything in float64, one rounding of each result."""
    return _inside(call, torch.float64)


@kernel
def float32_inside(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Everything in float32, one rounding of each result."""
    return _inside(call, torch.float32)


@kernel
def streaming_forward(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Blocks of three queries and keys, first block first, everything recomputed."""
    return streaming.lora_attention(**call, block_queries=3, block_keys=3)


@kernel
def streaming_reverse(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Blocks of five queries and four keys, last block of keys first."""
    return streaming.lora_attention(**call, block_queries=5, block_keys=4, reverse=True)
