"""Appendix A, the phase transition: Hypotheses 1 and 2, Theorem A.1, its sketch, Remarks A.1, A.2.

No program checks a hardness result; what is checked is what it is made of: the classes of
instances it speaks of, the direction of the reduction, the place of the threshold.
"""

from __future__ import annotations

from loracle_proofs.records.hardness import (
    hypotheses,
    other_problems,
    reduction_direction,
    threshold,
    transition,
)

__all__ = ["RECORDS"]

RECORDS = (
    *hypotheses.RECORDS,
    *threshold.RECORDS,
    *reduction_direction.RECORDS,
    *transition.RECORDS,
    *other_problems.RECORDS,
)
