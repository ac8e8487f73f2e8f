"""Equation (1.1): the attention mechanism."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import attention_probabilities

__all__ = ["RECORDS", "normalisation"]

SELF_ATTENTION = Setting(
    "Equation (1.1)",
    shapes={"X": ("L", "d"), "WQ": ("d", "d"), "WK": ("d", "d"), "WV": ("d", "d")},
    scalars=("beta",),
)


def query_from_value_weight(
    X: Matrix, WQ: Matrix, WK: Matrix, WV: Matrix, beta: Scalar, ones: Any, L: int
) -> Relation:
    """(1.1) with Q = X W_V."""
    Q, K, V = X @ WV, X @ WK, X @ WV
    exponentials = (X @ WQ @ WK.T @ X.T).scale(beta).exp()
    D = exponentials @ ones(L)
    return equal(attention_probabilities(Q, K, beta) @ V, exponentials.divide_rows(D) @ X @ WV)


def value_from_itself(X: Matrix, WV: Matrix) -> Relation:
    """V = X V for V of shape (L, d)."""
    V = X @ WV
    return equal(V, X @ V)


def attention_mechanism(
    X: Matrix, WQ: Matrix, WK: Matrix, WV: Matrix, beta: Scalar, ones: Any, L: int
) -> Relation:
    """Softmax(beta Q K^T) V = D^-1 exp(beta X W_Q W_K^T X^T) X W_V, D = diag(exp(...) 1_L)."""
    Q, K, V = X @ WQ, X @ WK, X @ WV
    exponentials = (X @ WQ @ WK.T @ X.T).scale(beta).exp()
    D = exponentials @ ones(L)
    return equal(attention_probabilities(Q, K, beta) @ V, exponentials.divide_rows(D) @ X @ WV)


def normalisation(X: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, ones: Any, L: int) -> Relation:
    """D Softmax(beta Q K^T) = exp(beta X W_Q W_K^T X^T), D = diag(exp(...) 1_L)."""
    exponentials = (X @ WQ @ WK.T @ X.T).scale(beta).exp()
    D = exponentials @ ones(L)
    return equal(attention_probabilities(X @ WQ, X @ WK, beta).scale_rows(D), exponentials)


_ATTENTION = Claim(
    r"\operatorname{Softmax}(\beta Q K^{\mathsf T}) V = D^{-1} \exp(\beta X W_Q W_K^{\mathsf T}"
    r" X^{\mathsf T}) X W_V,\quad Q = X W_Q,\ K = X W_K,\ V = X W_V",
    attention_mechanism,
)

EQUATION_1_1 = Record(
    "Equation (1.1)",
    title="The attention mechanism",
    kind=Kind.EQUATION,
    printed=r"Q = X W_V,\ K = X W_K,\ V = X V,\quad Z = \operatorname{Softmax}(Q K^{\mathsf T}"
    r" \beta) V = D^{-1} \exp(X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta) X W_V,\quad"
    r" D := \operatorname{diag}(\exp(X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta) \mathbb{1}_L)",
    corrected=r"Q = X W_Q,\ K = X W_K,\ V = X W_V,\quad Z = \operatorname{Softmax}(Q K^{\mathsf T}"
    r" \beta) V = D^{-1} \exp(X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta) X W_V",
    parts=(
        Part(
            "queries",
            setting=SELF_ATTENTION,
            printed=(
                Claim(r"Q = X W_V", query_from_value_weight),
                replace(_ATTENTION, reading="W_V in the definition of Q is W_Q"),
            ),
            corrected=_ATTENTION,
            severity=Severity.TYPO,
            problem="Q is defined with the weight of the values; with it, the two sides of (1.1)"
            " are different functions.",
        ),
        Part(
            "values",
            setting=SELF_ATTENTION,
            printed=(
                Claim(r"V = X V", value_from_itself),
                replace(_ATTENTION, reading="V = X V is V = X W_V"),
            ),
            corrected=_ATTENTION,
            severity=Severity.TYPO,
            problem="V is defined by itself, through a product of two L x d matrices that does not"
            " exist unless L = d.",
        ),
        Part(
            "normalisation",
            setting=SELF_ATTENTION,
            printed=(
                Claim(
                    r"D \operatorname{Softmax}(Q K^{\mathsf T} \beta) = \exp(X W_Q W_K^{\mathsf T}"
                    r" X^{\mathsf T} \beta),\quad D = \operatorname{diag}(\exp(X W_Q"
                    r" W_K^{\mathsf T} X^{\mathsf T} \beta) \mathbb{1}_L)",
                    normalisation,
                ),
            ),
        ),
    ),
    remark="The vector of ones has its right length L here; Definitions 1.2, 2.5 and 3.1 print"
    " 1_n.",
)

RECORDS = (EQUATION_1_1,)
