"""Kernels for Problem 2 that are right and take keys, queries and ranks in other orders."""

from __future__ import annotations

from typing import Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import AloragcCall, Outputs, kernel
from loracle.corpus.closed_form import adapted, aloragc, residual, score_gradient, softmax

__all__ = [
    "float32_inside",
    "float64_inside",
    "keys_in_reverse",
    "log_sum_exp_stored",
    "one_query_at_a_time",
    "two_sums_of_definition",
]


def _inside(call: AloragcCall, dtype: torch.dtype) -> Outputs:
    wide = {name: cast(Tensor, value).to(dtype) for name, value in call.items()}
    outputs = aloragc(cast(AloragcCall, wide))
    return {name: value.to(call["y"].dtype) for name, value in outputs.items()}


@kernel
def float64_inside(**call: Unpack[AloragcCall]) -> Outputs:
    """Everything in float64, one rounding of each result."""
    return _inside(call, torch.float64)


@kernel
def float32_inside(**call: Unpack[AloragcCall]) -> Outputs:
    """Everything in float32, one rounding of each result."""
    return _inside(call, torch.float32)


@kernel
def keys_in_reverse(**call: Unpack[AloragcCall]) -> Outputs:
    """Queries and keys from the last to the first: every sum over them in the other order."""
    reverse: AloragcCall = {
        **call,
        "c1": call["c1"].flip(0),
        "y": call["y"].flip(0),
        "c2": call["c2"].flip(0),
        "c3": call["c3"].flip(0),
    }
    return aloragc(reverse)


@kernel
def log_sum_exp_stored(**call: Unpack[AloragcCall]) -> Outputs:
    """The backward pass makes f again from the scores, maxima and normalisers of the forward pass,
    all stored in the dtype."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    weight = adapted(call["w"], call["b"], call["a"])
    scores = c1 @ weight @ c2.T
    largest = scores.amax(dim=1, keepdim=True)
    normaliser = torch.exp(scores - largest).sum(dim=1, keepdim=True)
    z = (torch.exp(scores - largest) @ c3) / normaliser
    again = torch.exp((c1 @ weight @ c2.T) - largest) / normaliser
    p = score_gradient(again, residual(z, call["y"]) @ c3.T)
    grad_w = c1.T @ p @ c2
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


@kernel
def one_query_at_a_time(**call: Unpack[AloragcCall]) -> Outputs:
    """dL/dW is summed query by query, each partial sum stored in the dtype."""
    weight = adapted(call["w"], call["b"], call["a"])
    grad_w = torch.zeros_like(weight)
    for query, target in zip(call["c1"], call["y"], strict=True):
        f = softmax((query @ weight)[None] @ call["c2"].T)
        p = score_gradient(f, residual(f @ call["c3"], target[None]) @ call["c3"].T)
        grad_w = grad_w + torch.outer(query, (p @ call["c2"])[0])
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


@kernel
def two_sums_of_definition(**call: Unpack[AloragcCall]) -> Outputs:
    """p_1 = f o q and p_2 = diag(rowsum(f o q)) f are brought through C1 and C2 apart, and
    subtracted at the end."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    f = softmax(c1 @ adapted(call["w"], call["b"], call["a"]) @ c2.T)
    first = f * (residual(f @ c3, call["y"]) @ c3.T)
    second = first.sum(dim=1, keepdim=True) * f
    grad_w = c1.T @ first @ c2 - c1.T @ second @ c2
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}
