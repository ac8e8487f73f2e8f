"""Kernels for the paper's Problem 2 that are right and unlike the specification's formulas."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import AloragcCall, Outputs, kernel
from loracle.corpus.closed_form import adapted, aloragc, residual, score_gradient, softmax
from loracle.kernels import streaming

__all__ = [
    "closed_form",
    "correction_from_output",
    "eager_autograd",
    "exp2_softmax",
    "log_sum_exp_recomputed",
    "low_rank_unmerged",
    "normalised_last",
    "online_softmax_in_dtype",
    "partial_sums_stored",
    "streaming_forward",
    "streaming_reverse",
    "weight_applied_to_keys",
]


@kernel
def closed_form(**call: Unpack[AloragcCall]) -> Outputs:
    """Definition 3.6 and equation (3.6), step by step in the dtype."""
    return aloragc(call)


@kernel
def eager_autograd(**call: Unpack[AloragcCall]) -> Outputs:
    """The loss (3.3), differentiated by torch."""
    a, b = call["a"].clone().requires_grad_(), call["b"].clone().requires_grad_()
    f = torch.softmax(call["c1"] @ (call["w"] + b @ a) @ call["c2"].T, dim=1)
    loss = 0.5 * (f @ call["c3"] - call["y"]).square().sum()
    grad_a, grad_b = torch.autograd.grad(loss, (a, b))
    return {"grad_a": grad_a, "grad_b": grad_b}


@kernel
def exp2_softmax(**call: Unpack[AloragcCall]) -> Outputs:
    """2^(x log2 e) in place of e^x, as on a GPU."""

    def base_two(scores: Tensor) -> Tensor:
        powers = torch.exp2((scores - scores.amax(dim=1, keepdim=True)) * math.log2(math.e))
        return powers / powers.sum(dim=1, keepdim=True)

    return aloragc(call, softmax=base_two)


@kernel
def log_sum_exp_recomputed(**call: Unpack[AloragcCall]) -> Outputs:
    """f = exp(S - lse), the exponent in float32 for 16-bit inputs, f in the dtype."""

    def recomputed(scores: Tensor) -> Tensor:
        wide = scores if scores.dtype == torch.float64 else scores.float()
        return torch.exp(wide - torch.logsumexp(wide, dim=1, keepdim=True)).to(scores.dtype)

    return aloragc(call, softmax=recomputed)


@kernel
def normalised_last(**call: Unpack[AloragcCall]) -> Outputs:
    """Z = D^-1 (exp(S) C3): the division comes after the product, as the paper writes it; f is
    never stored, p = D^-1 (exp(S) o (q - D^-1 rowsum(exp(S) o q)))."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    scores = c1 @ adapted(call["w"], call["b"], call["a"]) @ c2.T
    exponentials = torch.exp(scores - scores.amax(dim=1, keepdim=True))
    normaliser = exponentials.sum(dim=1, keepdim=True)
    q = residual((exponentials @ c3) / normaliser, call["y"]) @ c3.T
    mean = (exponentials * q).sum(dim=1, keepdim=True) / normaliser
    grad_w = c1.T @ ((exponentials * (q - mean)) / normaliser) @ c2
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


@kernel
def correction_from_output(**call: Unpack[AloragcCall]) -> Outputs:
    """<f_j, q_j> as the row sum of c o Z, which is what flash kernels call delta."""
    delta: list[Tensor] = []

    def remember(z: Tensor, y: Tensor) -> Tensor:
        c = residual(z, y)
        delta.append((c * z).sum(dim=1, keepdim=True))
        return c

    return aloragc(call, residual=remember, score_gradient=lambda f, q: f * (q - delta[0]))


@kernel
def weight_applied_to_keys(**call: Unpack[AloragcCall]) -> Outputs:
    """Scores as C1 (W C2^T), gradient as C1^T (p C2): the other association of both products."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    f = softmax(c1 @ (adapted(call["w"], call["b"], call["a"]) @ c2.T))
    p = score_gradient(f, residual(f @ c3, call["y"]) @ c3.T)
    grad_w = c1.T @ (p @ c2)
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


@kernel
def low_rank_unmerged(**call: Unpack[AloragcCall]) -> Outputs:
    """W + B A and dL/dW are never formed: every product goes through the rank."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    low_queries, low_keys = c1 @ call["b"], c2 @ call["a"].T
    f = softmax(c1 @ call["w"] @ c2.T + low_queries @ low_keys.T)
    p = score_gradient(f, residual(f @ c3, call["y"]) @ c3.T)
    return {"grad_a": (low_queries.T @ p) @ c2, "grad_b": c1.T @ (p @ low_keys)}


def _partial_sums_stored(left: Tensor, right: Tensor) -> Tensor:
    """left @ right as a sum of outer products, each partial sum rounded to the dtype."""
    total = left.new_zeros(left.shape[0], right.shape[1])
    for column, row in zip(left.T, right, strict=True):
        total = total + torch.outer(column, row)
    return total


@kernel
def partial_sums_stored(**call: Unpack[AloragcCall]) -> Outputs:
    """Every product of matrices is summed one term at a time in the dtype."""
    product = _partial_sums_stored
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    weight = call["w"] + product(call["b"], call["a"])
    f = softmax(product(product(c1, weight), c2.T))
    p = score_gradient(f, product(residual(product(f, c3), call["y"]), c3.T))
    grad_w = product(product(c1.T, p), c2)
    return {"grad_a": product(call["b"].T, grad_w), "grad_b": product(grad_w, call["a"].T)}


@kernel
def online_softmax_in_dtype(**call: Unpack[AloragcCall]) -> Outputs:
    """Z, the row maxima and the normaliser are updated and stored in the dtype after every block
    of four keys; f is recomputed from the last maxima and normaliser."""
    c1, c2, c3 = call["c1"], call["c2"], call["c3"]
    scores = c1 @ adapted(call["w"], call["b"], call["a"]) @ c2.T
    largest = torch.full_like(scores[:, :1], -torch.inf)
    normaliser, z = torch.zeros_like(largest), torch.zeros_like(call["y"])
    for start in range(0, len(c2), 4):
        block = scores[:, start : start + 4]
        previous, largest = largest, torch.maximum(largest, block.amax(dim=1, keepdim=True))
        rescale, weights = torch.exp(previous - largest), torch.exp(block - largest)
        normaliser = rescale * normaliser + weights.sum(dim=1, keepdim=True)
        z = rescale * z + weights @ c3[start : start + 4]
    f = torch.exp(scores - largest) / normaliser
    p = score_gradient(f, residual(z / normaliser, call["y"]) @ c3.T)
    grad_w = c1.T @ p @ c2
    return {"grad_a": call["b"].T @ grad_w, "grad_b": grad_w @ call["a"].T}


@kernel
def streaming_forward(**call: Unpack[AloragcCall]) -> Outputs:
    """Blocks of three queries and keys, first block first, everything recomputed."""
    return streaming.aloragc(**call, block_queries=3, block_keys=3)


@kernel
def streaming_reverse(**call: Unpack[AloragcCall]) -> Outputs:
    """Blocks of five queries and four keys, last block of keys first."""
    return streaming.aloragc(**call, block_queries=5, block_keys=4, reverse=True)
