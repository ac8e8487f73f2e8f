"""The proof of Theorem B.1: the time that T takes."""

from __future__ import annotations

from typing import Any

import sympy

from loracle_proofs.relation import Relation, at_most, equal
from loracle_proofs.statement import Claim, Part, Severity
from loracle_reference.cost import RANK, WIDTH, transposition_operations
from loracle_reference.vectorization import transposition

__all__ = ["PARTS", "SHAPES", "T_ROWS"]

SHAPES = [(rows, columns) for rows in range(1, 5) for columns in range(1, 5)]
"""Shapes of W at which T is looked at entry by entry."""


def one_entry_in_each_row() -> list[Relation]:
    """Every row of T(m, n) has one entry that is not zero."""
    return [
        equal(sum(1 for entry in row if entry != 0), 1, witness=f"T({m}, {n})")
        for m, n in SHAPES
        for row in transposition(m, n)
    ]


def rows_grow_as_printed() -> list[Relation]:
    """The rows of T(d^2, d^2) are O(d^2): for twice the d at most four times as many."""
    return [
        at_most(
            len(transposition(4 * d * d, 4 * d * d)),
            4 * len(transposition(d * d, d * d)),
            witness=f"the rows of T({4 * d * d}, {4 * d * d}), d = {2 * d}, and four times those"
            f" of T({d * d}, {d * d}), d = {d}",
        )
        for d in (1, 2)
    ]


def rows_grow() -> list[Relation]:
    """The rows of T(d, d) are O(d^2): for twice the d at most four times as many."""
    return [
        at_most(len(transposition(2 * d, 2 * d)), 4 * len(transposition(d, d)))
        for d in (1, 2, 3, 4)
    ]


def products_with_t() -> Relation:
    """T(d, r) v takes d r products, one for the entry of each row."""
    return equal(transposition_operations(WIDTH, RANK).total, WIDTH * RANK)


LOG_LENGTH, CONSTANT = sympy.symbols("log_L C", positive=True)


def width_below_log() -> Relation:
    """d = C log L, which d = O(log L) allows, is o(log L)."""
    return equal(
        sympy.limit(CONSTANT * LOG_LENGTH / LOG_LENGTH, LOG_LENGTH, sympy.oo),
        0,
        witness="the limit of d / log L for d = C log L, and 0",
    )


def _log_of_time(log_length: Any) -> Any:
    """log of the products of T(d, d) v, at most those of T(d, r) v for r <= d, d = C log L."""
    count = transposition_operations(WIDTH, WIDTH).total
    return sympy.log(count.subs(WIDTH, CONSTANT * log_length))


def time_below_any_power() -> Relation:
    """d^2 = L^o(1) for d = C log L: log(d^2) / log L tends to 0."""
    exponent = sympy.limit(_log_of_time(LOG_LENGTH) / LOG_LENGTH, LOG_LENGTH, sympy.oo)
    return equal(exponent, 0)


_ZERO = {
    "time_below_any_power: equal(exponent, 0) -> equal(exponent, negated(0))": "minus zero is zero"
}

T_ROWS = r"T(d^2, d^2) \text{ takes } O(d^2)"

PARTS = (
    Part(
        "one entry in each row",
        printed=(
            Claim(
                r"|\{j : T(m, n)[i, j] \ne 0\}| = 1",
                one_entry_in_each_row,
            ),
        ),
    ),
    Part(
        "time of T v",
        printed=(
            Claim(T_ROWS, rows_grow_as_printed),
            Claim(
                r"T(d, d) \text{ takes } O(d^2)",
                rows_grow,
                reading="T(d^2, d^2) is the matrix of size d^2 x d^2 that transposes d x d"
                " matrices",
            ),
        ),
        corrected=Claim(
            r"T(d, r) v \text{ takes } d r \text{ products}",
            products_with_t,
            code=(transposition_operations,),
        ),
        severity=Severity.NOTATION,
        problem="T(d^2, d^2) has d^4 rows, so that one operation a row is d^4. The matrices"
        " that are needed, T(d, r) and T(r, d), have d r rows, at most d^2.",
    ),
    Part(
        "d = o(log L)",
        printed=(Claim(r"d = O(\log L) \Rightarrow d = o(\log L)", width_below_log),),
        corrected=Claim(
            r"d = O(\log L) \Rightarrow d^2 = L^{o(1)}",
            time_below_any_power,
            equivalent=_ZERO,
        ),
        severity=Severity.TYPO,
        problem="The theorem assumes d = O(log L), the proof says d = o(log L). The conclusion"
        " needs only the former.",
    ),
)
