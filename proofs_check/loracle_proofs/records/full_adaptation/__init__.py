"""Appendix B, full adaptation: Definition B.1, equations (B.1) and (B.2), Remark B.1, Problem 3."""

from __future__ import annotations

from loracle_proofs.records.full_adaptation import (
    bracketings,
    gradient_problem,
    loss,
    simplified_loss,
)
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *loss.RECORDS,
    *bracketings.RECORDS,
    *simplified_loss.RECORDS,
    *gradient_problem.RECORDS,
)
