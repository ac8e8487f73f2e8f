"""The proof of Lemma E.1: the chain rule through the Jacobians."""

from __future__ import annotations

from loracle_proofs.records.jacobians.gradient_terms import CHAIN_RULE
from loracle_proofs.records.jacobians.printed_jacobians import (
    PRINTED_JACOBIANS,
    printed_jacobian_in_a,
    printed_jacobian_in_b,
)
from loracle_proofs.records.score_definitions.settings import Identity
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.jacobian import jacobian_in_a, jacobian_in_b, pull_back
from loracle_reference.vectorization import kronecker, vec

__all__ = ["RECORDS"]


def printed_chain_rule(
    A: Matrix,
    B: Matrix,
    d: int,
    identity: Identity,
    dL_dA: Matrix,
    dL_dB: Matrix,
    dL_dW: Matrix,
) -> list[Relation]:
    """The chain rule through the Jacobians of the text."""
    return [
        equal(vec(dL_dA), printed_jacobian_in_a(B, identity(d)).T @ vec(dL_dW)),
        equal(vec(dL_dB), printed_jacobian_in_b(A, identity(d)).T @ vec(dL_dW)),
    ]


def chain_rule(
    A: Matrix,
    B: Matrix,
    d: int,
    identity: Identity,
    dL_dA: Matrix,
    dL_dB: Matrix,
    dL_dW: Matrix,
) -> list[Relation]:
    """vec(dL/dA) = J_B^T vec(dL/dW) and vec(dL/dB) = J_A^T vec(dL/dW)."""
    return [
        equal(vec(dL_dA), kronecker(B, identity(d)).T @ vec(dL_dW)),
        equal(vec(dL_dA), pull_back(jacobian_in_a(B, identity(d)), dL_dW)),
        equal(vec(dL_dB), kronecker(identity(d), A.T).T @ vec(dL_dW)),
        equal(vec(dL_dB), pull_back(jacobian_in_b(A, identity(d)), dL_dW)),
    ]


RECORDS = (
    Record(
        "Proof of Lemma E.1",
        title="Chain rule through the Jacobians",
        kind=Kind.PROOF,
        printed=r"\frac{\partial\mathcal L}{\partial\underline A_Q} = J_B^{\top}"
        r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_Q} = J_A^{\top}"
        r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}, \quad" + PRINTED_JACOBIANS,
        corrected=r"\frac{\partial\mathcal L}{\partial\underline A_Q} ="
        r" (B_Q \otimes I_d)^{\top} \frac{\mathrm d\mathcal L}{\mathrm d\underline W}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_Q} ="
        r" (I_d \otimes A_Q^{\top})^{\top} \frac{\mathrm d\mathcal L}{\mathrm d\underline W}",
        uses=("Lemma E.1", "Lemma 3.1"),
        parts=(
            Part(
                "chain rule",
                setting=CHAIN_RULE,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_Q} ="
                        r" (I_d \otimes B_Q)^{\top} \frac{\mathrm d\mathcal L}"
                        r"{\mathrm d\underline W}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_Q} ="
                        r" (A_Q^{\top} \otimes I_d)^{\top} \frac{\mathrm d\mathcal L}"
                        r"{\mathrm d\underline W}",
                        printed_chain_rule,
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial\underline A_Q} ="
                    r" (B_Q \otimes I_d)^{\top} \frac{\mathrm d\mathcal L}{\mathrm d\underline W},"
                    r" \quad \frac{\partial\mathcal L}{\partial\underline B_Q} ="
                    r" (I_d \otimes A_Q^{\top})^{\top}"
                    r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}",
                    chain_rule,
                    code=(pull_back, jacobian_in_a, jacobian_in_b),
                ),
                severity=Severity.FATAL_TO_PROOF,
                problem="The proof names the chain rule and Lemma 3.1 and takes the displayed"
                " Jacobians as given; they are those of another vec, so what follows is false.",
            ),
        ),
    ),
)
