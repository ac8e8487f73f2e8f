"""The gradients in almost linear time below the threshold (Theorems 3.1 and B.1), certified."""

from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.function import AttentionRecord, attention
from loracle.kernels.almost_linear.gradients import (
    aloragc,
    aloragc_gradients,
    lora_attention,
    lora_attention_gradients,
)
from loracle.kernels.almost_linear.intermediates import LowRankIntermediates, intermediates
from loracle.kernels.almost_linear.results import Certificate, Gradients, PlanSummary

__all__ = [
    "AttentionRecord",
    "Certificate",
    "Gradients",
    "LowRankIntermediates",
    "OutOfReach",
    "PlanSummary",
    "aloragc",
    "aloragc_gradients",
    "attention",
    "intermediates",
    "lora_attention",
    "lora_attention_gradients",
]
