"""Lemma 3.5: a low-rank approximation of q."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import BALLS, CERTIFIED, PRINTED_Q, distance
from loracle_proofs.records.low_rank_lemmas.probabilities import ACCURACY
from loracle_proofs.relation import Relation, at_most, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.low_rank import (
    approximate_probabilities,
    approximate_q,
    approximate_residual,
)

__all__ = ["RECORDS", "attention_from_q", "certified_q", "q_exists"]


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


RECORDS = (
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
)
