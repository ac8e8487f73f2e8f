"""Proof of Theorem A.1 and its second part: the gradients, the answers, the time it takes."""

from __future__ import annotations

from typing import Any

from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS
from loracle_proofs.records.reduction.embedding import EMBEDDING_PARTS, SQUARE_X_EMBEDDED
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import aloragc_loss
from loracle_reference.reduction import AloragcInstance, AttentionLossInstance, answer, embed

__all__ = ["RECORDS", "gradient_in_block"]


def gradients_printed(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, constant: Any
) -> Relation:
    """dL/dX = dL/dA_Q."""
    i = embed(instance, d, constant)
    return equal(dL_dX, gradient_at(aloragc_loss, i.arguments(), "a", constant))


def gradient_in_block(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, r: int, constant: Any
) -> Relation:
    """dL/dX is the first r columns of dL/dA_Q."""
    i = embed(instance, d, constant)
    return equal(dL_dX, answer(gradient_at(aloragc_loss, i.arguments(), "a", constant), r))


def gradients(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, r: int, constant: Any
) -> list[Relation]:
    """dL/dA_Q = [dL/dX, 0]."""
    i = embed(instance, d, constant)
    dL_dA = gradient_at(aloragc_loss, i.arguments(), "a", constant)
    return [
        equal(answer(dL_dA, r), dL_dX),
        equal(dL_dA, dL_dX @ i.b.T),
    ]


def answers_printed(
    instance: AttentionLossInstance[Matrix], g: Matrix, dL_dX: Matrix, d: int, constant: Any
) -> Relation:
    """The error of G_A = g is that of g."""
    i = embed(instance, d, constant)
    dL_dA = gradient_at(aloragc_loss, i.arguments(), "a", constant)
    return at_most(max_norm(g - dL_dA), max_norm(g - dL_dX))


def answers(
    instance: AttentionLossInstance[Matrix],
    G: Matrix,
    dL_dX: Matrix,
    d: int,
    r: int,
    constant: Any,
) -> Relation:
    """The error of g, the first r columns of G_A, is a block of the error of G_A."""
    i = embed(instance, d, constant)
    dL_dA = gradient_at(aloragc_loss, i.arguments(), "a", constant)
    return equal(answer(G, r) - dL_dX, answer(G - dL_dA, r))


def entries(instance: AloragcInstance[Matrix]) -> int:
    """How many numbers an instance of Problem 2 is."""
    shapes = [matrix.shape for matrix in instance.arguments().values()]
    return sum(rows * columns for rows, columns in shapes)


def constant_time(instance: AttentionLossInstance[Matrix], d: int, constant: Any) -> Relation:
    """What is written does not grow with the number of tokens."""
    one_token = AttentionLossInstance(
        a1=instance.a1.take_rows([0]),
        a2=instance.a2.take_rows([0]),
        a3=instance.a3.take_rows([0]),
        x=instance.x,
        e=instance.e.take_rows([0]),
    )
    return at_most(entries(embed(instance, d, constant)), entries(embed(one_token, d, constant)))


def written(
    instance: AttentionLossInstance[Matrix], L: int, M: int, d: int, r: int, constant: Any
) -> Relation:
    """(2 L + 2 M + d + 2 r) d entries are written."""
    return equal(entries(embed(instance, d, constant)), (2 * L + 2 * M + d + 2 * r) * d)


PROOF_OF_THEOREM_A1 = Record(
    "Proof of Theorem A.1",
    title="Attention loss gradients from LoRA gradients",
    kind=Kind.PROOF,
    printed=r"C^{(1)} B_Q = A_1,\quad C^{(2)} = \{A_2, 0\} / r,\quad C^{(3)} = \{A_3, 0\},\quad"
    r" A_Q = \{X, 0\},\quad \Gamma = B;\qquad"
    r" A_1 X A_2^{\mathsf T} / r = C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T},\quad"
    r" \exp(A_1 X A_2^{\mathsf T}) / r"
    r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr),\quad"
    r" (D^{-1} \exp\{C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\} C^{(3)} - Y)|_{L \times r}"
    r" = (D^{-1} \exp(A_1 X A_2^{\mathsf T} / r) A_3 - E)|_{L \times r},\quad"
    r" \widetilde G_A = \widetilde g",
    corrected=r"C^{(1)} = [A_1, 0],\quad B_Q = [I_r; 0],\quad \overline W_Q^\star = 0,\quad"
    r" Y = [E, 0],\quad d \ge r;\qquad"
    r" \exp(A_1 X A_2^{\mathsf T} / r)"
    r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr),\quad"
    r" \frac{\partial\mathcal L}{\partial A_Q}"
    r" = \Bigl[ \frac{\mathrm d\mathcal L}{\mathrm dX}, 0 \Bigr],\quad"
    r" \widetilde g = \widetilde G_A[\cdot, 1 \ldots r]",
    uses=("Definition G.1", "Lemma G.1", "Problem 2", "Equation (3.3)"),
    parts=(
        *EMBEDDING_PARTS,
        Part(
            "the gradients",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}",
                    gradients_printed,
                ),
                Claim(
                    r"\frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]",
                    gradient_in_block,
                    reading="the partial derivative in those columns of A_Q that hold X",
                ),
            ),
            corrected=Claim(
                r"\frac{\partial\mathcal L}{\partial A_Q}"
                r" = \Bigl[ \frac{\mathrm d\mathcal L}{\mathrm dX}, 0 \Bigr]",
                gradients,
                code=(embed, answer),
                equivalent=SQUARE_X_EMBEDDED,
            ),
            severity=Severity.NOTATION,
            problem="The gradient in X is r x r, that in A_Q r x d: they agree in the columns that"
            " hold X, and the others are 0.",
        ),
        Part(
            "the answers",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\widetilde G_A = \widetilde g:\quad"
                    r" \left\|\widetilde G_A - \frac{\partial\mathcal L}{\partial A_Q}"
                    r"\right\|_\infty \le \epsilon",
                    answers_printed,
                ),
            ),
            corrected=Claim(
                r"\widetilde g = \widetilde G_A[\cdot, 1 \ldots r]:\quad"
                r" \widetilde g - \frac{\mathrm d\mathcal L}{\mathrm dX} ="
                r" \Bigl(\widetilde G_A - \frac{\partial\mathcal L}{\partial A_Q}\Bigr)"
                r"[\cdot, 1 \ldots r],\quad"
                r" \left\|\widetilde g - \frac{\mathrm d\mathcal L}{\mathrm dX}\right\|_\infty"
                r" \le \epsilon",
                answers,
                code=(answer,),
            ),
            severity=Severity.ILL_TYPED,
            problem="The assignment is the wrong way round: an answer to Problem 2 is to give one"
            " to AAttLGC. Nor do the shapes fit: g belongs to X, r x r (printed L x L), G_A to A_Q,"
            " r x d (printed d x r).",
        ),
        Part(
            "the time of the reduction",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(r"O(1)\text{ time}", constant_time),
                Claim(
                    r"\text{one call: } \frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]",
                    gradient_in_block,
                    reading="O(1) counts the instances of ALoRAGC that are solved, which is one",
                ),
            ),
            corrected=Claim(r"(2 L + 2 M + d + 2 r)\, d = O(L d)\text{ numbers written}", written),
            severity=Severity.NOTATION,
            problem="Writing the instance down takes time O(L d). For d = O(log L) that is far"
            " below any L^(2 - delta) with delta < 1, so nothing breaks.",
        ),
    ),
    remark="C1 and B_Q are given by their product only; [A1, 0] and [I_r; 0] are one choice, which"
    " needs d >= r. Nothing needs E = Y = 0. Where r is no power of 2 the entries of A2 / r are not"
    " binary fractions; if numbers of log(L) bits are binary fractions, C2 is rounded, which the"
    " proof does not account for.",
)


RECORDS = (PROOF_OF_THEOREM_A1,)
