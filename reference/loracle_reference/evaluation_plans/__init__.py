"""Evaluation plans: the same gradients as straight-line programs that real kernels follow.

A plan fixes the association of every product, which sums are formed, and which results are rounded
to the storage dtype, by `store`; all others stay in the accumulators' format. In every arithmetic
but `arithmetic.planned`, `store` is the identity, and every plan gives the gradients that
`gradient`, `lora_linear` and `lora_mha` state. A kernel that stores less than its plan follows it
all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from loracle_reference.evaluation_plans.attention import ALORAGC, LORA_ATTENTION
from loracle_reference.evaluation_plans.linear import LORA_LINEAR
from loracle_reference.evaluation_plans.multi_head import LORA_MHA
from loracle_reference.evaluation_plans.plan import EvaluationPlan

__all__ = ["PLANS", "EvaluationPlan"]

PLANS: Mapping[str, Mapping[str, EvaluationPlan]] = {
    "lora-linear": LORA_LINEAR,
    "aloragc": ALORAGC,
    "lora-attention": LORA_ATTENTION,
    "lora-mha": LORA_MHA,
}
"""The plans of each contract, by name."""
