"""Attention with adapters on Q, K and V in which a term, a weight or a factor is exchanged, missing
or doubled."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraAttentionCall, Outputs, kernel
from loracle.corpus.closed_form import lora_attention, residual, softmax

__all__ = [
    "beta_missing_in_grad_q",
    "correction_along_wrong_axis",
    "correction_scaled_by_beta",
    "dropout_left_on",
    "frozen_weights_of_q_and_k_exchanged",
    "grad_q_and_grad_k_swapped",
    "key_adapter_ignored",
    "key_weight_transposed",
    "loss_without_half",
    "only_last_adapter_trained",
    "rank_axis_of_values_permuted",
    "scaling_is_alpha",
    "scaling_missing_in_grad_a_v",
    "target_added",
]


# The scale and beta.


@kernel
def scaling_missing_in_grad_a_v(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dA_V = B_V^T dL/dW_V."""
    outputs = lora_attention(call)
    return outputs | {"grad_a_v": outputs["grad_a_v"] / call["scaling"]}


@kernel
def scaling_is_alpha(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """s = alpha where alpha / r is meant."""
    return lora_attention({**call, "scaling": call["scaling"] * len(call["a_q"])})


@kernel
def beta_missing_in_grad_q(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dL/dW_Q = X_Q^T p K: the factor beta of the scores is left out of dQ."""
    outputs = lora_attention(call)
    return outputs | {name: outputs[name] / call["beta"] for name in ("grad_a_q", "grad_b_q")}


# The softmax's derivative.


@kernel
def correction_along_wrong_axis(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The correction sums f o q over the queries in place of the keys."""
    return lora_attention(
        call, score_gradient=lambda f, q: f * q - f * (f * q).sum(dim=0, keepdim=True)
    )


@kernel
def correction_scaled_by_beta(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """p = f o (q - beta <f, q>): beta meant for the whole is applied to the correction too."""
    beta = call["beta"]
    return lora_attention(
        call, score_gradient=lambda f, q: f * (q - beta * (f * q).sum(dim=1, keepdim=True))
    )


# The loss.


@kernel
def loss_without_half(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The gradient of ||Z - y||^2 in place of half of it."""
    return lora_attention(call, residual=lambda z, y: 2 * (z - y))


@kernel
def target_added(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """c = Z + y."""
    return lora_attention(call, residual=lambda z, y: residual(z, -y))


# Weights and adapters.


@kernel
def frozen_weights_of_q_and_k_exchanged(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """W_Q and W_K are read from each other's places; the adapters are where they belong."""
    return lora_attention({**call, "w_q": call["w_k"], "w_k": call["w_q"]})


@kernel
def key_weight_transposed(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """W_K^T in place of W_K."""
    return lora_attention({**call, "w_k": call["w_k"].T})


@kernel
def key_adapter_ignored(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """K = X_K W_K: the update of the keys is left out of the forward pass."""
    update = call["scaling"] * (call["b_k"] @ call["a_k"])
    return lora_attention({**call, "w_k": call["w_k"] - update})


@kernel
def rank_axis_of_values_permuted(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The columns of B_V are read in reverse, the rows of A_V are not."""
    return lora_attention({**call, "b_v": call["b_v"].flip(1)})


@kernel
def only_last_adapter_trained(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """A loop over the adapters keeps the gradients of the last one; the others are zero."""
    outputs = lora_attention(call)
    return {n: v if n.endswith("_v") else torch.zeros_like(v) for n, v in outputs.items()}


@kernel
def grad_q_and_grad_k_swapped(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dQ's gradients are returned for dK's and the other way round."""
    outputs = lora_attention(call)
    swapped = {"_q": "_k", "_k": "_q", "_v": "_v"}
    return {name: outputs[name[:-2] + swapped[name[-2:]]] for name in outputs}


# Dropout, though the contract has none.


@kernel
def dropout_left_on(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """A quarter of the probabilities is dropped and the others are scaled by 4/3."""

    def dropped(scores: Tensor) -> Tensor:
        return torch.nn.functional.dropout(softmax(scores), 0.25)

    return lora_attention(call, softmax=dropped)
