"""Multi-head attention with adapters that is right and unlike the specification's formulas."""

from __future__ import annotations

import math
from typing import Unpack, cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from loracle.corpus import mha_steps
from loracle.corpus.calls import LoraMhaCall, Outputs, kernel

__all__ = [
    "explicit_steps",
    "float64_inside",
    "heads_one_by_one",
    "kernel_of_loracle",
    "merged_weights",
    "online_softmax",
    "repeat_kv",
    "root_scale_on_both_sides",
    "scale_on_queries",
    "sdpa_flash",
    "sdpa_grouped",
    "sdpa_math",
]

_LEAVES = ("x", "lora_a_q", "lora_b_q", "lora_a_k", "lora_b_k", "lora_a_v", "lora_b_v")


@kernel
def explicit_steps(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The closed form, step by step in the dtype."""
    return mha_steps.run(call)


@kernel
def kernel_of_loracle(**call: Unpack[LoraMhaCall]) -> Outputs:
    """loracle's own kernel, in float32 for 16-bit inputs."""
    from loracle.kernels.mha import lora_mha

    return lora_mha(**call)


def _attended(
    q: Tensor, k: Tensor, v: Tensor, call: LoraMhaCall, how: str, backend: SDPBackend | None
) -> Tensor:
    """(batch, heads, length, d), the heads of k and v not yet repeated."""
    group = call["num_heads"] // call["num_kv_heads"]
    scale, causal = call["softmax_scale"], call["causal"]
    if how != "grouped":
        k, v = (t.repeat_interleave(group, dim=1) for t in (k, v))
    if backend is not None:
        with sdpa_kernel(backend):
            return torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=causal, scale=scale, enable_gqa=how == "grouped"
            )
    if how == "queries":
        scores = (scale * q) @ k.mT
    elif how == "root":
        scores = (math.sqrt(scale) * q) @ (math.sqrt(scale) * k).mT
    else:
        scores = (q @ k.mT) * scale
    if causal:
        hidden = ~torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril()
        scores = scores + torch.zeros_like(scores).masked_fill(hidden, torch.finfo(q.dtype).min)
    return torch.softmax(scores, dim=-1) @ v


def _by_autograd(
    call: LoraMhaCall, *, how: str = "", merged: bool = False, backend: SDPBackend | None = None
) -> Outputs:
    """The forward pass differentiated by torch."""
    inputs = cast(dict[str, Tensor], call)
    scalings = cast(dict[str, float], call)
    t = inputs | {name: inputs[name].clone().requires_grad_() for name in _LEAVES}
    projected = {}
    for m in "qkv":
        a, b, s = t[f"lora_a_{m}"], t[f"lora_b_{m}"], scalings[f"scaling_{m}"]
        if merged:
            flat = t["x"] @ (t[f"weight_{m}"] + s * (b @ a)).T
        else:
            flat = torch.nn.functional.linear(t["x"], t[f"weight_{m}"]) + s * (t["x"] @ a.T @ b.T)
        heads = call["num_heads"] if m == "q" else call["num_kv_heads"]
        projected[m] = flat.reshape(*flat.shape[:2], heads, -1).transpose(1, 2)
    q, k, v = projected["q"], projected["k"], projected["v"]
    output = _attended(q, k, v, call, how, backend).transpose(1, 2).flatten(2)
    gradients = torch.autograd.grad(output, [t[name] for name in _LEAVES], call["grad_output"])
    named = {f"grad_{name}": grad for name, grad in zip(_LEAVES, gradients, strict=True)}
    return {"output": output.detach(), **named}


@kernel
def repeat_kv(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Eager attention as transformers has it: heads repeated, a mask of the smallest number."""
    return _by_autograd(call)


@kernel
def merged_weights(**call: Unpack[LoraMhaCall]) -> Outputs:
    """W + s B A formed first, for every projection."""
    return _by_autograd(call, merged=True)


@kernel
def sdpa_math(**call: Unpack[LoraMhaCall]) -> Outputs:
    """torch's scaled_dot_product_attention, unfused backend, heads repeated."""
    return _by_autograd(call, backend=SDPBackend.MATH)


@kernel
def sdpa_grouped(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The same with torch's own grouped queries."""
    return _by_autograd(call, how="grouped", backend=SDPBackend.MATH)


@kernel
def sdpa_flash(**call: Unpack[LoraMhaCall]) -> Outputs:
    """torch's scaled_dot_product_attention, flash backend with its own backward pass."""
    return _by_autograd(call, backend=SDPBackend.FLASH_ATTENTION)


@kernel
def scale_on_queries(**call: Unpack[LoraMhaCall]) -> Outputs:
    """softmax_scale on Q before the product, so that dQ has it last."""
    return _by_autograd(call, how="queries")


@kernel
def root_scale_on_both_sides(**call: Unpack[LoraMhaCall]) -> Outputs:
    """sqrt(softmax_scale) on Q and on K."""
    return _by_autograd(call, how="root", merged=True)


@kernel
def float64_inside(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Everything in float64, one rounding of each result."""
    wide = {k: v.double() if isinstance(v, Tensor) else v for k, v in call.items()}
    results = mha_steps.run(cast(LoraMhaCall, wide))
    return {name: value.to(call["x"].dtype) for name, value in results.items()}


def _online(scores: Tensor, seen: Tensor) -> Tensor:
    """Four keys at a time, with a running maximum and a sum that is rescaled."""
    scores = scores.masked_fill(~seen, -torch.inf)
    largest = torch.full_like(scores[..., :1], -torch.inf)
    total = torch.zeros_like(largest)
    for block in torch.split(scores, 4, dim=-1):
        grown = torch.maximum(largest, block.amax(dim=-1, keepdim=True))
        total = total * torch.exp(largest - grown) + torch.exp(block - grown).sum(-1, keepdim=True)
        largest = grown
    return torch.exp(scores - largest) / total


@kernel
def online_softmax(**call: Unpack[LoraMhaCall]) -> Outputs:
    """A streaming softmax over blocks of keys."""
    return mha_steps.run(call, softmax=_online)


def _one_by_one(grad: Tensor, adds: list[int], kv_heads: int) -> Tensor:
    """The heads of a group added up in reverse order, one after the other."""
    total = [torch.zeros_like(grad[:, 0]) for _ in range(kv_heads)]
    for head in reversed(range(grad.shape[1])):
        total[adds[head]] = total[adds[head]] + grad[:, head]
    return torch.stack(total, dim=1)


@kernel
def heads_one_by_one(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dK and dV of a group accumulated in the dtype, last head first, as atomics may."""
    return mha_steps.run(call, gathered=_one_by_one)
