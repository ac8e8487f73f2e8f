"""Simplification (S1): the weight of the values is fixed."""

from __future__ import annotations

from typing import Any

from loracle_proofs.records.partial_adaptation_setup.loss import ANY_LENGTHS, generic_loss
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import attention_probabilities, residual

__all__ = ["RECORDS"]


def _probabilities(XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar) -> Matrix:
    return attention_probabilities(XQ @ WQ, XK @ WK, beta)


LINEARITY = Setting(
    "Simplification (S1)",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "XV": ("M", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "WV": ("d", "d"),
        "V": ("d", "d"),
    },
    scalars=("beta", "first", "second"),
    derived={"f": _probabilities},
)


def output_is_linear_in_values(
    f: Matrix, XV: Matrix, WV: Matrix, V: Matrix, first: Scalar, second: Scalar
) -> Relation:
    """Z(a W_V + b V) = a Z(W_V) + b Z(V) for Z(W_V) = f X_V W_V."""
    return equal(
        f @ XV @ (WV.scale(first) + V.scale(second)),
        (f @ XV @ WV).scale(first) + (f @ XV @ V).scale(second),
    )


def loss_with_fixed_values(
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
    """The loss of (3.1) as a function of A_Q and B_Q, with W_V held at its value; shape (1, 1)."""
    WQ = WQ0 + (BQ @ AQ).scale(s)
    return generic_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta)


def gradients_with_fixed_values(gradient: Any, derivative: Any) -> list[Relation]:
    """The gradients of (3.1) in A_Q and B_Q are those of the problem with W_V fixed."""
    return [
        equal(gradient("AQ"), derivative(loss_with_fixed_values, "AQ")),
        equal(gradient("BQ"), derivative(loss_with_fixed_values, "BQ")),
    ]


def gradients_of_values(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK0: Matrix,
    WV: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
    gradient: Any,
) -> list[Relation]:
    """dL/dA_V = s B_V^T X_V^T f^T c and dL/dB_V = s X_V^T f^T c A_V^T."""
    f = attention_probabilities(XQ @ WQ, XK @ WK0, beta)
    c = residual(f, XV @ WV, Y)
    return [
        equal(gradient("AV"), (BV.T @ XV.T @ f.T @ c).scale(s)),
        equal(gradient("BV"), (XV.T @ f.T @ c @ AV.T).scale(s)),
    ]


SIMPLIFICATION_S1 = Record(
    "Simplification (S1)",
    title="The weight of the values is fixed",
    kind=Kind.SIMPLIFICATION,
    printed=r"\text{(II) is linear in } W_V;\quad \text{for the cost of the gradient, fix } W_V",
    uses=("Definition 3.1",),
    parts=(
        Part(
            "linear in the weight of the values",
            setting=LINEARITY,
            printed=(
                Claim(
                    r"Z(a W_V + b V) = a Z(W_V) + b Z(V)",
                    output_is_linear_in_values,
                ),
            ),
        ),
        Part(
            "the gradients that remain",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_Q}, \frac{\partial \mathcal{L}}"
                    r"{\partial B_Q} \text{ are those of the problem with } W_V \text{ fixed at its"
                    r" value}",
                    gradients_with_fixed_values,
                    code=(loss_with_fixed_values,),
                ),
            ),
        ),
        Part(
            "the gradients that are left out",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"\frac{\partial \mathcal{L}}{\partial A_V} = \frac{\alpha}{r} B_V^{\mathsf T}"
                    r" (X^{(V)})^{\mathsf T} f^{\mathsf T} c,\quad \frac{\partial \mathcal{L}}"
                    r"{\partial B_V} = \frac{\alpha}{r} (X^{(V)})^{\mathsf T} f^{\mathsf T} c"
                    r" A_V^{\mathsf T}",
                    gradients_of_values,
                    reading="equivalent means that the gradients left out cost no more; the text"
                    " does not show it",
                ),
            ),
            severity=Severity.MISSING,
            problem="That the gradients in A_V and B_V may be left out of an analysis of cost is"
            " not shown. They need f and c and nothing else of the scores.",
        ),
    ),
    remark="The text gives no argument that leaving out the gradients in A_V and B_V changes no"
    " cost. The third part is one: they need f and c and nothing else of the scores, so that with"
    " f close to U V^T of rank k the product f^T c costs two products with"
    " matrices of k columns. W_V is fixed at its value in the step; (S2) then writes W_V* for it.",
)


RECORDS = (SIMPLIFICATION_S1,)
