"""The inputs of a typical unit test of a LoRA kernel: Gaussian, of the usual sizes, the same for
all rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["Call", "calls", "in_dtype"]

Call = dict[str, Tensor | float]

_BATCH, _SCALING = 2, 1.5
_SIZES = ((16, 16, 4), (32, 16, 8))
"""Length, width and rank of the calls that a test makes one after the other."""


def calls(contract: str) -> list[Call]:
    """The arguments of each call, in float64. Sizes are powers of two and weights square, as they
    mostly are in the tests of released kernels."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, dtype=torch.float64, generator=generator)

    return [_MAKERS[contract](normal, *sizes) for sizes in _SIZES]


def in_dtype(call: Call, dtype: str) -> Call:
    """A copy of the arguments, rounded to the dtype."""
    target: torch.dtype = getattr(torch, dtype)
    return {k: v.to(target, copy=True) if isinstance(v, Tensor) else v for k, v in call.items()}


Normal = Callable[..., Tensor]


def _lora_linear(normal: Normal, length: int, width: int, rank: int) -> Call:
    return {
        "x": normal(_BATCH, length, width),
        "weight": normal(width, width, scale=width**-0.5),
        "lora_a": normal(rank, width, scale=width**-0.5),
        "lora_b": normal(width, rank, scale=rank**-0.5),
        "scaling": _SCALING,
        "grad_output": normal(_BATCH, length, width),
    }


def _aloragc(normal: Normal, length: int, width: int, rank: int) -> Call:
    return {
        "c1": normal(length, width, scale=width**-0.25),
        "c2": normal(length, width, scale=width**-0.25),
        "c3": normal(length, width),
        "w": normal(width, width, scale=width**-0.5),
        "a": normal(rank, width, scale=width**-0.5),
        "b": normal(width, rank, scale=rank**-0.5),
        "y": normal(length, width),
    }


def _lora_attention(normal: Normal, length: int, width: int, rank: int) -> Call:
    call: Call = {f"x_{m}": normal(length, width) for m in "qkv"}
    for m in "qkv":
        call[f"w_{m}"] = normal(width, width, scale=width**-0.5)
        call[f"a_{m}"] = normal(rank, width, scale=width**-0.5)
        call[f"b_{m}"] = normal(width, rank, scale=rank**-0.5)
    return {**call, "scaling": _SCALING, "beta": width**-0.5, "y": normal(length, width)}


def _lora_mha(normal: Normal, length: int, width: int, rank: int) -> Call:
    heads, kv_heads = 4, 2
    call: Call = {"x": normal(_BATCH, length, width), "grad_output": normal(_BATCH, length, width)}
    for m, out in (("q", width), ("k", width // 2), ("v", width // 2)):
        call[f"weight_{m}"] = normal(out, width, scale=width**-0.5)
        call[f"lora_a_{m}"] = normal(rank, width, scale=width**-0.5)
        call[f"lora_b_{m}"] = normal(out, rank, scale=rank**-0.5)
        call[f"scaling_{m}"] = _SCALING
    options = {"num_heads": heads, "num_kv_heads": kv_heads, "causal": True}
    return {**call, **options, "softmax_scale": (width // heads) ** -0.5}


_MAKERS: Mapping[str, Callable[[Normal, int, int, int], Call]] = {
    "lora-linear": _lora_linear,
    "aloragc": _aloragc,
    "lora-attention": _lora_attention,
    "lora-mha": _lora_mha,
}
