"""Lemma 3.4: a low-rank approximation of c."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

from loracle_proofs.low_rank_settings import BALLS, CERTIFIED, PRINTED_Q, distance
from loracle_proofs.records.low_rank_lemmas.probabilities import ACCURACY
from loracle_proofs.relation import Relation, at_most, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.low_rank import approximate_probabilities, approximate_residual

__all__ = ["RECORDS", "certified_residual", "residual_exists", "residual_in_rank_d"]


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


_RESIDUAL = r"\|U_1V_1^{\mathsf T}C^{(3)}-Y-c\|_\infty"


RECORDS = (
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
)
