"""Remark A.2: from one sample and one adapter to the other problems."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import aloragc_loss, lora_attention_loss
from loracle_reference.reduction import AloragcInstance, embed_in_full_adaptation

__all__ = ["RECORDS"]


def b2_loss(**arguments: Any) -> Matrix:
    """The loss of (B.2), which has no factor 1/2."""
    loss: Matrix = lora_attention_loss(**arguments).scale(2)
    return loss


def problem_3_printed(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
    constant: Any,
) -> list[Relation]:
    """The gradients of (B.2) in A_Q and B_Q are those of (3.3)."""
    i = AloragcInstance(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    full = embed_in_full_adaptation(i, constant)
    return [
        equal(gradient_at(b2_loss, full, "a_q", constant), dL_dA),
        equal(gradient_at(b2_loss, full, "b_q", constant), dL_dB),
    ]


def problem_3(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
    constant: Any,
) -> list[Relation]:
    """The gradients of Definition B.1 in A_Q and B_Q are those of (3.3)."""
    i = AloragcInstance(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    full = embed_in_full_adaptation(i, constant)
    return [
        equal(gradient_at(lora_attention_loss, full, "a_q", constant), dL_dA),
        equal(gradient_at(lora_attention_loss, full, "b_q", constant), dL_dB),
    ]


def equal_samples(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    L: int,
    dL_dA: Matrix,
    dL_dB: Matrix,
    constant: Any,
) -> list[Relation]:
    """The mean over N equal samples, here with N = L, has the gradients of one."""

    def loss(**sample: Matrix) -> Matrix:
        total = aloragc_loss(**sample)
        for _ in range(1, L):
            total = total + aloragc_loss(**sample)
        return total.scale(Fraction(1, L))

    sample = {"c1": C1, "c2": C2, "c3": C3, "w": W0, "a": A, "b": B, "y": Y}
    return [
        equal(gradient_at(loss, sample, "a", constant), dL_dA),
        equal(gradient_at(loss, sample, "b", constant), dL_dB),
    ]


REMARK_A2 = Record(
    "Remark A.2",
    title="From one sample and one adapter to the other problems",
    kind=Kind.REMARK,
    printed=r"\text{Theorem A.1 applies to Problem 2, to Problem 3 and to } N > 1\text{ samples}",
    uses=("Theorem A.1", "Problem 2", "Problem 3", "Simplification (S3)"),
    parts=(
        Part(
            "Problem 3",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"X^{(Q)} = C^{(1)},\ X^{(K)} = C^{(2)},\ X^{(V)} = C^{(3)},\ W_K = W_V = I:"
                    r"\quad \text{the gradients of (B.2) are those of (3.3)}",
                    problem_3_printed,
                ),
                Claim(
                    r"X^{(Q)} = C^{(1)},\ X^{(K)} = C^{(2)},\ X^{(V)} = C^{(3)},\ W_K = W_V = I:"
                    r"\quad \text{the gradients of Definition B.1 are those of (3.3)}",
                    problem_3,
                    reading="(B.2) has the factor 1/2 of Definition B.1",
                ),
            ),
            corrected=Claim(
                r"X^{(Q)} = C^{(1)},\ X^{(K)} = C^{(2)},\ X^{(V)} = C^{(3)},\ W_K = W_V = I:"
                r"\quad \text{the gradients of Definition B.1 are those of (3.3)}",
                problem_3,
                code=(embed_in_full_adaptation,),
            ),
            severity=Severity.MISSING,
            problem="(B.2) has lost the factor 1/2, so its gradients are twice those of (3.3). The"
            " reduction stands with epsilon doubled.",
        ),
        Part(
            "more samples",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"X_1 = \ldots = X_N,\ Y_1 = \ldots = Y_N:\quad"
                    r" \nabla \frac1N \sum_{i=1}^N \mathcal L_i = \nabla \mathcal L_1",
                    equal_samples,
                ),
            ),
        ),
    ),
    remark="The remark gives no embeddings; these are some. Problem 3 asks for more matrices than"
    " Problem 2, which only makes it harder.",
)


RECORDS = (REMARK_A2,)
