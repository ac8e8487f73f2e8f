"""Appendix H, the quadratic time of the exact gradient: Remark, Definition, Theorem H.1, its proof.

Times are numbers of operations, counted by evaluating the specification in sizes alone, with
schoolbook products and M = L. An O is stated with its constant.
"""

from __future__ import annotations

from loracle_proofs.records.quadratic_time import backward_pass, decomposition, exact_gradient

__all__ = ["RECORDS"]

RECORDS = (
    *decomposition.RECORDS,
    *exact_gradient.RECORDS,
    *backward_pass.RECORDS,
)
