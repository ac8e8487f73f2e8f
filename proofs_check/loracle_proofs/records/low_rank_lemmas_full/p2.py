"""Lemma F.9: low-rank approximations of p2 for Q and for K."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import FULL_APPROXIMATIONS
from loracle_proofs.records.low_rank_lemmas.p2 import (
    cost_of_p2,
    p2_as_concluded,
    p2_by_columns,
    p2_by_rows,
    p2_in_factors,
)
from loracle_proofs.records.low_rank_lemmas.readings import ABSORBED
from loracle_proofs.records.low_rank_lemmas_full.notation import BOTH
from loracle_proofs.records.low_rank_lemmas_full.p1 import BOTH_SAME_SIGNS
from loracle_proofs.relation import Relation
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def both_p2_by_columns(
    XQ: Matrix,
    XK: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    fQ: Matrix,
    qQ: Matrix,
    fK: Matrix,
    qK: Matrix,
    dL_dWQ: Matrix,
    dL_dWK: Matrix,
) -> list[Relation]:
    """`p2_by_columns` for Q, and for K in the variable W_K^T."""
    return [
        p2_by_columns(XQ, CQ2, fQ, qQ, dL_dWQ),
        p2_by_columns(CK1, XK, fK, qK, dL_dWK.T),
    ]


def both_p2_by_rows(
    XQ: Matrix,
    XK: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    fQ: Matrix,
    qQ: Matrix,
    fK: Matrix,
    qK: Matrix,
    dL_dWQ: Matrix,
    dL_dWK: Matrix,
) -> list[Relation]:
    """`p2_by_rows` for Q, and for K in the variable W_K^T."""
    return [
        p2_by_rows(XQ, CQ2, fQ, qQ, dL_dWQ),
        p2_by_rows(CK1, XK, fK, qK, dL_dWK.T),
    ]


def both_p2_as_concluded(
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
    """`p2_as_concluded` for Q and for K."""
    return [
        p2_as_concluded(fQ, qQ, U1Q, V1Q, U2Q, V2Q),
        p2_as_concluded(fK, qK, U1K, V1K, U2K, V2K),
    ]


def both_p2_in_factors(
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
    M: int,
) -> list[Relation]:
    """`p2_in_factors` for Q and for K."""
    return [
        *p2_in_factors(fQ, qQ, U1Q, V1Q, U2Q, V2Q, M),
        *p2_in_factors(fK, qK, U1K, V1K, U2K, V2K, M),
    ]


RECORDS = (
    Record(
        "Lemma F.9",
        title="Low-rank approximation of p2 for Q and K",
        kind=Kind.LEMMA,
        printed=r"p_2[\cdot,j]=f_jf_j^{\mathsf T}q_j;\quad"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu\|_\infty,\;"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-q_\mu\|_\infty\le\epsilon/\operatorname{poly}(L)"
        r"\;\Rightarrow\;\exists\,U_4^\mu,V_4^\mu\in\mathbb R^{L\times k_4}:\;"
        r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty\le\epsilon/\operatorname{poly}(L),"
        + BOTH,
        corrected=r"p_2^\mu[j,\cdot]=(f_{\mu,j}f_{\mu,j}^{\mathsf T}q_{\mu,j})^{\mathsf T};\quad"
        r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty"
        r"\le e_f\|r_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_r,\quad"
        r" e_r=M(e_f\|q_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_q)," + BOTH,
        uses=("Lemma F.5", "Lemma F.7", "Definition F.8", "Lemma 3.7", "Lemma F.4"),
        parts=(
            Part(
                "orientation",
                setting=FULL_APPROXIMATIONS,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial W_Q}=(C_Q^{(1)})^{\mathsf T}"
                        r"(p_1^Q-p_2^Q)C_Q^{(2)},\;\frac{\partial\mathcal L}{\partial"
                        r" W_K^{\mathsf T}}=(C_K^{(1)})^{\mathsf T}(p_1^K-p_2^K)C_K^{(2)},\quad"
                        r" p_2^\mu[\cdot,j]=f_{\mu,j}f_{\mu,j}^{\mathsf T}q_{\mu,j}",
                        both_p2_by_columns,
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial W_Q}=(C_Q^{(1)})^{\mathsf T}"
                    r"(p_1^Q-p_2^Q)C_Q^{(2)},\;\frac{\partial\mathcal L}{\partial"
                    r" W_K^{\mathsf T}}=(C_K^{(1)})^{\mathsf T}(p_1^K-p_2^K)C_K^{(2)},\quad"
                    r" p_2^\mu[j,\cdot]=(f_{\mu,j}f_{\mu,j}^{\mathsf T}q_{\mu,j})^{\mathsf T}",
                    both_p2_by_rows,
                    code=(p2_by_rows,),
                ),
                severity=Severity.NOTATION,
                problem="The vectors p2_j are called columns of p2 and must be its rows, for Q and"
                " for K alike.",
            ),
            Part(
                "approximation",
                setting=FULL_APPROXIMATIONS,
                printed=(
                    Claim(
                        r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty\le\max(e_f,e_q)",
                        both_p2_as_concluded,
                    ),
                    Claim(
                        r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty"
                        r"\le e_f\|r_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_r",
                        both_p2_in_factors,
                        reading=ABSORBED,
                    ),
                ),
                corrected=Claim(
                    r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty"
                    r"\le e_f\|r_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_r",
                    both_p2_in_factors,
                    extremal=(BOTH_SAME_SIGNS,),
                    code=(p2_in_factors,),
                ),
                severity=Severity.MISSING,
                problem="As in Lemma 3.7: a factor M, and ||q||, which no hypothesis bounds.",
            ),
            Part(
                "time",
                printed=(
                    Claim(
                        r"\text{operations of }\widetilde r,U_4^\mu=L(4k_1k_2+k_1+k_2-1)-k_1k_2",
                        cost_of_p2,
                    ),
                ),
            ),
        ),
        remark="The definition of the columns has lost the index mu: p2, f and q stand there"
        " without it.",
    ),
)
