"""Section 1: the attention mechanism, LoRA, the loss, Problem 1 and the informal theorems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import combinations, permutations
from typing import Any

import sympy

from loracle_proofs.records.vectorization import entry, indices, row
from loracle_proofs.relation import Relation, absolute, at_most, equal, less, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, PROBLEM_2, full_loss, weight_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    half_squared_norm,
    lora_attention_loss,
    residual,
)
from loracle_reference.gradient import lora_attention_gradient

__all__ = ["RECORDS"]


# Equation (1.1)

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


# Definition 1.1


def _adapted(W0: Matrix, B: Matrix, A: Matrix, alpha: Scalar, r: int) -> Matrix:
    return adapted_weight(W0, B, A, alpha * Fraction(1, r))


def _has_no_full_rank(r: int, a: int, b: int) -> bool:
    return r < min(a, b)


LORA = Setting(
    "Definition 1.1",
    shapes={"W0": ("b", "a"), "B": ("b", "r"), "A": ("r", "a")},
    scalars=("alpha",),
    derived={"W": _adapted},
    constraint=_has_no_full_rank,
    limits={"r": 2},
)


def _even(order: tuple[int, ...]) -> bool:
    inversions = sum(first > second for first, second in combinations(order, 2))
    return inversions % 2 == 0


def _permutation_sums(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """The sums of products over the even and over the odd permutations: their difference is the
    determinant."""
    size = matrix.shape[0]
    zero = entry(matrix, 1, 1).scale(0)
    sums = {True: zero, False: zero}
    for order in permutations(range(size)):
        product = entry(matrix, 1, order[0] + 1)
        for i in range(1, size):
            product = product * entry(matrix, i + 1, order[i] + 1)
        sums[_even(order)] = sums[_even(order)] + product
    return sums[True], sums[False]


def _minors_beyond(matrix: Matrix, rank: int) -> Iterator[tuple[Matrix, Matrix]]:
    """The even and the odd sum of every minor of order rank + 1."""
    rows, columns = matrix.shape
    for chosen_rows in combinations(range(rows), rank + 1):
        for chosen_columns in combinations(range(columns), rank + 1):
            yield _permutation_sums(matrix.take_rows(chosen_rows).take_columns(chosen_columns))


def lora_update(W: Matrix, W0: Matrix, B: Matrix, A: Matrix, alpha: Scalar, r: int) -> Relation:
    """W = W* + (alpha / r) B A."""
    return equal(W.scale(r), W0.scale(r) + (B @ A).scale(alpha))


def update_has_rank_at_most_r(W: Matrix, W0: Matrix, r: int) -> list[Relation]:
    """Every minor of W - W* of order r + 1 is zero: its even permutations sum to its odd ones."""
    return [equal(even, odd) for even, odd in _minors_beyond(W - W0, r)]


DEFINITION_1_1 = Record(
    "Definition 1.1",
    title="LoRA",
    kind=Kind.DEFINITION,
    printed=r"W = W^\star + \frac{\alpha}{r} B A,\quad W^\star \in \mathbb{R}^{b \times a},\;"
    r" B \in \mathbb{R}^{b \times r},\ A \in \mathbb{R}^{r \times a},\quad r < \min(a, b),\;"
    r" \alpha \in \mathbb{R}",
    parts=(
        Part(
            "the adapted weight",
            setting=LORA,
            printed=(Claim(r"W = W^\star + \frac{\alpha}{r} B A", lora_update),),
        ),
        Part(
            "the rank of the update",
            setting=LORA,
            printed=(
                Claim(
                    r"\operatorname{rank}(W - W^\star) \le r",
                    update_has_rank_at_most_r,
                    equivalent={
                        "update_has_rank_at_most_r: W - W0 -> W0 - W": "A matrix and its negative"
                        " have the same rank."
                    },
                ),
            ),
        ),
    ),
    remark="r bounds the rank of B A from above: B = 0, where training usually starts, gives rank"
    " zero. The strict inequality r < min(a, b) is used in no proof; Theorem A.1 repeats"
    " it, and Theorem 3.1, with r = L^o(1) and d = O(log L), does not. The definition allows"
    " alpha = 0; (3.2) and (3.3) divide by alpha.",
)


# Lemma 1.1

SCORES = Setting(
    "Lemma 1.1",
    shapes={"Q": ("L", "d"), "K": ("M", "d")},
    scalars=("beta",),
    square={"M": "L"},
)


def constant_of_growing_order() -> Relation:
    """A constant B is of order sqrt(log L): B / sqrt(log L) stays away from zero."""
    L, B = sympy.symbols("L B", positive=True)
    return less(0, sympy.limit(B / sympy.sqrt(sympy.log(L)), L, sympy.oo), witness="any B")


def bound_of_order_root_log() -> Relation:
    """B = c sqrt(log L) is of order sqrt(log L)."""
    L, c = sympy.symbols("L c", positive=True)
    B = c * sympy.sqrt(sympy.log(L))
    return equal(sympy.limit(B / sympy.sqrt(sympy.log(L)), L, sympy.oo), c)


def _largest(*matrices: Matrix) -> Matrix:
    """The maximum of the max norms, of shape (1, 1)."""
    rows = [matrix.reshape(1, matrix.shape[0] * matrix.shape[1]) for matrix in matrices]
    joined = rows[0]
    for other in rows[1:]:
        joined = joined.beside(other)
    return max_norm(joined)


def scores_below_square(Q: Matrix, K: Matrix, beta: Scalar) -> Relation:
    """|beta Q K^T| <= B^2 for entries of Q and K up to B, whatever beta is."""
    B = _largest(Q, K)
    return at_most(max_norm((Q @ K.T).scale(beta)), B * B)


def scores_below_square_divided(Q: Matrix, K: Matrix, d: int) -> Relation:
    """|Q K^T / d| <= B^2 for entries of Q and K up to B."""
    B = _largest(Q, K)
    return at_most(max_norm((Q @ K.T).scale(Fraction(1, d))), B * B)


def scores_below_product(Q: Matrix, K: Matrix, beta: Scalar, d: int, constant: Any) -> Relation:
    """|beta Q K^T| <= |beta| d B^2 for entries of Q and K up to B."""
    B = _largest(Q, K)
    return at_most(max_norm((Q @ K.T).scale(beta)), (B * B * max_norm(constant([[beta]]))).scale(d))


_GROWING = Claim(
    r"\lim_{L \to \infty} \frac{B}{\sqrt{\log L}} = c \text{ for } B = c \sqrt{\log L}",
    bound_of_order_root_log,
)

LEMMA_1_1 = Record(
    "Lemma 1.1",
    title="Hardness of the forward pass (informal)",
    kind=Kind.LEMMA,
    printed=r"\text{subquadratic forward pass} \implies |Q_{ij}|, |K_{ij}|, |V_{ij}| \le B,\quad"
    r" B = \Theta(\sqrt{\log L}) \text{ a constant}",
    corrected=r"\text{for } d = \Theta(\log L),\ \beta = 1/d: \text{ no } O(L^{2-\delta})"
    r" \text{ algorithm for } B = C\sqrt{\log L} \text{ with } C = C(\delta);\ "
    r" L^{1+o(1)} \text{ for } B = o(\sqrt{\log L})",
    uses=("Hypothesis 1", "Equation (1.1)"),
    parts=(
        Part(
            "the theorems behind it",
            cites="Alman and Song (2023), taken on trust: for exp(Q K^T / d), d = O(log L),"
            " entries at most B and error 1/poly(L), there is an L^{1+o(1)} algorithm for"
            " B = o(sqrt(log L)); and, under SETH, for every delta > 0 there are constants such"
            " that with d = C log L and B = C' sqrt(log L) there is none in O(L^{2-delta}).",
        ),
        Part(
            "a constant bound",
            printed=(
                Claim(
                    r"\lim_{L \to \infty} \frac{B}{\sqrt{\log L}} > 0 \text{ for a constant } B",
                    constant_of_growing_order,
                ),
                replace(_GROWING, reading="B is constant for each L, a function of L"),
            ),
            corrected=_GROWING,
            severity=Severity.NOTATION,
            problem="B is called a constant and said to grow like sqrt(log L); it depends on L.",
        ),
        Part(
            "the inverse temperature",
            setting=SCORES,
            printed=(
                Claim(
                    r"\|\beta Q K^{\mathsf T}\|_\infty \le B^2 = \Theta(\log L)"
                    r" \text{ for every } \beta > 0",
                    scores_below_square,
                    reading="the threshold is one for every beta, beta Q K^T being bounded by B^2",
                ),
                Claim(
                    r"\|Q K^{\mathsf T} / d\|_\infty \le B^2",
                    scores_below_square_divided,
                    reading="beta = 1/d, as in the theorems that are cited",
                ),
            ),
            corrected=Claim(
                r"\|\beta Q K^{\mathsf T}\|_\infty \le \beta d B^2",
                scores_below_product,
                extremal=(
                    ({"d": 2}, {"Q": [[1, 1]], "K": [[1, 1]], "beta": 1}),
                    ({"L": 2, "d": 1}, {"Q": [[3], [1]], "K": [[3]], "beta": 2}),
                ),
            ),
            severity=Severity.MISSING,
            problem="A threshold on the entries alone cannot hold for every beta, since only"
            " beta Q K^T matters; sqrt(log L) belongs to beta = 1/d, where B^2 bounds the scores.",
        ),
    ),
    remark="(S4) sets beta = 1, where the bound on the scores is d B^2, larger by d = O(log L)"
    " than what the cited theorems have.",
)


# Definition 1.2 and equation (1.2)

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


def _squares(x: Matrix) -> Matrix:
    """||x||_F^2 as the sum over the entries, shape (1, 1)."""
    total = entry(x, 1, 1).scale(0)
    for i in indices(x.shape[0]):
        for j in indices(x.shape[1]):
            total = total + entry(x, i, j) * entry(x, i, j)
    return total


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
    squares = _squares(residual(first, X1 @ WV, Y1)) + _squares(residual(second, X2 @ WV, Y2))
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
    squares = _squares(residual(first, X1 @ WV, Y1)) + _squares(residual(second, X2 @ WV, Y2))
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


# Problem 1


def _closed_forms(
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
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> dict[str, Matrix]:
    return lora_attention_gradient(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
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


def _gradients(derivative: Any) -> dict[str, Matrix]:
    return {
        f"grad_{name[0].lower()}_{name[1].lower()}": derivative(full_loss, name)
        for name in ("AQ", "BQ", "AK", "BK", "AV", "BV")
    }


def _is_small(L: int, M: int, d: int, r: int) -> bool:
    # Six gradients from the loss, an evaluation of it for each of their entries.
    return max(L, M, d) <= 3 and r <= 2


_GRADIENTS_A = ("grad_a_q", "grad_a_k", "grad_a_v")
_GRADIENTS_B = ("grad_b_q", "grad_b_k", "grad_b_v")

PROBLEM_1 = replace(
    FULL_ADAPTATION,
    name="Problem 1",
    shapes={**FULL_ADAPTATION.shapes, "EA": ("r", "d"), "EB": ("d", "r")},
    derived={
        **FULL_ADAPTATION.derived,
        "closed": _closed_forms,
        "gradients": _gradients,
    },
    constraint=_is_small,
)
"""EA and EB: the errors of the surrogates; closed: the specification's six gradients in closed
form; gradients: the six from the loss."""


def surrogates_of_printed_shapes(
    closed: dict[str, Matrix], gradients: dict[str, Matrix], EA: Matrix, EB: Matrix
) -> list[Relation]:
    """Surrogates of shapes (d, r) for A and (r, d) for B, off by E^T: their error is max |E|."""
    errors_a = [closed[name].T + EA.T - gradients[name] for name in _GRADIENTS_A]
    errors_b = [closed[name].T + EB.T - gradients[name] for name in _GRADIENTS_B]
    return [equal(_largest(*errors_a, *errors_b), _largest(EA, EB))]


def surrogates_of_adapter_shapes(
    closed: dict[str, Matrix], gradients: dict[str, Matrix], EA: Matrix, EB: Matrix
) -> list[Relation]:
    """Surrogates of shapes (r, d) for A and (d, r) for B: the closed forms, off by E, solve
    Problem 1 for epsilon = max |E| and for no smaller epsilon."""
    errors_a = [closed[name] + EA - gradients[name] for name in _GRADIENTS_A]
    errors_b = [closed[name] + EB - gradients[name] for name in _GRADIENTS_B]
    return [
        *(equal(error, EA) for error in errors_a),
        *(equal(error, EB) for error in errors_b),
        equal(_largest(*errors_a, *errors_b), _largest(EA, EB)),
    ]


def some_epsilon(
    closed: dict[str, Matrix], gradients: dict[str, Matrix], EA: Matrix, EB: Matrix, ones: Any
) -> Relation:
    """There is an epsilon > 0 for which the surrogates solve the problem: their error plus one."""
    errors = [closed[name] + (EA if "_a_" in name else EB) - gradients[name] for name in gradients]
    epsilon = _largest(*errors) + ones(1)
    return at_most(_largest(*errors), epsilon)


def some_epsilon_for_zero(gradients: dict[str, Matrix], ones: Any) -> Relation:
    """There is an epsilon > 0 for which six matrices of zeros solve the problem."""
    errors = list(gradients.values())
    epsilon = _largest(*errors) + ones(1)
    return at_most(_largest(*errors), epsilon)


def _is_scalar(one: int) -> bool:
    return one == 1


def _zero(epsilon: Matrix) -> Matrix:
    return epsilon.scale(0)


TOLERANCE = Setting(
    "Problem 1 with epsilon given",
    shapes={"epsilon": ("one", "one")},
    derived={"AV": _zero},
    constraint=_is_scalar,
)


def unit_loss(AV: Matrix, epsilon: Matrix) -> Matrix:
    """The loss of one token in one dimension with the value adapter free: the other five adapters,
    and W_V*, are zero, x = b_V = s = 1, y = 2 epsilon."""
    unit = AV.scale(0).exp()
    zero = AV.scale(0)
    return lora_attention_loss(
        x_q=unit,
        x_k=unit,
        x_v=unit,
        w_q=unit,
        w_k=unit,
        w_v=zero,
        a_q=zero,
        b_q=zero,
        a_k=zero,
        b_k=zero,
        a_v=AV,
        b_v=unit,
        scaling=1,
        beta=1,
        y=epsilon.scale(2),
    )


def zero_misses_given_epsilon(derivative: Any, epsilon: Matrix) -> Relation:
    """For every given epsilon there is an instance at which zeros are 2 |epsilon| away."""
    return equal(max_norm(derivative(unit_loss, "AV")), max_norm(epsilon).scale(2))


_SHAPED = Claim(
    r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{r \times d},\;"
    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{d \times r}",
    surrogates_of_adapter_shapes,
)

PROBLEM_1_RECORD = Record(
    "Problem 1",
    title="Approximate LoRA gradient computation",
    kind=Kind.PROBLEM,
    printed=r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{d \times r},\;"
    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{r \times d},\ \mu = K, Q, V:\quad"
    r" \max_\mu\left(\left\|\widetilde{G}_\mu^{(B)} - \frac{\partial \mathcal{L}}"
    r"{\partial B_\mu}\right\|_\infty, \left\|\widetilde{G}_\mu^{(A)} -"
    r" \frac{\partial \mathcal{L}}{\partial A_\mu}\right\|_\infty\right) \le \epsilon"
    r" \text{ for some } \epsilon > 0",
    corrected=r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{r \times d},\;"
    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{d \times r}\text{, for the given }"
    r" \epsilon > 0",
    uses=("Definition 1.2",),
    parts=(
        Part(
            "the shapes of the surrogates",
            setting=PROBLEM_1,
            printed=(
                Claim(
                    r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{d \times r},\;"
                    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{r \times d}",
                    surrogates_of_printed_shapes,
                ),
            ),
            corrected=_SHAPED,
            severity=Severity.ILL_TYPED,
            problem="A has shape (r, d) and B has (d, r), and so have the gradients; the"
            " differences in the problem do not exist unless r = d.",
        ),
        Part(
            "the tolerance",
            setting=PROBLEM_1,
            printed=(
                Claim(
                    r"\exists\, \epsilon > 0:\ \max_\mu(\ldots) \le \epsilon",
                    some_epsilon,
                ),
            ),
            trivial=Claim(
                r"\widetilde{G}_\mu^{(A)} = 0,\ \widetilde{G}_\mu^{(B)} = 0", some_epsilon_for_zero
            ),
            corrected=Claim(
                r"\forall \epsilon\ \exists \text{ an instance}: \left\|0 - \frac{\partial"
                r" \mathcal{L}}{\partial A_V}\right\|_\infty = 2 \epsilon",
                zero_misses_given_epsilon,
                setting=TOLERANCE,
            ),
            severity=Severity.NOTATION,
            problem="For some epsilon, any six matrices solve the problem, zeros among them;"
            " epsilon must be given, as the name ALoRAGC(L, d, r, epsilon) and Problem 2 have it.",
        ),
    ),
    remark="The surrogates of the corrected form are the closed forms of the specification, changed"
    " by an error; they are held to the gradients that dual numbers take from the loss. Problem 1"
    " has six gradients; Problems 2 and 3, which the theorems solve, have two and four. Numbers"
    " have log(L) bits here and O(log L) in Theorem 3.1.",
)


# Remark 1.1


def row_loss(j: int, C1: Matrix, C2: Matrix, C3: Matrix, W: Matrix, Y: Matrix) -> Matrix:
    """What query j contributes to (3.4): its own loss, shape (1, 1)."""
    return weight_loss(row(C1, j), C2, C3, W, row(Y, j))


def _mean(matrices: list[Matrix]) -> Matrix:
    total = matrices[0]
    for other in matrices[1:]:
        total = total + other
    return total.scale(Fraction(1, len(matrices)))


def sampled_rows(derivative: Any, dL_dW: Matrix, L: int) -> Relation:
    """The mean, over a query j drawn uniformly, of L times its gradient is the gradient."""
    drawn = [derivative(partial(row_loss, j), "W").scale(L) for j in indices(L)]
    return equal(_mean(drawn), dL_dW)


REMARK_1_1 = Record(
    "Remark 1.1",
    title="What the problem covers",
    kind=Kind.REMARK,
    printed=r"\text{sampling and quantisation yield surrogate gradients}",
    uses=("Problem 1",),
    parts=(
        Part(
            "the scope",
            cites="A statement about what other work does (Pan et al. 2024, Li et al. 2024,"
            " Dettmers et al. 2024); whether a given method reaches a given epsilon is not said.",
        ),
        Part(
            "sampling",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\frac{1}{L} \sum_{j=1}^L L\, \frac{\partial \mathcal{L}_j}{\partial W} ="
                    r" \frac{\partial \mathcal{L}}{\partial W}",
                    sampled_rows,
                ),
            ),
        ),
    ),
    remark="A sampled surrogate is right in the mean only, and only with the weight L; Problem 1"
    " asks for every entry of the one that is returned.",
)


# The informal theorems


def product_of_wrong_order(
    WQ: Matrix,
    WQ0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    WK: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WV: Matrix,
    WV0: Matrix,
    AV: Matrix,
    BV: Matrix,
    s: Scalar,
) -> list[Relation]:
    """W_mu - W_mu* = (alpha / r) A_mu B_mu."""
    return [
        equal(WQ - WQ0, (AQ @ BQ).scale(s)),
        equal(WK - WK0, (AK @ BK).scale(s)),
        equal(WV - WV0, (AV @ BV).scale(s)),
    ]


def product_of_right_order(
    WQ: Matrix,
    WQ0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    WK: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WV: Matrix,
    WV0: Matrix,
    AV: Matrix,
    BV: Matrix,
    s: Scalar,
) -> list[Relation]:
    """W_mu - W_mu* = (alpha / r) B_mu A_mu."""
    return [
        equal(WQ - WQ0, (BQ @ AQ).scale(s)),
        equal(WK - WK0, (BK @ AK).scale(s)),
        equal(WV - WV0, (BV @ AV).scale(s)),
    ]


_UPDATE = Claim(r"W_\mu - W_\mu^\star = \alpha B_\mu A_\mu / r", product_of_right_order)

_ADAPTER_PRODUCT = Part(
    "the LoRA matrices",
    setting=FULL_ADAPTATION,
    printed=(
        Claim(r"W_\mu - W_\mu^\star = \alpha A_\mu B_\mu / r", product_of_wrong_order),
        replace(_UPDATE, reading="A_mu B_mu is B_mu A_mu"),
    ),
    corrected=_UPDATE,
    severity=Severity.TYPO,
    problem="A_mu B_mu is an r x r matrix, not the update B_mu A_mu of a weight; a condition on it"
    " would not bound the update: A = (1 -1), B = (1 1)^T have A B = 0 and B A != 0.",
)


def below_quadratic() -> Relation:
    """L^2 / log L, of exponent 2 - log log L / log L, is below L^2 by a constant exponent.

    n stands for log L; the exponent of a time is the limit of its logarithm over n.
    """
    n = sympy.Symbol("n", positive=True)
    time = 2 * n - sympy.log(n)
    return less(0, sympy.limit(2 - time / n, n, sympy.oo), witness="L^2 / log L")


def subquadratic() -> Relation:
    """L^(2 - delta) is below L^2 by the constant exponent delta > 0; n stands for log L."""
    n, delta = sympy.symbols("n delta", positive=True)
    time = (2 - delta) * n
    return equal(sympy.limit(2 - time / n, n, sympy.oo), delta)


_SUBQUADRATIC = Claim(
    r"L^{2 - \delta}:\ \lim_{L \to \infty} \left(2 - \frac{\log L^{2 - \delta}}{\log L}\right) ="
    r" \delta > 0",
    subquadratic,
)

THEOREM_1_1 = Record(
    "Theorem 1.1",
    title="Inefficiency without normalisation (informal)",
    kind=Kind.THEOREM,
    printed=r"\text{without normalised } X, W_\mu^\star, \alpha A_\mu B_\mu / r:"
    r" \text{ no algorithm in } O(L^{2-\delta}) \text{ for any constant } \delta > 0",
    corrected=r"\text{without normalised } X, W_\mu^\star, \alpha B_\mu A_\mu / r:"
    r" \text{ Theorem A.1}",
    uses=("Definition 1.1", "Problem 1", "Theorem A.1", "Hypothesis 1"),
    parts=(
        _ADAPTER_PRODUCT,
        Part(
            "the lower bound",
            cites="Theorem A.1, whose record says what holds of it; being appropriately normalised"
            " is no condition that an instance could be tested for until Theorem A.1 names its"
            " norms.",
        ),
        Part(
            "subquadratic time in the contributions and section 4",
            printed=(
                Claim(
                    r"L^2 / \log L = L^{2 - o(1)}:\ \lim_{L \to \infty} \left(2 -"
                    r" \frac{\log(L^2 / \log L)}{\log L}\right) > 0",
                    below_quadratic,
                ),
                replace(_SUBQUADRATIC, reading="the o(1) is a constant delta > 0"),
            ),
            corrected=_SUBQUADRATIC,
            severity=Severity.NOTATION,
            problem="L^(2-o(1)) is no subquadratic time in the sense of Theorem A.1: L^2 / log L"
            " is of that form, and the theorem does not exclude it.",
        ),
    ),
    remark="Hypothesis 1 (SETH), on which the formal version rests, is not repeated in the"
    " informal one; the sentence before it names it.",
)

THEOREM_1_2 = Record(
    "Theorem 1.2",
    title="Almost linear time with normalisation (informal)",
    kind=Kind.THEOREM,
    printed=r"\text{with normalised } X, W_\mu^\star, \alpha A_\mu B_\mu / r:"
    r" \text{ an } O(L^{1+o(1)}) \text{ algorithm}",
    corrected=r"\text{with normalised } X, W_\mu^\star, \alpha B_\mu A_\mu / r:"
    r" \text{ Theorems 3.1 and B.1}",
    uses=("Definition 1.1", "Problem 1", "Theorem 3.1", "Theorem B.1"),
    parts=(
        _ADAPTER_PRODUCT,
        Part(
            "the upper bound",
            cites="Theorems 3.1 and B.1, whose records say what holds of them; being appropriately"
            " normalised is no condition until they name their norms.",
        ),
    ),
    remark="ALoRAGC of the introduction is Problem 1, with N samples and the gradients in A_V and"
    " B_V; Theorems 3.1 and B.1 solve Problems 2 and 3, with one sample and without V. The record"
    " of (S1) has what is missing for V. The paragraph after it names the encoding of numbers as"
    " the only assumption; the theorems also assume norm bounds on data and weights, d = O(log L)"
    " and r = L^o(1), and Theorem A.1 SETH.",
)


# Notation


VECTORS = Setting(
    "Notation for vectors",
    shapes={"u": ("d", "one"), "v": ("d", "one")},
    constraint=_is_scalar,
)

PRODUCT = Setting("Notation for matrices", shapes={"A": ("m", "n"), "B": ("n", "k")})


def entrywise(u: Matrix, v: Matrix, d: int) -> list[Relation]:
    """(u o v)_i = u_i v_i, exp(u)_i = exp(u_i), and <u, v> = u^T v is the sum of u o v."""
    return [
        equal(u.T @ v, (u * v).T.row_sum()),
        *(equal(entry(u * v, i, 1), entry(u, i, 1) * entry(v, i, 1)) for i in indices(d)),
        *(equal(entry(u.exp(), i, 1), entry(u, i, 1).exp()) for i in indices(d)),
    ]


def squared_norm_squared(A: Matrix) -> Relation:
    """With ||A||_F the squared norm, its square is the sum of the squares."""
    return equal(_squares(A) * _squares(A), _squares(A))


def norm_squared(A: Matrix) -> Relation:
    """With ||A||_F the root of the sum of the squares, half its square is the specification's
    loss."""
    return equal(half_squared_norm(A), _squares(A).scale(Fraction(1, 2)))


def max_norm_of_product(A: Matrix, B: Matrix, m: int, n: int) -> list[Relation]:
    """||A|| is at least every |A_ij|, and ||A B|| <= n ||A|| ||B||."""
    return [
        *(at_most(absolute(entry(A, i, j)), max_norm(A)) for i in indices(m) for j in indices(n)),
        at_most(max_norm(A @ B), (max_norm(A) * max_norm(B)).scale(n)),
    ]


_NORM = Claim(r"\tfrac12 \|A\|_F^2 = \tfrac12 \sum_{i,j} A_{ij}^2", norm_squared)

NOTATION = Record(
    "Notation",
    title="Notation",
    kind=Kind.NOTATION,
    printed=r"\langle a, b \rangle := a^{\mathsf T} b,\quad u \odot v := (u_1 v_1, \ldots,"
    r" u_d v_d)^{\mathsf T},\quad \|A\|_\infty := \max_{i,j} |A_{ij}|,\quad"
    r" \|A\|_F := \Bigl(\sum_{i,j} A_{ij}^2\Bigr)^{1/2} \text{, the squared Frobenius norm}",
    corrected=r"\|A\|_F := \Bigl(\sum_{i,j} A_{ij}^2\Bigr)^{1/2} \text{, the Frobenius norm}",
    parts=(
        Part(
            "inner product, Hadamard product, exponential",
            setting=VECTORS,
            printed=(
                Claim(
                    r"\langle u, v \rangle = u^{\mathsf T} v,\ (u \odot v)_i = u_i v_i,\;"
                    r" \exp(u)_i = \exp(u_i)",
                    entrywise,
                ),
            ),
        ),
        Part(
            "the Frobenius norm",
            setting=PRODUCT,
            printed=(
                Claim(
                    r"\|A\|_F \text{ is squared, and } \|A\|_F^2 = \sum_{i,j} A_{ij}^2",
                    squared_norm_squared,
                ),
                replace(_NORM, reading="the formula counts, not the word squared"),
            ),
            corrected=_NORM,
            severity=Severity.TYPO,
            problem="The squared Frobenius norm is defined as a root, the norm itself; squared"
            " once more, as in (1.2), what the words say would be quartic.",
        ),
        Part(
            "the max norm",
            setting=PRODUCT,
            printed=(
                Claim(
                    r"\|A\|_\infty = \max_{i,j} |A_{ij}| \text{, whence } \|A B\|_\infty"
                    r" \le n\, \|A\|_\infty \|B\|_\infty \text{ for inner dimension } n",
                    max_norm_of_product,
                    extremal=(({"n": 2}, {"A": [[1, 1]], "B": [[1], [1]]}),),
                ),
            ),
        ),
    ),
    remark="The max norm is often written with this sign for the largest row sum. It is not"
    " submultiplicative: at the instance where the factor n is attained, the norm of the product is"
    " 2 and the product of the norms is 1.",
)

RECORDS = (
    EQUATION_1_1,
    DEFINITION_1_1,
    LEMMA_1_1,
    DEFINITION_1_2,
    EQUATION_1_2,
    PROBLEM_1_RECORD,
    REMARK_1_1,
    THEOREM_1_1,
    THEOREM_1_2,
    NOTATION,
)
