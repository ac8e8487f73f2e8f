"""LoRA layers in which a term, the scale or the upstream gradient is not what it should be."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "dropout_left_on",
    "dropout_rescaled_without_mask",
    "first_element_of_upstream",
    "lora_term_twice_in_grad_x",
    "output_without_base_term",
    "output_without_lora_term",
    "scaling_divided_by_rank_again",
    "skipped_when_b_is_zero",
]


@kernel
def output_without_lora_term(**call: Unpack[LoraLinearCall]) -> Outputs:
    """y = x W^T: the layer says that it is merged, and is not."""
    return lora_linear(call, output=lambda t: t.x @ t.w.T)


@kernel
def output_without_base_term(**call: Unpack[LoraLinearCall]) -> Outputs:
    """y = s (x A^T) B^T: the update alone, which the caller was to add to the base layer's."""
    return lora_linear(call, output=lambda t: t.s * (t.x @ t.a.T @ t.b.T))


@kernel
def lora_term_twice_in_grad_x(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX = G (W + s B A) + s (G B) A: W was merged already when the update was added."""
    return lora_linear(
        call, grad_x=lambda t: t.g @ (t.w + t.s * (t.b @ t.a)) + t.s * (t.g @ t.b @ t.a)
    )


@kernel
def skipped_when_b_is_zero(**call: Unpack[LoraLinearCall]) -> Outputs:
    """B = 0 is taken for an adapter that is switched off: dB stays zero, and training with it."""
    return lora_linear(call, grad_lora_b=lambda t: t.s * (t.g.T @ (t.x @ t.a.T)) * float(t.b.any()))


@kernel
def scaling_divided_by_rank_again(**call: Unpack[LoraLinearCall]) -> Outputs:
    """s = alpha / r comes in, and is divided by r once more."""
    return lora_linear({**call, "scaling": call["scaling"] / len(call["lora_a"])})


@kernel
def first_element_of_upstream(**call: Unpack[LoraLinearCall]) -> Outputs:
    """G is taken to be constant, as after output.mean(), and its first element read for all."""
    grad_output = call["grad_output"]
    constant = grad_output.flatten()[0].expand_as(grad_output)
    return lora_linear({**call, "grad_output": constant})


# Dropout, though the contract has none.


@kernel
def dropout_left_on(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The adapter sees x with a quarter of it dropped, in the output, dA and dB."""
    dropped = torch.nn.functional.dropout(call["x"].flatten(0, 1), 0.25)

    def output(t: Rows) -> Tensor:
        return t.x @ t.w.T + t.s * (dropped @ t.a.T @ t.b.T)

    return lora_linear(
        call,
        output=output,
        grad_lora_a=lambda t: t.s * ((t.g @ t.b).T @ dropped),
        grad_lora_b=lambda t: t.s * (t.g.T @ (dropped @ t.a.T)),
    )


@kernel
def dropout_rescaled_without_mask(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Nothing is dropped any more, and 1 / (1 - p) with p = 1/4 still multiplies the update."""
    return lora_linear({**call, "scaling": call["scaling"] / 0.75})
