"""Equation (B.2): the loss for one sample and fixed values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from loracle_proofs.full_adaptation_settings import (
    FIXED_VALUES,
    Sized,
    fixed_values_loss,
    squared_norm,
)
from loracle_proofs.records.full_adaptation.loss import SIGN
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def _pretrained_values(XV: Matrix, WV0: Matrix) -> Matrix:
    return XV @ WV0


PRETRAINED_VALUES = replace(
    FIXED_VALUES,
    shapes={
        **{name: shape for name, shape in FIXED_VALUES.shapes.items() if name != "C3"},
        "XV": ("M", "d"),
        "WV0": ("d", "d"),
    },
    derived={**FIXED_VALUES.derived, "C3": _pretrained_values, "loss": fixed_values_loss},
)


def loss_without_half(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> Relation:
    """(B.2) as printed against Definition B.1 for N = 1."""
    exponentials = (XQ @ (WQ0 + BQ @ AQ) @ (WK0 + BK @ AK).T @ XK.T).exp()
    f = exponentials.divide_rows(exponentials.row_sum())
    return equal(squared_norm(f @ XV @ WV0 - Y), loss)


def loss_with_half(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> Relation:
    """(B.2) with the 1/2 of Definition B.1."""
    exponentials = (XQ @ (WQ0 + BQ @ AQ) @ (WK0 + BK @ AK).T @ XK.T).exp()
    f = exponentials.divide_rows(exponentials.row_sum())
    return equal(squared_norm(f @ XV @ WV0 - Y).scale(Fraction(1, 2)), loss)


def two_forms_of_d(
    XQ: Matrix,
    XK: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    M: int,
    ones: Sized,
) -> list[Relation]:
    """The diagonal of D, written with C_K and with C_Q, is that of the exponential in (B.2)."""
    d = (XQ @ (WQ0 + BQ @ AQ) @ (WK0 + BK @ AK).T @ XK.T).exp() @ ones(M)
    return [
        equal((CK1 @ (WK0 + BK @ AK).T @ CK2.T).exp() @ ones(M), d),
        equal((CQ1 @ (WQ0 + BQ @ AQ) @ CQ2.T).exp() @ ones(M), d),
    ]


_B2 = (
    r"\|D^{-1}\exp\{X^{(Q)}(W_Q^\star + B_Q A_Q)(W_K^\star + B_K A_K)^{\mathsf T}"
    r"(X^{(K)})^{\mathsf T}\} X^{(V)} W_V^\star - Y\|_F^2"
)

EQUATION_B2 = Record(
    "Equation (B.2)",
    title="The loss with W_V fixed",
    kind=Kind.EQUATION,
    printed=r"\min_{A_K, B_K, A_Q, B_Q} " + _B2 + r",\quad D = \operatorname{diag}(\exp("
    r"C_K^{(1)} W_K^{\mathsf T} (C_K^{(2)})^{\mathsf T}) 1_L) = \operatorname{diag}(\exp("
    r"C_Q^{(1)} W_Q (C_Q^{(2)})^{\mathsf T}) 1_L)",
    corrected=r"\min_{A_K, B_K, A_Q, B_Q} \frac{1}{2} " + _B2,
    uses=("Definition B.1", "Equation (B.1)"),
    parts=(
        Part(
            "loss",
            setting=PRETRAINED_VALUES,
            printed=(Claim(r"\mathcal L = " + _B2, loss_without_half),),
            corrected=Claim(
                r"\mathcal L = \frac{1}{2} " + _B2,
                loss_with_half,
                equivalent={"loss_with_half: f @ XV @ WV0 - Y -> Y - f @ XV @ WV0": SIGN},
            ),
            severity=Severity.MISSING,
            problem="The 1/2 of Definition B.1 is lost: the loss, and every gradient of it, is"
            " twice that of Definition B.1 and of Lemmas F.1 and F.4.",
        ),
        Part(
            "D",
            setting=FIXED_VALUES,
            printed=(
                Claim(
                    r"D = \operatorname{diag}(\exp(C_K^{(1)} W_K^{\mathsf T} (C_K^{(2)})^{\mathsf"
                    r" T}) 1_L) = \operatorname{diag}(\exp(C_Q^{(1)} W_Q (C_Q^{(2)})^{\mathsf T})"
                    r" 1_L)",
                    two_forms_of_d,
                ),
            ),
        ),
    ),
    ocr="The two lines of the display of D run into each other (the factor of C_Q^(1) is read as"
    " W_Q* + B_K A_K, with the end of the line above repeated), and the adapters are read as"
    " subsets of their spaces, not elements.",
    remark="Fixing W_V at W_V* gives the right gradients of Definition B.1 only where its adapter"
    " is zero: see the values in equation (B.1). The adapter of W_V, which scenario (C2) trains,"
    " has no gradient in what follows.",
)

RECORDS = (EQUATION_B2,)
