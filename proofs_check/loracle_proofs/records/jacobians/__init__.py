"""Appendices E and F, the Jacobians of the adapters: Lemmas E.1, F.2 and F.3 with their proofs."""

from __future__ import annotations

from loracle_proofs.records.jacobians import (
    adapters,
    adapters_proof,
    key_adapters,
    key_adapters_proof,
    transposition,
)
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *adapters.RECORDS,
    *adapters_proof.RECORDS,
    *transposition.RECORDS,
    *key_adapters.RECORDS,
    *key_adapters_proof.RECORDS,
)
