"""Theorems 3.1, B.1 and F.1, the almost linear algorithms, and simplification (S4)."""

from __future__ import annotations

from loracle_proofs.records.almost_linear import full_adaptation, partial_adaptation, temperature

__all__ = ["RECORDS"]

RECORDS = (
    *temperature.RECORDS,
    *partial_adaptation.RECORDS,
    *full_adaptation.RECORDS,
)
