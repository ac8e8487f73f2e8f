"""Lemma 1.1: the hardness of the forward pass, informally."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy

from loracle_proofs.records.introduction.norms import largest
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = ["RECORDS"]

SCORES = Setting(
    "Lemma 1.1",
    shapes={"Q": ("L", "d"), "K": ("M", "d")},
    scalars=("beta",),
    square={"M": "L"},
)


def constant_of_growing_order() -> Relation:
    """A constant B is of order sqrt(log L): B / sqrt(log L) stays away from zero."""
    L, B = sympy.symbols("L B", positive=True)
    return less(0, sympy.limit(B / sympy.sqrt(sympy.log(L)), L, sympy.oo), witness="any B")


def bound_of_order_root_log() -> Relation:
    """B = c sqrt(log L) is of order sqrt(log L)."""
    L, c = sympy.symbols("L c", positive=True)
    B = c * sympy.sqrt(sympy.log(L))
    return equal(sympy.limit(B / sympy.sqrt(sympy.log(L)), L, sympy.oo), c)


def scores_below_square(Q: Matrix, K: Matrix, beta: Scalar) -> Relation:
    """|beta Q K^T| <= B^2 for entries of Q and K up to B, whatever beta is."""
    B = largest(Q, K)
    return at_most(max_norm((Q @ K.T).scale(beta)), B * B)


def scores_below_square_divided(Q: Matrix, K: Matrix, d: int) -> Relation:
    """|Q K^T / d| <= B^2 for entries of Q and K up to B."""
    B = largest(Q, K)
    return at_most(max_norm((Q @ K.T).scale(Fraction(1, d))), B * B)


def scores_below_product(Q: Matrix, K: Matrix, beta: Scalar, d: int, constant: Any) -> Relation:
    """|beta Q K^T| <= |beta| d B^2 for entries of Q and K up to B."""
    B = largest(Q, K)
    return at_most(max_norm((Q @ K.T).scale(beta)), (B * B * max_norm(constant([[beta]]))).scale(d))


_GROWING = Claim(
    r"\lim_{L \to \infty} \frac{B}{\sqrt{\log L}} = c \text{ for } B = c \sqrt{\log L}",
    bound_of_order_root_log,
)

LEMMA_1_1 = Record(
    "Lemma 1.1",
    title="Hardness of the forward pass (informal)",
    kind=Kind.LEMMA,
    printed=r"\text{subquadratic forward pass} \implies |Q_{ij}|, |K_{ij}|, |V_{ij}| \le B,\quad"
    r" B = \Theta(\sqrt{\log L}) \text{ a constant}",
    corrected=r"\text{for } d = \Theta(\log L),\ \beta = 1/d: \text{ no } O(L^{2-\delta})"
    r" \text{ algorithm for } B = C\sqrt{\log L} \text{ with } C = C(\delta);\ "
    r" L^{1+o(1)} \text{ for } B = o(\sqrt{\log L})",
    uses=("Hypothesis 1", "Equation (1.1)"),
    parts=(
        Part(
            "the theorems behind it",
            cites="Alman and Song (2023), taken on trust: for exp(Q K^T / d), d = O(log L),"
            " entries at most B and error 1/poly(L), there is an L^{1+o(1)} algorithm for"
            " B = o(sqrt(log L)); and, under SETH, for every delta > 0 there are constants such"
            " that with d = C log L and B = C' sqrt(log L) there is none in O(L^{2-delta}).",
        ),
        Part(
            "a constant bound",
            printed=(
                Claim(
                    r"\lim_{L \to \infty} \frac{B}{\sqrt{\log L}} > 0 \text{ for a constant } B",
                    constant_of_growing_order,
                ),
                replace(_GROWING, reading="B is constant for each L, a function of L"),
            ),
            corrected=_GROWING,
            severity=Severity.NOTATION,
            problem="B is called a constant and said to grow like sqrt(log L); it depends on L.",
        ),
        Part(
            "the inverse temperature",
            setting=SCORES,
            printed=(
                Claim(
                    r"\|\beta Q K^{\mathsf T}\|_\infty \le B^2 = \Theta(\log L)"
                    r" \text{ for every } \beta > 0",
                    scores_below_square,
                    reading="the threshold is one for every beta, beta Q K^T being bounded by B^2",
                ),
                Claim(
                    r"\|Q K^{\mathsf T} / d\|_\infty \le B^2",
                    scores_below_square_divided,
                    reading="beta = 1/d, as in the theorems that are cited",
                ),
            ),
            corrected=Claim(
                r"\|\beta Q K^{\mathsf T}\|_\infty \le \beta d B^2",
                scores_below_product,
                extremal=(
                    ({"d": 2}, {"Q": [[1, 1]], "K": [[1, 1]], "beta": 1}),
                    ({"L": 2, "d": 1}, {"Q": [[3], [1]], "K": [[3]], "beta": 2}),
                ),
            ),
            severity=Severity.MISSING,
            problem="A threshold on the entries alone cannot hold for every beta, since only"
            " beta Q K^T matters; sqrt(log L) belongs to beta = 1/d, where B^2 bounds the scores.",
        ),
    ),
    remark="(S4) sets beta = 1, where the bound on the scores is d B^2, larger by d = O(log L)"
    " than what the cited theorems have.",
)

RECORDS = (LEMMA_1_1,)
