"""LoRA layers that are right and add in other orders, with fewer roundings, or with those of a
tensor core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "atomics_in_any_order",
    "compensated_sums",
    "flushed_to_zero",
    "pairwise_sums",
    "rounded_twice",
    "stacked_projection",
    "truncating_tensor_cores",
    "update_by_rank_one",
]

_FRACTION_BITS = 25
_DEPTH = 16


def _with_sums(call: LoraLinearCall, total: Callable[[list[Tensor]], Tensor]) -> Outputs:
    """dA and dB as `total` of the outer products of their rows, each stored in the dtype."""
    return lora_linear(
        call,
        grad_lora_a=lambda t: total(
            [t.s * torch.outer(g @ t.b, x) for x, g in zip(t.x, t.g, strict=True)]
        ),
        grad_lora_b=lambda t: total(
            [t.s * torch.outer(g, t.a @ x) for x, g in zip(t.x, t.g, strict=True)]
        ),
    )


@kernel
def pairwise_sums(**call: Unpack[LoraLinearCall]) -> Outputs:
    """A tree over the rows, every node stored in the dtype."""

    def tree(parts: list[Tensor]) -> Tensor:
        if len(parts) == 1:
            return parts[0]
        middle = len(parts) // 2
        return tree(parts[:middle]) + tree(parts[middle:])

    return _with_sums(call, tree)


@kernel
def compensated_sums(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Kahan's summation over the rows, everything stored in the dtype."""

    def kahan(parts: list[Tensor]) -> Tensor:
        total = torch.zeros_like(parts[0])
        lost = torch.zeros_like(total)
        for part in parts:
            corrected = part - lost
            larger = total + corrected
            lost = (larger - total) - corrected
            total = larger
        return total

    return _with_sums(call, kahan)


@kernel
def atomics_in_any_order(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Rows are added in an order that differs from call to call, as by atomic additions."""

    def shuffled(parts: list[Tensor]) -> Tensor:
        total = torch.zeros_like(parts[0])
        for place in torch.randperm(len(parts), device="cpu").tolist():
            total = total + parts[place]
        return total

    return _with_sums(call, shuffled)


@kernel
def update_by_rank_one(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The output and dX add one rank after the other to the base term, in the dtype."""

    def added(base: Tensor, left: Tensor, right: Tensor, s: float) -> Tensor:
        for column, row in zip(left.T, right, strict=True):
            base = base + s * torch.outer(column, row)
        return base

    return lora_linear(
        call,
        output=lambda t: added(t.x @ t.w.T, t.x @ t.a.T, t.b.T, t.s),
        grad_x=lambda t: added(t.g @ t.w, t.g @ t.b, t.a, t.s),
    )


@kernel
def stacked_projection(**call: Unpack[LoraLinearCall]) -> Outputs:
    """One product with [W; s A], and one with [W; A]^T's counterpart [G, s G B] in dX."""

    def output(t: Rows) -> Tensor:
        stacked = t.x @ torch.cat((t.w, t.s * t.a)).T
        return stacked[:, : len(t.w)] + stacked[:, len(t.w) :] @ t.b.T

    def grad_x(t: Rows) -> Tensor:
        return torch.cat((t.g, t.s * (t.g @ t.b)), dim=1) @ torch.cat((t.w, t.a))

    return lora_linear(call, output=output, grad_x=grad_x)


@kernel
def rounded_twice(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Everything in float64, results rounded to float32 and from there to the dtype."""
    wide: LoraLinearCall = {
        "x": call["x"].double(),
        "weight": call["weight"].double(),
        "lora_a": call["lora_a"].double(),
        "lora_b": call["lora_b"].double(),
        "scaling": call["scaling"],
        "grad_output": call["grad_output"].double(),
    }
    dtype = call["x"].dtype
    return {name: value.float().to(dtype) for name, value in lora_linear(wide).items()}


@kernel
def flushed_to_zero(**call: Unpack[LoraLinearCall]) -> Outputs:
    """What is below the smallest normal number is zero, in arguments, inner products and results,
    as on hardware that flushes."""

    def flushed(t: Tensor) -> Tensor:
        return torch.where(t.abs() < torch.finfo(t.dtype).tiny, torch.zeros_like(t), t)

    read: LoraLinearCall = {
        "x": flushed(call["x"]),
        "weight": flushed(call["weight"]),
        "lora_a": flushed(call["lora_a"]),
        "lora_b": flushed(call["lora_b"]),
        "scaling": call["scaling"],
        "grad_output": flushed(call["grad_output"]),
    }
    outputs = lora_linear(
        read,
        grad_lora_a=lambda t: t.s * (flushed(t.g @ t.b).T @ t.x),
        grad_lora_b=lambda t: t.s * (t.g.T @ flushed(t.x @ t.a.T)),
    )
    return {name: flushed(value) for name, value in outputs.items()}


def _truncated_product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right in float32, sixteen products at a time: each block is aligned to its largest
    term (the sum so far among them) and cut off after 25 fraction bits, then added exactly."""
    a, b = left.double(), right.double()
    total = torch.zeros(len(a), b.shape[1], dtype=torch.float64, device=a.device)
    for start in range(0, a.shape[1], _DEPTH):
        block = slice(start, start + _DEPTH)
        terms = torch.cat((total[:, None], a[:, block, None] * b[None, block]), dim=1)
        exponent = torch.frexp(terms.abs().amax(dim=1, keepdim=True)).exponent
        unit = torch.ldexp(torch.ones_like(total[:, None]), exponent - _FRACTION_BITS)
        total = (torch.trunc(terms / unit) * unit).sum(dim=1).float().double()
    return total.to(left.dtype)


@kernel
def truncating_tensor_cores(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Every product of matrices as a tensor core of the Hopper generation adds it."""
    product = _truncated_product
    return lora_linear(
        call,
        output=lambda t: product(t.x, t.w.T) + t.s * product(product(t.x, t.a.T), t.b.T),
        grad_x=lambda t: product(t.g, t.w) + t.s * product(product(t.g, t.b), t.a),
        grad_lora_a=lambda t: t.s * product(product(t.g, t.b).T, t.x),
        grad_lora_b=lambda t: t.s * product(t.g.T, product(t.x, t.a.T)),
    )
