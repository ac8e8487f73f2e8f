"""Simplification (S3): one sample suffices."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import PROBLEM_2, aloragc_loss
from loracle_proofs.statement import Claim, Kind, Part, Record
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import vec

__all__ = ["RECORDS"]

SAMPLES_OF_PROBLEM_2 = Setting(
    "Simplification (S3) for N = 2",
    shapes={
        **{f"{name}{i}": PROBLEM_2.shapes[name] for i in "ab" for name in ("C1", "C2", "C3", "Y")},
        **{name: PROBLEM_2.shapes[name] for name in ("W0", "A", "B")},
    },
    limits={"r": 2},
)
"""The two samples are a and b."""

ERRORS = Setting("two errors", shapes={"Ea": ("r", "d"), "Eb": ("r", "d")})


def mean_loss(
    C1a: Matrix,
    C2a: Matrix,
    C3a: Matrix,
    Ya: Matrix,
    C1b: Matrix,
    C2b: Matrix,
    C3b: Matrix,
    Yb: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
) -> Matrix:
    """The mean of the losses of the samples a and b, shape (1, 1)."""
    total = loss_a(C1a, C2a, C3a, Ya, W0, A, B) + loss_b(C1b, C2b, C3b, Yb, W0, A, B)
    return total.scale(Fraction(1, 2))


def loss_a(
    C1a: Matrix, C2a: Matrix, C3a: Matrix, Ya: Matrix, W0: Matrix, A: Matrix, B: Matrix
) -> Matrix:
    """The loss of sample a, shape (1, 1)."""
    return aloragc_loss(C1a, C2a, C3a, W0, A, B, Ya)


def loss_b(
    C1b: Matrix, C2b: Matrix, C3b: Matrix, Yb: Matrix, W0: Matrix, A: Matrix, B: Matrix
) -> Matrix:
    """The loss of sample b, shape (1, 1)."""
    return aloragc_loss(C1b, C2b, C3b, W0, A, B, Yb)


def loss_of_repeated_sample(
    C1: Matrix, C2: Matrix, C3: Matrix, Y: Matrix, W0: Matrix, A: Matrix, B: Matrix
) -> Matrix:
    """The mean of the losses of a data set that has one sample twice, shape (1, 1)."""
    return mean_loss(C1, C2, C3, Y, C1, C2, C3, Y, W0, A, B)


def repeated_sample(derivative: Any, dL_dA: Matrix, dL_dB: Matrix) -> list[Relation]:
    """A data set of N equal samples has the gradients of one of them, here N = 2."""
    return [
        equal(derivative(loss_of_repeated_sample, "A"), dL_dA),
        equal(derivative(loss_of_repeated_sample, "B"), dL_dB),
    ]


def mean_of_gradients(derivative: Any) -> list[Relation]:
    """The gradient of a mean of losses is the mean of their gradients."""
    return [
        equal(
            derivative(mean_loss, "A"),
            (derivative(loss_a, "A") + derivative(loss_b, "A")).scale(Fraction(1, 2)),
        ),
        equal(
            derivative(mean_loss, "B"),
            (derivative(loss_a, "B") + derivative(loss_b, "B")).scale(Fraction(1, 2)),
        ),
    ]


def error_of_mean(Ea: Matrix, Eb: Matrix) -> Relation:
    """||(E_a + E_b) / 2|| <= max(||E_a||, ||E_b||)."""
    return at_most(max_norm((Ea + Eb).scale(Fraction(1, 2))), max_norm(vec(Ea).beside(vec(Eb))))


SIMPLIFICATION_S3 = Record(
    "Simplification (S3)",
    title="One sample suffices",
    kind=Kind.SIMPLIFICATION,
    printed=r"\text{hardness for } N \text{ samples follows from hardness for } N = 1",
    uses=("Problem 1", "Equation (3.1)"),
    parts=(
        Part(
            "hardness: one sample as a data set",
            setting=replace(PROBLEM_2, square={}),
            printed=(
                Claim(
                    r"\nabla \frac{1}{N} \sum_{i=1}^N \mathcal{L}_i = \nabla \mathcal{L}_1"
                    r" \text{ if all samples are equal}",
                    repeated_sample,
                ),
            ),
        ),
        Part(
            "algorithms: the gradient of a mean",
            setting=SAMPLES_OF_PROBLEM_2,
            printed=(
                Claim(
                    r"\nabla \frac{1}{N} \sum_{i=1}^N \mathcal{L}_i = \frac{1}{N} \sum_{i=1}^N"
                    r" \nabla \mathcal{L}_i",
                    mean_of_gradients,
                    code=(mean_loss,),
                ),
            ),
        ),
        Part(
            "algorithms: the error of a mean",
            setting=ERRORS,
            printed=(
                Claim(
                    r"\left\|\frac{1}{N} \sum_{i=1}^N E_i\right\|_\infty \le \max_i"
                    r" \|E_i\|_\infty",
                    error_of_mean,
                    extremal=(({}, {"Ea": [[1]], "Eb": [[1]]}),),
                ),
            ),
        ),
    ),
    remark="The text claims the direction of hardness. The simplification is also used for the"
    " algorithms of Theorems 3.1 and B.1; the second and third part are what that needs: epsilon"
    " for every sample is epsilon for the mean, at N times the cost. Run for N = 2.",
)


RECORDS = (SIMPLIFICATION_S3,)
