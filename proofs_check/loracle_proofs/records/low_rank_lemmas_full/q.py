"""Lemma F.7: low-rank approximations of q_Q and q_K."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import FULL_APPROXIMATIONS, FULL_CERTIFIED
from loracle_proofs.records.low_rank_lemmas.q import attention_from_q, certified_q, q_exists
from loracle_proofs.records.low_rank_lemmas_full.notation import BOTH
from loracle_proofs.relation import Relation
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def both_q_exist(C3: Matrix, cQ: Matrix, qQ: Matrix, cK: Matrix, qK: Matrix) -> list[Relation]:
    """`q_exists` for Q and for K."""
    return [q_exists(C3, cQ, qQ), q_exists(C3, cK, qK)]


def certified_both_q(
    queriesQ: BallMatrix,
    keysQ: BallMatrix,
    queriesK: BallMatrix,
    keysK: BallMatrix,
    values: BallMatrix,
    labels: BallMatrix,
    cQ: BallMatrix,
    cK: BallMatrix,
    d: int,
) -> list[Relation]:
    """`certified_q` for Q and for K."""
    return [
        *certified_q(queriesQ, keysQ, values, labels, cQ, d),
        *certified_q(queriesK, keysK, values, labels, cK, d),
    ]


def attention_from_both_q(
    fQ: Matrix, fK: Matrix, C3: Matrix, qQ: Matrix, qK: Matrix, Y: Matrix
) -> list[Relation]:
    """`attention_from_q` for Q and for K."""
    return [attention_from_q(fQ, C3, qQ, Y), attention_from_q(fK, C3, qK, Y)]


RECORDS = (
    Record(
        "Lemma F.7",
        title="Low-rank approximation of q for Q and K",
        kind=Kind.LEMMA,
        printed=r"\exists\,U_2^\mu,V_2^\mu\in\mathbb R^{L\times k_2}:\;"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-C^{(3)}c_\mu^{\mathsf T}\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L),\;\text{in time }L^{1+o(1)}," + BOTH,
        corrected=r"\text{with the hypotheses of Lemma F.5}:\;U_2^\mu=C^{(3)},\;"
        r"V_2^\mu=\widetilde c_\mu,\;k_2=d,\quad"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-C^{(3)}c_\mu^{\mathsf T}\|_\infty"
        r"\le d\,\|C^{(3)}\|_\infty\|\widetilde c_\mu-c_\mu\|_\infty",
        uses=("Lemma F.5", "Lemma F.6", "Lemma 3.5", "Definition F.6", "Lemma 1.1"),
        parts=(
            Part(
                "existence",
                setting=FULL_APPROXIMATIONS,
                printed=(
                    Claim(
                        r"U_2^\mu=C^{(3)},\;V_2^\mu=c_\mu:\quad"
                        r" U_2^\mu(V_2^\mu)^{\mathsf T}=q_\mu",
                        both_q_exist,
                        code=(q_exists,),
                    ),
                ),
                trivial=Claim(r"C^{(3)}c_\mu^{\mathsf T}=q_\mu", both_q_exist),
                corrected=Claim(
                    r"\|C^{(3)}\widetilde c_\mu^{\,\mathsf T}-C^{(3)}c_\mu^{\mathsf T}\|_\infty"
                    r"\le d\,\|C^{(3)}\|_\infty\,\|\widetilde c_\mu-c_\mu\|_\infty,"
                    r"\quad k_2=d",
                    certified_both_q,
                    setting=FULL_CERTIFIED,
                    code=(certified_q,),
                ),
                severity=Severity.MISSING,
                problem="Both q have rank at most d whatever the norms are: only the time has"
                " content.",
            ),
            Part(
                "time",
                setting=FULL_APPROXIMATIONS,
                cites="That forward attention on inputs with large entries has no truly"
                " subquadratic approximation is Lemma 1.1 (Alman and Song, 2023), under"
                " Hypothesis 1. Checked here: either q contains forward attention.",
                corrected=Claim(
                    r"q_\mu^{\mathsf T}C^{(3)}+Y(C^{(3)})^{\mathsf T}C^{(3)}"
                    r"=(f_\mu C^{(3)})\,(C^{(3)})^{\mathsf T}C^{(3)}",
                    attention_from_both_q,
                    code=(attention_from_q,),
                ),
                severity=Severity.MISSING,
                problem="The hypotheses of Lemma F.5 are not stated; without them the time is"
                " impossible under SETH, as in Lemma 3.5, where C3^T C3 has an inverse of at most"
                " poly(L).",
            ),
        ),
    ),
)
