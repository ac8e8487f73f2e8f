"""What the poly(L) of Lemmas 3.4 to 3.7 is read as."""

from __future__ import annotations

__all__ = ["ABSORBED"]

ABSORBED = (
    "poly(L) may be another polynomial in the conclusion, and norms are at most poly(L) because"
    " entries are written in O(log L) bits"
)
"""What the conclusions of Lemmas 3.4 to 3.7 need their poly(L) to mean."""
