"""Equation (3.3): the loss of Problem 2, from that of (3.1) by the simplifications."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from loracle_proofs.records.partial_adaptation_setup.loss import ANY_LENGTHS, partial_loss
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2, aloragc_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import half_squared_norm, residual

__all__ = ["RECORDS"]


def loss_3_3(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Matrix:
    """(3.3) at C1 = s X_Q, C2 = X_K W_K*, C3 = X_V W_V and Wbar = W_Q* / s, shape (1, 1)."""
    Wbar = WQ0.scale(Fraction(1) / s)
    return aloragc_loss(XQ.scale(s), XK @ WK0, XV @ WV, Wbar, AQ, BQ, Y)


def partial_loss_at_unit_temperature(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Matrix:
    """(3.1) for one sample at beta = 1, shape (1, 1)."""
    return partial_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s, 1)


def loss_3_3_of_pretrained_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Matrix:
    """(3.3) at the C3 = X_V W_V* of (S2), shape (1, 1)."""
    return loss_3_3(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, Y, s)


def deduced_loss_of_pretrained_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Relation:
    """(3.1) at N = 1 and beta = 1 is (3.3), its C3 being made of W_V*."""
    return equal(
        partial_loss_at_unit_temperature(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s),
        loss_3_3_of_pretrained_values(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, Y, s),
    )


def deduced_gradients_of_pretrained_values(derivative: Any) -> list[Relation]:
    """The gradients of (3.1) in A_Q and B_Q are those of (3.3), its C3 being made of W_V*."""
    return [
        equal(
            derivative(partial_loss_at_unit_temperature, "AQ"),
            derivative(loss_3_3_of_pretrained_values, "AQ"),
        ),
        equal(
            derivative(partial_loss_at_unit_temperature, "BQ"),
            derivative(loss_3_3_of_pretrained_values, "BQ"),
        ),
    ]


def deduced_loss(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    WV: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
) -> Relation:
    """(3.1) at N = 1 and beta = 1 is (3.3), its C3 being made of W_V."""
    return equal(
        partial_loss_at_unit_temperature(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AV, BV, Y, s),
        loss_3_3(XQ, XK, XV, WQ0, WK0, WV, AQ, BQ, Y, s),
    )


def deduced_gradients(derivative: Any) -> list[Relation]:
    """The gradients of (3.1) at N = 1 and beta = 1 in A_Q and B_Q are those of (3.3)."""
    return [
        equal(derivative(partial_loss_at_unit_temperature, "AQ"), derivative(loss_3_3, "AQ")),
        equal(derivative(partial_loss_at_unit_temperature, "BQ"), derivative(loss_3_3, "BQ")),
    ]


_DEDUCED_LOSS = Claim(
    r"\mathcal{L} \text{ of (3.1) at } N = \beta = 1 \text{ is } \mathcal{L} \text{ of (3.3),"
    r" with } C^{(3)} = X^{(V)} W_V",
    deduced_loss,
    code=(loss_3_3,),
)

_DEDUCED_GRADIENTS = Claim(
    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}{\partial B_Q}"
    r" \text{ of (3.1) at } N = \beta = 1 \text{ are those of (3.3), with } C^{(3)} = X^{(V)} W_V",
    deduced_gradients,
    code=(loss_3_3,),
)

_CURRENT_VALUES = "C^(3) is made of W_V, not of the W_V* that (S2) prints"


def explicit_3_3(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    ones: Any,
    L: int,
) -> Relation:
    """(3.3) with D = diag(exp(C1 (Wbar + B A) C2^T) 1_L) is the specification's loss."""
    exponentials = (C1 @ (W0 + B @ A) @ C2.T).exp()
    f = exponentials.divide_rows(exponentials @ ones(L))
    return equal(aloragc_loss(C1, C2, C3, W0, A, B, Y), half_squared_norm(residual(f, C3, Y)))


EQUATION_3_3 = Record(
    "Equation (3.3)",
    title="The loss of Problem 2",
    kind=Kind.EQUATION,
    printed=r"\mathcal{L}(B_Q, A_Q) = \tfrac12 \|D^{-1} \exp\{C^{(1)} (\overline{W}_Q^\star + B_Q"
    r" A_Q) (C^{(2)})^{\mathsf T}\} C^{(3)} - Y\|_F^2,\quad \overline{W}_Q^\star := r W_Q^\star /"
    r" \alpha,\quad D = \operatorname{diag}(\exp\{C^{(1)} (\overline{W}_Q^\star + B_Q A_Q)"
    r" (C^{(2)})^{\mathsf T}\} \mathbb{1}_L)",
    corrected=r"\mathcal{L}(B_Q, A_Q) \text{ as printed, with } C^{(3)} = X^{(V)} \left(W_V^\star +"
    r" \frac{\alpha}{r} B_V A_V\right)",
    uses=(
        "Equation (3.1)",
        "Simplification (S1)",
        "Simplification (S2)",
        "Simplification (S3)",
        "Simplification (S4)",
    ),
    parts=(
        Part(
            "the value",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\mathcal{L} = \tfrac12 \|D^{-1} \exp\{C^{(1)} (\overline{W}_Q^\star + B_Q"
                    r" A_Q) (C^{(2)})^{\mathsf T}\} C^{(3)} - Y\|_F^2",
                    explicit_3_3,
                ),
            ),
        ),
        Part(
            "deduced from (3.1)",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\mathcal{L} \text{ of (3.1) at } N = \beta = 1 \text{ is } \mathcal{L}"
                    r" \text{ of (3.3), with } C^{(3)} = X^{(V)} W_V^\star",
                    deduced_loss_of_pretrained_values,
                ),
                replace(_DEDUCED_LOSS, reading=_CURRENT_VALUES),
            ),
            corrected=_DEDUCED_LOSS,
            severity=Severity.MISSING,
            problem="With the C^(3) of (S2) the deduction needs B_V A_V = 0.",
        ),
        Part(
            "the gradients",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                    r"{\partial B_Q} \text{ of (3.1) at } N = \beta = 1 \text{ are those of (3.3),"
                    r" with } C^{(3)} = X^{(V)} W_V^\star",
                    deduced_gradients_of_pretrained_values,
                ),
                replace(_DEDUCED_GRADIENTS, reading=_CURRENT_VALUES),
            ),
            corrected=_DEDUCED_GRADIENTS,
            severity=Severity.MISSING,
            problem="With the C^(3) of (S2) these are not the gradients of (3.1).",
        ),
    ),
    remark="C^(3) is that of the corrected (S2), made of W_V; with alpha / r absorbed in"
    " C^(1) the deduction needs no other value of it than one that is not zero.",
)


RECORDS = (EQUATION_3_3,)
