"""Proof of Theorem A.1, first part: the instance of Problem 2, its norms, scores and residuals."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS, SQUARE, SQUARE_X
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.statement import Claim, Part, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import adapted_weight, aloragc_loss, attention_probabilities
from loracle_reference.reduction import AttentionLossInstance, attention_loss, embed

__all__ = ["EMBEDDING_PARTS", "SQUARE_X_EMBEDDED"]

SQUARE_X_EMBEDDED = {"embed: 0 -> 1": SQUARE}


def scores(instance: AttentionLossInstance[Matrix], d: int, r: int, constant: Any) -> Relation:
    """A1 X A2^T / r = C1 B_Q A_Q C2^T."""
    i = embed(instance, d, constant)
    return equal(
        (instance.a1 @ instance.x @ instance.a2.T).scale(Fraction(1, r)), i.c1 @ i.b @ i.a @ i.c2.T
    )


def substitution(
    A1: Matrix, A2: Matrix, A3: Matrix, X: Matrix, E: Matrix, d: int, r: int, constant: Any
) -> list[Relation]:
    """C1 B_Q = A1; r C2, C3, A_Q and Y begin with A2, A3, X and E."""
    i = embed(AttentionLossInstance(a1=A1, a2=A2, a3=A3, x=X, e=E), d, constant)
    return [
        equal(i.c1 @ i.b, A1),
        equal(i.c2.scale(r) @ i.b, A2),
        equal(i.c3 @ i.b, A3),
        equal(i.a @ i.b, X),
        equal(i.y @ i.b, E),
    ]


def with_frozen_weight(
    instance: AttentionLossInstance[Matrix], W0: Matrix, f: Matrix, d: int, constant: Any
) -> Relation:
    """f of Problem 2 is f of Definition G.1, whatever W* is."""
    i = replace(embed(instance, d, constant), w=W0)
    return equal(attention_probabilities(i.c1 @ adapted_weight(i.w, i.b, i.a, 1), i.c2), f)


def without_frozen_weight(
    instance: AttentionLossInstance[Matrix], f: Matrix, d: int, constant: Any
) -> Relation:
    """f of Problem 2 is f of Definition G.1 for W* = 0."""
    i = embed(instance, d, constant)
    return equal(attention_probabilities(i.c1 @ adapted_weight(i.w, i.b, i.a, 1), i.c2), f)


def norms(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    E: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    constant: Any,
) -> list[Relation]:
    """||C2|| <= ||A2||, ||C1 B_Q A_Q|| <= ||A1 X||, ||Y|| <= ||E||."""
    i = embed(instance, d, constant)
    return [
        at_most(max_norm(i.c2), max_norm(A2)),
        at_most(max_norm(i.c1 @ i.b @ i.a), max_norm(A1 @ X)),
        at_most(max_norm(i.y), max_norm(E)),
    ]


def exponentials_printed(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    r: int,
    constant: Any,
) -> Relation:
    """exp(A1 X A2^T) / r = exp(C1 B_Q A_Q C2^T)."""
    i = embed(instance, d, constant)
    return equal((A1 @ X @ A2.T).exp().scale(Fraction(1, r)), (i.c1 @ i.b @ i.a @ i.c2.T).exp())


def exponentials(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    r: int,
    constant: Any,
) -> Relation:
    """exp(A1 X A2^T / r) = exp(C1 B_Q A_Q C2^T)."""
    i = embed(instance, d, constant)
    return equal((A1 @ X @ A2.T).scale(Fraction(1, r)).exp(), (i.c1 @ i.b @ i.a @ i.c2.T).exp())


def residuals(
    instance: AttentionLossInstance[Matrix], f: Matrix, d: int, r: int, constant: Any
) -> Relation:
    """The first r columns of f C3 - Y are f A3 - E."""
    i = embed(instance, d, constant)
    c = attention_probabilities(i.c1 @ adapted_weight(i.w, i.b, i.a, 1), i.c2) @ i.c3 - i.y
    return equal(c.take_columns(range(r)), f @ instance.a3 - instance.e)


def residuals_and_losses(
    instance: AttentionLossInstance[Matrix], d: int, r: int, constant: Any
) -> list[Relation]:
    """The other columns of f C3 - Y are 0, so that the two losses are equal."""
    i = embed(instance, d, constant)
    return [
        equal(i.c3 @ i.b @ i.b.T, i.c3),
        equal(i.y @ i.b @ i.b.T, i.y),
        equal(aloragc_loss(**i.arguments()), attention_loss(**instance.arguments())),
    ]


EMBEDDING_PARTS = (
    Part(
        "the substitution",
        setting=ATTENTION_LOSS,
        printed=(
            Claim(
                r"C^{(1)} B_Q = A_1,\ C^{(2)} = \{A_2, 0\} / r,\ C^{(3)} = \{A_3, 0\},"
                r"\ A_Q = \{X, 0\}",
                substitution,
                code=(embed,),
                equivalent=SQUARE_X_EMBEDDED,
            ),
        ),
    ),
    Part(
        "the frozen weight",
        setting=ATTENTION_LOSS,
        printed=(
            Claim(
                r"D^{-1} \exp\bigl(C^{(1)} (\overline W_Q^\star + B_Q A_Q)"
                r" (C^{(2)})^{\mathsf T}\bigr) = D^{-1} \exp(A_1 X A_2^{\mathsf T} / r)",
                with_frozen_weight,
            ),
        ),
        corrected=Claim(
            r"\overline W_Q^\star = 0:\quad D^{-1} \exp\bigl(C^{(1)} (\overline W_Q^\star"
            r" + B_Q A_Q) (C^{(2)})^{\mathsf T}\bigr)"
            r" = D^{-1} \exp(A_1 X A_2^{\mathsf T} / r)",
            without_frozen_weight,
            code=(embed,),
            equivalent=SQUARE_X_EMBEDDED,
        ),
        severity=Severity.MISSING,
        problem="The loss (3.3) has the frozen weight in its scores, and the substitution says"
        " nothing about it. For another weight than 0 the scores, and the gradient, are not"
        " those of the instance.",
    ),
    Part(
        "the norms",
        setting=ATTENTION_LOSS,
        printed=(
            Claim(
                r"\|C^{(2)}\|_\infty, \|C^{(1)} B_Q A_Q\|_\infty, \|Y\|_\infty \le B",
                norms,
                extremal=(
                    (
                        {},
                        {"A1": [[1]], "A2": [[1]], "A3": [[1]], "X": [[1]], "E": [[1]]},
                    ),
                ),
            ),
        ),
    ),
    Part(
        "the scores",
        setting=ATTENTION_LOSS,
        printed=(
            Claim(
                r"A_1 X A_2^{\mathsf T} / r = C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}",
                scores,
                code=(embed,),
                equivalent=SQUARE_X_EMBEDDED,
            ),
        ),
    ),
    Part(
        "the exponentials",
        setting=ATTENTION_LOSS,
        printed=(
            Claim(
                r"\exp(A_1 X A_2^{\mathsf T}) / r"
                r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr)",
                exponentials_printed,
            ),
        ),
        corrected=Claim(
            r"\exp(A_1 X A_2^{\mathsf T} / r)"
            r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr)",
            exponentials,
        ),
        severity=Severity.TYPO,
        problem="The division by r belongs inside the exponential, as in the line before.",
    ),
    Part(
        "the residuals",
        setting=ATTENTION_LOSS,
        printed=(
            Claim(
                r"(f C^{(3)} - Y)|_{L \times r} = (f A_3 - E)|_{L \times r}",
                residuals,
                reading="the L x r block of an L x d matrix is its first r columns, on the"
                " left, not an upper block",
            ),
        ),
        corrected=Claim(
            r"f C^{(3)} - Y = [f A_3 - E, 0],\quad"
            r" \mathcal L(\overline W_Q^\star + B_Q A_Q) = \mathcal L(X)",
            residuals_and_losses,
            code=(embed, attention_loss),
            equivalent={**SQUARE_X, **SQUARE_X_EMBEDDED},
        ),
        severity=Severity.NOTATION,
        problem="An upper block keeps all columns and some rows; an L x r block of an L x d"
        " matrix keeps all rows. That the other columns vanish is not said, without which the"
        " losses need not be equal.",
    ),
)
