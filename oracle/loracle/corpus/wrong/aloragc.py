"""Kernels for the paper's Problem 2, softmax(C1 (W + B A) C2^T) C3, with one defect each."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus import closed_form
from loracle.corpus.calls import AloragcCall, Outputs, kernel
from loracle.corpus.closed_form import aloragc, residual, score_gradient, softmax

__all__ = [
    "adapter_of_first_call",
    "block_missing_now_and_then",
    "correction_along_wrong_axis",
    "correction_of_first_block",
    "delta_transposed",
    "grad_b_detached",
    "keys_beyond_block_skipped",
    "keys_tail_dropped",
    "last_query_dropped",
    "log_sum_exp_in_float16",
    "loss_without_half",
    "mean_squared_error",
    "probabilities_in_bfloat16",
    "residual_wrong_sign",
    "scores_over_root_d",
    "softmax_along_wrong_axis",
    "softmax_correction_missing",
    "softmax_without_maximum",
    "target_ignored",
    "weight_gradient_transposed",
    "weight_transposed",
]

# The softmax and its derivative.


@kernel
def softmax_correction_missing(**call: Unpack[AloragcCall]) -> Outputs:
    """p = f o q, without <f_j, q_j> f_j: the row sums D = rowsum(dO o O) are missing."""
    return aloragc(call, score_gradient=lambda f, q: f * q)


@kernel
def correction_along_wrong_axis(**call: Unpack[AloragcCall]) -> Outputs:
    """The correction sums f o q over the queries in place of the keys."""
    return aloragc(call, score_gradient=lambda f, q: f * q - f * (f * q).sum(dim=0, keepdim=True))


@kernel
def correction_of_first_block(**call: Unpack[AloragcCall]) -> Outputs:
    """The correction sums over the first block of 16 keys alone."""
    return aloragc(
        call, score_gradient=lambda f, q: f * q - f * (f * q)[:, :16].sum(dim=1, keepdim=True)
    )


@kernel
def keys_beyond_block_skipped(**call: Unpack[AloragcCall]) -> Outputs:
    """The loop over blocks of 64 keys ends after the first."""
    return aloragc({**call, "c2": call["c2"][:64], "c3": call["c3"][:64]})


@kernel
def weight_gradient_transposed(**call: Unpack[AloragcCall]) -> Outputs:
    """dL/dW taken as C2^T p^T C1, its transpose; square, so that every shape fits."""
    scores = call["c1"] @ (call["w"] + call["b"] @ call["a"]) @ call["c2"].T
    f = softmax(scores)
    p = score_gradient(f, residual(f @ call["c3"], call["y"]) @ call["c3"].T)
    grad_w = call["c2"].T @ p.T @ call["c1"]
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


@kernel
def softmax_along_wrong_axis(**call: Unpack[AloragcCall]) -> Outputs:
    """The softmax normalises over the queries in place of the keys."""
    return aloragc(call, softmax=lambda scores: softmax(scores.T).T)


@kernel
def softmax_without_maximum(**call: Unpack[AloragcCall]) -> Outputs:
    """exp of the bare scores: overflows, or sums to zero, where they are large."""

    def bare(scores: Tensor) -> Tensor:
        exponentials = torch.exp(scores)
        return exponentials / exponentials.sum(dim=1, keepdim=True)

    return aloragc(call, softmax=bare)


@kernel
def scores_over_root_d(**call: Unpack[AloragcCall]) -> Outputs:
    """The habitual 1 / sqrt(d) on scores that carry their scale in C1 already."""
    root = math.sqrt(call["c1"].shape[1])
    return aloragc({**call, "c1": call["c1"] / root})


# The loss.


@kernel
def target_ignored(**call: Unpack[AloragcCall]) -> Outputs:
    """y = 0."""
    return aloragc({**call, "y": torch.zeros_like(call["y"])})


@kernel
def residual_wrong_sign(**call: Unpack[AloragcCall]) -> Outputs:
    """c = Y - Z."""
    return aloragc(call, residual=lambda z, y: y - z)


@kernel
def loss_without_half(**call: Unpack[AloragcCall]) -> Outputs:
    """The gradient of ||Z - Y||^2 in place of half of it."""
    return aloragc(call, residual=lambda z, y: 2 * (z - y))


@kernel
def mean_squared_error(**call: Unpack[AloragcCall]) -> Outputs:
    """The loss is averaged over the elements of the residual in place of summed."""
    return aloragc(call, residual=lambda z, y: (z - y) / y.numel())


# The weights.


@kernel
def weight_transposed(**call: Unpack[AloragcCall]) -> Outputs:
    """W^T + B A: the frozen weight in the other storage order."""
    return aloragc(call, adapted=lambda w, b, a: w.T + b @ a)


@kernel
def delta_transposed(**call: Unpack[AloragcCall]) -> Outputs:
    """W + A^T B^T."""
    return aloragc(call, adapted=lambda w, b, a: w + a.T @ b.T)


@kernel
def grad_b_detached(**call: Unpack[AloragcCall]) -> Outputs:
    """dB = 0."""
    return aloragc(call) | {"grad_b": torch.zeros_like(call["b"])}


# What is summed over.


@kernel
def keys_tail_dropped(**call: Unpack[AloragcCall]) -> Outputs:
    """Keys beyond the last whole block of 16 are never visited (if there is a whole one)."""
    keys = len(call["c2"])
    whole = keys // 16 * 16 or keys
    return aloragc({**call, "c2": call["c2"][:whole], "c3": call["c3"][:whole]})


@kernel
def last_query_dropped(**call: Unpack[AloragcCall]) -> Outputs:
    """The last row of p is left at zero: an off-by-one mask in the backward pass."""

    def masked(f: Tensor, q: Tensor) -> Tensor:
        p = score_gradient(f, q)
        return torch.cat((p[:-1], torch.zeros_like(p[-1:])))

    return aloragc(call, score_gradient=masked)


# Precision.


@kernel
def probabilities_in_bfloat16(**call: Unpack[AloragcCall]) -> Outputs:
    """f is stored in bfloat16, whatever comes in."""
    return aloragc(call, softmax=lambda s: softmax(s).to(torch.bfloat16).to(s.dtype))


@kernel
def log_sum_exp_in_float16(**call: Unpack[AloragcCall]) -> Outputs:
    """f = exp(S - lse) with the log-sum-exp of each row stored in float16."""

    def from_log_sum_exp(scores: Tensor) -> Tensor:
        stored = torch.logsumexp(scores, dim=1, keepdim=True).to(torch.float16)
        return torch.exp(scores - stored.to(scores.dtype))

    return aloragc(call, softmax=from_log_sum_exp)


# State.

_ADAPTERS: dict[tuple[torch.Size, torch.dtype], Tensor] = {}


@kernel
def adapter_of_first_call(**call: Unpack[AloragcCall]) -> Outputs:
    """W + B A is cached by its shape and never made anew when the adapter has changed."""

    def cached(w: Tensor, b: Tensor, a: Tensor) -> Tensor:
        return _ADAPTERS.setdefault((w.shape, w.dtype), closed_form.adapted(w, b, a))

    return aloragc(call, adapted=cached)


_CALLS: list[None] = []


@kernel
def block_missing_now_and_then(**call: Unpack[AloragcCall]) -> Outputs:
    """In every third call the first half of the queries is missing from the sum, as after a lost
    race; a count in place of chance, so that a test can rely on it."""
    _CALLS.append(None)

    def racing(z: Tensor, y: Tensor) -> Tensor:
        c = residual(z, y)
        if len(_CALLS) % 3 == 0:
            c[: (len(c) + 1) // 2] = 0
        return c

    return aloragc(call, residual=racing)
