"""Section 3 up to Problem 2: the loss of partial adaptation, its simplifications and (3.3)."""

from __future__ import annotations

from loracle_proofs.records.partial_adaptation_setup import (
    constants,
    fixed_values,
    gradient_problem,
    loss,
    one_sample,
    simplified_loss,
)

__all__ = ["RECORDS"]

RECORDS = (
    *loss.RECORDS,
    *fixed_values.RECORDS,
    *constants.RECORDS,
    *one_sample.RECORDS,
    *simplified_loss.RECORDS,
    *gradient_problem.RECORDS,
)
