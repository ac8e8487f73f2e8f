"""LoRA layers whose formulas are right and that break the rest of the promise: precision, dtype,
shape, completeness, the certificate, the caller's tensors, or independence of earlier calls."""

from __future__ import annotations

from typing import Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "accumulates_across_calls",
    "certificate_of_mean_error",
    "float64_through_float32",
    "grad_a_in_other_layout",
    "grad_b_missing",
    "grad_x_written_into_x",
    "inner_rounded_to_bfloat16",
    "multiple_of_16_asserted",
    "result_in_float32",
    "scaling_of_first_call",
    "tail_uninitialised",
]

# Precision and dtype.


@kernel
def inner_rounded_to_bfloat16(**call: Unpack[LoraLinearCall]) -> Outputs:
    """G B and X A^T are stored in bfloat16 before the long sum over the rows."""

    def coarse(t: Tensor) -> Tensor:
        return t.to(torch.bfloat16).to(t.dtype)

    return lora_linear(
        call,
        grad_lora_a=lambda t: t.s * (coarse(t.g @ t.b).T @ t.x),
        grad_lora_b=lambda t: t.s * (t.g.T @ coarse(t.x @ t.a.T)),
    )


def _in_float32(call: LoraLinearCall) -> Outputs:
    return lora_linear(
        cast(
            LoraLinearCall,
            {k: v.float() if isinstance(v, Tensor) else v for k, v in call.items()},
        )
    )


@kernel
def float64_through_float32(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Everything goes through float32, whatever comes in."""
    return {name: t.to(call["x"].dtype) for name, t in _in_float32(call).items()}


@kernel
def result_in_float32(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The gradients of A and B come back in float32, whatever comes in."""
    outputs = lora_linear(call)
    return outputs | {k: outputs[k].float() for k in ("grad_lora_a", "grad_lora_b")}


# Shape and completeness.


@kernel
def grad_a_in_other_layout(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA comes back (in, r), the layout of MLX, flax and keras."""
    return lora_linear(call, grad_lora_a=lambda t: (t.s * ((t.g @ t.b).T @ t.x)).T)


@kernel
def grad_b_missing(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dB is None, as for a tensor that a backward pass forgot."""
    outputs: dict[str, Tensor | None] = {**lora_linear(call), "grad_lora_b": None}
    return cast(Outputs, outputs)


@kernel
def tail_uninitialised(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Rows of dX beyond the last whole block of 16 keep what the buffer held; NaN stands for it."""

    def grad_x(t: Rows) -> Tensor:
        whole = len(t.x) // 16 * 16
        buffer = torch.full_like(t.x, torch.nan)
        buffer[:whole] = t.g[:whole] @ t.w + t.s * (t.g[:whole] @ t.b @ t.a)
        return buffer

    return lora_linear(call, grad_x=grad_x)


@kernel
def multiple_of_16_asserted(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Raises unless the length is a multiple of the block."""
    length = call["x"].shape[1]
    if length % 16:
        raise ValueError(f"the length must be a multiple of 16, not {length}")
    return lora_linear(call)


# The certificate.


@kernel
def certificate_of_mean_error(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Right results; what they differ by from those in float64 is averaged, not maximised."""
    wide = {k: v.double() if isinstance(v, Tensor) else v for k, v in call.items()}
    exact = lora_linear(cast(LoraLinearCall, wide))
    outputs = lora_linear(call)
    certificate = {n: (outputs[n].double() - value).abs().mean() for n, value in exact.items()}
    return cast(Outputs, {**outputs, "certificate": certificate})


# The caller's tensors and the calls before.


@kernel
def grad_x_written_into_x(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX is computed into the memory of X to save an allocation."""
    outputs = lora_linear(call)
    return outputs | {"grad_x": call["x"].copy_(outputs["grad_x"])}


_FIRST_SCALING: list[float] = []


@kernel
def scaling_of_first_call(**call: Unpack[LoraLinearCall]) -> Outputs:
    """s is read once, at the first call, and kept when the layer is rescaled."""
    _FIRST_SCALING.append(call["scaling"])
    return lora_linear({**call, "scaling": _FIRST_SCALING[0]})


_SUMS: dict[tuple[torch.Size, torch.dtype], Tensor] = {}


@kernel
def accumulates_across_calls(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The buffer in which dA is summed is kept for the next call and never cleared."""

    def grad_lora_a(t: Rows) -> Tensor:
        total = _SUMS.setdefault((t.a.shape, t.a.dtype), torch.zeros_like(t.a))
        total += t.s * ((t.g @ t.b).T @ t.x)
        return total.clone()

    return lora_linear(call, grad_lora_a=grad_lora_a)
