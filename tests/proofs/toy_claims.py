"""Claims small enough to know everything about, for the tests of the ledger's machinery."""

from __future__ import annotations

from typing import Any

from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_reference.arithmetic.protocol import Matrix, Scalar

MATRICES = Setting(
    "matrices",
    shapes={"A": ("m", "n"), "B": ("n", "k")},
    scalars=("t",),
    square={"k": "m"},
    limits={"k": 2},
)


def transposed_product(A: Matrix, B: Matrix) -> Relation:
    """(A B)^T = B^T A^T."""
    return equal((A @ B).T, B.T @ A.T)


def transposed_product_in_order(A: Matrix, B: Matrix) -> Relation:
    """(A B)^T = A^T B^T: ill-typed unless m = n = k, and false there."""
    return equal((A @ B).T, A.T @ B.T)


def symmetric_product(A: Matrix, B: Matrix) -> Relation:
    """A B = (A B)^T, typed at the printed sizes (k = m) and false from m = 2 on."""
    return equal(A @ B, (A @ B).T)


def submultiplicative(A: Matrix, B: Matrix) -> Relation:
    """||A B|| <= ||A|| ||B||, false in the max norm from n = 2 on."""
    return at_most(max_norm(A @ B), max_norm(A) * max_norm(B))


def submultiplicative_with_factor(A: Matrix, B: Matrix, n: int) -> Relation:
    """||A B|| <= n ||A|| ||B||."""
    return at_most(max_norm(A @ B), (max_norm(A) * max_norm(B)).scale(n))


def loose_bound(A: Matrix, B: Matrix, n: int) -> Relation:
    """True, but with twice the constant that is needed."""
    return at_most(max_norm(A @ B), (max_norm(A) * max_norm(B)).scale(2 * n))


def homogeneous(A: Matrix, t: Scalar) -> Relation:
    """(A t) / t = A."""
    return equal(A.scale(t).scale(1 / t), A)


def exponential_of_sum(A: Matrix) -> Relation:
    """exp(2 A) = exp(A) o exp(A): true, but not by algebra alone."""
    return equal(A.scale(2).exp(), A.exp() * A.exp())


def commuting(A: Matrix, B: Matrix) -> Relation:
    """A o B = B o A on rows, blind to the sign of what it multiplies by zero."""
    return equal((A @ B).scale(0), (A @ B).scale(0))


def three_is_three() -> Relation:
    """A claim about plain values."""
    return equal(1 + 2, 3, witness="no instance is needed")


def three_is_four() -> Relation:
    """A false claim about plain values."""
    return equal(1 + 2, 4, witness="the sum of one and two")


def non_negative(A: Matrix, constant: Any, m: int, n: int) -> Relation:
    """A hypothesis: every entry is at least zero."""
    return at_most(constant([[0] * n] * m), A)


def row_sums_bound_entries(A: Matrix) -> Relation:
    """||A|| <= ||A 1||, for non-negative entries only."""
    return at_most(max_norm(A), max_norm(A.row_sum()))
