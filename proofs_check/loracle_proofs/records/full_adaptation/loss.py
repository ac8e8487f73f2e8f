"""Definition B.1: the loss of full adaptation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from loracle_proofs.full_adaptation_settings import Sized, squared_norm
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import FULL_ADAPTATION, full_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import lora_attention_loss

__all__ = ["RECORDS", "SIGN"]

SIGN = "the norm of a matrix and of its negative are equal"

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
                equivalent={"exponent_transposed: values - Y -> Y - values": SIGN},
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

RECORDS = (DEFINITION_B1,)
