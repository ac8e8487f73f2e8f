"""Lemma 3.3: a low-rank approximation of f, refuted on codes; what F.5 shares with it."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import isqrt

import sympy

from loracle_proofs.code_instances import WIDTH_PER_BIT, code_instances
from loracle_proofs.low_rank_settings import BALLS, CERTIFIED, apart, distance
from loracle_proofs.records.low_rank_lemmas.sizes import FEATURES, LENGTH, WIDTH
from loracle_proofs.relation import Relation, at_most, equal, less
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.approximate_rank import FullRankInstance
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import attention_probabilities
from loracle_reference.error_bounds import relative_error_of_probabilities
from loracle_reference.low_rank import approximate_probabilities
from loracle_reference.monomials import monomial_count
from loracle_reference.norm_conditions import Regime, phase_rows

__all__ = [
    "ACCURACY",
    "EVERY_LENGTH",
    "FULL_RANK",
    "RANK_PARTS",
    "RECORDS",
    "certified_probabilities",
    "rank_as_printed",
]

ACCURACY = Fraction(1, 8)
"""delta, the relative error allowed to the polynomial in the place of exp."""


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
)
