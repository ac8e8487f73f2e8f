"""Appendix G, the reduction: Definition G.1, Lemma G.1 and the proof of Theorem A.1.

The definition's A1, A2, A3, X and E keep their names; gradients in X and in A_Q come from the two
losses by dual numbers.
"""

from __future__ import annotations

from loracle_proofs.records.reduction import answers, attention_loss

__all__ = ["RECORDS"]

RECORDS = (
    *attention_loss.RECORDS,
    *answers.RECORDS,
)
