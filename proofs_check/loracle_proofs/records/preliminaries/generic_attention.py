"""Definition 2.5 and Remark 2.1: generic attention, self-attention and cross-attention."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    attention_probabilities,
    half_squared_norm,
    lora_attention_loss,
    residual,
)

__all__ = [
    "GENERIC_ONES",
    "RECORDS",
    "generic_normalisation",
    "generic_normalisation_over_n",
    "generic_normalisation_over_queries",
]

GENERIC_ONES = Setting(
    "the vector of ones in Definition 2.5",
    shapes={
        "XQ": ("L", "d"),
        "XK": ("M", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "N": ("n", "n"),
    },
    scalars=("beta",),
    square={"M": "L"},
    limits={"n": 2},
)
"""N gives the undefined length n a value of its own; its entries are not used."""


def generic_normalisation_over_n(
    XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, ones: Any, n: int
) -> Relation:
    """D Softmax = exp(beta X_Q W_Q W_K^T X_K^T), D = diag(exp(...) 1_n)."""
    exponentials = (XQ @ WQ @ WK.T @ XK.T).scale(beta).exp()
    D = exponentials @ ones(n)
    return equal(attention_probabilities(XQ @ WQ, XK @ WK, beta).scale_rows(D), exponentials)


def generic_normalisation_over_queries(
    XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, ones: Any, L: int
) -> Relation:
    """The same with 1_L, L being the number of queries."""
    return generic_normalisation_over_n(XQ, XK, WQ, WK, beta, ones, L)


def generic_normalisation(
    XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, ones: Any, M: int
) -> Relation:
    """D Softmax = exp(beta X_Q W_Q W_K^T X_K^T), D = diag(exp(...) 1_M) for M keys."""
    exponentials = (XQ @ WQ @ WK.T @ XK.T).scale(beta).exp()
    D = exponentials @ ones(M)
    return equal(attention_probabilities(XQ @ WQ, XK @ WK, beta).scale_rows(D), exponentials)


_WEIGHTS: dict[str, tuple[str, str]] = {f"W{mu}": ("d", "d") for mu in "QKV"}

TWO_TRIPLETS = Setting(
    "Definition 2.5 for N = 2",
    shapes={
        **{f"X{mu}{i}": ("L" if mu == "Q" else "M", "d") for i in "12" for mu in "QKV"},
        "Y1": ("L", "d"),
        "Y2": ("L", "d"),
        **_WEIGHTS,
    },
    scalars=("beta",),
)

TWO_SEQUENCES = Setting(
    "Remark 2.1",
    shapes={"X": ("L", "d"), "context": ("M", "d"), **_WEIGHTS, "Y": ("L", "d")},
    scalars=("beta",),
)


def _generic_loss(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    Y: Matrix,
    beta: Scalar,
) -> Matrix:
    """The specification's loss of one sample, its adapters being zero."""
    zero = WQ.scale(0)
    return lora_attention_loss(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
        w_q=WQ,
        w_k=WK,
        w_v=WV,
        a_q=zero,
        b_q=zero,
        a_k=zero,
        b_k=zero,
        a_v=zero,
        b_v=zero,
        scaling=1,
        beta=beta,
        y=Y,
    )


def mean_over_samples(
    XQ1: Matrix,
    XK1: Matrix,
    XV1: Matrix,
    Y1: Matrix,
    XQ2: Matrix,
    XK2: Matrix,
    XV2: Matrix,
    Y2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    beta: Scalar,
) -> Relation:
    """1/(2N) sum_i ||...||_F^2 = 1/N sum_i L_i for N = 2."""
    first = (XQ1 @ WQ @ WK.T @ XK1.T).scale(beta).exp()
    first = first.divide_rows(first.row_sum())
    second = (XQ2 @ WQ @ WK.T @ XK2.T).scale(beta).exp()
    second = second.divide_rows(second.row_sum())
    c1, c2 = residual(first, XV1 @ WV, Y1), residual(second, XV2 @ WV, Y2)
    squares = (c1 * c1).row_sum().T.row_sum() + (c2 * c2).row_sum().T.row_sum()
    losses = _generic_loss(XQ1, XK1, XV1, WQ, WK, WV, Y1, beta) + _generic_loss(
        XQ2, XK2, XV2, WQ, WK, WV, Y2, beta
    )
    return equal(squares.scale(Fraction(1, 4)), losses.scale(Fraction(1, 2)))


def self_attention(
    X: Matrix, WQ: Matrix, WK: Matrix, WV: Matrix, Y: Matrix, beta: Scalar
) -> Relation:
    """X_K = X_Q = X_V = X gives the self-attention of (1.1)."""
    Z = attention_probabilities(X @ WQ, X @ WK, beta) @ (X @ WV)
    return equal(_generic_loss(X, X, X, WQ, WK, WV, Y, beta), half_squared_norm(_difference(Z, Y)))


def cross_attention(
    X: Matrix, context: Matrix, WQ: Matrix, WK: Matrix, WV: Matrix, Y: Matrix, beta: Scalar
) -> Relation:
    """X_Q = X and X_K = X_V = context gives cross-attention: queries from one sequence, keys and
    values from the other."""
    Z = attention_probabilities(X @ WQ, context @ WK, beta) @ (context @ WV)
    return equal(
        _generic_loss(X, context, context, WQ, WK, WV, Y, beta),
        half_squared_norm(_difference(Z, Y)),
    )


def _difference(x: Matrix, y: Matrix) -> Matrix:
    return x - y


DEFINITION_2_5 = Record(
    "Definition 2.5",
    title="Learning generic attention",
    kind=Kind.DEFINITION,
    printed=r"\min_{W_K, W_Q, W_V} \frac{1}{N} \sum_{i=1}^N \mathcal{L}(W_K, W_Q, W_V) :="
    r" \min_{W_K, W_Q, W_V} \frac{1}{2N} \sum_{i=1}^N \|D^{-1} \exp\{X_i^{(Q)} W_Q W_K^{\mathsf T}"
    r" (X_i^{(K)})^{\mathsf T} \beta\} X_i^{(V)} W_V - Y_i\|_F^2,\quad D :="
    r" \operatorname{diag}(\exp\{X_i^{(Q)} W_Q W_K^{\mathsf T} (X_i^{(K)})^{\mathsf T} \beta\}"
    r" \mathbb{1}_n)",
    corrected=r"D_i := \operatorname{diag}(\exp\{X_i^{(Q)} W_Q W_K^{\mathsf T}"
    r" (X_i^{(K)})^{\mathsf T} \beta\} \mathbb{1}_M) \text{ for } X_i^{(K)}, X_i^{(V)} \in"
    r" \mathbb{R}^{M \times d}",
    uses=("Definition 1.2",),
    parts=(
        Part(
            "the length of the ones",
            setting=GENERIC_ONES,
            printed=(
                Claim(
                    r"D = \operatorname{diag}(\exp\{X^{(Q)} W_Q W_K^{\mathsf T}"
                    r" (X^{(K)})^{\mathsf T} \beta\} \mathbb{1}_n)",
                    generic_normalisation_over_n,
                ),
                Claim(
                    r"D = \operatorname{diag}(\exp\{X^{(Q)} W_Q W_K^{\mathsf T}"
                    r" (X^{(K)})^{\mathsf T} \beta\} \mathbb{1}_L)",
                    generic_normalisation_over_queries,
                    reading="n is L",
                ),
            ),
            corrected=Claim(
                r"D = \operatorname{diag}(\exp\{X^{(Q)} W_Q W_K^{\mathsf T}"
                r" (X^{(K)})^{\mathsf T} \beta\} \mathbb{1}_M)",
                generic_normalisation,
            ),
            severity=Severity.NOTATION,
            problem="n is not defined; the ones are as many as there are keys, which is L only"
            " because the definition gives every input L rows.",
        ),
        Part(
            "the mean over the samples",
            setting=TWO_TRIPLETS,
            printed=(
                Claim(
                    r"\frac{1}{2N} \sum_{i=1}^N \|\ldots\|_F^2 = \frac{1}{N} \sum_{i=1}^N"
                    r" \mathcal{L}_i",
                    mean_over_samples,
                ),
            ),
        ),
    ),
    remark="The summand L(W_K, W_Q, W_V) on the left does not name the sample i. Run for N = 2,"
    " with as many keys as one likes.",
)

REMARK_2_1 = Record(
    "Remark 2.1",
    title="Self-attention and cross-attention",
    kind=Kind.REMARK,
    printed=r"X_i^{(K)} = X_i^{(V)} \neq X_i^{(Q)}: \text{ cross-attention};\quad"
    r" X_i^{(K)} = X_i^{(Q)} = X_i^{(V)}: \text{ self-attention}",
    uses=("Definition 2.5",),
    parts=(
        Part(
            "cross-attention",
            setting=TWO_SEQUENCES,
            printed=(
                Claim(
                    r"X^{(Q)} = X,\ X^{(K)} = X^{(V)} = X':\; \mathcal{L} = \tfrac12"
                    r" \|\operatorname{Softmax}(\beta X W_Q (X' W_K)^{\mathsf T}) X' W_V - Y\|_F^2",
                    cross_attention,
                ),
            ),
        ),
        Part(
            "self-attention",
            setting=TWO_SEQUENCES,
            printed=(
                Claim(
                    r"X^{(Q)} = X^{(K)} = X^{(V)} = X:\; \mathcal{L} = \tfrac12"
                    r" \|\operatorname{Softmax}(\beta X W_Q (X W_K)^{\mathsf T}) X W_V - Y\|_F^2",
                    self_attention,
                ),
            ),
        ),
    ),
    remark="The paper gives all inputs L rows, which leaves out cross-attention between sequences"
    " of two lengths; it is run here for L queries and M keys, and holds.",
)


RECORDS = (DEFINITION_2_5, REMARK_2_1)
