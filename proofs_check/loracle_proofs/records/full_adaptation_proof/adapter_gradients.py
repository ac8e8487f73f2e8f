"""The proof of Lemma F.4: the chain rule through T."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import FIXED_VALUES, Sized, sum_of
from loracle_proofs.records.full_adaptation_proof import key_lines_for_a, key_lines_for_b
from loracle_proofs.records.full_adaptation_proof.key_lines import (
    BIG,
    NO_OUTER,
    OUTER,
    SMALL,
    first_line,
    second_line,
    third_line,
    third_line_corrected,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.jacobian import jacobian_in_a, jacobian_in_b
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]


def query_sum(
    AQ: Matrix,
    BQ: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dAQ: Matrix,
    dL_dBQ: Matrix,
) -> list[Relation]:
    """J^T sum_j (C_j^Q)^T p_j, as in the proof of Lemma 3.2, with J_B and J_A of W_Q."""
    C = kronecker(CQ1, CQ2)
    total = sum_of(sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L))
    return [
        equal(jacobian_in_a(BQ, identity(d)).T @ total, vec(dL_dAQ)),
        equal(jacobian_in_b(AQ, identity(d)).T @ total, vec(dL_dBQ)),
    ]


_ADAPTERS_ANY_KEYS = replace(FIXED_VALUES, square={})

_A, _B = (
    r"\frac{\partial \mathcal L}{\partial \underline A_K} = ",
    (r"\frac{\partial \mathcal L}{\partial \underline B_K} = "),
)

PROOF_OF_LEMMA_F4 = Record(
    "Proof of Lemma F.4",
    title="The chain rule through T",
    kind=Kind.PROOF,
    printed=_A
    + first_line("B", BIG, NO_OUTER)
    + " = "
    + second_line("B", BIG, NO_OUTER)
    + " = "
    + third_line("B", BIG, "p_{K,j}")
    + r"; \quad "
    + _B
    + first_line("A", BIG, NO_OUTER)
    + " = "
    + second_line("A", BIG, NO_OUTER)
    + " = "
    + third_line("A", BIG, "q_{K,j}")
    + r" = T(d^2, d^2)^{\mathsf T} \operatorname{vec}((C_K^{(1)})^{\mathsf T} p_K A_K C_K^{(2)})",
    corrected=_A
    + first_line("B", SMALL, OUTER)
    + " = "
    + second_line("B", SMALL, OUTER)
    + " = "
    + third_line_corrected("B")
    + r" = T(d, r) \operatorname{vec}((C_K^{(1)})^{\mathsf T} p_K"
    r" C_K^{(2)} B_K); \quad "
    + _B
    + third_line_corrected("A")
    + r" = T(r, d) \operatorname{vec}(A_K (C_K^{(1)})^{\mathsf T} p_K C_K^{(2)})",
    uses=("Lemma F.1", "Lemma F.2", "Lemma F.3", "Definition F.6", "Definition F.7", "Lemma 2.1"),
    parts=(
        Part(
            "A_Q and B_Q",
            setting=_ADAPTERS_ANY_KEYS,
            printed=(
                Claim(
                    r"\sum_{j=1}^L J^{\mathsf T} (\mathsf C_j^Q)^{\mathsf T} p_{Q,j}",
                    query_sum,
                    reading="the proof of Lemma 3.2 is meant, with the Jacobians of Lemma E.1 as"
                    " corrected",
                ),
            ),
            severity=Severity.TYPO,
            problem="The text refers to the proof of Theorem 3.1, which takes these formulas from"
            " Lemma 3.2; their derivation stands in the proof of that lemma.",
        ),
        *key_lines_for_a.PARTS,
        *key_lines_for_b.PARTS,
    ),
    ocr="The last line for A_K, and its reason, are not read: after the third line stands a"
    " parenthesis without its partner and a reference to Lemma 2.1. The outer products f_K f_K^T"
    " have no transposition in any line; in the first line for B_K one stands after the bracket,"
    " which is symmetric.",
    remark="In the lines for K, C_K1 and C_K2 are given matrices, as in Remark B.1. J_B and J_A are"
    " those of Lemma E.1 as corrected, for the row-major vec of Definition 2.1; Lemma F.3, which"
    " defines them for K, is not legible. p_j stands for row j of p.",
)

RECORDS = (PROOF_OF_LEMMA_F4,)
