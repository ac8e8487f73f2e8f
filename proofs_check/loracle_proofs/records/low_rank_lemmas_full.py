"""Lemmas F.5 to F.9: Lemmas 3.3 to 3.7 for Q and for K at once.

Every claim is the claim of `low_rank_lemmas` made twice: of f_Q, from C_Q^(1) W_Q and C_Q^(2), and
of f_K, from C_K^(1) W_K^T and C_K^(2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.low_rank_settings import FULL_APPROXIMATIONS, FULL_CERTIFIED
from loracle_proofs.records.low_rank_lemmas import (
    ABSORBED,
    EVERY_LENGTH,
    FULL_RANK,
    RANK_PARTS,
    SAME_SIGNS,
    attention_from_q,
    certified_probabilities,
    certified_q,
    certified_residual,
    cost_of_p1,
    cost_of_p2,
    p1_as_concluded,
    p1_in_factors,
    p2_as_concluded,
    p2_by_columns,
    p2_by_rows,
    p2_in_factors,
    q_exists,
    rank_as_printed,
    residual_exists,
    residual_in_rank_d,
)
from loracle_proofs.relation import Relation
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def _more_keys_than_columns(L: int, d: int) -> bool:
    return d <= min(L, 2)


_WIDE = replace(
    FULL_APPROXIMATIONS,
    name="Lemma F.6, at least as many keys as columns",
    constraint=_more_keys_than_columns,
    limits={"d": 1, "k1": 1, "k2": 1},
)


def certified_both_probabilities(
    queriesQ: BallMatrix,
    keysQ: BallMatrix,
    fQ: Matrix,
    queriesK: BallMatrix,
    keysK: BallMatrix,
    fK: Matrix,
    d: int,
) -> list[Relation]:
    """The same for Q and for K."""
    return [
        *certified_probabilities(queriesQ, keysQ, fQ, d),
        *certified_probabilities(queriesK, keysK, fK, d),
    ]


def residuals_exist(
    fQ: Matrix,
    fK: Matrix,
    C3: Matrix,
    Y: Matrix,
    cQ: Matrix,
    cK: Matrix,
    identity: Any,
    M: int,
) -> list[Relation]:
    """`residual_exists` for Q and for K."""
    return [
        residual_exists(fQ, C3, Y, cQ, identity, M),
        residual_exists(fK, C3, Y, cK, identity, M),
    ]


def residuals_in_rank_d(
    fQ: Matrix, fK: Matrix, C3: Matrix, Y: Matrix, cQ: Matrix, cK: Matrix, d: int
) -> list[Relation]:
    """`residual_in_rank_d` for Q and for K."""
    return [*residual_in_rank_d(fQ, C3, Y, cQ, d), *residual_in_rank_d(fK, C3, Y, cK, d)]


def certified_residuals(
    queriesQ: BallMatrix,
    keysQ: BallMatrix,
    queriesK: BallMatrix,
    keysK: BallMatrix,
    values: BallMatrix,
    labels: BallMatrix,
    cQ: Matrix,
    cK: Matrix,
) -> list[Relation]:
    """`certified_residual` for Q and for K."""
    return [
        *certified_residual(queriesQ, keysQ, values, labels, cQ),
        *certified_residual(queriesK, keysK, values, labels, cK),
    ]


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


_SAME_SIGNS = (
    {"L": 2, "M": 2},
    {
        **{f"{name}{mu}": SAME_SIGNS[1][name] for name in ("U1", "V1", "U2", "V2") for mu in "QK"},
        "C3": [[2], [2]],
    },
)

_BOTH = r"\quad\mu=Q,K"

RECORDS = (
    Record(
        "Lemma F.5",
        title="Low-rank approximation of f for Q and K",
        kind=Kind.LEMMA,
        printed=r"\Gamma=o(\sqrt{\log L}),\;\|C_\mu^{(1)}W\|_\infty\le\Gamma,\;"
        r"\|C_\mu^{(2)}\|_\infty\le\Gamma\;\Rightarrow\;\exists\,k_1=L^{o(1)},\;"
        r"U_1^\mu,V_1^\mu\in\mathbb R^{L\times k_1}:\;"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu\|_\infty\le\epsilon/\operatorname{poly}(L)," + _BOTH,
        corrected=r"d=O(\log L),\;\beta d\,\|C_\mu^{(1)}W\|_\infty\|C_\mu^{(2)}\|_\infty"
        r"=o(\log L)\;\Rightarrow\;k_1=\binom{d+g}{g}=L^{o(1)},\;"
        r"|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu|\le\frac{2\delta}{1-\delta}f_\mu," + _BOTH,
        uses=("Lemma 3.3", "Definition F.3", "Simplification (S4)"),
        parts=(
            Part(
                "rank",
                printed=(Claim(r"k_1\le L^{1/2}\text{ for large }L", rank_as_printed),),
                corrected=Claim(
                    r"|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu|\le\frac{2\delta}{1-\delta}f_\mu,"
                    r"\quad k_1=\binom{d+g}{g}",
                    certified_both_probabilities,
                    setting=FULL_CERTIFIED,
                    code=(certified_probabilities,),
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem=FULL_RANK,
            ),
            *RANK_PARTS,
        ),
        remark="W is W_Q for Q and W_K^T for K. The scores of both are the same, so f_Q = f_K and"
        f" two matrices would do; the four norms are not the same. {EVERY_LENGTH}",
    ),
    Record(
        "Lemma F.6",
        title="Low-rank approximation of c for Q and K",
        kind=Kind.LEMMA,
        printed=r"\exists\,U_1^\mu,V_1^\mu\in\mathbb R^{L\times k_1}:\;"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}C^{(3)}-Y-c_\mu\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L)," + _BOTH,
        corrected=r"U_1^\mu,V_1^\mu\text{ of Lemma F.5, with its hypotheses}:\;"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}C^{(3)}-Y-c_\mu\|_\infty"
        r"\le 2t\,\|C^{(3)}\|_\infty," + _BOTH,
        uses=("Lemma F.5", "Lemma 3.4", "Definition F.4"),
        parts=(
            Part(
                "existence",
                setting=FULL_APPROXIMATIONS,
                printed=(
                    Claim(
                        r"U_1^\mu=f_\mu,\;V_1^\mu=I:\quad"
                        r" U_1^\mu(V_1^\mu)^{\mathsf T}C^{(3)}-Y=c_\mu",
                        residuals_exist,
                        code=(residual_exists,),
                    ),
                ),
                trivial=Claim(
                    r"U_1^\mu(V_1^\mu)^{\mathsf T}=f_\mu P,\;k_1=d",
                    residuals_in_rank_d,
                    setting=_WIDE,
                ),
                corrected=Claim(
                    r"\|U_1^\mu((V_1^\mu)^{\mathsf T}C^{(3)})-Y-c_\mu\|_\infty"
                    r"\le t\max_i(\max_lC^{(3)}_{li}-\min_lC^{(3)}_{li}),\quad t"
                    r"\text{ certified}",
                    certified_residuals,
                    setting=FULL_CERTIFIED,
                    code=(certified_residual,),
                ),
                severity=Severity.MISSING,
                problem="As in Lemma 3.4: without the hypotheses of Lemma F.5 and a time the"
                " statement is met by factors of d columns that always exist.",
            ),
        ),
    ),
    Record(
        "Lemma F.7",
        title="Low-rank approximation of q for Q and K",
        kind=Kind.LEMMA,
        printed=r"\exists\,U_2^\mu,V_2^\mu\in\mathbb R^{L\times k_2}:\;"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-C^{(3)}c_\mu^{\mathsf T}\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L),\;\text{in time }L^{1+o(1)}," + _BOTH,
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
    Record(
        "Lemma F.8",
        title="Low-rank approximation of p1 for Q and K",
        kind=Kind.LEMMA,
        printed=r"\|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu\|_\infty,\;"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-q_\mu\|_\infty\le\epsilon/\operatorname{poly}(L)"
        r"\;\Rightarrow\;\exists\,U_3^\mu,V_3^\mu\in\mathbb R^{L\times k_3}:\;"
        r"\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty\le\epsilon/\operatorname{poly}(L),"
        + _BOTH,
        corrected=r"k_3=k_1k_2:\quad\|U_3^\mu(V_3^\mu)^{\mathsf T}-p_1^\mu\|_\infty"
        r"\le e_f\|q_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_q," + _BOTH,
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
                    extremal=(_SAME_SIGNS,),
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
    Record(
        "Lemma F.9",
        title="Low-rank approximation of p2 for Q and K",
        kind=Kind.LEMMA,
        printed=r"p_2[\cdot,j]=f_jf_j^{\mathsf T}q_j;\quad"
        r"\|U_1^\mu(V_1^\mu)^{\mathsf T}-f_\mu\|_\infty,\;"
        r"\|U_2^\mu(V_2^\mu)^{\mathsf T}-q_\mu\|_\infty\le\epsilon/\operatorname{poly}(L)"
        r"\;\Rightarrow\;\exists\,U_4^\mu,V_4^\mu\in\mathbb R^{L\times k_4}:\;"
        r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty\le\epsilon/\operatorname{poly}(L),"
        + _BOTH,
        corrected=r"p_2^\mu[j,\cdot]=(f_{\mu,j}f_{\mu,j}^{\mathsf T}q_{\mu,j})^{\mathsf T};\quad"
        r"\|U_4^\mu(V_4^\mu)^{\mathsf T}-p_2^\mu\|_\infty"
        r"\le e_f\|r_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_r,\quad"
        r" e_r=M(e_f\|q_\mu\|_\infty+(\|f_\mu\|_\infty+e_f)\,e_q)," + _BOTH,
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
                    extremal=(_SAME_SIGNS,),
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
