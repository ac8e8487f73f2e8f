"""LoRA layers that are right and unlike the specification's formulas."""

from __future__ import annotations

from typing import Any, Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "eager_autograd",
    "extra_keys",
    "float32_inside",
    "float64_inside",
    "honest_certificate",
    "merged_weight",
    "non_contiguous_results",
    "results_require_grad",
    "scaling_folded_into_b",
    "split_k_in_reverse",
    "token_by_token",
]


@kernel
def eager_autograd(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The forward pass as it is usually written, differentiated by torch."""
    x, a, b = (call[n].clone().requires_grad_() for n in ("x", "lora_a", "lora_b"))
    linear = torch.nn.functional.linear
    output = linear(x, call["weight"]) + linear(linear(x, a), b) * call["scaling"]
    gradients = torch.autograd.grad(output, (x, a, b), call["grad_output"])
    return dict(
        zip(("output", "grad_x", "grad_lora_a", "grad_lora_b"), (output, *gradients), strict=True)
    )


@kernel
def merged_weight(**call: Unpack[LoraLinearCall]) -> Outputs:
    """W' = W + s B A first; the gradients of A and B through the full dW' = G^T X."""

    def merged(t: Rows) -> Tensor:
        return t.w + t.s * (t.b @ t.a)

    return lora_linear(
        call,
        output=lambda t: t.x @ merged(t).T,
        grad_x=lambda t: t.g @ merged(t),
        grad_lora_a=lambda t: t.s * (t.b.T @ (t.g.T @ t.x)),
        grad_lora_b=lambda t: t.s * ((t.g.T @ t.x) @ t.a.T),
    )


@kernel
def scaling_folded_into_b(**call: Unpack[LoraLinearCall]) -> Outputs:
    """s B once, used everywhere; dB has its own s."""
    folded: LoraLinearCall = {**call, "lora_b": call["scaling"] * call["lora_b"], "scaling": 1.0}
    return lora_linear(folded) | {
        "grad_lora_b": call["scaling"] * lora_linear(folded)["grad_lora_b"]
    }


@kernel
def token_by_token(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA and dB are summed one row at a time, each partial sum stored in the dtype."""

    def grad_lora_a(t: Rows) -> Tensor:
        total = torch.zeros_like(t.a)
        for x, g in zip(t.x, t.g, strict=True):
            total += t.s * torch.outer(g @ t.b, x)
        return total

    def grad_lora_b(t: Rows) -> Tensor:
        total = torch.zeros_like(t.b)
        for x, g in zip(t.x, t.g, strict=True):
            total += t.s * torch.outer(g, t.a @ x)
        return total

    return lora_linear(call, grad_lora_a=grad_lora_a, grad_lora_b=grad_lora_b)


@kernel
def split_k_in_reverse(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA and dB are sums of blocks of four rows, stored in the dtype and added last block first."""

    def in_blocks(left: Tensor, right: Tensor) -> Tensor:
        parts = [left[i : i + 4].T @ right[i : i + 4] for i in range(0, len(left), 4)]
        total = parts.pop()
        while parts:
            total = total + parts.pop()
        return total

    return lora_linear(
        call,
        grad_lora_a=lambda t: t.s * in_blocks(t.g @ t.b, t.x),
        grad_lora_b=lambda t: t.s * in_blocks(t.g, t.x @ t.a.T),
    )


def _inside(call: LoraLinearCall, dtype: torch.dtype) -> Outputs:
    wide = {k: v.to(dtype) if isinstance(v, Tensor) else v for k, v in call.items()}
    outputs = lora_linear(cast(LoraLinearCall, wide))
    return {name: value.to(call["x"].dtype) for name, value in outputs.items()}


@kernel
def float64_inside(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Everything in float64, one rounding of each result."""
    return _inside(call, torch.float64)


@kernel
def float32_inside(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Everything in float32, one rounding of each result."""
    return _inside(call, torch.float32)


@kernel
def honest_certificate(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Everything in float64, with a certificate: what the last rounding did, which is measured, and
    what the roundings in float64 may have done, gamma_n times the formulas of absolute values."""
    wide = {k: v.double() if isinstance(v, Tensor) else v for k, v in call.items()}
    exact = lora_linear(cast(LoraLinearCall, wide))
    magnitudes = lora_linear(cast(LoraLinearCall, {k: abs(cast(Any, v)) for k, v in wide.items()}))
    outputs = {name: value.to(call["x"].dtype) for name, value in exact.items()}
    # More than the number of roundings in any entry, whose own sizes are among these.
    roundings = sum(call["grad_output"].flatten(0, 1).shape) + sum(call["lora_a"].shape) + 8
    certificate = {
        name: float((outputs[name].double() - value).abs().max())
        + roundings * 2.0**-53 * float(magnitudes[name].max())
        for name, value in exact.items()
    }
    return cast(Outputs, {**outputs, "certificate": certificate})


@kernel
def non_contiguous_results(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Results with transposed strides, in the interior of a larger buffer, and a repeated row of
    stride zero where a result has only one row."""

    def transposed(t: Tensor) -> Tensor:
        return t.transpose(-1, -2).contiguous().transpose(-1, -2)

    def padded(t: Tensor) -> Tensor:
        buffer = t.new_full((t.shape[0] + 2, t.shape[1] + 3), torch.nan)
        interior = buffer[1:-1, 1:-2]
        return interior.copy_(t)

    def expanded(t: Tensor) -> Tensor:
        return t[0].expand(t.shape) if len(t) == 1 else padded(t)

    outputs = lora_linear(call)
    return {
        "output": transposed(outputs["output"]),
        "grad_x": transposed(outputs["grad_x"]),
        "grad_lora_a": expanded(outputs["grad_lora_a"]),
        "grad_lora_b": padded(outputs["grad_lora_b"]),
    }


@kernel
def results_require_grad(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Results that still hang on the graph, as with create_graph."""
    leaves: LoraLinearCall = {
        **call,
        "x": call["x"].clone().requires_grad_(),
        "lora_b": call["lora_b"].clone().requires_grad_(),
    }
    return lora_linear(leaves)


@kernel
def extra_keys(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The full dW and a number beside what was promised."""
    grad_weight = call["grad_output"].flatten(0, 1).T @ call["x"].flatten(0, 1)
    extra = {"grad_weight": grad_weight, "blocks": 4}
    return cast(Outputs, {**lora_linear(call), **extra})
