"""Kernels for attention with adapters on Q, K and V, with one defect each."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from loracle.corpus.calls import LoraAttentionCall, Outputs, kernel, only
from loracle.corpus.closed_form import adapted, lora_attention, residual

__all__ = [
    "adapter_of_q_used_for_k",
    "beta_ignored",
    "beta_is_one_over_root_d",
    "beta_missing_in_grad_k",
    "beta_twice_in_grad_q",
    "causal_mask_left_on",
    "correction_from_residual_alone",
    "frozen_value_weight_ignored",
    "grad_k_and_grad_v_swapped",
    "grad_k_wrong_sign",
    "grad_v_detached",
    "mean_squared_error",
    "merged_in_place",
    "scaling_missing_in_grad_b_q",
    "scaling_squared_in_grad_a_k",
    "score_gradient_not_transposed",
    "softmax_correction_missing",
    "softmax_without_maximum",
    "target_ignored",
    "values_taken_from_keys",
]


def _times(outputs: Outputs, factor: float, *names: str) -> Outputs:
    """The outputs with the named ones multiplied by a factor."""
    return outputs | {name: factor * outputs[name] for name in names}


# The scale and beta.


@kernel
def scaling_missing_in_grad_b_q(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dB_Q = dL/dW_Q A_Q^T."""
    return _times(lora_attention(call), 1 / call["scaling"], "grad_b_q")


@kernel
def scaling_squared_in_grad_a_k(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dA_K = s^2 B_K^T dL/dW_K."""
    return _times(lora_attention(call), call["scaling"], "grad_a_k")


@kernel
def beta_missing_in_grad_k(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dL/dW_K = X_K^T p^T Q: the factor beta of the scores is left out of dK."""
    return _times(lora_attention(call), 1 / call["beta"], "grad_a_k", "grad_b_k")


@kernel
def beta_twice_in_grad_q(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dL/dW_Q = beta^2 X_Q^T p K: K was scaled in memory and dQ is scaled again."""
    return _times(lora_attention(call), call["beta"], "grad_a_q", "grad_b_q")


@kernel
def beta_ignored(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """beta = 1, the default of some flash kernels."""
    return lora_attention({**call, "beta": 1.0})


@kernel
def beta_is_one_over_root_d(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """beta = 1 / sqrt(d), whatever the caller says."""
    return lora_attention({**call, "beta": 1 / math.sqrt(call["x_q"].shape[1])})


# The softmax and its derivative.


@kernel
def softmax_correction_missing(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """p = f o q, without <f_j, q_j> f_j."""
    return lora_attention(call, score_gradient=lambda f, q: f * q)


@kernel
def correction_from_residual_alone(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """D = rowsum(dO o dO) in place of rowsum(dO o O); the two agree where y = 0."""
    upstream: list[Tensor] = []

    def remember(z: Tensor, y: Tensor) -> Tensor:
        upstream.append(residual(z, y))
        return upstream[0]

    def score_gradient(f: Tensor, q: Tensor) -> Tensor:
        return f * (q - (upstream[0] * upstream[0]).sum(dim=1, keepdim=True))

    return lora_attention(call, residual=remember, score_gradient=score_gradient)


@kernel
def softmax_without_maximum(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """exp of the bare scores: overflows, or sums to zero, where they are large."""

    def bare(scores: Tensor) -> Tensor:
        exponentials = torch.exp(scores)
        return exponentials / exponentials.sum(dim=1, keepdim=True)

    return lora_attention(call, softmax=bare)


@kernel
def causal_mask_left_on(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Query i attends to the keys j <= i alone, though no mask was asked for."""

    def causal(scores: Tensor) -> Tensor:
        later = torch.ones_like(scores, dtype=torch.bool).triu(1)
        return torch.softmax(scores.masked_fill(later, -torch.inf), dim=1)

    return lora_attention(call, softmax=causal)


@kernel
def score_gradient_not_transposed(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dL/dW_K = beta X_K^T p Q wherever that has a shape at all, which is where L = M."""

    def transposed(p: Tensor) -> Tensor:
        return p if p.shape[0] == p.shape[1] else p.T

    return lora_attention(call, transposed=transposed)


# The loss.


@kernel
def target_ignored(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """y = 0."""
    return lora_attention({**call, "y": torch.zeros_like(call["y"])})


@kernel
def mean_squared_error(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """The loss is averaged over the length in place of summed."""
    return lora_attention(call, residual=lambda z, y: (z - y) / len(y))


@kernel
def grad_k_wrong_sign(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dL/dW_K = -beta X_K^T p^T Q."""
    return _times(lora_attention(call), -1, "grad_a_k", "grad_b_k")


@kernel
def grad_v_detached(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dA_V = dB_V = 0: V went through a detached copy."""
    return _times(lora_attention(call), 0, "grad_a_v", "grad_b_v")


# Q, K and V exchanged; the frozen weights.


@kernel
def adapter_of_q_used_for_k(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """K is adapted with A_Q and B_Q."""
    return lora_attention({**call, "a_k": call["a_q"], "b_k": call["b_q"]})


@kernel
def grad_k_and_grad_v_swapped(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dK is returned for dV and dV for dK."""
    outputs = lora_attention(call)
    swapped = {
        "grad_a_k": outputs["grad_a_v"],
        "grad_b_k": outputs["grad_b_v"],
        "grad_a_v": outputs["grad_a_k"],
        "grad_b_v": outputs["grad_b_k"],
    }
    return outputs | swapped


@kernel
def values_taken_from_keys(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """X_V = X_K, as in self-attention, though the caller gives two."""
    return lora_attention({**call, "x_v": call["x_k"]})


@kernel
def frozen_value_weight_ignored(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """dB_Q, dA_Q, dB_K, dA_K from values without the frozen weight, V = s X_V B_V A_V."""
    without = lora_attention({**call, "w_v": torch.zeros_like(call["w_v"])})
    return lora_attention(call) | only(without, "grad_a_q", "grad_b_q", "grad_a_k", "grad_b_k")


# The caller's tensors.


@kernel
def merged_in_place(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """s B_Q A_Q is added into the caller's W_Q, as for inference, and left there."""
    outputs = lora_attention(call)
    call["w_q"].copy_(adapted(call["w_q"], call["b_q"], call["a_q"], call["scaling"]))
    return outputs
