"""Lemmas 3.3 to 3.7 and F.5 to F.9: low-rank approximations of f, c, q, p1 and p2.

Lemma 3.3 is refuted without any hypothesis of complexity theory, on codes. What holds is shown by
construction, with certified errors, and every step's constant is attained.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from math import isqrt
from typing import Any

import sympy

from loracle_proofs.code_instances import WIDTH_PER_BIT, code_instances
from loracle_proofs.low_rank_settings import (
    BALLS,
    CERTIFIED,
    PRINTED_Q,
    apart,
    distance,
)
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.approximate_rank import FullRankInstance
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import attention_probabilities
from loracle_reference.error_bounds import relative_error_of_probabilities
from loracle_reference.gradient import p1, p2
from loracle_reference.low_rank import (
    approximate_probabilities,
    approximate_q,
    approximate_residual,
)
from loracle_reference.monomials import monomial_count
from loracle_reference.norm_conditions import Regime, phase_rows
from loracle_reference.vectorization import row_wise_kronecker

__all__ = [
    "ABSORBED",
    "EVERY_LENGTH",
    "FULL_RANK",
    "RANK_PARTS",
    "RECORDS",
    "SAME_SIGNS",
    "attention_from_q",
    "certified_probabilities",
    "certified_q",
    "certified_residual",
    "cost_of_p1",
    "cost_of_p2",
    "p1_as_concluded",
    "p1_in_factors",
    "p2_as_concluded",
    "p2_by_columns",
    "p2_by_rows",
    "p2_in_factors",
    "q_exists",
    "rank_as_printed",
    "residual_exists",
    "residual_in_rank_d",
]

ACCURACY = Fraction(1, 8)
"""delta, the relative error allowed to the polynomial in the place of exp."""

LENGTH, WIDTH, FEATURES, K1, K2 = sympy.symbols("L d k k1 k2", positive=True, integer=True)


# Lemmas 3.3 and F.5


def rank_as_printed() -> list[Relation]:
    """On the codes k1 <= L^(1/2), which k1 = L^o(1) implies for all large L."""
    return [
        at_most(
            one.rank_lower_bound**2,
            one.length,
            witness=f"L = {one.length}, d = {one.width}, C1 = C2 = the signs of a code of minimum"
            f" distance {one.minimum_distance}, W = I, Gamma = 1: within {one.tolerated_error} of f"
            f" every matrix has rank at least {one.rank_lower_bound}",
        )
        for one in code_instances()
    ]


def _bits(one: FullRankInstance) -> int:
    """log2 L."""
    return one.length.bit_length() - 1


def _norm_rate(one: FullRankInstance) -> Fraction:
    """Gamma^2 / log2 L."""
    return one.gamma**2 / _bits(one)


def hypotheses_on_codes() -> list[Relation]:
    """Gamma = 1 bounds the entries of C1 W and C2, Gamma^2 / log2 L falls, d <= 4 log2 L, beta = 1,
    |f - I| <= 1 / (4 L), and within 1 / (2 L) of f the rank is L."""
    instances = code_instances()
    largest = [max(abs(x) for row in one.code.signs() for x in row) for one in instances]
    return [
        *(equal(entry, one.gamma) for entry, one in zip(largest, instances, strict=True)),
        *(less(_norm_rate(later), _norm_rate(earlier)) for earlier, later in pairwise(instances)),
        *(at_most(one.width, WIDTH_PER_BIT * _bits(one)) for one in instances),
        *(equal(one.beta, 1) for one in instances),
        *(at_most(one.identity_distance, Fraction(1, 4 * one.length)) for one in instances),
        *(equal(one.tolerated_error, Fraction(1, 2 * one.length)) for one in instances),
        *(equal(one.rank_lower_bound, one.length) for one in instances),
    ]


def identity_on_codes() -> list[Relation]:
    """f of Definition 3.4 is as near to the identity as the exact distances of the words say, for
    L <= 32."""
    relations = []
    for one in code_instances()[:_EVALUATED]:
        signs = BALLS.matrix(one.code.signs())
        f = attention_probabilities(signs, signs, one.beta)
        unit = [[int(i == j) for j in range(one.length)] for i in range(one.length)]
        near = BALLS.matrix([[one.identity_distance]])
        relations.append(at_most(distance(f, BALLS.matrix(unit)), near))
    return relations


_EVALUATED = 5
"""How many of the codes are evaluated as attention: L = 2, ..., 32."""

LENGTHS = (64, 256, 1024, 4096)
"""log2 L of the families in which exponents are compared; d = log2 L, relative error 1 / L."""


def exponent_as_printed() -> list[Relation]:
    """Gamma = 1, beta = 1, d = log2 L: log k1 / log L of the construction falls with L."""
    return [
        less(later.exponent, earlier.exponent, witness=f"L = 2^{later.log2_length}")
        for earlier, later in pairwise(phase_rows(CONSTANT_NORMS, LENGTHS))
    ]


def exponents() -> list[Relation]:
    """log k1 / log L of the construction falls with L where d Gamma^2 = o(log L), and grows where
    d Gamma^2 is a constant times log L."""
    return [
        *(
            less(later.exponent, earlier.exponent)
            for regime in SMALL_SCORES
            for earlier, later in pairwise(phase_rows(regime, LENGTHS))
        ),
        *(
            less(earlier.exponent, later.exponent)
            for regime in LARGE_SCORES
            for earlier, later in pairwise(phase_rows(regime, LENGTHS))
        ),
    ]


CONSTANT_NORMS = Regime("d Gamma^2 = log2 L", lambda n: Fraction(1), lambda n: Fraction(1))

SMALL_SCORES = (
    Regime("d Gamma^2 = 1", lambda n: Fraction(1), lambda n: Fraction(1, n)),
    Regime("d Gamma^2 = sqrt(log2 L)", lambda n: Fraction(1), lambda n: Fraction(isqrt(n), n)),
)

LARGE_SCORES = (
    CONSTANT_NORMS,
    Regime("d Gamma^2 = log2 L / 8", lambda n: Fraction(1), lambda n: Fraction(1, 8)),
)


def cost_of_features() -> Relation:
    """phi(C1 W), phi(C2), the weights, the row sums and U1, for k features: linear in L."""
    counting = Counting()
    queries, keys = counting.symbol_matrix(LENGTH, WIDTH), counting.symbol_matrix(LENGTH, WIDTH)
    products = FEATURES - WIDTH - 1
    for points in (queries, keys):
        _ = points.some_columns(products) * points.some_columns(products)
    weights = counting.symbol_matrix(FEATURES, 1)
    left = counting.symbol_matrix(LENGTH, FEATURES).T.scale_rows(weights).T
    left.divide_rows(left @ counting.symbol_matrix(LENGTH, FEATURES).T.row_sum())
    per_token = 2 * (FEATURES - WIDTH - 1) + 5 * FEATURES - 1
    return equal(counting.operations.total, sympy.expand(LENGTH * per_token - FEATURES))


def _relatively_near(product: Matrix, f: Matrix, relative: Fraction) -> Relation:
    return at_most(apart(product, f), f.scale(relative))


def certified_probabilities(
    queries: BallMatrix, keys: BallMatrix, f: Matrix, d: int
) -> list[Relation]:
    """U1 V1^T has rank C(d+g, g), |U1 V1^T - f| <= 2 delta / (1 - delta) f entry by entry, and
    rows that sum to one."""
    near = approximate_probabilities(BALLS, queries, keys, 1, relative_error=ACCURACY)
    product = near.left @ near.right.T
    relative = relative_error_of_probabilities(ACCURACY)
    return [
        _relatively_near(product, f, relative),
        equal(product.row_sum(), f.row_sum()),
        equal(near.rank, monomial_count(d, near.approximation.degree)),
    ]


# Lemmas 3.4 and F.6


def residual_exists(f: Matrix, C3: Matrix, Y: Matrix, c: Matrix, identity: Any, M: int) -> Relation:
    """U1 V1^T C3 - Y = c for U1 = f, V1 = I: an approximation without any error."""
    U1, V1 = f, identity(M)
    return equal(U1 @ V1.T @ C3 - Y, c)


def _more_keys_than_columns(L: int, d: int) -> bool:
    return d <= min(L, 2)


_WIDE = replace(
    PRINTED_Q,
    name="Lemma 3.4, at least as many keys as columns",
    constraint=_more_keys_than_columns,
    limits={"d": 1, "k1": 1, "k2": 1},
)
"""Where the columns of C3 can be, and at random are, linearly independent."""


def residual_in_rank_d(f: Matrix, C3: Matrix, Y: Matrix, c: Matrix, d: int) -> list[Relation]:
    """U1 V1^T C3 - Y = c with d columns: U1 V1^T = f P, P the projector onto the columns of C3."""
    basis: list[Matrix] = []
    for i in range(d):
        column = C3.take_columns([i])
        for v in basis:
            column = column - v @ (v.T @ column).divide_rows(v.T @ v)
        basis.append(column)
    U1 = f @ reduce(lambda left, right: left.beside(right), basis)
    scaled = [v.T.divide_rows(v.T @ v).T for v in basis]
    V1 = reduce(lambda left, right: left.beside(right), scaled)
    return [equal(U1 @ V1.T @ C3 - Y, c)]


def certified_residual(
    queries: BallMatrix, keys: BallMatrix, values: BallMatrix, labels: BallMatrix, c: Matrix
) -> list[Relation]:
    """c~ = U1 (V1^T C3) - Y is as near to c as its certificate says, which is t times the largest
    difference of two entries in a column of C3."""
    near = approximate_probabilities(BALLS, queries, keys, 1, relative_error=ACCURACY)
    residual = approximate_residual(near, values, labels)
    return [
        equal(residual.matrix, near.left @ (near.right.T @ values) - labels),
        at_most(distance(residual.matrix, c), BALLS.matrix([[residual.error]])),
    ]


# Lemmas 3.5 and F.7


def q_exists(C3: Matrix, c: Matrix, q: Matrix) -> Relation:
    """U2 V2^T = C3 c^T, without any error, for U2 = C3 and V2 = c of d columns."""
    U2, V2 = C3, c
    return equal(U2 @ V2.T, q.T)


def certified_q(
    queries: BallMatrix,
    keys: BallMatrix,
    values: BallMatrix,
    labels: BallMatrix,
    c: BallMatrix,
    d: int,
) -> list[Relation]:
    """C3 c~^T, of rank d, is as near to C3 c^T as its certificate says, which is the error of c~
    times the largest row sum of |C3|."""
    near = approximate_probabilities(BALLS, queries, keys, 1, relative_error=ACCURACY)
    factors = approximate_q(approximate_residual(near, values, labels), values)
    U2, V2 = factors.right, factors.left
    return [
        at_most(distance(U2 @ V2.T, values @ c.T), BALLS.matrix([[factors.error]])),
        equal(factors.rank, d),
    ]


def attention_from_q(f: Matrix, C3: Matrix, q: Matrix, Y: Matrix) -> Relation:
    """q C3 + Y (C3^T C3) = (f C3)(C3^T C3): a d x d system away from forward attention f C3."""
    return equal(q @ C3 + Y @ (C3.T @ C3), (f @ C3) @ (C3.T @ C3))


# Lemmas 3.6 and F.8


def p1_as_concluded(
    f: Matrix, q: Matrix, U1: Matrix, V1: Matrix, U2: Matrix, V2: Matrix
) -> Relation:
    """||U3 V3^T - p1|| is at most the larger of ||U1 V1^T - f|| and ||U2 V2^T - C3 c^T||, for
    U3 = U1 (x) V2, V3 = V1 (x) U2 row by row."""
    U3, V3 = row_wise_kronecker(U1, V2), row_wise_kronecker(V1, U2)
    larger = max_norm((U1 @ V1.T - f).beside(V2 @ U2.T - q))
    return at_most(distance(U3 @ V3.T, p1(f, q)), larger)


def p1_in_factors(
    f: Matrix,
    q: Matrix,
    U1: Matrix,
    V1: Matrix,
    U2: Matrix,
    V2: Matrix,
    k1: int,
    k2: int,
) -> list[Relation]:
    """||U3 V3^T - p1|| <= e_f ||q|| + (||f|| + e_f) e_q with k1 k2 columns."""
    U3, V3 = row_wise_kronecker(U1, V2), row_wise_kronecker(V1, U2)
    e_f, e_q = distance(U1 @ V1.T, f), distance(V2 @ U2.T, q)
    return [
        at_most(distance(U3 @ V3.T, p1(f, q)), e_f * max_norm(q) + (max_norm(f) + e_f) * e_q),
        equal(U3.shape[1], k1 * k2),
    ]


def cost_of_p1() -> Relation:
    """U3 and V3 have L k1 k2 entries each, one product for each."""
    counting = Counting()
    for _ in ("U3", "V3"):
        left, right = counting.symbol_matrix(LENGTH, K1), counting.symbol_matrix(LENGTH, K2)
        row_wise_kronecker(left, right)
    return equal(counting.operations.total, 2 * LENGTH * K1 * K2)


# Lemmas 3.7 and F.9


def p2_by_columns(C1: Matrix, C2: Matrix, f: Matrix, q: Matrix, dL_dW: Matrix) -> Relation:
    """dL/dW = C1^T (p1 - p2) C2 for the p2 whose column j is f_j <f_j, q_j>."""
    return equal(dL_dW, C1.T @ (p1(f, q) - f.scale_rows(f.row_dot(q)).T) @ C2)


def p2_by_rows(C1: Matrix, C2: Matrix, f: Matrix, q: Matrix, dL_dW: Matrix) -> Relation:
    """dL/dW = C1^T (p1 - p2) C2 for the p2 whose row j is f_j <f_j, q_j>."""
    return equal(dL_dW, C1.T @ (p1(f, q) - f.scale_rows(f.row_dot(q))) @ C2)


def p2_as_concluded(
    f: Matrix, q: Matrix, U1: Matrix, V1: Matrix, U2: Matrix, V2: Matrix
) -> Relation:
    """||U4 V4^T - p2|| is at most the larger of ||U1 V1^T - f|| and ||U2 V2^T - C3 c^T||, for
    U4 = diag(r~) U1, V4 = V1."""
    r = (U1 @ (V1.T @ U2)).row_dot(V2)
    larger = max_norm((U1 @ V1.T - f).beside(V2 @ U2.T - q))
    return at_most(distance(U1.scale_rows(r) @ V1.T, p2(f, q)), larger)


def p2_in_factors(
    f: Matrix,
    q: Matrix,
    U1: Matrix,
    V1: Matrix,
    U2: Matrix,
    V2: Matrix,
    M: int,
) -> list[Relation]:
    """||r~ - r|| <= M (e_f ||q|| + (||f|| + e_f) e_q) =: e_r, and
    ||U4 V4^T - p2|| <= e_f ||r|| + (||f|| + e_f) e_r."""
    r = (U1 @ (V1.T @ U2)).row_dot(V2)
    e_f, e_q = distance(U1 @ V1.T, f), distance(V2 @ U2.T, q)
    e_r = (e_f * max_norm(q) + (max_norm(f) + e_f) * e_q).scale(M)
    return [
        at_most(distance(r, f.row_dot(q)), e_r),
        at_most(
            distance(U1.scale_rows(r) @ V1.T, p2(f, q)),
            e_f * max_norm(f.row_dot(q)) + (max_norm(f) + e_f) * e_r,
        ),
    ]


def cost_of_p2() -> Relation:
    """r~ by (U1 (V1^T U2)) row times row of V2, and U4: linear in L."""
    counting = Counting()
    u1, v1 = counting.symbol_matrix(LENGTH, K1), counting.symbol_matrix(LENGTH, K1)
    u2, v2 = counting.symbol_matrix(LENGTH, K2), counting.symbol_matrix(LENGTH, K2)
    u1.scale_rows((u1 @ (v1.T @ u2)).row_dot(v2))
    per_token = 4 * K1 * K2 + K1 + K2 - 1
    return equal(counting.operations.total, sympy.expand(LENGTH * per_token - K1 * K2))


# Row j of f is (1/2, 1/2), c = 2, q = 4 in every entry; U1 V1^T = 3 and U2 V2^T = 7.
SAME_SIGNS = (
    {"L": 2, "M": 2},
    {
        "U1": [[3], [3]],
        "V1": [[1], [1]],
        "U2": [[7], [7]],
        "V2": [[1], [1]],
        "C3": [[2], [2]],
    },
)


ABSORBED = (
    "poly(L) may be another polynomial in the conclusion, and norms are at most poly(L) because"
    " entries are written in O(log L) bits"
)
"""What the conclusions of Lemmas 3.4 to 3.7 need their poly(L) to mean."""

_RESIDUAL = r"\|U_1V_1^{\mathsf T}C^{(3)}-Y-c\|_\infty"

FULL_RANK = (
    "The maximum norm bounds the scores by d Gamma^2, not by Gamma^2. For the signs of a code with"
    " d = O(log L) and Gamma = 1, f is within 1/(4L) of the identity, and what is within 1/(2L) of"
    " f has rank L. The lemma that this one is modified from has exp(Q K^T / d), but (S4) has set"
    " beta = 1. Besides, d = O(log L) is no hypothesis of the lemma."
)
"""What is wrong with the rank in Lemmas 3.3 and F.5."""

EVERY_LENGTH = (
    "The error that the lemma allows, epsilon / poly(L), is taken to be at most 1/(2L). Ten lengths"
    " do not refute an asymptotic claim, but such codes exist for every power of two L: for a"
    " random linear code of width d the sum S of exp(-2 dist) over the other words has the mean"
    " (L - 1) ((1 + exp(-2)) / 2)^d, below 1/(4L) for d = 4 log2 L, and f is within S / (1 + S) of"
    " the identity."
)
"""Why the codes refute Lemmas 3.3 and F.5 as asymptotic statements."""

_WEAKER = (
    "a weaker bound than 1/(4 L), which holds as well; the distance to the identity is only bounded"
)

RANK_PARTS = (
    Part(
        "the codes meet the hypotheses and need rank L",
        printed=(
            Claim(
                r"\|C^{(1)}W\|_\infty=\|C^{(2)}\|_\infty=\Gamma=1=o(\sqrt{\log L}),\quad"
                r" d\le4\log_2L,\quad\beta=1,\quad\|f-I\|_\infty\le\frac1{4L},\quad"
                r"\|M-f\|_\infty\le\frac1{2L}\Rightarrow\operatorname{rank}M=L",
                hypotheses_on_codes,
                equivalent={
                    "hypotheses_on_codes: 1 -> 2 #1": _WEAKER,
                    "hypotheses_on_codes: 4 * one.length -> 4": _WEAKER,
                    "hypotheses_on_codes: 4 * one.length -> one.length": _WEAKER,
                },
            ),
        ),
    ),
    Part(
        "attention on the codes is as near to the identity as their distances say",
        printed=(
            Claim(
                r"\|f-I\|_\infty\le\frac S{1+S},\quad S=\sum_{l\ne j}"
                r"e^{-2\operatorname{dist}(j,l)},\quad L\le32",
                identity_on_codes,
            ),
        ),
    ),
    Part(
        "growth of the rank",
        printed=(
            Claim(
                r"\Gamma=1,\;d=\log_2L:\quad\log k_1/\log L\text{ falls from }L=2^{64}"
                r"\text{ to }2^{4096}",
                exponent_as_printed,
            ),
        ),
        corrected=Claim(
            r"d\,\Gamma^2\in\{1,\sqrt{\log_2L}\}:\quad\log k_1/\log L\text{ falls from }L=2^{64}"
            r"\text{ to }2^{4096},\quad d\,\Gamma^2\in\{\log_2L,\tfrac18\log_2L\}:"
            r"\text{ it grows},\quad k_1=\binom{d+g}{g}",
            exponents,
        ),
        severity=Severity.FATAL_TO_STATEMENT,
        problem="In the construction that the lemma rests on, the exponent of k1 does not fall for"
        " constant Gamma and d = log2 L; it falls where d Gamma^2 = o(log L).",
    ),
    Part(
        "time for each feature",
        printed=(
            Claim(r"\text{operations of }U_1,V_1=L\,(2(k_1-d-1)+5k_1-1)-k_1", cost_of_features),
        ),
    ),
)
"""Parts that Lemmas 3.3 and F.5 share."""

RECORDS = (
    Record(
        "Lemma 3.3",
        title="Low-rank approximation of f",
        kind=Kind.LEMMA,
        printed=r"\Gamma=o(\sqrt{\log L}),\;k_1=L^{o(1)},\;"
        r"\max(\|C^{(1)}W\|_\infty,\|C^{(2)}\|_\infty)\le\Gamma\;\Rightarrow\;"
        r"\exists\,U_1,V_1\in\mathbb R^{L\times k_1}:\;\|U_1V_1^{\mathsf T}-f\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L),\text{ in time }L^{1+o(1)}",
        corrected=r"d=O(\log L),\;R=\beta d\,\|C^{(1)}W\|_\infty\|C^{(2)}\|_\infty=o(\log L)"
        r"\;\Rightarrow\;k_1=\binom{d+g}{g}=L^{o(1)},\;|U_1V_1^{\mathsf T}-f|"
        r"\le\frac{2\delta}{1-\delta}f\text{ entrywise},\quad g:\;\sup_{|x|\le R}"
        r"|p_g(x)e^{-x}-1|\le\delta=1/\operatorname{poly}(L)",
        uses=("Definition 3.4", "Simplification (S4)"),
        ocr="The parenthesis of the norm condition closes early: max(||C1 W|| <= Gamma, ||C2||)"
        " <= Gamma is read as max(||C1 W||, ||C2||) <= Gamma.",
        parts=(
            Part(
                "rank",
                printed=(Claim(r"k_1\le L^{1/2}\text{ for large }L", rank_as_printed),),
                corrected=Claim(
                    r"|U_1V_1^{\mathsf T}-f|\le\frac{2\delta}{1-\delta}f,\quad"
                    r" U_1V_1^{\mathsf T}\mathbb 1=\mathbb 1,\quad k_1=\binom{d+g}{g}",
                    certified_probabilities,
                    setting=CERTIFIED,
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem=FULL_RANK,
            ),
            *RANK_PARTS,
        ),
        remark=f"The refutation rests on no hypothesis of complexity theory. {EVERY_LENGTH} That k1"
        " = L^o(1) under the corrected hypotheses: with log(1/delta) = O(log L), g ="
        " O(max(sqrt(R log(1/delta)), log(1/delta) / log(log(1/delta)/R))) = o(log L) (Aggarwal"
        " and Alman, 2022), so that log k1 <= g log(e (1 + d/g)) = o(log L); the growth along four"
        " lengths is computed. What counts is the spread of the scores in a row: keys shifted by a"
        " common vector give the same f, so the condition is sufficient, not necessary.",
    ),
    Record(
        "Lemma 3.4",
        title="Low-rank approximation of c",
        kind=Kind.LEMMA,
        printed=r"\exists\,U_1,V_1\in\mathbb R^{L\times k_1}:\;"
        + _RESIDUAL
        + r"\le\epsilon/\operatorname{poly}(L)",
        corrected=r"U_1,V_1\text{ of Lemma 3.3, with its hypotheses}:\;"
        + _RESIDUAL
        + r"\le 2t\,\|C^{(3)}\|_\infty,\quad t=\tfrac12\max_j\|(U_1V_1^{\mathsf T}-f)_j\|_1",
        uses=("Lemma 3.3", "Definition 3.5"),
        parts=(
            Part(
                "existence",
                setting=PRINTED_Q,
                printed=(
                    Claim(r"U_1=f,\;V_1=I:\quad U_1V_1^{\mathsf T}C^{(3)}-Y=c", residual_exists),
                ),
                trivial=Claim(
                    r"U_1V_1^{\mathsf T}=fP,\;P\text{ the projector onto the columns of }C^{(3)},"
                    r"\;k_1=d:\quad U_1V_1^{\mathsf T}C^{(3)}-Y=c",
                    residual_in_rank_d,
                    setting=_WIDE,
                ),
                corrected=Claim(
                    r"\|U_1(V_1^{\mathsf T}C^{(3)})-Y-c\|_\infty"
                    r"\le t\max_i(\max_lC^{(3)}_{li}-\min_lC^{(3)}_{li}),\quad t"
                    r"\text{ certified}",
                    certified_residual,
                    setting=CERTIFIED,
                ),
                severity=Severity.MISSING,
                problem="As it stands the lemma bounds no norm, states no time and does not say"
                " what k1 is. Factors of d columns that give c exactly then always exist, but they"
                " are made of f C3 itself. What is meant are the factors of Lemma 3.3, under its"
                " hypotheses and in its time.",
            ),
        ),
        remark="From ||U1 V1^T - f|| alone, a factor M is lost; the rows of Lemma 3.3's"
        " approximation sum to one, and it is not.",
    ),
    Record(
        "Lemma 3.5",
        title="Low-rank approximation of q",
        kind=Kind.LEMMA,
        printed=r"\exists\,U_2,V_2\in\mathbb R^{L\times k_2}:\;"
        r"\|U_2V_2^{\mathsf T}-C^{(3)}c^{\mathsf T}\|_\infty\le\epsilon/\operatorname{poly}(L),"
        r"\;k_2=L^{o(1)},\text{ in time }L^{1+o(1)}",
        corrected=r"\text{with the hypotheses of Lemma 3.3}:\;U_2=C^{(3)},\;V_2=\widetilde c,\;"
        r"k_2=d,\quad\|U_2V_2^{\mathsf T}-C^{(3)}c^{\mathsf T}\|_\infty"
        r"\le d\,\|C^{(3)}\|_\infty\,\|\widetilde c-c\|_\infty",
        uses=("Lemma 3.3", "Lemma 3.4", "Lemma 3.2", "Lemma 1.1"),
        parts=(
            Part(
                "existence",
                setting=PRINTED_Q,
                printed=(Claim(r"U_2=C^{(3)},\;V_2=c:\quad U_2V_2^{\mathsf T}=q", q_exists),),
                trivial=Claim(r"C^{(3)}c^{\mathsf T}=q", q_exists),
                corrected=Claim(
                    r"\|C^{(3)}\widetilde c^{\,\mathsf T}-C^{(3)}c^{\mathsf T}\|_\infty"
                    r"\le d\,\|C^{(3)}\|_\infty\,\|\widetilde c-c\|_\infty,\quad k_2=d",
                    certified_q,
                    setting=CERTIFIED,
                ),
                severity=Severity.MISSING,
                problem="q = C3 c^T has rank at most d whatever the norms are, so existence says"
                " nothing: only the time has content.",
            ),
            Part(
                "time",
                setting=PRINTED_Q,
                cites="That forward attention on inputs with large entries has no truly"
                " subquadratic approximation is Lemma 1.1 (Alman and Song, 2023), under"
                " Hypothesis 1. Checked here: the q of this lemma contains forward attention.",
                corrected=Claim(
                    r"q^{\mathsf T}C^{(3)}+Y(C^{(3)})^{\mathsf T}C^{(3)}"
                    r"=(f\,C^{(3)})\,(C^{(3)})^{\mathsf T}C^{(3)}",
                    attention_from_q,
                ),
                severity=Severity.MISSING,
                problem="The lemma bounds no norm, and q determines forward attention f C3 through"
                " a d x d system: under SETH the stated time is impossible without the hypotheses"
                " of Lemma 3.3, where C3^T C3 has an inverse of at most poly(L).",
            ),
        ),
    ),
    Record(
        "Lemma 3.6",
        title="Low-rank approximation of p1",
        kind=Kind.LEMMA,
        printed=r"\|U_1V_1^{\mathsf T}-f\|_\infty,\;\|U_2V_2^{\mathsf T}-q\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L)\;\Rightarrow\;\exists\,U_3,V_3"
        r"\in\mathbb R^{L\times k_3}:\;\|U_3V_3^{\mathsf T}-p_1\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L),\text{ in time }L^{1+o(1)}",
        corrected=r"U_3[j,\cdot]=U_1[j,\cdot]\otimes V_2[j,\cdot],\;"
        r"V_3[l,\cdot]=V_1[l,\cdot]\otimes U_2[l,\cdot],\;k_3=k_1k_2:\quad"
        r"\|U_3V_3^{\mathsf T}-p_1\|_\infty\le e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q",
        uses=("Lemma 3.3", "Lemma 3.5", "Definition 3.6"),
        parts=(
            Part(
                "approximation",
                setting=PRINTED_Q,
                printed=(
                    Claim(r"\|U_3V_3^{\mathsf T}-p_1\|_\infty\le\max(e_f,e_q)", p1_as_concluded),
                    Claim(
                        r"\|U_3V_3^{\mathsf T}-p_1\|_\infty"
                        r"\le e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q,\quad k_3=k_1k_2",
                        p1_in_factors,
                        reading=ABSORBED,
                    ),
                ),
                corrected=Claim(
                    r"\|U_3V_3^{\mathsf T}-p_1\|_\infty"
                    r"\le e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q,\quad k_3=k_1k_2",
                    p1_in_factors,
                    extremal=(SAME_SIGNS,),
                ),
                severity=Severity.MISSING,
                problem="Errors of f come back multiplied by ||q||, which the lemma does not bound:"
                " O(log L) bits for C3 and Y, a hypothesis of Theorem 3.1, must be one here too.",
            ),
            Part(
                "time",
                printed=(Claim(r"\text{operations of }U_3,V_3=2Lk_1k_2", cost_of_p1),),
            ),
        ),
        remark="q is the printed C3 c^T, whose column j belongs to query j; V2 and U2 therefore"
        " change places beside U1 and V1. The printed form is tried on this construction, the one"
        " of the proof; that no other pair of k3 columns does better is not claimed.",
    ),
    Record(
        "Lemma 3.7",
        title="Low-rank approximation of p2",
        kind=Kind.LEMMA,
        printed=r"p_2[\cdot,j]=f_jf_j^{\mathsf T}q_j;\quad"
        r"\|U_1V_1^{\mathsf T}-f\|_\infty,\;\|U_2V_2^{\mathsf T}-q\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L)\;\Rightarrow\;\exists\,U_4,V_4"
        r"\in\mathbb R^{L\times k_4}:\;\|U_4V_4^{\mathsf T}-p_2\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L),\text{ in time }L^{1+o(1)}",
        corrected=r"p_2[j,\cdot]=(f_jf_j^{\mathsf T}q_j)^{\mathsf T};\quad"
        r" U_4=\operatorname{diag}(\widetilde r)U_1,\;V_4=V_1,\;k_4=k_1:\quad"
        r"\|U_4V_4^{\mathsf T}-p_2\|_\infty\le e_f\|r\|_\infty+(\|f\|_\infty+e_f)\,e_r,"
        r"\quad e_r=M(e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q)",
        uses=("Lemma 3.3", "Lemma 3.5", "Definition 3.6", "Equation (3.6)"),
        parts=(
            Part(
                "orientation",
                setting=PRINTED_Q,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial W}=(C^{(1)})^{\mathsf T}(p_1-p_2)"
                        r"C^{(2)},\quad p_2[\cdot,j]=f_jf_j^{\mathsf T}q_j",
                        p2_by_columns,
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial W}=(C^{(1)})^{\mathsf T}(p_1-p_2)"
                    r"C^{(2)},\quad p_2[j,\cdot]=(f_jf_j^{\mathsf T}q_j)^{\mathsf T}",
                    p2_by_rows,
                ),
                severity=Severity.NOTATION,
                problem="The lemma makes the vectors p2_j columns of p2. In (3.6), where p2 is"
                " used, they must be its rows: with columns the formula is not the gradient.",
            ),
            Part(
                "approximation",
                setting=PRINTED_Q,
                printed=(
                    Claim(r"\|U_4V_4^{\mathsf T}-p_2\|_\infty\le\max(e_f,e_q)", p2_as_concluded),
                    Claim(
                        r"\|U_4V_4^{\mathsf T}-p_2\|_\infty"
                        r"\le e_f\|r\|_\infty+(\|f\|_\infty+e_f)\,e_r",
                        p2_in_factors,
                        reading=ABSORBED,
                    ),
                ),
                corrected=Claim(
                    r"\|U_4V_4^{\mathsf T}-p_2\|_\infty"
                    r"\le e_f\|r\|_\infty+(\|f\|_\infty+e_f)\,e_r,\quad"
                    r" e_r=M(e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q)",
                    p2_in_factors,
                    extremal=(SAME_SIGNS,),
                ),
                severity=Severity.MISSING,
                problem="The inner product over the keys costs a factor M, and errors of f are"
                " multiplied by ||q||, which the lemma does not bound.",
            ),
            Part(
                "time",
                printed=(
                    Claim(
                        r"\text{operations of }\widetilde r,U_4=L(4k_1k_2+k_1+k_2-1)-k_1k_2",
                        cost_of_p2,
                    ),
                ),
            ),
        ),
        remark="U1, V1 are said to approximate f(X); f(W) is meant.",
    ),
)
