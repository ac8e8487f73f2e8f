"""Section 3, the functions of the loss: Definitions 3.2 to 3.6 and equation (3.4)."""

from __future__ import annotations

from loracle_proofs.records.score_definitions import probabilities, residuals, score_gradient
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *probabilities.RECORDS,
    *residuals.RECORDS,
    *score_gradient.RECORDS,
)
