"""The executable specification of LoRA attention gradients, generic over an arithmetic."""

from __future__ import annotations

from loracle_reference.attention import (
    adapted_weight,
    aloragc_loss,
    attention_probabilities,
    half_squared_norm,
    lora_attention_loss,
    residual,
)
from loracle_reference.enclosure import Enclosure
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient, score_gradient
from loracle_reference.lora_linear import (
    lora_linear_gradient,
    lora_linear_output,
    lora_linear_pairing,
)

__all__ = [
    "Enclosure",
    "adapted_weight",
    "aloragc_gradient",
    "aloragc_loss",
    "attention_probabilities",
    "half_squared_norm",
    "lora_attention_gradient",
    "lora_attention_loss",
    "lora_linear_gradient",
    "lora_linear_output",
    "lora_linear_pairing",
    "residual",
    "score_gradient",
]
