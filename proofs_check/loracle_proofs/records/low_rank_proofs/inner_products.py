"""Equation (E.1): the inner products r_j = <f_j, q_j> from low-rank factors."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import APPROXIMATIONS
from loracle_proofs.records.low_rank_proofs.readings import ROWS
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def r_in_factors(U1: Matrix, V1: Matrix, U2: Matrix, V2: Matrix, L: int) -> list[Relation]:
    """(U1 V1^T)[j,.] ((U2 V2^T)[j,.])^T = U1[j,.] V1^T V2 (U2[j,.])^T for every j."""
    return [
        equal(
            (U1 @ V1.T).take_rows([j]) @ (U2 @ V2.T).take_rows([j]).T,
            U1.take_rows([j]) @ V1.T @ V2 @ U2.take_rows([j]).T,
        )
        for j in range(L)
    ]


def r_of_printed_q(U1: Matrix, V1: Matrix, C3: Matrix, c: Matrix, q: Matrix) -> Relation:
    """<f~_j, q_j> = U1[j,.] V1^T V2 (U2[j,.])^T for C3 c^T = U2 V2^T."""
    U2, V2 = C3, c
    return equal((U1 @ (V1.T @ V2)).row_dot(U2), (U1 @ V1.T).row_dot(q))


def r_of_rows(U1: Matrix, V1: Matrix, C3: Matrix, c: Matrix, q: Matrix) -> Relation:
    """<f~_j, q_j> = U1[j,.] V1^T V2 (U2[j,.])^T for c C3^T = U2 V2^T."""
    U2, V2 = c, C3
    return equal((U1 @ (V1.T @ V2)).row_dot(U2), (U1 @ V1.T).row_dot(q))


def r_of_columns(U1: Matrix, V1: Matrix, C3: Matrix, c: Matrix, q: Matrix) -> Relation:
    """<f~_j, q_j> = U1[j,.] V1^T U2 (V2[j,.])^T for C3 c^T = U2 V2^T."""
    U2, V2 = C3, c
    return equal((U1 @ (V1.T @ U2)).row_dot(V2), (U1 @ V1.T).row_dot(q))


RECORDS = (
    Record(
        "Equation (E.1)",
        title="The inner products r in factors",
        kind=Kind.EQUATION,
        printed=r"\widetilde r_j=\langle\widetilde f_j,\widetilde q_j\rangle"
        r"=(U_1V_1^{\mathsf T})[j,\cdot]\cdot[(U_2V_2^{\mathsf T})[j,\cdot]]^{\mathsf T}"
        r"=U_1[j,\cdot]\,V_1^{\mathsf T}V_2\,(U_2[j,\cdot])^{\mathsf T}",
        corrected=r"r_j=\langle f_j,q_j\rangle\approx"
        r" U_1[j,\cdot]\,V_1^{\mathsf T}U_2\,(V_2[j,\cdot])^{\mathsf T}"
        r"\text{ for }U_2V_2^{\mathsf T}\approx C^{(3)}c^{\mathsf T}",
        uses=("Lemma 3.5", "Definition 3.6"),
        parts=(
            Part(
                "identity of the factors",
                setting=APPROXIMATIONS,
                printed=(
                    Claim(
                        r"(U_1V_1^{\mathsf T})[j,\cdot]\cdot[(U_2V_2^{\mathsf T})[j,\cdot]]"
                        r"^{\mathsf T}=U_1[j,\cdot]V_1^{\mathsf T}V_2(U_2[j,\cdot])^{\mathsf T}",
                        r_in_factors,
                    ),
                ),
            ),
            Part(
                "what it approximates",
                setting=APPROXIMATIONS,
                printed=(
                    Claim(
                        r"r_j=U_1[j,\cdot]V_1^{\mathsf T}V_2(U_2[j,\cdot])^{\mathsf T},\quad"
                        r" f=U_1V_1^{\mathsf T},\;C^{(3)}c^{\mathsf T}=U_2V_2^{\mathsf T}",
                        r_of_printed_q,
                    ),
                    Claim(
                        r"r_j=U_1[j,\cdot]V_1^{\mathsf T}V_2(U_2[j,\cdot])^{\mathsf T},\quad"
                        r" f=U_1V_1^{\mathsf T},\;c\,(C^{(3)})^{\mathsf T}=U_2V_2^{\mathsf T}",
                        r_of_rows,
                        reading=ROWS,
                    ),
                ),
                corrected=Claim(
                    r"r_j=U_1[j,\cdot]V_1^{\mathsf T}U_2(V_2[j,\cdot])^{\mathsf T},\quad"
                    r" f=U_1V_1^{\mathsf T},\;C^{(3)}c^{\mathsf T}=U_2V_2^{\mathsf T}",
                    r_of_columns,
                ),
                severity=Severity.NOTATION,
                problem="(E.1) takes row j of U2 V2^T for q~_j, but Lemma 3.5 builds factors of"
                " C3 c^T, whose column j is q_j: even with exact factors the number is not r_j.",
            ),
        ),
    ),
)
