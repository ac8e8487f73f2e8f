"""Appendix F, the gradients of full adaptation: Definitions F.1 to F.8, equations (F.1) and (F.2),
Lemmas F.1 and F.4."""

from __future__ import annotations

from loracle_proofs.records.full_adaptation_gradients import (
    adapter_gradients,
    probabilities,
    residuals,
    score_gradient,
    term_by_term,
    weight_gradients,
)
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *probabilities.RECORDS,
    *residuals.RECORDS,
    *term_by_term.RECORDS,
    *weight_gradients.RECORDS,
    *score_gradient.RECORDS,
    *adapter_gradients.RECORDS,
)
