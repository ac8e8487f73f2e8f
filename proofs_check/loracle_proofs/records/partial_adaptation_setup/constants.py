"""Simplification (S2) and equation (3.2): the constants C1, C2, C3 and the scores in them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy

from loracle_proofs.records.partial_adaptation_setup.loss import (
    PARTIAL_ADAPTATION,
    generic_loss,
    partial_loss,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = ["RECORDS"]


def rescaling_at_zero() -> Relation:
    """alpha Wbar = r W*, of which Wbar = r W* / alpha would be the solution, at alpha = 0."""
    Wbar = sympy.Symbol("Wbar")
    return equal(0 * Wbar, sympy.Integer(1), witness="alpha = 0, r = 1, W* = 1, whatever Wbar is")


def rescaling() -> Relation:
    """alpha Wbar = r W* for Wbar = r W* / alpha, alpha not being zero."""
    alpha, r, W = sympy.symbols("alpha r W", nonzero=True)
    Wbar = r * W / alpha
    return equal(alpha * Wbar, r * W)


def scores_without_pretrained_weight(
    XQ: Matrix, XK: Matrix, WQ0: Matrix, WK0: Matrix, AQ: Matrix, BQ: Matrix, s: Scalar
) -> Relation:
    """C1 (W_Q* / s + B_Q A_Q) C2^T = C1 B_Q A_Q C2^T with C1 = s X_Q and C2 = X_K W_K*."""
    C1, C2 = XQ.scale(s), XK @ WK0
    Wbar = WQ0.scale(Fraction(1) / s)
    return equal(C1 @ (Wbar + BQ @ AQ) @ C2.T, C1 @ BQ @ AQ @ C2.T)


def scores_with_pretrained_weight(
    XQ: Matrix, XK: Matrix, WQ: Matrix, WQ0: Matrix, WK0: Matrix, AQ: Matrix, BQ: Matrix, s: Scalar
) -> Relation:
    """X_Q W_Q (W_K*)^T X_K^T = C1 (W_Q* / s + B_Q A_Q) C2^T."""
    C1, C2 = XQ.scale(s), XK @ WK0
    Wbar = WQ0.scale(Fraction(1) / s)
    return equal(XQ @ WQ @ WK0.T @ XK.T, C1 @ (Wbar + BQ @ AQ) @ C2.T)


def loss_with_pretrained_values(
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
    beta: Scalar,
) -> Matrix:
    """The loss of (3.1) in the C of (3.2), with C3 = X_V W_V*; shape (1, 1)."""
    C1, C2, C3 = XQ.scale(s), XK @ WK0, XV @ WV0
    W = WQ0.scale(Fraction(1) / s) + BQ @ AQ
    return generic_loss(C1 @ W, C2, C3, Y, beta)


def loss_with_current_values(
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
    beta: Scalar,
) -> Matrix:
    """The same with C3 = X_V W_V, the adapter of V in it; shape (1, 1)."""
    C1, C2, C3 = XQ.scale(s), XK @ WK0, XV @ WV
    W = WQ0.scale(Fraction(1) / s) + BQ @ AQ
    return generic_loss(C1 @ W, C2, C3, Y, beta)


def partial_loss_without_v(
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
    beta: Scalar,
) -> Matrix:
    """The loss of (3.1) with A_V = 0; shape (1, 1)."""
    zero = AQ.scale(0)
    return partial_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, zero, BQ, Y, s, beta)


def gradients_with_pretrained_values(gradient: Any, derivative: Any) -> list[Relation]:
    """With C3 = X_V W_V* the gradients in A_Q and B_Q are those of (3.1)."""
    return [
        equal(gradient("AQ"), derivative(loss_with_pretrained_values, "AQ")),
        equal(gradient("BQ"), derivative(loss_with_pretrained_values, "BQ")),
    ]


def gradients_without_v(derivative: Any) -> list[Relation]:
    """The same, A_V being zero."""
    return [
        equal(
            derivative(partial_loss_without_v, "AQ"), derivative(loss_with_pretrained_values, "AQ")
        ),
        equal(
            derivative(partial_loss_without_v, "BQ"), derivative(loss_with_pretrained_values, "BQ")
        ),
    ]


def gradients_with_current_values(gradient: Any, derivative: Any) -> list[Relation]:
    """With C3 = X_V W_V the gradients in A_Q and B_Q are those of (3.1)."""
    return [
        equal(gradient("AQ"), derivative(loss_with_current_values, "AQ")),
        equal(gradient("BQ"), derivative(loss_with_current_values, "BQ")),
    ]


_RESCALED = Claim(
    r"\alpha \overline{W} = r W^\star \text{ for } \overline{W} = r W^\star / \alpha,\;"
    r" \alpha \neq 0",
    rescaling,
)

SIMPLIFICATION_S2 = Record(
    "Simplification (S2)",
    title="The constants C1, C2, C3",
    kind=Kind.SIMPLIFICATION,
    printed=r"C_i^{(1)} := X_i^{(Q)} \frac{\alpha}{r},\quad C_i^{(2)} := X_i^{(K)} W_K^\star,\quad"
    r" C_i^{(3)} := X_i^{(V)} W_V^\star \text{ are constants}",
    corrected=r"C_i^{(1)} := X_i^{(Q)} \frac{\alpha}{r}\ (\alpha \neq 0),\quad C_i^{(2)} :="
    r" X_i^{(K)} W_K^\star,\quad C_i^{(3)} := X_i^{(V)} \left(W_V^\star + \frac{\alpha}{r} B_V"
    r" A_V\right) \text{, constant in } A_Q, B_Q",
    uses=("Equation (3.1)", "Equation (3.2)", "Simplification (S1)"),
    parts=(
        Part(
            "the scale factor",
            printed=(
                Claim(
                    r"\alpha \overline{W} = r W^\star \text{ for every } \alpha \in \mathbb{R}",
                    rescaling_at_zero,
                ),
                replace(
                    _RESCALED,
                    reading="alpha is not 0, as an adapter that is to adapt anything needs",
                ),
            ),
            corrected=_RESCALED,
            severity=Severity.MISSING,
            problem="r / alpha needs alpha != 0, which Definition 1.1 (alpha real) does not say.",
        ),
        Part(
            "the values",
            setting=PARTIAL_ADAPTATION,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                    r"{\partial B_Q} \text{ of (3.1), with } C^{(3)} = X^{(V)} W_V^\star",
                    gradients_with_pretrained_values,
                ),
                Claim(
                    r"\text{the same, with } B_V A_V = 0",
                    gradients_without_v,
                    reading="the adapter of V is zero throughout, so that W_V stays W_V*",
                ),
            ),
            corrected=Claim(
                r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                r"{\partial B_Q} \text{ of (3.1), with } C^{(3)} = X^{(V)} W_V",
                gradients_with_current_values,
                code=(loss_with_current_values,),
            ),
            severity=Severity.MISSING,
            problem="Definition 3.1 adapts W_V; once its adapter is not zero, the gradients in A_Q"
            " and B_Q see W_V and not W_V*. C3 must be made of the W_V of the step: a constant in"
            " A_Q and B_Q, though not from step to step.",
        ),
    ),
)

EQUATION_3_2 = Record(
    "Equation (3.2)",
    title="The scores in C1 and C2",
    kind=Kind.EQUATION,
    printed=r"X_i^{(Q)} \frac{\alpha}{r} \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right)"
    r" (W_K^\star)^{\mathsf T} (X_i^{(K)})^{\mathsf T} := C_i^{(1)} B_Q A_Q"
    r" (C_i^{(2)})^{\mathsf T},\quad X_i^{(V)} W_V^\star := C_i^{(3)}",
    corrected=r"X_i^{(Q)} \frac{\alpha}{r} \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right)"
    r" (W_K^\star)^{\mathsf T} (X_i^{(K)})^{\mathsf T} = C_i^{(1)} \left(\overline{W}_Q^\star +"
    r" B_Q A_Q\right) (C_i^{(2)})^{\mathsf T}",
    uses=("Simplification (S2)",),
    parts=(
        Part(
            "the scores",
            setting=PARTIAL_ADAPTATION,
            printed=(
                Claim(
                    r"C^{(1)} \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right)"
                    r" (C^{(2)})^{\mathsf T} = C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}",
                    scores_without_pretrained_weight,
                ),
            ),
            corrected=Claim(
                r"X^{(Q)} W_Q (W_K^\star)^{\mathsf T} (X^{(K)})^{\mathsf T} = C^{(1)}"
                r" \left(\frac{r}{\alpha} W_Q^\star + B_Q A_Q\right) (C^{(2)})^{\mathsf T}",
                scores_with_pretrained_weight,
            ),
            severity=Severity.MISSING,
            problem="The right side has lost the pretrained weight: it is the left side for"
            " W_Q* = 0 only. (3.3) has the term again.",
        ),
    ),
    ocr="The number of the display reads (S.2) in the source and runs into an underbrace; the text"
    " refers to the display as (3.2).",
)


RECORDS = (SIMPLIFICATION_S2, EQUATION_3_2)
