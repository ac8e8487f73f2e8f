"""Definition 1.2 and equation (1.2): the LoRA loss of an attention head."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from loracle_proofs.records.introduction.attention import normalisation
from loracle_proofs.records.introduction.norms import sum_of_squares
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    lora_attention_loss,
    residual,
)

__all__ = ["RECORDS"]

ONES = Setting(
    "the vector of ones in Definition 1.2",
    shapes={"X": ("L", "d"), "WQ": ("d", "d"), "WK": ("d", "d"), "N": ("n", "n")},
    scalars=("beta",),
    limits={"n": 2},
)
"""N gives the undefined length n a value of its own; its entries are not used."""


def normalisation_over_n(
    X: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, ones: Any, n: int
) -> Relation:
    """D Softmax(beta Q K^T) = exp(beta X W_Q W_K^T X^T), D = diag(exp(...) 1_n)."""
    exponentials = (X @ WQ @ WK.T @ X.T).scale(beta).exp()
    D = exponentials @ ones(n)
    return equal(attention_probabilities(X @ WQ, X @ WK, beta).scale_rows(D), exponentials)


def _weight_q(WQ0: Matrix, BQ: Matrix, AQ: Matrix, s: Scalar) -> Matrix:
    return adapted_weight(WQ0, BQ, AQ, s)


def _weight_k(WK0: Matrix, BK: Matrix, AK: Matrix, s: Scalar) -> Matrix:
    return adapted_weight(WK0, BK, AK, s)


def _weight_v(WV0: Matrix, BV: Matrix, AV: Matrix, s: Scalar) -> Matrix:
    return adapted_weight(WV0, BV, AV, s)


_ADAPTERS: dict[str, tuple[str, str]] = {
    name: ("d", "d") if name.endswith("0") else ("r", "d") if name[0] == "A" else ("d", "r")
    for mu in "QKV"
    for name in (f"W{mu}0", f"A{mu}", f"B{mu}")
}


def mean_loss(
    X1: Matrix,
    X2: Matrix,
    Y1: Matrix,
    Y2: Matrix,
    WQ0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WV0: Matrix,
    AV: Matrix,
    BV: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The mean over two samples of the specification's loss of self-attention, shape (1, 1)."""
    first, second = (
        lora_attention_loss(
            x_q=X,
            x_k=X,
            x_v=X,
            w_q=WQ0,
            w_k=WK0,
            w_v=WV0,
            a_q=AQ,
            b_q=BQ,
            a_k=AK,
            b_k=BK,
            a_v=AV,
            b_v=BV,
            scaling=s,
            beta=beta,
            y=Y,
        )
        for X, Y in ((X1, Y1), (X2, Y2))
    )
    return (first + second).scale(Fraction(1, 2))


TWO_SAMPLES = Setting(
    "Definition 1.2 for N = 2",
    shapes={
        "X1": ("L", "d"),
        "X2": ("L", "d"),
        "Y1": ("L", "d"),
        "Y2": ("L", "d"),
        "X": ("L", "d"),
        **_ADAPTERS,
    },
    scalars=("s", "beta"),
    derived={"WQ": _weight_q, "WK": _weight_k, "WV": _weight_v, "loss": mean_loss},
    limits={"r": 2},
)
"""X is the matrix without an index that the printed D is made of."""


def loss_with_one_normaliser(
    X: Matrix,
    X1: Matrix,
    X2: Matrix,
    Y1: Matrix,
    Y2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    beta: Scalar,
    loss: Matrix,
) -> Relation:
    """(1.2) with D made of X, the same for every sample, is the mean loss of (1.1)."""
    D = (X @ WQ @ WK.T @ X.T).scale(beta).exp().row_sum()
    first = (X1 @ WQ @ WK.T @ X1.T).scale(beta).exp().divide_rows(D)
    second = (X2 @ WQ @ WK.T @ X2.T).scale(beta).exp().divide_rows(D)
    squares = sum_of_squares(residual(first, X1 @ WV, Y1)) + sum_of_squares(
        residual(second, X2 @ WV, Y2)
    )
    return equal(squares.scale(Fraction(1, 4)), loss)


def loss_with_own_normalisers(
    X1: Matrix,
    X2: Matrix,
    Y1: Matrix,
    Y2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    beta: Scalar,
    loss: Matrix,
    ones: Any,
    L: int,
) -> Relation:
    """(1.2) with D = diag(exp(beta X_i W_Q W_K^T X_i^T) 1_L) is the mean loss of (1.1)."""
    first = (X1 @ WQ @ WK.T @ X1.T).scale(beta).exp()
    first = first.divide_rows(first @ ones(L))
    second = (X2 @ WQ @ WK.T @ X2.T).scale(beta).exp()
    second = second.divide_rows(second @ ones(L))
    squares = sum_of_squares(residual(first, X1 @ WV, Y1)) + sum_of_squares(
        residual(second, X2 @ WV, Y2)
    )
    return equal(squares.scale(Fraction(1, 4)), loss)


_NORMALISED = Claim(
    r"D = \operatorname{diag}(\exp\{X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta\} \mathbb{1}_L)",
    normalisation,
)

_OWN_NORMALISERS = Claim(
    r"\frac{1}{2N} \sum_{i=1}^N \|D_i^{-1} \exp\{X_i W_Q W_K^{\mathsf T} X_i^{\mathsf T} \beta\}"
    r" X_i W_V - Y_i\|_F^2 = \frac{1}{N} \sum_{i=1}^N \frac{1}{2} \|Z(X_i) - Y_i\|_F^2",
    loss_with_own_normalisers,
)

DEFINITION_1_2 = Record(
    "Definition 1.2",
    title="The LoRA loss of an attention head",
    kind=Kind.DEFINITION,
    printed=r"\min_{A_\mu, B_\mu} \mathcal{L}(W_K, W_Q, W_V) := \frac{1}{2N} \sum_{i=1}^N \|D^{-1}"
    r" \exp\{X_i W_Q W_K^{\mathsf T} X_i^{\mathsf T} \beta\} X_i W_V - Y_i\|_F^2,\quad"
    r" W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu,\quad"
    r" D := \operatorname{diag}(\exp\{X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta\} \mathbb{1}_n)",
    corrected=r"\mathcal{L} := \frac{1}{2N} \sum_{i=1}^N \|D_i^{-1} \exp\{X_i W_Q W_K^{\mathsf T}"
    r" X_i^{\mathsf T} \beta\} X_i W_V - Y_i\|_F^2,\quad D_i := \operatorname{diag}(\exp\{X_i W_Q"
    r" W_K^{\mathsf T} X_i^{\mathsf T} \beta\} \mathbb{1}_L)",
    uses=("Definition 1.1", "Equation (1.1)", "Equation (1.2)"),
    parts=(
        Part(
            "the length of the ones",
            setting=ONES,
            printed=(
                Claim(
                    r"D = \operatorname{diag}(\exp\{X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta\}"
                    r" \mathbb{1}_n)",
                    normalisation_over_n,
                ),
                replace(_NORMALISED, reading="n is L"),
            ),
            corrected=_NORMALISED,
            severity=Severity.NOTATION,
            problem="n is not defined, and the product exists for n = L only.",
        ),
        Part(
            "the sample of D",
            setting=TWO_SAMPLES,
            printed=(
                Claim(
                    r"D = \operatorname{diag}(\exp\{X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta\}"
                    r" \mathbb{1}_L) \text{ in each term of (1.2)}",
                    loss_with_one_normaliser,
                ),
                replace(_OWN_NORMALISERS, reading="X in D is the X_i of the term"),
            ),
            corrected=_OWN_NORMALISERS,
            severity=Severity.NOTATION,
            problem="D is made of an X that the definition does not have; with one D for all"
            " samples the loss is not that of the attention (1.1).",
        ),
    ),
    remark="The left side is a minimum and the right side is the loss itself, without one;"
    " Definition 2.5 prints the minimum on both sides.",
)

EQUATION_1_2 = Record(
    "Equation (1.2)",
    title="The LoRA loss",
    kind=Kind.EQUATION,
    printed=r"\mathcal{L} := \frac{1}{2N} \sum_{i=1}^N \|D^{-1} \exp\{X_i W_Q W_K^{\mathsf T}"
    r" X_i^{\mathsf T} \beta\} X_i W_V - Y_i\|_F^2",
    uses=("Definition 1.2", "Notation"),
    parts=(
        Part(
            "the value",
            setting=TWO_SAMPLES,
            printed=(_OWN_NORMALISERS,),
        ),
    ),
    remark="Run for N = 2 with the D of Definition 1.2 in the reading that its record states. If"
    " the norm were the squared one, as the Notation paragraph calls it, the loss would be quartic"
    " in the residual.",
)

RECORDS = (DEFINITION_1_2, EQUATION_1_2)
