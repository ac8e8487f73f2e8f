"""Section 2, problem setup: equation (2.1), the two scenarios, Definition 2.5 and Remark 2.1."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from loracle_proofs.records.vectorization import column, entry, indices
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, full_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    attention_probabilities,
    half_squared_norm,
    lora_attention_loss,
    residual,
)
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]


# Equation (2.1)

ONE_SAMPLE = Setting(
    "Equation (2.1)",
    shapes={"X": ("L", "d"), "W": ("d", "d"), "WV": ("d", "d"), "Y": ("L", "d")},
    scalars=("beta",),
)


def _squared_distance(x: Matrix, y: Matrix) -> Matrix:
    difference = x - y
    return difference * difference


def _half_squared_loss(X: Matrix, W: Matrix, WV: Matrix, Y: Matrix, beta: Scalar) -> Matrix:
    """1/2 ||D^-1 exp(beta X W X^T) X W_V - Y||_F^2 by the specification."""
    f = attention_probabilities(X @ W, X, beta)
    return half_squared_norm(residual(f, X @ WV, Y))


def vectorized_loss(X: Matrix, W: Matrix, WV: Matrix, Y: Matrix, beta: Scalar) -> Matrix:
    """The sum over j, i of 1/2 (<D_jj^-1 exp(beta A_j vec(W)), (X W_V)[., i]> - Y_ji)^2, with
    A = X (x) X and D_jj = <exp(beta A_j vec(W)), 1_L>. With beta = 1 it is the right of (2.1)."""
    L, d = X.shape
    A = kronecker(X, X)
    total = entry(Y, 1, 1).scale(0)
    for j in indices(L):
        u = (sub_block(A, j - 1, L) @ vec(W)).scale(beta).exp()
        D = u.T.row_sum()
        for i in indices(d):
            score = (u.T @ column(X @ WV, i)).divide_rows(D)
            total = total + _squared_distance(score, entry(Y, j, i)).scale(Fraction(1, 2))
    return total


def whole_square(X: Matrix, W: Matrix, WV: Matrix, Y: Matrix) -> Relation:
    """||...||_F^2 is the sum with its halves, at beta = 1."""
    return equal(_half_squared_loss(X, W, WV, Y, 1).scale(2), vectorized_loss(X, W, WV, Y, 1))


def half_square(X: Matrix, W: Matrix, WV: Matrix, Y: Matrix, beta: Scalar) -> Relation:
    """1/2 ||...||_F^2 is the sum with its halves and with beta in every exponent."""
    return equal(_half_squared_loss(X, W, WV, Y, beta), vectorized_loss(X, W, WV, Y, beta))


def _normaliser(X: Matrix, W: Matrix, beta: Scalar) -> Matrix:
    """The diagonal of D of (1.2), exp(beta X W X^T) 1_L, as a column."""
    return (X @ W @ X.T).scale(beta).exp().row_sum()


def without_temperature(
    X: Matrix, W: Matrix, WV: Matrix, Y: Matrix, beta: Scalar, L: int
) -> list[Relation]:
    """D_jj = <exp(A_j vec(W)), 1_L>, and (2.1) with its half and no beta on the right."""
    A = kronecker(X, X)
    return [
        *(
            equal(
                entry(_normaliser(X, W, beta), j, 1),
                (sub_block(A, j - 1, L) @ vec(W)).exp().T.row_sum(),
            )
            for j in indices(L)
        ),
        equal(_half_squared_loss(X, W, WV, Y, beta), vectorized_loss(X, W, WV, Y, 1)),
    ]


def at_unit_temperature(X: Matrix, W: Matrix, WV: Matrix, Y: Matrix, L: int) -> list[Relation]:
    """The same at beta = 1."""
    return without_temperature(X, W, WV, Y, 1, L)


def with_temperature(
    X: Matrix, W: Matrix, WV: Matrix, Y: Matrix, beta: Scalar, L: int
) -> list[Relation]:
    """D_jj = <exp(beta A_j vec(W)), 1_L>, and (2.1) with its half and beta in every exponent."""
    A = kronecker(X, X)
    return [
        *(
            equal(
                entry(_normaliser(X, W, beta), j, 1),
                (sub_block(A, j - 1, L) @ vec(W)).scale(beta).exp().T.row_sum(),
            )
            for j in indices(L)
        ),
        equal(_half_squared_loss(X, W, WV, Y, beta), vectorized_loss(X, W, WV, Y, beta)),
    ]


def vectorized_attention(X: Matrix, W: Matrix, identity: Any, L: int) -> Relation:
    """(D (x) I_L) vec(D^-1 exp(X W X^T)) = exp(A vec(W))."""
    D = identity(L).scale_rows(_normaliser(X, W, 1))
    f = attention_probabilities(X @ W, X)
    return equal(kronecker(D, identity(L)) @ vec(f), (kronecker(X, X) @ vec(W)).exp())


EQUATION_2_1 = Record(
    "Equation (2.1)",
    title="The vectorised loss of one sample",
    kind=Kind.EQUATION,
    printed=r"\mathcal{L}_0 := \|D^{-1} \exp\{X W X^{\mathsf T} \beta\} X W_V - Y\|_F^2 ="
    r" \sum_{j=1}^L \sum_{i=1}^d \tfrac12 \left(\langle D_{j,j}^{-1} \exp(\mathsf{A}_j"
    r" \underline{W}), X W_V[\cdot, i] \rangle - Y_{j,i}\right)^2,\quad D_{j,j} :="
    r" \langle \exp(\mathsf{A}_j \underline{W}), \mathbb{1}_L \rangle,\quad"
    r" \mathsf{A} := X \otimes X",
    corrected=r"\mathcal{L}_0 := \tfrac12 \|D^{-1} \exp\{\beta X W X^{\mathsf T}\} X W_V - Y\|_F^2"
    r" = \sum_{j=1}^L \sum_{i=1}^d \tfrac12 \left(\langle D_{j,j}^{-1} \exp(\beta \mathsf{A}_j"
    r" \underline{W}), X W_V[\cdot, i] \rangle - Y_{j,i}\right)^2,\quad D_{j,j} :="
    r" \langle \exp(\beta \mathsf{A}_j \underline{W}), \mathbb{1}_L \rangle",
    uses=("Definition 2.3", "Definition 2.4", "Lemma 2.1", "Equation (1.2)"),
    parts=(
        Part(
            "the factor one half",
            setting=ONE_SAMPLE,
            printed=(
                Claim(
                    r"\|\ldots\|_F^2 = \sum_{j,i} \tfrac12 (\ldots)^2 \text{ at } \beta = 1",
                    whole_square,
                ),
            ),
            corrected=Claim(
                r"\tfrac12 \|\ldots\|_F^2 = \sum_{j,i} \tfrac12 (\ldots)^2",
                half_square,
                code=(vectorized_loss,),
            ),
            severity=Severity.MISSING,
            problem="The left side has no factor one half and the right side has one, so the two"
            " differ by the factor 2, and so would their gradients.",
        ),
        Part(
            "the inverse temperature",
            setting=ONE_SAMPLE,
            printed=(
                Claim(
                    r"D_{j,j} = \langle \exp(\mathsf{A}_j \underline{W}), \mathbb{1}_L \rangle,\;"
                    r" \tfrac12 \|\ldots \beta \ldots\|_F^2 = \sum_{j,i} \tfrac12 (\langle"
                    r" D_{j,j}^{-1} \exp(\mathsf{A}_j \underline{W}), \ldots \rangle - \ldots)^2",
                    without_temperature,
                ),
                Claim(
                    r"\text{the same with } \beta = 1 \text{ on both sides}",
                    at_unit_temperature,
                    reading="beta = 1, which (S4) sets later",
                ),
            ),
            corrected=Claim(
                r"D_{j,j} = \langle \exp(\beta \mathsf{A}_j \underline{W}), \mathbb{1}_L \rangle,\;"
                r" \tfrac12 \|\ldots \beta \ldots\|_F^2 = \sum_{j,i} \tfrac12 (\langle"
                r" D_{j,j}^{-1} \exp(\beta \mathsf{A}_j \underline{W}), \ldots \rangle -"
                r" \ldots)^2",
                with_temperature,
            ),
            severity=Severity.MISSING,
            problem="The left side scales the scores by beta and the right side does not.",
        ),
        Part(
            "the vectorised attention",
            setting=ONE_SAMPLE,
            printed=(
                Claim(
                    r"(D \otimes I_L)^{-1} \exp(\mathsf{A} \underline{W}) = \operatorname{vec}"
                    r"(D^{-1} \exp(X W X^{\mathsf T}))",
                    vectorized_attention,
                ),
            ),
        ),
    ),
    remark="The part about the factor is run at beta = 1, the part about beta with the factor"
    " repaired, so that each shows one slip.",
)


# The scenarios

ANY_LENGTHS = replace(FULL_ADAPTATION, name="Definition B.1 for any lengths", square={})


def _explicit_loss(
    queries: Matrix, keys: Matrix, values: Matrix, Y: Matrix, beta: Scalar
) -> Matrix:
    """1/2 ||D^-1 exp(beta Q K^T) V - Y||_F^2 with D = diag(exp(beta Q K^T) 1)."""
    exponentials = (queries @ keys.T).scale(beta).exp()
    return half_squared_norm(exponentials.divide_rows(exponentials.row_sum()) @ values - Y)


def adapting_q_and_v(
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
) -> Relation:
    """The loss of (3.1) is that of all three weights at A_K = 0."""
    WQ, WV = WQ0 + (BQ @ AQ).scale(s), WV0 + (BV @ AV).scale(s)
    return equal(
        full_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AK.scale(0), BK, AV, BV, Y, s, beta),
        _explicit_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta),
    )


def adapting_q_and_k(
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
) -> Relation:
    """The loss of (3.1) is that of all three weights at A_V = 0."""
    WQ, WV = WQ0 + (BQ @ AQ).scale(s), WV0 + (BV @ AV).scale(s)
    return equal(
        full_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AK, BK, AV.scale(0), BV, Y, s, beta),
        _explicit_loss(XQ @ WQ, XK @ WK0, XV @ WV, Y, beta),
    )


def adapting_all(
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
) -> Relation:
    """The loss with W_mu = W_mu* + (alpha / r) B_mu A_mu for all three mu."""
    WQ, WK = WQ0 + (BQ @ AQ).scale(s), WK0 + (BK @ AK).scale(s)
    WV = WV0 + (BV @ AV).scale(s)
    return equal(
        full_loss(XQ, XK, XV, WQ0, WK0, WV0, AQ, BQ, AK, BK, AV, BV, Y, s, beta),
        _explicit_loss(XQ @ WQ, XK @ WK, XV @ WV, Y, beta),
    )


_Q_AND_V = Claim(
    r"\mathcal{L}(W_K^\star, W_Q, W_V) = \mathcal{L}(W_K, W_Q, W_V) \big|_{A_K = 0}",
    adapting_q_and_v,
    setting=ANY_LENGTHS,
)

SCENARIO_C1 = Record(
    "Scenario (C1)",
    title="Special case: adapting the weights of queries and values",
    kind=Kind.SCENARIO,
    printed=r"W_Q = W_Q^\star + \frac{\alpha}{r} B_Q A_Q,\quad W_V = W_V^\star + \frac{\alpha}{r}"
    r" B_V A_V,\quad W_K = W_K^\star",
    uses=("Definition 1.2", "Definition 3.1"),
    parts=(
        Part("a special case", setting=ANY_LENGTHS, printed=(_Q_AND_V,)),
        Part(
            "the weights that the Organization paragraph names",
            setting=FULL_ADAPTATION,
            printed=(
                Claim(
                    r"\text{section 3 adapts } W_Q, W_K:\; \mathcal{L}(W_K^\star, W_Q, W_V) ="
                    r" \mathcal{L}(W_K, W_Q, W_V) \big|_{A_V = 0}",
                    adapting_q_and_k,
                ),
                replace(_Q_AND_V, reading="the W_K of that paragraph is W_V"),
            ),
            corrected=_Q_AND_V,
            severity=Severity.TYPO,
            problem="The Organization paragraph says that section 3 adapts W_Q and W_K; (C1), the"
            " title of section 3 and (3.1) say W_Q and W_V.",
        ),
        Part(
            "best performance",
            cites="Hu et al. (2021), section 7.1, an experimental finding.",
        ),
    ),
    remark="(S1) then fixes W_V, so that the gradients of section 3 are those of W_Q alone.",
)

SCENARIO_C2 = Record(
    "Scenario (C2)",
    title="General case: adapting all three weights",
    kind=Kind.SCENARIO,
    printed=r"W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu,\quad \mu = K, Q, V",
    uses=("Definition 1.2", "Definition B.1"),
    parts=(
        Part(
            "the adapted weights",
            setting=ANY_LENGTHS,
            printed=(
                Claim(
                    r"W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu,\quad \mu = K, Q, V",
                    adapting_all,
                ),
            ),
        ),
        Part(
            "best performance",
            cites="Hu et al. (2021), section 7.1, is named for it; whether these three weights are"
            " among the sets tried there was not looked up.",
        ),
    ),
    remark="Appendix B fixes W_V as well, by (S1): (B.2) and Problem 3 have the adapters of K and"
    " Q only.",
)


# Definition 2.5 and Remark 2.1

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

RECORDS = (EQUATION_2_1, SCENARIO_C1, SCENARIO_C2, DEFINITION_2_5, REMARK_2_1)
