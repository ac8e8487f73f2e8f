"""The proof of Theorem B.1: time and error of the gradients."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import ANY_KEYS
from loracle_proofs.records.full_adaptation_gradients.adapter_gradients import (
    A_Q,
    PARTS_OF_LEMMA_F4,
)
from loracle_proofs.records.full_adaptation_proof import key_errors, transposition_time
from loracle_proofs.records.full_adaptation_proof.key_errors import (
    A_BOUND,
    A_PRODUCT,
    A_SPLIT,
    B_BOUND,
)
from loracle_proofs.records.full_adaptation_proof.transposition_time import T_ROWS
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def parts_of_p(
    fQ: Matrix, fK: Matrix, cQ: Matrix, cK: Matrix, C3: Matrix, dL_dS: Matrix
) -> list[Relation]:
    """p1 - p2 with the vectors of query j in row j is the gradient in the scores, for Q and K."""
    q_query, q_key = C3 @ cQ.T, C3 @ cK.T
    return [
        equal(fQ * q_query.T - fQ.scale_rows((fQ * q_query.T).row_sum()), dL_dS),
        equal(fK * q_key.T - fK.scale_rows((fK * q_key.T).row_sum()), dL_dS),
    ]


_GRADIENTS = tuple(
    replace(
        part,
        name=f"gradient in {part.name}",
        severity=Severity.FATAL_TO_PROOF
        if part.severity is Severity.FATAL_TO_STATEMENT
        else part.severity,
    )
    for part in PARTS_OF_LEMMA_F4
)
"""The formulas of Lemma F.4, which the proof repeats."""

PROOF_OF_THEOREM_B1 = Record(
    "Proof of Theorem B.1",
    title="Time and error of the gradients",
    kind=Kind.PROOF,
    printed=A_Q + r",\ \ldots; \quad " + T_ROWS + r",\ d = o(\log L); \quad "
    r"\left\|\frac{\partial \mathcal L}{\partial \underline A_K} - \widetilde"
    r" G_K^{(A)}\right\|_\infty \le \|T(d^2, d^2)^{\mathsf T}\|_\infty \|\cdots\|_\infty \le "
    + A_SPLIT
    + " = "
    + A_PRODUCT
    + r" \le \epsilon / \operatorname{poly}(L)",
    corrected=r"T(d, r) \text{ takes } d r,\ d = O(\log L); \quad "
    + A_BOUND
    + r", \quad "
    + B_BOUND,
    uses=(
        "Definition F.8",
        "Lemma F.2",
        "Lemma F.4",
        "Lemma F.8",
        "Lemma F.9",
        "Theorem 3.1",
        "Proof of Theorem 3.1",
    ),
    parts=(
        Part(
            "p1 - p2",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"p_K(\underline W) = p_1^K(\underline W) - p_2^K(\underline W), \quad"
                    r" p_Q(\underline W) = p_1^Q(\underline W) - p_2^Q(\underline W)",
                    parts_of_p,
                ),
            ),
        ),
        *_GRADIENTS,
        Part(
            "A_Q and B_Q: time and error",
            cites="The text follows the proof of Theorem 3.1, with C_Q^(1) and C_Q^(2) in the"
            " places of C^(1) and C^(2): see its record, and Theorem B.1 for the algorithm.",
        ),
        *transposition_time.PARTS,
        *key_errors.PARTS,
    ),
    ocr="A_Q is read without its underline, and its formula with a transposition after vec that"
    " Lemma F.4 does not have. In the chain for B_K the indices of C, p1 and p2 are not legible and"
    " two of its lines run into each other; its third step is lost.",
    remark="The surrogates stand without the underline of Problem 3. The first step for A_K is said"
    " to follow from Lemma F.3; it is Lemma F.4 that has the formula. The products with T are said"
    " to take o(L^(1+o(1))) time, where L^(1+o(1)) is meant: the one says nothing more than the"
    " other. The lost factor d L M is a"
    " polynomial in L, so that it costs no more than a smaller error of p1 and p2.",
)

RECORDS = (PROOF_OF_THEOREM_B1,)
