"""The proof of Lemma F.1: two instances of Lemma 3.1."""

from __future__ import annotations

from loracle_proofs.full_adaptation_settings import ANY_KEYS
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import weight_loss
from loracle_proofs.statement import Claim, Kind, Part, Record
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def lemma_31_twice(
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    WQ: Matrix,
    WK: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> list[Relation]:
    """The loss is that of Lemma 3.1 with C_Q1, C_Q2 and W_Q, and with C_K1, C_K2 and W_K^T."""
    return [
        equal(weight_loss(CQ1, CQ2, C3, WQ, Y), loss),
        equal(weight_loss(CK1, CK2, C3, WK.T, Y), loss),
    ]


PROOF_OF_LEMMA_F1 = Record(
    "Proof of Lemma F.1",
    title="Two instances of Lemma 3.1",
    kind=Kind.PROOF,
    printed=r"\text{Lemma 3.1, applied to } C_Q^{(1)}, C_Q^{(2)}, W_Q \text{ and to } C_K^{(1)},"
    r" C_K^{(2)}, W_K^{\mathsf T}",
    uses=("Lemma 3.1", "Remark B.1", "Equation (B.1)"),
    parts=(
        Part(
            "instances",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\mathcal L(C_Q^{(1)}, C_Q^{(2)}, C^{(3)}, W_Q) = \mathcal L = \mathcal"
                    r" L(C_K^{(1)}, C_K^{(2)}, C^{(3)}, W_K^{\mathsf T})",
                    lemma_31_twice,
                ),
            ),
        ),
    ),
    remark="The proof says in one sentence that the lemma generalizes Lemma 3.1. It is less than"
    " that, two instances of it: by Remark B.1 the other matrices are constant in each.",
)

RECORDS = (PROOF_OF_LEMMA_F1,)
