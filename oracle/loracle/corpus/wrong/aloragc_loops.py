"""Kernels for Problem 2 that visit the wrong keys, queries or entries."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import AloragcCall, Outputs, kernel
from loracle.corpus.closed_form import aloragc, residual, score_gradient, softmax

__all__ = [
    "causal_mask_left_on",
    "correction_of_neighbouring_row",
    "last_key_counted_twice",
    "query_tail_dropped",
    "rank_axis_permuted",
    "self_attention_asserted",
    "sliding_window_left_on",
    "view_in_place_of_transpose",
]


@kernel
def query_tail_dropped(**call: Unpack[AloragcCall]) -> Outputs:
    """Queries beyond the last whole block of 16 do not contribute (if there is a whole one)."""
    queries = len(call["c1"])
    whole = queries // 16 * 16 or queries
    return aloragc({**call, "c1": call["c1"][:whole], "y": call["y"][:whole]})


@kernel
def last_key_counted_twice(**call: Unpack[AloragcCall]) -> Outputs:
    """A load past the end is clamped to the last key, which so enters the softmax twice."""
    c2, c3 = call["c2"], call["c3"]
    return aloragc({**call, "c2": torch.cat((c2, c2[-1:])), "c3": torch.cat((c3, c3[-1:]))})


@kernel
def rank_axis_permuted(**call: Unpack[AloragcCall]) -> Outputs:
    """The columns of B are read in reverse, the rows of A are not."""
    return aloragc({**call, "b": call["b"].flip(1)})


@kernel
def view_in_place_of_transpose(**call: Unpack[AloragcCall]) -> Outputs:
    """dA is computed as (d, r), dL/dW^T B, and its memory read as (r, d)."""
    f = softmax(call["c1"] @ (call["w"] + call["b"] @ call["a"]) @ call["c2"].T)
    p = score_gradient(f, residual(f @ call["c3"], call["y"]) @ call["c3"].T)
    grad_w = call["c1"].T @ p @ call["c2"]
    grad_a = (grad_w.T @ call["b"]).contiguous().view(call["a"].shape)
    return {"grad_a": grad_a, "grad_b": grad_w @ call["a"].T}


@kernel
def correction_of_neighbouring_row(**call: Unpack[AloragcCall]) -> Outputs:
    """<f_j, q_j> is read from the row before, an index that is one too small."""

    def shifted(f: Tensor, q: Tensor) -> Tensor:
        return f * (q - (f * q).sum(dim=1, keepdim=True).roll(1, dims=0))

    return aloragc(call, score_gradient=shifted)


# Masks that nobody asked for.


def _masked(scores: Tensor, hidden: Tensor) -> Tensor:
    return softmax(scores.masked_fill(hidden, -torch.inf))


@kernel
def causal_mask_left_on(**call: Unpack[AloragcCall]) -> Outputs:
    """Query i attends to the keys j <= i alone."""

    def causal(scores: Tensor) -> Tensor:
        return _masked(scores, torch.ones_like(scores, dtype=torch.bool).triu(1))

    return aloragc(call, softmax=causal)


@kernel
def sliding_window_left_on(**call: Unpack[AloragcCall]) -> Outputs:
    """Query i attends to 33 keys around key i M / L at most."""

    def windowed(scores: Tensor) -> Tensor:
        queries, keys = scores.shape
        centre = torch.arange(queries, device=scores.device)[:, None] * keys // queries
        return _masked(scores, (torch.arange(keys, device=scores.device) - centre).abs() > 16)

    return aloragc(call, softmax=windowed)


@kernel
def self_attention_asserted(**call: Unpack[AloragcCall]) -> Outputs:
    """Raises unless there are as many keys as queries."""
    queries, keys = len(call["c1"]), len(call["c2"])
    if queries != keys:
        raise ValueError(f"{queries} queries and {keys} keys: only self-attention is supported")
    return aloragc(call)
