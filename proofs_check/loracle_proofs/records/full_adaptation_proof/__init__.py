"""Appendix F, the proofs of Lemmas F.1 and F.4 and of Theorem B.1."""

from __future__ import annotations

from loracle_proofs.records.full_adaptation_proof import (
    adapter_gradients,
    time_and_error,
    weight_gradients,
)
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *weight_gradients.RECORDS,
    *adapter_gradients.RECORDS,
    *time_and_error.RECORDS,
)
