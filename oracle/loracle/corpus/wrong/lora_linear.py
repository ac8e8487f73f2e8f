"""LoRA layers y = x W^T + s (x A^T) B^T that compute one formula wrongly."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraLinearCall, Outputs, kernel, only
from loracle.corpus.closed_form import Rows, lora_linear

__all__ = [
    "batch_mean",
    "delta_transposed_when_square",
    "first_sample_only",
    "flattened_in_two_orders",
    "grad_a_added_twice",
    "grad_a_wrong_sign",
    "grad_b_detached",
    "grad_x_without_base_term",
    "grad_x_without_lora_term",
    "last_token_dropped",
    "rank_axis_permuted",
    "scaling_ignored",
    "scaling_is_alpha",
    "scaling_missing_in_grad_a",
    "scaling_missing_in_grad_b",
    "scaling_missing_in_grad_x",
    "scaling_of_rslora",
    "scaling_on_base_too",
    "scaling_squared_in_grad_a",
    "tail_block_dropped",
    "upstream_replaced_by_mean",
    "upstream_replaced_by_ones",
    "weight_orientation_guessed",
]

# The scale.


@kernel
def scaling_ignored(**call: Unpack[LoraLinearCall]) -> Outputs:
    """s = 1 everywhere."""
    return lora_linear({**call, "scaling": 1.0})


@kernel
def scaling_missing_in_grad_a(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA = (G B)^T X."""
    return lora_linear(call, grad_lora_a=lambda t: (t.g @ t.b).T @ t.x)


@kernel
def scaling_missing_in_grad_b(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dB = G^T (X A^T)."""
    return lora_linear(call, grad_lora_b=lambda t: t.g.T @ (t.x @ t.a.T))


@kernel
def scaling_missing_in_grad_x(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX = G W + (G B) A."""
    return lora_linear(call, grad_x=lambda t: t.g @ t.w + t.g @ t.b @ t.a)


@kernel
def scaling_squared_in_grad_a(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA = s^2 (G B)^T X: the upstream gradient is scaled and the product once more."""
    return lora_linear(call, grad_lora_a=lambda t: t.s * ((t.s * t.g @ t.b).T @ t.x))


@kernel
def scaling_is_alpha(**call: Unpack[LoraLinearCall]) -> Outputs:
    """s = alpha where alpha / r is meant."""
    return lora_linear({**call, "scaling": call["scaling"] * len(call["lora_a"])})


@kernel
def scaling_of_rslora(**call: Unpack[LoraLinearCall]) -> Outputs:
    """s = alpha / sqrt(r) where alpha / r is meant."""
    return lora_linear({**call, "scaling": call["scaling"] * math.sqrt(len(call["lora_a"]))})


@kernel
def scaling_on_base_too(**call: Unpack[LoraLinearCall]) -> Outputs:
    """y = s (x W^T + (x A^T) B^T), and the gradients of that."""
    s = call["scaling"]
    return lora_linear({**call, "weight": s * call["weight"]})


# One term of one gradient.


@kernel
def grad_a_wrong_sign(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA = -s (G B)^T X."""
    return lora_linear(call, grad_lora_a=lambda t: -t.s * ((t.g @ t.b).T @ t.x))


@kernel
def grad_a_added_twice(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA is both accumulated into a buffer and returned, and so added twice."""
    return lora_linear(call, grad_lora_a=lambda t: 2 * t.s * ((t.g @ t.b).T @ t.x))


@kernel
def grad_b_detached(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dB = 0: B was read through a detached copy."""
    return lora_linear(call, grad_lora_b=lambda t: torch.zeros_like(t.b))


@kernel
def grad_x_without_lora_term(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX = G W."""
    return lora_linear(call, grad_x=lambda t: t.g @ t.w)


@kernel
def grad_x_without_base_term(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX = s (G B) A."""
    return lora_linear(call, grad_x=lambda t: t.s * (t.g @ t.b @ t.a))


# The orientation of a factor.


@kernel
def weight_orientation_guessed(**call: Unpack[LoraLinearCall]) -> Outputs:
    """x W in place of x W^T wherever W is square: the orientation is guessed from the shapes."""

    def output(t: Rows) -> Tensor:
        w = t.w if t.w.shape[0] == t.x.shape[1] else t.w.T
        return t.x @ w + t.s * (t.x @ t.a.T @ t.b.T)

    return lora_linear(call, output=output)


@kernel
def delta_transposed_when_square(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dX = G W + s G A^T B^T wherever that has a shape at all, which is where W is square."""

    def grad_x(t: Rows) -> Tensor:
        square = t.w.shape[0] == t.w.shape[1]
        delta = t.a.T @ t.b.T if square else t.b @ t.a
        return t.g @ t.w + t.s * (t.g @ delta)

    return lora_linear(call, grad_x=grad_x)


@kernel
def rank_axis_permuted(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The rows of A are read in reverse, the columns of B are not."""
    return lora_linear({**call, "lora_a": call["lora_a"].flip(0)})


# The sum over batch and length.


@kernel
def batch_mean(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA and dB are means over the batch in place of sums."""
    batch = len(call["x"])
    return lora_linear(
        call,
        grad_lora_a=lambda t: t.s * ((t.g @ t.b).T @ t.x) / batch,
        grad_lora_b=lambda t: t.s * (t.g.T @ (t.x @ t.a.T)) / batch,
    )


@kernel
def first_sample_only(**call: Unpack[LoraLinearCall]) -> Outputs:
    """dA and dB sum over the length of the first sample alone."""
    first: LoraLinearCall = {**call, "x": call["x"][:1], "grad_output": call["grad_output"][:1]}
    return lora_linear(call) | only(lora_linear(first), "grad_lora_a", "grad_lora_b")


@kernel
def last_token_dropped(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The sum in dB ends one row early."""
    return lora_linear(call, grad_lora_b=lambda t: t.s * (t.g[:-1].T @ (t.x[:-1] @ t.a.T)))


@kernel
def tail_block_dropped(**call: Unpack[LoraLinearCall]) -> Outputs:
    """The sum in dA runs over whole blocks of 16 rows and leaves out the rest."""

    def grad_lora_a(t: Rows) -> Tensor:
        whole = len(t.x) // 16 * 16
        return t.s * ((t.g[:whole] @ t.b).T @ t.x[:whole])

    return lora_linear(call, grad_lora_a=grad_lora_a)


@kernel
def flattened_in_two_orders(**call: Unpack[LoraLinearCall]) -> Outputs:
    """In dB, G is flattened length first and X batch first, so that rows of two tokens meet."""
    length_first = call["grad_output"].transpose(0, 1).flatten(0, 1)
    return lora_linear(call, grad_lora_b=lambda t: t.s * (length_first.T @ (t.x @ t.a.T)))


# The upstream gradient. A test with loss `output.sum()` sees neither.


@kernel
def upstream_replaced_by_ones(**call: Unpack[LoraLinearCall]) -> Outputs:
    """G = 1."""
    return lora_linear({**call, "grad_output": torch.ones_like(call["grad_output"])})


@kernel
def upstream_replaced_by_mean(**call: Unpack[LoraLinearCall]) -> Outputs:
    """Each row of G is replaced by its mean."""
    grad_output = call["grad_output"]
    mean = grad_output.mean(dim=-1, keepdim=True).expand_as(grad_output)
    return lora_linear({**call, "grad_output": mean})
