"""Section 3, the gradients: Lemmas 3.1 and 3.2, equations (3.5), (3.6), (E.2), and the proofs."""

from __future__ import annotations

from loracle_proofs.records.gradient_lemmas import (
    adapter_gradients,
    adapter_gradients_proof,
    counts,
    weight_gradient,
    weight_gradient_proof,
)
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *weight_gradient.RECORDS,
    *counts.RECORDS,
    *adapter_gradients.RECORDS,
    *weight_gradient_proof.RECORDS,
    *adapter_gradients_proof.RECORDS,
)
