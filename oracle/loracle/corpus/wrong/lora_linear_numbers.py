"""LoRA layers that are right on paper: too coarse inside, in the wrong dtype, with a division by
zero, a lost update, or a value of an earlier call."""

from __future__ import annotations

from typing import Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "accumulated_in_bfloat16",
    "adapter_of_first_call",
    "convolution_in_tf32",
    "grad_b_written_into_b",
    "grad_x_in_bfloat16",
    "products_in_tf32",
    "scaled_by_largest_entry",
    "update_lost_now_and_then",
    "upstream_in_float4",
]

# Precision.


@kernel
def products_in_tf32(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Ten fraction bits of every argument are read, the others cut off."""
    read = {k: _cut(v) if isinstance(v, Tensor) else v for k, v in call.items()}
    return lora_linear(cast(LoraLinearCall, read))


def _cut(t: Tensor) -> Tensor:
    """To TF32, toward zero."""
    bits = t.float().contiguous().view(torch.int32) & ~0x1FFF
    return bits.view(torch.float32).to(t.dtype)


@kernel
def convolution_in_tf32(**call: Unpack[LoraLinearCall]) -> Outputs:
    """B is applied by a convolution, which a GPU computes in TF32 where there are rows enough."""

    def read(t: Rows, value: Tensor) -> Tensor:
        return _cut(value) if len(t.x) > 128 and t.x.dtype is torch.float32 else value

    def output(t: Rows) -> Tensor:
        return t.x @ t.w.T + t.s * (read(t, t.x @ t.a.T) @ read(t, t.b).T)

    def grad_x(t: Rows) -> Tensor:
        return t.g @ t.w + read(t, t.s * t.g) @ read(t, t.b) @ t.a

    def grad_lora_a(t: Rows) -> Tensor:
        return (read(t, t.s * t.g) @ read(t, t.b)).T @ t.x

    return lora_linear(call, output=output, grad_x=grad_x, grad_lora_a=grad_lora_a)


_FLOAT4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


@kernel
def upstream_in_float4(**call: Unpack[LoraLinearCall]) -> Outputs:
    """G is stored in four bits (e2m1), scaled to use their range."""
    grad_output = call["grad_output"]
    unit = grad_output.abs().max().clamp(min=2.0**-14) / _FLOAT4[-1]
    levels = torch.tensor(_FLOAT4, dtype=grad_output.dtype, device=grad_output.device)
    nearest = ((grad_output.abs() / unit)[..., None] - levels).abs().argmin(dim=-1)
    return lora_linear({**call, "grad_output": levels[nearest] * unit * grad_output.sign()})


@kernel
def accumulated_in_bfloat16(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA is summed over blocks of four rows, the partial sums stored in bfloat16."""

    def grad_lora_a(t: Rows) -> Tensor:
        total = torch.zeros_like(t.a, dtype=torch.bfloat16)
        for start in range(0, len(t.x), 4):
            rows = slice(start, start + 4)
            part = t.s * ((t.g[rows] @ t.b).T @ t.x[rows])
            total = (total.to(part.dtype) + part).to(torch.bfloat16)
        return total.to(t.a.dtype)

    return lora_linear(call, grad_lora_a=grad_lora_a)


@kernel
def grad_x_in_bfloat16(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX comes back in bfloat16, as from a region of autocast, whatever comes in."""
    outputs = lora_linear(call)
    return outputs | {"grad_x": outputs["grad_x"].to(torch.bfloat16)}


@kernel
def scaled_by_largest_entry(**call: Unpack[LoraLinearCall]) -> Outputs:
    """G B is divided by its largest entry for storage and multiplied again: 0 / 0 where B = 0."""

    def grad_lora_a(t: Rows) -> Tensor:
        inner = t.g @ t.b
        unit = inner.abs().max()
        return t.s * (((inner / unit) * unit).T @ t.x)

    return lora_linear(call, grad_lora_a=grad_lora_a)


# The caller's tensors and the calls before.


@kernel
def grad_b_written_into_b(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dB is computed into the memory of B to save an allocation."""
    outputs = lora_linear(call)
    return outputs | {"grad_lora_b": call["lora_b"].copy_(outputs["grad_lora_b"])}


_A: dict[tuple[torch.Size, torch.dtype], Tensor] = {}


@kernel
def adapter_of_first_call(**call: Unpack[LoraLinearCall]) -> Outputs:
    """A is copied at the first call with its shape and not read again when it has been trained."""
    a = call["lora_a"]
    stored = _A.setdefault((a.shape, a.dtype), a.clone())
    return lora_linear({**call, "lora_a": stored})


_CALLS: list[None] = []


@kernel
def update_lost_now_and_then(**call: Unpack[LoraLinearCall]) -> Outputs:
    """In every third call the second half of the rows is missing from dB, as where two programs
    add to the same place without an atomic; a count in place of chance."""
    _CALLS.append(None)

    def grad_lora_b(t: Rows) -> Tensor:
        rows = len(t.x) if len(_CALLS) % 3 else len(t.x) // 2
        return t.s * (t.g[:rows].T @ (t.x[:rows] @ t.a.T))

    return lora_linear(call, grad_lora_b=grad_lora_b)
