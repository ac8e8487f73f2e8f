"""Attention with adapters on Q, K and V with too few keys, queries or bits, or with a broken
promise about results, arguments, sizes or earlier calls."""

from __future__ import annotations

from typing import Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraAttentionCall, Outputs, kernel
from loracle.corpus.closed_form import lora_attention, residual, softmax

__all__ = [
    "block_of_keys_moved_back",
    "grad_a_k_in_other_layout",
    "grad_k_missing",
    "keys_tail_dropped",
    "logarithm_of_probabilities",
    "merged_weights_of_first_call",
    "queries_beyond_block_skipped",
    "queries_scaled_in_place",
    "rank_one_asserted",
    "scores_clamped",
    "scores_in_bfloat16",
    "update_lost_now_and_then",
    "zero_tokens_taken_for_padding",
]


# What is summed over.


@kernel
def keys_tail_dropped(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Keys beyond the last whole block of 16 are never visited (if there is a whole one)."""
    keys = len(call["x_k"])
    whole = keys // 16 * 16 or keys
    return lora_attention({**call, "x_k": call["x_k"][:whole], "x_v": call["x_v"][:whole]})


@kernel
def block_of_keys_moved_back(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The last block of 16 keys is moved back to end with them (if there is a whole one); those
    that the block before it has too enter the softmax twice."""
    keys = len(call["x_k"])
    whole = keys // 16 * 16
    twice = slice(keys - 16, whole) if 0 < whole < keys else slice(0, 0)
    x_k, x_v = (torch.cat((x, x[twice])) for x in (call["x_k"], call["x_v"]))
    return lora_attention({**call, "x_k": x_k, "x_v": x_v})


@kernel
def queries_beyond_block_skipped(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The loop over blocks of 64 queries ends after the first."""
    return lora_attention({**call, "x_q": call["x_q"][:64], "y": call["y"][:64]})


@kernel
def zero_tokens_taken_for_padding(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Keys whose input is zero are masked, as padding is (if there are others)."""
    padding = ~call["x_k"].any(dim=1)

    def masked(scores: Tensor) -> Tensor:
        hidden = padding if not padding.all() else torch.zeros_like(padding)
        return softmax(scores.masked_fill(hidden, -torch.inf))

    return lora_attention(call, softmax=masked)


# Numbers.


@kernel
def scores_clamped(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Scores are clamped to +-20 in place of a subtraction of the maximum."""
    return lora_attention(call, softmax=lambda scores: softmax(scores.clamp(-20, 20)))


@kernel
def logarithm_of_probabilities(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """p by way of f log f, a term for an entropy that has weight zero: NaN where f is zero."""

    def score_gradient(f: Tensor, q: Tensor) -> Tensor:
        return f * (q - (f * q).sum(dim=1, keepdim=True)) + 0 * (f * torch.log(f))

    return lora_attention(call, score_gradient=score_gradient)


@kernel
def scores_in_bfloat16(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The scores are stored in bfloat16, whatever comes in."""
    return lora_attention(
        call, softmax=lambda scores: softmax(scores.to(torch.bfloat16).to(scores.dtype))
    )


# Results and arguments.


@kernel
def grad_a_k_in_other_layout(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dA_K comes back (d, r), the layout of MLX, flax and keras."""
    outputs = lora_attention(call)
    return outputs | {"grad_a_k": outputs["grad_a_k"].T}


@kernel
def grad_k_missing(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dA_K and dB_K are None, as where the tensor of keys was detached."""
    outputs: dict[str, Tensor | None] = {**lora_attention(call)}
    return cast(Outputs, {**outputs, "grad_a_k": None, "grad_b_k": None})


@kernel
def queries_scaled_in_place(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """beta is multiplied into the caller's X_Q and left there."""
    outputs = lora_attention(call)
    call["x_q"].mul_(call["beta"])
    return outputs


@kernel
def rank_one_asserted(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Raises for adapters of rank one, whose axis a squeeze has removed."""
    if len(call["a_q"]) == 1:
        raise ValueError("expected a matrix of two dimensions for lora_a")
    return lora_attention(call)


# Earlier calls and lost updates.

_MERGED: dict[tuple[torch.Size, torch.dtype], Tensor] = {}


@kernel
def merged_weights_of_first_call(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """s B_K A_K is computed at the first call with its shape and kept when the adapter changes."""
    w, b, a = call["w_k"], call["b_k"], call["a_k"]
    update = call["scaling"] * (b @ a)
    stored = _MERGED.setdefault((w.shape, w.dtype), update)
    return lora_attention({**call, "w_k": w + (stored - update)})


_CALLS: list[None] = []


@kernel
def update_lost_now_and_then(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """In every third call the second half of the queries is missing, as after a lost race; a count
    in place of chance."""
    _CALLS.append(None)

    def racing(z: Tensor, y: Tensor) -> Tensor:
        c = residual(z, y)
        if len(_CALLS) % 3 == 0:
            c[len(c) // 2 :] = 0
        return c

    return lora_attention(call, residual=racing)
