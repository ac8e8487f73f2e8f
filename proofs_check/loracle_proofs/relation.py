"""What a claim asserts of one instance: an equation or an inequality, and how it is decided.

Both sides are matrices of one arithmetic, compared entry by entry, or plain exact values. Whether
a relation holds is decided by the arithmetic: polynomials prove it for all entries, rationals
exactly for theirs, balls rigorously for theirs or not at all.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.polynomial import PolynomialMatrix
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.arithmetic.rational import RationalMatrix

__all__ = [
    "NotOrdered",
    "Outcome",
    "Relation",
    "absolute",
    "at_most",
    "decide",
    "equal",
    "less",
    "max_norm",
    "negated",
    "tight",
    "worst",
]


class Outcome(enum.Enum):
    """What deciding a relation gave."""

    HOLDS = "holds"
    FAILS = "fails"
    ILL_TYPED = "ill-typed"
    UNDECIDED = "undecided"


class NotOrdered(TypeError):
    """The arithmetic has no order: an inequality or a norm of symbols says nothing."""


@dataclass(frozen=True)
class Relation:
    """left = right, left <= right or left < right; `witness` says in words what an instance is
    where the sides are plain values."""

    left: Any
    sign: str
    right: Any
    witness: str = ""


def equal(left: Any, right: Any, witness: str = "") -> Relation:
    """left = right."""
    return Relation(left, "=", right, witness)


def at_most(left: Any, right: Any, witness: str = "") -> Relation:
    """left <= right, entry by entry."""
    return Relation(left, "<=", right, witness)


def less(left: Any, right: Any, witness: str = "") -> Relation:
    """left < right, entry by entry."""
    return Relation(left, "<", right, witness)


def tight(bound: Relation) -> Relation:
    """The equation that says that an inequality is attained."""
    return Relation(bound.left, "=", bound.right, bound.witness)


def negated(side: Any) -> Any:
    """The side of a relation with its sign changed."""
    return side.scale(-1) if isinstance(side, Matrix) else -side


def absolute(matrix: Matrix) -> Matrix:
    """The entrywise absolute value. Raises NotOrdered for symbols."""
    if isinstance(matrix, RationalMatrix):
        return RationalMatrix(np.abs(matrix.values))
    if isinstance(matrix, BallMatrix):
        return BallMatrix(matrix.shape, [abs(entry) for entry in matrix.entries], matrix.precision)
    raise NotOrdered(f"{type(matrix).__name__} has no absolute value")


def max_norm(matrix: Matrix) -> Matrix:
    """max_ij |A_ij| as a matrix of shape (1, 1), the norm that the paper writes as ||A||_infinity.

    Raises NotOrdered for symbols.
    """
    if isinstance(matrix, RationalMatrix):
        largest = np.empty((1, 1), dtype=object)
        largest[0, 0] = max(abs(value) for value in matrix.values.flat)
        return RationalMatrix(largest)
    if isinstance(matrix, BallMatrix):
        with flint.ctx.workprec(matrix.precision):
            ball = flint.arb(0)
            for entry in matrix.entries:
                ball = ball.max(abs(entry))
        return BallMatrix((1, 1), [ball], matrix.precision)
    raise NotOrdered(f"{type(matrix).__name__} has no norm")


def decide(relation: Relation) -> Outcome:
    """HOLDS, FAILS, ILL_TYPED (two shapes that differ) or UNDECIDED.

    Symbols: a normal form that is not zero decides nothing (an identity may hold for another
    reason). Balls: an equation holds as far as they see if every difference contains zero and is
    small, and fails if one of them excludes it. Raises NotOrdered for an inequality of symbols.
    """
    left, right = relation.left, relation.right
    if isinstance(left, Matrix) != isinstance(right, Matrix):
        return Outcome.ILL_TYPED
    if not isinstance(left, Matrix):
        return _truth(_compare(left, relation.sign, right))
    if left.shape != right.shape:
        return Outcome.ILL_TYPED
    if isinstance(left, PolynomialMatrix):
        if relation.sign != "=":
            raise NotOrdered("symbols have no order")
        return Outcome.HOLDS if left.ring.is_zero(left - right) else Outcome.UNDECIDED
    if isinstance(left, RationalMatrix):
        pairs = zip(left.values.flat, right.values.flat, strict=True)
        return _truth(all(_compare(first, relation.sign, second) for first, second in pairs))
    if isinstance(left, BallMatrix):
        return _decide_balls(left, relation.sign, right)
    raise TypeError(f"nothing decides relations of {type(left).__name__}")


def _truth(condition: bool) -> Outcome:
    return Outcome.HOLDS if condition else Outcome.FAILS


def _compare(left: Any, sign: str, right: Any) -> bool:
    if sign == "=":
        return bool(left == right)
    return bool(left <= right) if sign == "<=" else bool(left < right)


_SMALL = 2.0**-40
"""A difference that a ball of 128 bits encloses in more than this, relative to the larger of one
and the sides, is not looked at sharply enough to be called zero."""


def _decide_balls(left: BallMatrix, sign: str, right: BallMatrix) -> Outcome:
    outcomes = {
        _decide_ball(first, sign, second)
        for first, second in zip(left.entries, right.entries, strict=True)
    }
    for outcome in (Outcome.FAILS, Outcome.UNDECIDED):
        if outcome in outcomes:
            return outcome
    return Outcome.HOLDS


def _decide_ball(left: Any, sign: str, right: Any) -> Outcome:
    if not (left.is_finite() and right.is_finite()):
        return Outcome.UNDECIDED
    if sign == "=":
        difference = left - right
        if not difference.contains(0):
            return Outcome.FAILS
        scale = max(1.0, float(abs(left).upper()), float(abs(right).upper()))
        return _truth(True) if float(difference.rad()) <= _SMALL * scale else Outcome.UNDECIDED
    if (left <= right) if sign == "<=" else (left < right):
        return Outcome.HOLDS
    if (left > right) if sign == "<=" else (left >= right):
        return Outcome.FAILS
    return Outcome.UNDECIDED


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """ILL_TYPED before FAILS before UNDECIDED before HOLDS; UNDECIDED if there are none."""
    found = set(outcomes)
    for outcome in (Outcome.ILL_TYPED, Outcome.FAILS, Outcome.UNDECIDED, Outcome.HOLDS):
        if outcome in found:
            return outcome
    return Outcome.UNDECIDED
