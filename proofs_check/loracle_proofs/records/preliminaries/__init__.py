"""Section 2, problem setup: equation (2.1), the two scenarios, Definition 2.5 and Remark 2.1."""

from __future__ import annotations

from loracle_proofs.records.preliminaries import generic_attention, scenarios, vectorized_loss

__all__ = ["RECORDS"]

RECORDS = (
    *vectorized_loss.RECORDS,
    *scenarios.RECORDS,
    *generic_attention.RECORDS,
)
