"""Lemma 3.7: a low-rank approximation of p2."""

from __future__ import annotations

import sympy

from loracle_proofs.low_rank_settings import PRINTED_Q, distance
from loracle_proofs.records.low_rank_lemmas.p1 import SAME_SIGNS
from loracle_proofs.records.low_rank_lemmas.readings import ABSORBED
from loracle_proofs.records.low_rank_lemmas.sizes import K1, K2, LENGTH
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.gradient import p1, p2

__all__ = [
    "RECORDS",
    "cost_of_p2",
    "p2_as_concluded",
    "p2_by_columns",
    "p2_by_rows",
    "p2_in_factors",
]


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


RECORDS = (
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
