"""Equation (B.1) and Remark B.1: the two brackets of the scores, and what each holds constant."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import (
    FIXED_VALUES,
    UNIT_SCALARS,
    Derivative,
    query_key_loss,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import FULL_ADAPTATION, full_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import half_squared_norm, residual

__all__ = ["RECORDS"]


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

RECORDS = (EQUATION_B1, REMARK_B1)
