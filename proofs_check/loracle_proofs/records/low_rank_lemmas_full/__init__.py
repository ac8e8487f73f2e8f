"""Lemmas F.5 to F.9: Lemmas 3.3 to 3.7 for Q and for K at once.

Every claim is the claim of `low_rank_lemmas` made twice: of f_Q, from C_Q^(1) W_Q and C_Q^(2), and
of f_K, from C_K^(1) W_K^T and C_K^(2).
"""

from __future__ import annotations

from loracle_proofs.records.low_rank_lemmas_full import p1, p2, probabilities, q, residual

__all__ = ["RECORDS"]

RECORDS = (
    *probabilities.RECORDS,
    *residual.RECORDS,
    *q.RECORDS,
    *p1.RECORDS,
    *p2.RECORDS,
)
