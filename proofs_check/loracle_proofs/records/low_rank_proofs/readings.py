"""What the proofs' poly(L) and q are read as."""

from __future__ import annotations

__all__ = ["ABSORBED", "ROWS", "UNNAMED"]

ABSORBED = (
    "poly(L) may be another polynomial after the step, and norms are at most poly(L) because their"
    " entries are written in O(log L) bits"
)
UNNAMED = "The factor is a polynomial in L, so poly(L) can absorb it, but no line says so"
ROWS = "row j of q belongs to query j: q = c C3^T as in the proof of Theorem H.1, not Lemma 3.2"
