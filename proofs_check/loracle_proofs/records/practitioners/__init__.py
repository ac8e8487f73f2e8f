"""Appendix C, insights for practitioners: Remarks C.1 to C.3."""

from __future__ import annotations

from loracle_proofs.records.practitioners import (
    necessary_norms,
    self_and_cross_attention,
    value_adapters,
)

__all__ = ["RECORDS"]

RECORDS = (
    *value_adapters.RECORDS,
    *necessary_norms.RECORDS,
    *self_and_cross_attention.RECORDS,
)
