"""Lemma F.8: low-rank approximations of p1 for Q and for K."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import FULL_APPROXIMATIONS
from loracle_proofs.records.low_rank_lemmas.p1 import (
    SAME_SIGNS,
    cost_of_p1,
    p1_as_concluded,
    p1_in_factors,
)
from loracle_proofs.records.low_rank_lemmas.readings import ABSORBED
from loracle_proofs.records.low_rank_lemmas_full.notation import BOTH
from loracle_proofs.relation import Relation
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["BOTH_SAME_SIGNS", "RECORDS"]


def both_p1_as_concluded(
    fQ: Matrix,
    qQ: Matrix,
    U1Q: Matrix,
    V1Q: Matrix,
    U2Q: Matrix,
    V2Q: Matrix,
    fK: Matrix,
    qK: Matrix,
    U1K: Matrix,
    V1K: Matrix,
    U2K: Matrix,
    V2K: Matrix,
) -> list[Relation]:
    """`p1_as_concluded` for Q and for K."""
    return [
        p1_as_concluded(fQ, qQ, U1Q, V1Q, U2Q, V2Q),
        p1_as_concluded(fK, qK, U1K, V1K, U2K, V2K),
    ]


def both_p1_in_factors(
    fQ: Matrix,
    qQ: Matrix,
    U1Q: Matrix,
    V1Q: Matrix,
    U2Q: Matrix,
    V2Q: Matrix,
    fK: Matrix,
    qK: Matrix,
    U1K: Matrix,
    V1K: Matrix,
    U2K: Matrix,
    V2K: Matrix,
    k1: int,
    k2: int,
) -> list[Relation]:
    """`p1_in_factors` for Q and for K."""
    return [
        *p1_in_factors(fQ, qQ, U1Q, V1Q, U2Q, V2Q, k1, k2),
        *p1_in_factors(fK, qK, U1K, V1K, U2K, V2K, k1, k2),
    ]


BOTH_SAME_SIGNS = (
    {"L": 2, "M": 2},
    {
        **{f"{name}{mu}": SAME_SIGNS[1][name] for name in ("U1", "V1", "U2", "V2") for mu in "QK"},
        "C3": [[2], [2]],
    },
)


RECORDS = (
    Record(
        "Lemma F.8",
        title="Low-rank approximation of p1 for Q and K",
        kind=Kind.LEMMA,
        printed=r"\|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu\|_\infty,\;"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-q_\mu\|_\infty\le\epsilon/\operatorname{poly}(L)"
        r"\;\Rightarrow\;\exists\,U_3^\mu,V_3^\mu\in\mathbb R^{L\times k_3}:\;"
        r"\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty\le\epsilon/\operatorname{poly}(L),"
        + BOTH,
        corrected=r"k_3=k_1k_2:\quad\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty"
        r"\le e_f\|q_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_q," + BOTH,
        uses=("Lemma F.5", "Lemma F.7", "Definition F.8", "Lemma 3.6"),
        parts=(
            Part(
                "approximation",
                setting=FULL_APPROXIMATIONS,
                printed=(
                    Claim(
                        r"\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty\le\max(e_f,e_q)",
                        both_p1_as_concluded,
                    ),
                    Claim(
                        r"\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty"
                        r"\le e_f\|q_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_q",
                        both_p1_in_factors,
                        reading=ABSORBED,
                    ),
                ),
                corrected=Claim(
                    r"\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty"
                    r"\le e_f\|q_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_q,\quad k_3=k_1k_2",
                    both_p1_in_factors,
                    extremal=(BOTH_SAME_SIGNS,),
                    code=(p1_in_factors,),
                ),
                severity=Severity.MISSING,
                problem="As in Lemma 3.6: errors of f come back multiplied by ||q||, which no"
                " hypothesis bounds.",
            ),
            Part(
                "time",
                printed=(Claim(r"\text{operations of }U_3^\mu,V_3^\mu=2Lk_1k_2", cost_of_p1),),
            ),
        ),
    ),
)
