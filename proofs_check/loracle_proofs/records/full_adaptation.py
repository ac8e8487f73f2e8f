"""Appendix B, full adaptation: Definition B.1, equations (B.1) and (B.2), Remark B.1, Problem 3."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from loracle_proofs.full_adaptation_settings import (
    FIXED_VALUES,
    UNIT_SCALARS,
    Derivative,
    Gradient,
    Sized,
    fixed_values_loss,
    query_key_loss,
    squared_norm,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import FULL_ADAPTATION, full_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import half_squared_norm, lora_attention_loss, residual
from loracle_reference.gradient import lora_attention_gradient
from loracle_reference.vectorization import mat, vec

__all__ = ["RECORDS"]

_SIGN = "the norm of a matrix and of its negative are equal"

ONE_SAMPLE = replace(FULL_ADAPTATION, derived={**FULL_ADAPTATION.derived, "loss": full_loss})


def exponent_as_printed(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    Y: Matrix,
    beta: Scalar,
    loss: Matrix,
) -> Relation:
    """X_K stands without its transposition."""
    exponentials = (XQ @ WQ @ WK.T @ XK).scale(beta).exp()
    values = exponentials.divide_rows(exponentials.row_sum()) @ XV @ WV
    return equal(squared_norm(values - Y).scale(Fraction(1, 2)), loss)


def exponent_transposed(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    Y: Matrix,
    beta: Scalar,
    loss: Matrix,
) -> Relation:
    """1/2 ||D^-1 exp{beta X_Q W_Q W_K^T X_K^T} X_V W_V - Y||^2 is the loss of one sample."""
    exponentials = (XQ @ WQ @ WK.T @ XK.T).scale(beta).exp()
    values = exponentials.divide_rows(exponentials.row_sum()) @ XV @ WV
    return equal(squared_norm(values - Y).scale(Fraction(1, 2)), loss)


def _loss_of_sample(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    Y: Matrix,
    weights: dict[str, Matrix],
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    return lora_attention_loss(x_q=XQ, x_k=XK, x_v=XV, y=Y, scaling=s, beta=beta, **weights)


def _weights(
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
) -> dict[str, Matrix]:
    return {
        "w_q": WQ0,
        "w_k": WK0,
        "w_v": WV0,
        "a_q": AQ,
        "b_q": BQ,
        "a_k": AK,
        "b_k": BK,
        "a_v": AV,
        "b_v": BV,
    }


def _first_loss(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    Y: Matrix,
    weights: dict[str, Matrix],
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    return _loss_of_sample(XQ, XK, XV, Y, weights, s, beta)


def _second_loss(
    XQ2: Matrix,
    XK2: Matrix,
    XV2: Matrix,
    Y2: Matrix,
    weights: dict[str, Matrix],
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    return _loss_of_sample(XQ2, XK2, XV2, Y2, weights, s, beta)


TWO_SAMPLES = replace(
    FULL_ADAPTATION,
    name="Definition B.1 with N = 2",
    shapes={
        **FULL_ADAPTATION.shapes,
        "XQ2": ("L", "d"),
        "XK2": ("M", "d"),
        "XV2": ("M", "d"),
        "Y2": ("L", "d"),
    },
    derived={
        **FULL_ADAPTATION.derived,
        "weights": _weights,
        "loss1": _first_loss,
        "loss2": _second_loss,
    },
    loss=None,
)


def mean_over_samples(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    Y: Matrix,
    XQ2: Matrix,
    XK2: Matrix,
    XV2: Matrix,
    Y2: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV: Matrix,
    beta: Scalar,
    loss1: Matrix,
    loss2: Matrix,
    M: int,
    ones: Sized,
) -> Relation:
    """1/(2N) sum_i ||D_i^-1 exp{...} X_V,i W_V - Y_i||^2, N = 2, is the mean of the two losses."""
    first = (XQ @ WQ @ WK.T @ XK.T).scale(beta).exp()
    second = (XQ2 @ WQ @ WK.T @ XK2.T).scale(beta).exp()
    c1 = first.divide_rows(first @ ones(M)) @ XV @ WV + Y.scale(-1)
    c2 = second.divide_rows(second @ ones(M)) @ XV2 @ WV + Y2.scale(-1)
    total = squared_norm(c1) + squared_norm(c2)
    return equal(total.scale(Fraction(1, 4)), (loss1 + loss2).scale(Fraction(1, 2)))


_EXPONENT = r"\exp\{X_i^{(Q)} W_Q W_K^{\mathsf T} X_i^{(K)} \beta\}"
_EXPONENT_CORRECTED = r"\exp\{X_i^{(Q)} W_Q W_K^{\mathsf T} (X_i^{(K)})^{\mathsf T} \beta\}"

DEFINITION_B1 = Record(
    "Definition B.1",
    title="The loss of full adaptation",
    kind=Kind.DEFINITION,
    printed=r"\min_{A_\mu, B_\mu} \mathcal L := \frac{1}{2N}\sum_{i=1}^N \|D^{-1}"
    + _EXPONENT
    + r"X_i^{(V)} W_V -"
    r" Y_i\|_F^2, \quad D = \operatorname{diag}(\exp\{X^{(Q)} W_Q W_K^{\mathsf T} X^{(K)}"
    r" \beta\} 1_n), \quad W_\mu = W_\mu^\star + \frac{\alpha}{r} B_\mu A_\mu",
    corrected=r"\mathcal L = \frac{1}{2N}\sum_{i=1}^N \|D_i^{-1}"
    + _EXPONENT_CORRECTED
    + r"X_i^{(V)} W_V - Y_i\|_F^2, \quad D_i = \operatorname{diag}("
    + _EXPONENT_CORRECTED
    + r" 1_L)",
    uses=("Definition 2.5", "Definition 1.2"),
    parts=(
        Part(
            "exponent",
            setting=ONE_SAMPLE,
            printed=(Claim(_EXPONENT, exponent_as_printed),),
            corrected=Claim(
                _EXPONENT_CORRECTED,
                exponent_transposed,
                equivalent={"exponent_transposed: values - Y -> Y - values": _SIGN},
            ),
            severity=Severity.ILL_TYPED,
            problem="X^(K) lacks its transposition, in the loss and in D: the product of shapes"
            " (L, d)(d, d)(d, d)(L, d) exists only for L = d. Definitions 2.5 and 3.1 have it.",
        ),
        Part(
            "normalization and mean over the samples",
            setting=TWO_SAMPLES,
            printed=(
                Claim(
                    r"\frac{1}{2N}\sum_{i=1}^N \|D_i^{-1}"
                    + _EXPONENT_CORRECTED
                    + r"X_i^{(V)} W_V - Y_i\|_F^2",
                    mean_over_samples,
                    reading="n is L, X in D is X_i (so that each sample has its own D), X^(K) is"
                    " transposed",
                ),
            ),
            corrected=Claim(
                r"\frac{1}{2N}\sum_{i=1}^N \|D_i^{-1}"
                + _EXPONENT_CORRECTED
                + r"X_i^{(V)} W_V - Y_i\|_F^2",
                mean_over_samples,
            ),
            severity=Severity.NOTATION,
            problem="D is written for an X without the index of the sample, and with 1_n for an n"
            " that is nowhere introduced.",
        ),
    ),
    remark="It is Definition 2.5 with adapters in all three weights. Everything here holds for"
    " M keys and L queries as well, 1_L then being 1_M. The left side is a minimum and the right"
    " side is the loss itself, without one.",
)


def scores_with_one_scaling(
    XQ: Matrix,
    XK: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    WQ: Matrix,
    WK: Matrix,
    s: Scalar,
) -> list[Relation]:
    """(B.1) as printed: alpha/r before B_Q A_Q, none before B_K A_K."""
    scores = (XQ @ WQ) @ (XK @ WK).T
    CK1, CK2 = XQ @ (WQ0 + (BQ @ AQ).scale(s)), XK
    CQ1, CQ2 = XQ, XK @ (WK0 + BK @ AK)
    return [equal(CQ1 @ WQ @ CQ2.T, scores), equal(CK1 @ WK.T @ CK2.T, scores)]


def scores_with_both_scalings(
    XQ: Matrix,
    XK: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    WQ: Matrix,
    WK: Matrix,
    s: Scalar,
) -> list[Relation]:
    """C_Q1 W_Q C_Q2^T = X_Q W_Q (X_K W_K)^T = C_K1 W_K^T C_K2^T with alpha/r in both."""
    scores = (XQ @ WQ) @ (XK @ WK).T
    CK1, CK2 = XQ @ (WQ0 + (BQ @ AQ).scale(s)), XK
    CQ1, CQ2 = XQ, XK @ (WK0 + (BK @ AK).scale(s))
    return [equal(CQ1 @ WQ @ CQ2.T, scores), equal(CK1 @ WK.T @ CK2.T, scores)]


WITH_LOSS = replace(UNIT_SCALARS, derived={**UNIT_SCALARS.derived, "loss": full_loss})


def values_as_printed(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV0: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> Relation:
    """Definition B.1's loss is that with the values C3 = X_V W_V*."""
    return equal(query_key_loss(XQ, XK, XV @ WV0, WQ, WK, Y), loss)


def values_adapted(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ: Matrix,
    WK: Matrix,
    WV0: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> Relation:
    """C3 = X_V W_V with the current W_V = W_V* + B_V A_V."""
    return equal(query_key_loss(XQ, XK, XV @ (WV0 + BV @ AV), WQ, WK, Y), loss)


def _zero_adapter(BQ: Matrix) -> Matrix:
    return BQ.scale(0)


FIXED_V = replace(
    WITH_LOSS,
    name="Definition B.1 with B_V A_V = 0",
    shapes={name: shape for name, shape in WITH_LOSS.shapes.items() if name != "BV"},
    derived={**WITH_LOSS.derived, "BV": _zero_adapter},
)

EQUATION_B1 = Record(
    "Equation (B.1)",
    title="The two bracketings of the scores",
    kind=Kind.EQUATION,
    printed=r"C_K^{(1)} = X^{(Q)}(W_Q^\star + \frac{\alpha}{r} B_Q A_Q),\ C_K^{(2)} = X^{(K)},\ "
    r" C_Q^{(1)} = X^{(Q)},\ C_Q^{(2)} = X^{(K)}(W_K^\star + B_K A_K),\ "
    r" C^{(3)} = X^{(V)} W_V^\star",
    corrected=r"C_Q^{(2)} = X^{(K)}(W_K^\star + \frac{\alpha}{r} B_K A_K),\ C^{(3)} = X^{(V)} W_V,"
    r"\quad C_Q^{(1)} W_Q (C_Q^{(2)})^{\mathsf T} = X^{(Q)} W_Q W_K^{\mathsf T} (X^{(K)})^{\mathsf"
    r" T} = C_K^{(1)} W_K^{\mathsf T} (C_K^{(2)})^{\mathsf T}",
    uses=("Definition B.1", "Simplification (S1)", "Simplification (S4)"),
    parts=(
        Part(
            "scores",
            setting=FULL_ADAPTATION,
            printed=(
                Claim(
                    r"C_Q^{(1)} W_Q (C_Q^{(2)})^{\mathsf T} = X^{(Q)} W_Q (X^{(K)} W_K)^{\mathsf T}"
                    r" = C_K^{(1)} W_K^{\mathsf T} (C_K^{(2)})^{\mathsf T}",
                    scores_with_one_scaling,
                ),
                Claim(
                    r"\frac{\alpha}{r} = 1",
                    scores_with_one_scaling,
                    reading="alpha/r is 1, as the sentence before the display sets it",
                    setting=UNIT_SCALARS,
                ),
            ),
            corrected=Claim(
                r"C_Q^{(2)} = X^{(K)}(W_K^\star + \frac{\alpha}{r} B_K A_K)",
                scores_with_both_scalings,
            ),
            severity=Severity.NOTATION,
            problem="alpha/r is written before the adapter of W_Q and not before that of W_K: the"
            " two brackets give the same scores only for alpha/r = 1.",
        ),
        Part(
            "values",
            setting=WITH_LOSS,
            printed=(
                Claim(r"C^{(3)} = X^{(V)} W_V^\star", values_as_printed),
                Claim(
                    r"B_V A_V = 0",
                    values_as_printed,
                    reading="W_V is not adapted: it stays at W_V*",
                    setting=FIXED_V,
                ),
            ),
            corrected=Claim(r"C^{(3)} = X^{(V)} W_V", values_adapted),
            severity=Severity.MISSING,
            problem="Definition B.1 adapts W_V, so the values are X_V W_V with the current W_V;"
            " with W_V* in its place the loss, and with it the gradients in the adapters of W_Q"
            " and W_K, are those of Definition B.1 only where B_V A_V = 0.",
        ),
    ),
    remark="C_K^(1) contains the adapters of W_Q and C_Q^(2) those of W_K.",
)


def key_loss(
    CK1: Matrix, CK2: Matrix, C3: Matrix, WK0: Matrix, AK: Matrix, BK: Matrix, Y: Matrix
) -> Matrix:
    """The loss as a function of the adapter of W_K: C_K1, C_K2 and C3 are given."""
    scores = CK1 @ (WK0 + BK @ AK).T @ CK2.T
    return half_squared_norm(residual(scores.softmax_rows(), C3, Y))


def query_loss(
    CQ1: Matrix, CQ2: Matrix, C3: Matrix, WQ0: Matrix, AQ: Matrix, BQ: Matrix, Y: Matrix
) -> Matrix:
    """The loss as a function of the adapter of W_Q: C_Q1, C_Q2 and C3 are given."""
    scores = CQ1 @ (WQ0 + BQ @ AQ) @ CQ2.T
    return half_squared_norm(residual(scores.softmax_rows(), C3, Y))


def constant_for_keys(derivative: Derivative, dL_dAK: Matrix, dL_dBK: Matrix) -> list[Relation]:
    """With C_K1, C_K2, C3 held fixed, the derivatives in A_K and B_K are those of the loss."""
    return [
        equal(derivative(key_loss, "AK"), dL_dAK),
        equal(derivative(key_loss, "BK"), dL_dBK),
    ]


def constant_for_queries(derivative: Derivative, dL_dAQ: Matrix, dL_dBQ: Matrix) -> list[Relation]:
    """With C_Q1, C_Q2, C3 held fixed, the derivatives in A_Q and B_Q are those of the loss."""
    return [
        equal(derivative(query_loss, "AQ"), dL_dAQ),
        equal(derivative(query_loss, "BQ"), dL_dBQ),
    ]


REMARK_B1 = Record(
    "Remark B.1",
    title="What is constant in which derivative",
    kind=Kind.REMARK,
    printed=r"\frac{\partial (C_K^{(1)}, C_K^{(2)}, C^{(3)})}{\partial (A_K, B_K)} = 0, \quad"
    r" \frac{\partial (C_Q^{(1)}, C_Q^{(2)}, C^{(3)})}{\partial (A_Q, B_Q)} = 0",
    uses=("Equation (B.1)",),
    parts=(
        Part(
            "keys",
            setting=FIXED_VALUES,
            printed=(
                Claim(
                    r"\frac{\partial}{\partial (A_K, B_K)} \mathcal L(C_K^{(1)}, C_K^{(2)},"
                    r" C^{(3)}, A_K, B_K) = \frac{\partial \mathcal L}{\partial (A_K, B_K)}",
                    constant_for_keys,
                    code=(key_loss,),
                ),
            ),
        ),
        Part(
            "queries",
            setting=FIXED_VALUES,
            printed=(
                Claim(
                    r"\frac{\partial}{\partial (A_Q, B_Q)} \mathcal L(C_Q^{(1)}, C_Q^{(2)},"
                    r" C^{(3)}, A_Q, B_Q) = \frac{\partial \mathcal L}{\partial (A_Q, B_Q)}",
                    constant_for_queries,
                    code=(query_loss,),
                ),
            ),
        ),
    ),
    ocr="The second C_Q^(1) is read as C_O^(1).",
    remark="Each holds within one partial derivative. C_K^(1) depends on A_Q, B_Q, and C_Q^(2) on"
    " A_K, B_K: when both adapters are trained, none of the two is constant from one step to the"
    " next.",
)


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
                equivalent={"loss_with_half: f @ XV @ WV0 - Y -> Y - f @ XV @ WV0": _SIGN},
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


def targets_as_printed(
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
    gradient: Gradient,
) -> list[Relation]:
    """The exact gradients solve Problem 3 with error zero; for K as printed, against Q's."""
    answer = lora_attention_gradient(
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
    return [
        equal(vec(answer["grad_b_q"]), vec(gradient("BQ"))),
        equal(vec(answer["grad_a_q"]), vec(gradient("AQ"))),
        equal(vec(answer["grad_b_k"]), vec(gradient("BQ"))),
        equal(vec(answer["grad_a_k"]), vec(gradient("AQ"))),
    ]


def targets_of_each_weight(
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
    gradient: Gradient,
) -> list[Relation]:
    """The specification's gradients are those of the loss, for Q, K and also V."""
    answer = lora_attention_gradient(
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
    return [
        equal(vec(answer["grad_b_q"]), vec(gradient("BQ"))),
        equal(vec(answer["grad_a_q"]), vec(gradient("AQ"))),
        equal(vec(answer["grad_b_k"]), vec(gradient("BK"))),
        equal(vec(answer["grad_a_k"]), vec(gradient("AK"))),
        equal(vec(answer["grad_b_v"]), vec(gradient("BV"))),
        equal(vec(answer["grad_a_v"]), vec(gradient("AV"))),
    ]


def surrogate_as_printed(
    d: int, r: int, dL_dAQ: Matrix, dL_dBQ: Matrix, dL_dAK: Matrix, dL_dBK: Matrix
) -> list[Relation]:
    """G^(A) in R^(d x r) and G^(B) in R^(r x d), their entries those of the gradients."""
    return [
        equal(mat(vec(dL_dAQ), d, r), dL_dAQ),
        equal(mat(vec(dL_dBQ), r, d), dL_dBQ),
        equal(mat(vec(dL_dAK), d, r), dL_dAK),
        equal(mat(vec(dL_dBK), r, d), dL_dBK),
    ]


def surrogate_under_vec(
    d: int, r: int, dL_dAQ: Matrix, dL_dBQ: Matrix, dL_dAK: Matrix, dL_dBK: Matrix
) -> list[Relation]:
    """The same, of which only the vectors are compared."""
    return [
        equal(vec(mat(vec(dL_dAQ), d, r)), vec(dL_dAQ)),
        equal(vec(mat(vec(dL_dBQ), r, d)), vec(dL_dBQ)),
        equal(vec(mat(vec(dL_dAK), d, r)), vec(dL_dAK)),
        equal(vec(mat(vec(dL_dBK), r, d)), vec(dL_dBK)),
    ]


def surrogate_shapes(
    d: int, r: int, dL_dAQ: Matrix, dL_dBQ: Matrix, dL_dAK: Matrix, dL_dBK: Matrix
) -> list[Relation]:
    """G^(A) in R^(r x d) and G^(B) in R^(d x r)."""
    return [
        equal(mat(vec(dL_dAQ), r, d), dL_dAQ),
        equal(mat(vec(dL_dBQ), d, r), dL_dBQ),
        equal(mat(vec(dL_dAK), r, d), dL_dAK),
        equal(mat(vec(dL_dBK), d, r), dL_dBK),
    ]


ALL_GRADIENTS = replace(FULL_ADAPTATION, limits={"r": 2})
"""Six gradients with general scalars: symbols up to two queries, three keys, d = 3, r = 2."""

PROBLEM_3 = Record(
    "Problem 3",
    title="Approximate gradients of the full adaptation",
    kind=Kind.PROBLEM,
    printed=r"\widetilde G_\mu^{(A)} \in \mathbb R^{d \times r},\ \widetilde G_\mu^{(B)} \in"
    r" \mathbb R^{r \times d}: \quad \max\left(\left\{\left\|\underline{\widetilde G}_\mu^{(B)} -"
    r" \frac{\partial \mathcal L}{\partial \underline B_Q}\right\|_\infty,"
    r" \left\|\underline{\widetilde G}_\mu^{(A)} - \frac{\partial \mathcal L}{\partial \underline"
    r" A_Q}\right\|_\infty\right\}_{\mu = K, Q}\right) \le \epsilon",
    corrected=r"\widetilde G_\mu^{(A)} \in \mathbb R^{r \times d},\ \widetilde G_\mu^{(B)} \in"
    r" \mathbb R^{d \times r}: \quad \max\left(\left\{\left\|\widetilde G_\mu^{(B)} -"
    r" \frac{\partial \mathcal L}{\partial B_\mu}\right\|_\infty, \left\|\widetilde G_\mu^{(A)} -"
    r" \frac{\partial \mathcal L}{\partial A_\mu}\right\|_\infty\right\}_{\mu = K, Q}\right) \le"
    r" \epsilon",
    uses=("Equation (B.2)", "Definition 2.1"),
    parts=(
        Part(
            "targets",
            setting=ALL_GRADIENTS,
            printed=(
                Claim(
                    r"\widetilde G_\mu^{(B)} = \frac{\partial \mathcal L}{\partial B_\mu},\ "
                    r" \widetilde G_\mu^{(A)} = \frac{\partial \mathcal L}{\partial A_\mu}"
                    r" \text{ have error } 0",
                    targets_as_printed,
                    setting=replace(ALL_GRADIENTS, limits={"L": 2, "d": 1, "r": 1}),
                ),
            ),
            corrected=Claim(
                r"\frac{\partial \mathcal L}{\partial \underline B_\mu},\ \frac{\partial \mathcal"
                r" L}{\partial \underline A_\mu} \text{ in place of } \frac{\partial \mathcal"
                r" L}{\partial \underline B_Q},\ \frac{\partial \mathcal L}{\partial \underline"
                r" A_Q}",
                targets_of_each_weight,
                code=(lora_attention_gradient,),
            ),
            severity=Severity.TYPO,
            problem="The gradients in B_Q and A_Q stand for every mu: for mu = K the exact"
            " gradients of K are no solution. Theorem B.1 has mu in their place.",
        ),
        Part(
            "shapes",
            setting=FIXED_VALUES,
            printed=(
                Claim(
                    r"\widetilde G_\mu^{(A)} = \frac{\partial \mathcal L}{\partial A_\mu},\ "
                    r" \widetilde G_\mu^{(B)} = \frac{\partial \mathcal L}{\partial B_\mu}",
                    surrogate_as_printed,
                ),
                Claim(
                    r"\underline{\widetilde G}_\mu^{(A)} = \frac{\partial \mathcal L}{\partial"
                    r" \underline A_\mu},\ \underline{\widetilde G}_\mu^{(B)} = \frac{\partial"
                    r" \mathcal L}{\partial \underline B_\mu}",
                    surrogate_under_vec,
                    reading="only the vectors are compared, so that a surrogate is the gradient"
                    " cut into rows of another length",
                ),
            ),
            corrected=Claim(
                r"\widetilde G_\mu^{(A)} \in \mathbb R^{r \times d},\ \widetilde G_\mu^{(B)} \in"
                r" \mathbb R^{d \times r}",
                surrogate_shapes,
            ),
            severity=Severity.NOTATION,
            problem="The shapes of the two surrogates are those of each other: the gradient in"
            " A_mu is r x d, that in B_mu is d x r. The difference of the vectors is typed, that"
            " of the matrices is not unless r = d.",
        ),
    ),
    remark="L follows (B.2), whose gradients are twice those of Definition B.1; what is checked"
    " here is Definition B.1, with any alpha/r and beta. The gradients in A_V and B_V, which"
    " scenario (C2) needs, are not asked for. Numbers have log(L) bits here and O(log L) in"
    " Theorem B.1.",
)

RECORDS = (DEFINITION_B1, EQUATION_B1, REMARK_B1, EQUATION_B2, PROBLEM_3)
