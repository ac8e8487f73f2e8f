"""Lemmas 3.3 to 3.7: low-rank approximations of f, c, q, p1 and p2.

Lemma 3.3 is refuted without any hypothesis of complexity theory, on codes. What holds is shown by
construction, with certified errors, and every step's constant is attained. Lemmas F.5 to F.9 make
the same claims for Q and K (`low_rank_lemmas_full`).
"""

from __future__ import annotations

from loracle_proofs.records.low_rank_lemmas import p1, p2, probabilities, q, residual

__all__ = ["RECORDS"]

RECORDS = (
    *probabilities.RECORDS,
    *residual.RECORDS,
    *q.RECORDS,
    *p1.RECORDS,
    *p2.RECORDS,
)
