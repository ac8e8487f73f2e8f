"""Section 1: the attention mechanism, LoRA, the loss, Problem 1 and the informal theorems."""

from __future__ import annotations

from loracle_proofs.records.introduction import (
    attention,
    forward_hardness,
    gradient_problem,
    informal_theorems,
    lora,
    loss,
    notation,
)
from loracle_proofs.statement import Record

__all__ = ["RECORDS"]

RECORDS: tuple[Record, ...] = (
    *attention.RECORDS,
    *lora.RECORDS,
    *forward_hardness.RECORDS,
    *loss.RECORDS,
    *gradient_problem.RECORDS,
    *informal_theorems.RECORDS,
    *notation.RECORDS,
)
