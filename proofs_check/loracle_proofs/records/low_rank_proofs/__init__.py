"""Appendix E, the chain of low-rank approximations: the proofs of Lemmas 3.4 to 3.7 and of
Theorem 3.1, line by line, and equation (E.1).

U1, V1 and U2, V2 are arbitrary matrices: e_f = ||U1 V1^T - f|| and e_q = ||U2 V2^T - q|| are
whatever they are, so that every bound is a bound for all approximations. p1 and p2 are held to the
gradient of the loss, not to one of the paper's formulas.
"""

from __future__ import annotations

from loracle_proofs.records.low_rank_proofs import (
    adapter_gradients,
    inner_products,
    p1,
    p2,
    q,
    residual,
)

__all__ = ["RECORDS"]

RECORDS = (
    *residual.RECORDS,
    *q.RECORDS,
    *p1.RECORDS,
    *inner_products.RECORDS,
    *p2.RECORDS,
    *adapter_gradients.RECORDS,
)
