"""Operations counted in sizes alone, and bounds of them that hold for all sizes."""

from __future__ import annotations

from typing import Any

import sympy

from loracle_proofs.relation import Relation, equal
from loracle_reference.arithmetic.counting import Counting, CountingMatrix
from loracle_reference.cost import LENGTH, RANK, WIDTH, bounding_constant

__all__ = ["L", "d", "r", "sizes_only", "within"]

L, d, r = LENGTH, WIDTH, RANK

OPERANDS = {
    "c1": (L, d),
    "c2": (L, d),
    "c3": (L, d),
    "w": (d, d),
    "a": (r, d),
    "b": (d, r),
    "y": (L, d),
}


def sizes_only() -> tuple[Counting, dict[str, CountingMatrix]]:
    """A tally, and the operands of Problem 2 as matrices of which only the sizes are known."""
    counting = Counting()
    operands = {name: counting.symbol_matrix(*shape) for name, shape in OPERANDS.items()}
    return counting, operands


def within(count: Any, constant: int, bound: Any) -> list[Relation]:
    """count <= constant * bound for all sizes of at least one, proved; and no smaller constant by
    this proof.

    The difference is written in the sizes minus one, and what that leaves of it when negative
    coefficients are left out must be the whole of it.
    """
    slack = sympy.expand(constant * bound - count)
    shift = {size: 1 + size for size in (L, d, r)}
    terms = sympy.Poly(slack.subs(shift, simultaneous=True), L, d, r).terms()
    nowhere_negative = sum(
        coefficient * (L - 1) ** i * (d - 1) ** j * (r - 1) ** k
        for (i, j, k), coefficient in terms
        if coefficient > 0
    )
    return [
        equal(slack, sympy.expand(nowhere_negative)),
        equal(bounding_constant(count, bound), constant),
    ]
