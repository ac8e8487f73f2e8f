"""Multi-head attention with adapters, with one defect each in heads, mask, softmax or scale."""

from __future__ import annotations

import math
from functools import partial
from typing import Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraMhaCall, Outputs, kernel
from loracle.corpus.mha_steps import masked_softmax, run, seen_by

__all__ = [
    "block_of_keys_moved_back",
    "causal_keys_before_queries_hidden",
    "causal_mask_adds_zero_scores",
    "causal_mask_ignored",
    "causal_mask_left_on",
    "causal_mask_missing_in_backward",
    "causal_mask_one_too_late",
    "causal_mask_one_too_late_in_backward",
    "causal_mask_strict",
    "correction_along_wrong_axis",
    "correction_missing",
    "group_gradient_averaged",
    "group_gradient_of_keys_averaged",
    "group_gradient_overwritten",
    "heads_read_first",
    "heads_read_modulo",
    "heads_read_modulo_in_backward",
    "probabilities_in_bfloat16",
    "scale_missing_in_grad_k",
    "scale_missing_in_grad_q",
    "scale_of_model_width",
    "scale_one",
    "scale_twice_in_grad_k",
    "score_gradient_not_transposed",
    "tail_of_keys_dropped",
]


def _modulo(heads: int, kv_heads: int) -> list[int]:
    return [head % kv_heads for head in range(heads)]


@kernel
def heads_read_modulo(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Query head h reads head h % num_kv_heads, in both passes: K and V are tiled."""
    return run(call, reads=_modulo, adds=_modulo)


@kernel
def heads_read_modulo_in_backward(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dK and dV are added up at head h % num_kv_heads, after a right forward pass."""
    return run(call, adds=_modulo)


@kernel
def heads_read_first(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Every query head reads the first head of keys, as multi-query attention does."""

    def first(heads: int, kv_heads: int) -> list[int]:
        return [0] * heads

    return run(call, reads=first, adds=first)


@kernel
def group_gradient_overwritten(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dK and dV are stored by every head of a group, not added: the last one remains."""

    def stored(grad: Tensor, adds: list[int], kv_heads: int) -> Tensor:
        return grad[:, grad.shape[1] // kv_heads - 1 :: grad.shape[1] // kv_heads]

    return run(call, gathered=stored)


@kernel
def group_gradient_averaged(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The mean over a group in place of its sum."""

    def mean(grad: Tensor, adds: list[int], kv_heads: int) -> Tensor:
        return grad.reshape(len(grad), kv_heads, -1, *grad.shape[2:]).mean(dim=2)

    return run(call, gathered=mean)


@kernel
def group_gradient_of_keys_averaged(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The mean over a group in place of its sum in dK, not in dV."""
    group = call["num_heads"] // call["num_kv_heads"]
    return run(call, scale_k=lambda scale: scale / group)


@kernel
def causal_mask_ignored(**call: Unpack[LoraMhaCall]) -> Outputs:
    """causal does not enter."""
    return run(cast(LoraMhaCall, {**call, "causal": False}))


@kernel
def causal_mask_left_on(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The mask is on, whatever the caller says."""
    return run(cast(LoraMhaCall, {**call, "causal": True}))


def _offset(offset: int, length: int, *, causal: bool, device: torch.device) -> Tensor:
    everything = torch.ones(length, length, dtype=torch.bool, device=device)
    return everything.tril(offset) if causal else everything


@kernel
def causal_mask_strict(**call: Unpack[LoraMhaCall]) -> Outputs:
    """j < i: a query does not see itself, and the first one nothing."""
    return run(call, seen=partial(_offset, -1))


@kernel
def causal_mask_one_too_late(**call: Unpack[LoraMhaCall]) -> Outputs:
    """j <= i + 1: a query sees the next token."""
    return run(call, seen=partial(_offset, 1))


@kernel
def causal_keys_before_queries_hidden(**call: Unpack[LoraMhaCall]) -> Outputs:
    """j >= i: the mask is transposed."""
    return run(call, seen=lambda length, **where: seen_by(length, **where).T)


@kernel
def causal_mask_missing_in_backward(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The backward pass computes f anew, without the mask."""
    return run(
        call, seen_again=lambda length, causal, device: seen_by(length, causal=False, device=device)
    )


@kernel
def causal_mask_one_too_late_in_backward(**call: Unpack[LoraMhaCall]) -> Outputs:
    """j <= i + 1 in a backward pass which, like flash attention's, keeps the log-sum-exp and the
    output of the forward pass."""
    return run(call, seen_again=partial(_offset, 1), keeps_sums=True)


@kernel
def causal_mask_adds_zero_scores(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Scores are multiplied by the mask: what is hidden has a score of zero, and weight."""
    return run(call, softmax=lambda scores, seen: torch.softmax(scores * seen, dim=-1))


@kernel
def scale_missing_in_grad_k(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dK = p^T Q without softmax_scale."""
    return run(call, scale_k=lambda scale: 1.0)


@kernel
def scale_missing_in_grad_q(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dQ = p K without softmax_scale."""
    return run(call, scale_q=lambda scale: 1.0)


@kernel
def scale_twice_in_grad_k(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Q was scaled in memory, and dK is scaled again."""
    return run(call, scale_k=lambda scale: scale**2)


@kernel
def scale_one(**call: Unpack[LoraMhaCall]) -> Outputs:
    """softmax_scale = 1, the default of some flash kernels."""
    return run(cast(LoraMhaCall, {**call, "softmax_scale": 1.0}))


@kernel
def scale_of_model_width(**call: Unpack[LoraMhaCall]) -> Outputs:
    """1 / sqrt(model), whatever the caller says."""
    return run(cast(LoraMhaCall, {**call, "softmax_scale": 1 / math.sqrt(call["x"].shape[2])}))


@kernel
def correction_missing(**call: Unpack[LoraMhaCall]) -> Outputs:
    """p = f o q."""
    return run(call, score_gradient=lambda f, q: f * q)


@kernel
def correction_along_wrong_axis(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The correction sums over the queries."""
    return run(call, score_gradient=lambda f, q: f * (q - (f * q).sum(dim=-2, keepdim=True)))


@kernel
def tail_of_keys_dropped(**call: Unpack[LoraMhaCall]) -> Outputs:
    """Keys beyond the last whole block of 16 are not visited, where there is one."""

    def softmax(scores: Tensor, seen: Tensor) -> Tensor:
        kept = scores.shape[-1] // 16 * 16 or scores.shape[-1]
        visited = torch.arange(scores.shape[-1], device=scores.device) < kept
        return masked_softmax(scores, seen & visited)

    return run(call, softmax=softmax)


@kernel
def block_of_keys_moved_back(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The last block of 16 keys is moved back to end with them, where there is a whole one; those
    that the block before it has too enter the softmax twice."""

    def softmax(scores: Tensor, seen: Tensor) -> Tensor:
        keys = scores.shape[-1]
        f = masked_softmax(scores, seen)
        if keys > 16 and keys % 16:
            weights = torch.ones_like(f[..., :1, :])
            weights[..., keys - 16 : keys // 16 * 16] = 2
            f = f * weights
            f = f / f.sum(dim=-1, keepdim=True)
        return f

    return run(call, softmax=softmax)


@kernel
def score_gradient_not_transposed(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dK = p Q in place of p^T Q."""
    return run(call, for_keys=lambda p: p)


@kernel
def probabilities_in_bfloat16(**call: Unpack[LoraMhaCall]) -> Outputs:
    """f is kept in bfloat16 for every product that it enters."""

    def softmax(scores: Tensor, seen: Tensor) -> Tensor:
        return masked_softmax(scores, seen).to(torch.bfloat16).to(scores.dtype)

    return run(call, softmax=softmax)
