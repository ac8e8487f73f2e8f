"""Lemma 3.6: a low-rank approximation of p1."""

from __future__ import annotations

from loracle_proofs.low_rank_settings import PRINTED_Q, distance
from loracle_proofs.records.low_rank_lemmas.readings import ABSORBED
from loracle_proofs.records.low_rank_lemmas.sizes import K1, K2, LENGTH
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.gradient import p1
from loracle_reference.vectorization import row_wise_kronecker

__all__ = ["RECORDS", "SAME_SIGNS", "cost_of_p1", "p1_as_concluded", "p1_in_factors"]


def p1_as_concluded(
    f: Matrix, q: Matrix, U1: Matrix, V1: Matrix, U2: Matrix, V2: Matrix
) -> Relation:
    """||U3 V3^T - p1|| is at most the larger of ||U1 V1^T - f|| and ||U2 V2^T - C3 c^T||, for
    U3 = U1 (x) V2, V3 = V1 (x) U2 row by row."""
    U3, V3 = row_wise_kronecker(U1, V2), row_wise_kronecker(V1, U2)
    larger = max_norm((U1 @ V1.T - f).beside(V2 @ U2.T - q))
    return at_most(distance(U3 @ V3.T, p1(f, q)), larger)


def p1_in_factors(
    f: Matrix,
    q: Matrix,
    U1: Matrix,
    V1: Matrix,
    U2: Matrix,
    V2: Matrix,
    k1: int,
    k2: int,
) -> list[Relation]:
    """||U3 V3^T - p1|| <= e_f ||q|| + (||f|| + e_f) e_q with k1 k2 columns."""
    U3, V3 = row_wise_kronecker(U1, V2), row_wise_kronecker(V1, U2)
    e_f, e_q = distance(U1 @ V1.T, f), distance(V2 @ U2.T, q)
    return [
        at_most(distance(U3 @ V3.T, p1(f, q)), e_f * max_norm(q) + (max_norm(f) + e_f) * e_q),
        equal(U3.shape[1], k1 * k2),
    ]


def cost_of_p1() -> Relation:
    """U3 and V3 have L k1 k2 entries each, one product for each."""
    counting = Counting()
    for _ in ("U3", "V3"):
        left, right = counting.symbol_matrix(LENGTH, K1), counting.symbol_matrix(LENGTH, K2)
        row_wise_kronecker(left, right)
    return equal(counting.operations.total, 2 * LENGTH * K1 * K2)


# Row j of f is (1/2, 1/2), c = 2, q = 4 in every entry; U1 V1^T = 3 and U2 V2^T = 7.
SAME_SIGNS = (
    {"L": 2, "M": 2},
    {
        "U1": [[3], [3]],
        "V1": [[1], [1]],
        "U2": [[7], [7]],
        "V2": [[1], [1]],
        "C3": [[2], [2]],
    },
)


RECORDS = (
    Record(
        "Lemma 3.6",
        title="Low-rank approximation of p1",
        kind=Kind.LEMMA,
        printed=r"\|U_1V_1^{\mathsf T}-f\|_\infty,\;\|U_2V_2^{\mathsf T}-q\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L)\;\Rightarrow\;\exists\,U_3,V_3"
        r"\in\mathbb R^{L\times k_3}:\;\|U_3V_3^{\mathsf T}-p_1\|_\infty"
        r"\le\epsilon/\operatorname{poly}(L),\text{ in time }L^{1+o(1)}",
        corrected=r"U_3[j,\cdot]=U_1[j,\cdot]\otimes V_2[j,\cdot],\;"
        r"V_3[l,\cdot]=V_1[l,\cdot]\otimes U_2[l,\cdot],\;k_3=k_1k_2:\quad"
        r"\|U_3V_3^{\mathsf T}-p_1\|_\infty\le e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q",
        uses=("Lemma 3.3", "Lemma 3.5", "Definition 3.6"),
        parts=(
            Part(
                "approximation",
                setting=PRINTED_Q,
                printed=(
                    Claim(r"\|U_3V_3^{\mathsf T}-p_1\|_\infty\le\max(e_f,e_q)", p1_as_concluded),
                    Claim(
                        r"\|U_3V_3^{\mathsf T}-p_1\|_\infty"
                        r"\le e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q,\quad k_3=k_1k_2",
                        p1_in_factors,
                        reading=ABSORBED,
                    ),
                ),
                corrected=Claim(
                    r"\|U_3V_3^{\mathsf T}-p_1\|_\infty"
                    r"\le e_f\|q\|_\infty+(\|f\|_\infty+e_f)\,e_q,\quad k_3=k_1k_2",
                    p1_in_factors,
                    extremal=(SAME_SIGNS,),
                ),
                severity=Severity.MISSING,
                problem="Errors of f come back multiplied by ||q||, which the lemma does not bound:"
                " O(log L) bits for C3 and Y, a hypothesis of Theorem 3.1, must be one here too.",
            ),
            Part(
                "time",
                printed=(Claim(r"\text{operations of }U_3,V_3=2Lk_1k_2", cost_of_p1),),
            ),
        ),
        remark="q is the printed C3 c^T, whose column j belongs to query j; V2 and U2 therefore"
        " change places beside U1 and V1. The printed form is tried on this construction, the one"
        " of the proof; that no other pair of k3 columns does better is not claimed.",
    ),
)
