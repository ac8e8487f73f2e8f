"""The paragraph on notation: products, the exponential and the norms."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from loracle_proofs.records.introduction.norms import is_scalar, sum_of_squares
from loracle_proofs.records.vectorization import entry, indices
from loracle_proofs.relation import Relation, absolute, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import half_squared_norm

__all__ = ["RECORDS"]

VECTORS = Setting(
    "Notation for vectors",
    shapes={"u": ("d", "one"), "v": ("d", "one")},
    constraint=is_scalar,
)

PRODUCT = Setting("Notation for matrices", shapes={"A": ("m", "n"), "B": ("n", "k")})


def entrywise(u: Matrix, v: Matrix, d: int) -> list[Relation]:
    """(u o v)_i = u_i v_i, exp(u)_i = exp(u_i), and <u, v> = u^T v is the sum of u o v."""
    return [
        equal(u.T @ v, (u * v).T.row_sum()),
        *(equal(entry(u * v, i, 1), entry(u, i, 1) * entry(v, i, 1)) for i in indices(d)),
        *(equal(entry(u.exp(), i, 1), entry(u, i, 1).exp()) for i in indices(d)),
    ]


def squared_norm_squared(A: Matrix) -> Relation:
    """With ||A||_F the squared norm, its square is the sum of the squares."""
    return equal(sum_of_squares(A) * sum_of_squares(A), sum_of_squares(A))


def norm_squared(A: Matrix) -> Relation:
    """With ||A||_F the root of the sum of the squares, half its square is the specification's
    loss."""
    return equal(half_squared_norm(A), sum_of_squares(A).scale(Fraction(1, 2)))


def max_norm_of_product(A: Matrix, B: Matrix, m: int, n: int) -> list[Relation]:
    """||A|| is at least every |A_ij|, and ||A B|| <= n ||A|| ||B||."""
    return [
        *(at_most(absolute(entry(A, i, j)), max_norm(A)) for i in indices(m) for j in indices(n)),
        at_most(max_norm(A @ B), (max_norm(A) * max_norm(B)).scale(n)),
    ]


_NORM = Claim(r"\tfrac12 \|A\|_F^2 = \tfrac12 \sum_{i,j} A_{ij}^2", norm_squared)

NOTATION = Record(
    "Notation",
    title="Notation",
    kind=Kind.NOTATION,
    printed=r"\langle a, b \rangle := a^{\mathsf T} b,\quad u \odot v := (u_1 v_1, \ldots,"
    r" u_d v_d)^{\mathsf T},\quad \|A\|_\infty := \max_{i,j} |A_{ij}|,\quad"
    r" \|A\|_F := \Bigl(\sum_{i,j} A_{ij}^2\Bigr)^{1/2} \text{, the squared Frobenius norm}",
    corrected=r"\|A\|_F := \Bigl(\sum_{i,j} A_{ij}^2\Bigr)^{1/2} \text{, the Frobenius norm}",
    parts=(
        Part(
            "inner product, Hadamard product, exponential",
            setting=VECTORS,
            printed=(
                Claim(
                    r"\langle u, v \rangle = u^{\mathsf T} v,\ (u \odot v)_i = u_i v_i,\;"
                    r" \exp(u)_i = \exp(u_i)",
                    entrywise,
                ),
            ),
        ),
        Part(
            "the Frobenius norm",
            setting=PRODUCT,
            printed=(
                Claim(
                    r"\|A\|_F \text{ is squared, and } \|A\|_F^2 = \sum_{i,j} A_{ij}^2",
                    squared_norm_squared,
                ),
                replace(_NORM, reading="the formula counts, not the word squared"),
            ),
            corrected=_NORM,
            severity=Severity.TYPO,
            problem="The squared Frobenius norm is defined as a root, the norm itself; squared"
            " once more, as in (1.2), what the words say would be quartic.",
        ),
        Part(
            "the max norm",
            setting=PRODUCT,
            printed=(
                Claim(
                    r"\|A\|_\infty = \max_{i,j} |A_{ij}| \text{, whence } \|A B\|_\infty"
                    r" \le n\, \|A\|_\infty \|B\|_\infty \text{ for inner dimension } n",
                    max_norm_of_product,
                    extremal=(({"n": 2}, {"A": [[1, 1]], "B": [[1], [1]]}),),
                ),
            ),
        ),
    ),
    remark="The max norm is often written with this sign for the largest row sum. It is not"
    " submultiplicative: at the instance where the factor n is attained, the norm of the product is"
    " 2 and the product of the norms is 1.",
)

RECORDS = (NOTATION,)
