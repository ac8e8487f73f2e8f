"""Lemma F.4: the gradients in the four adapters."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import FIXED_VALUES, Constant
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.gradient import (
    adapter_gradient,
    key_weight_gradient,
    query_weight_gradient,
    score_gradient,
)
from loracle_reference.vectorization import transposition, vec

__all__ = ["A_Q", "PARTS_OF_LEMMA_F4", "RECORDS", "SQUARE_ADAPTERS"]


def p_in_columns(BQ: Matrix, CQ1: Matrix, CQ2: Matrix, p: Matrix, dL_dAQ: Matrix) -> Relation:
    """vec(B_Q^T C_Q1^T p C_Q2) with the vectors p_j as columns of p."""
    P = p.T
    return equal(vec(dL_dAQ), vec(BQ.T @ CQ1.T @ P @ CQ2))


def p_in_rows(BQ: Matrix, CQ1: Matrix, CQ2: Matrix, p: Matrix, dL_dAQ: Matrix) -> Relation:
    """vec(dL/dA_Q) = vec(B_Q^T C_Q1^T p C_Q2) with the vectors p_j as rows of p."""
    return equal(vec(dL_dAQ), vec(BQ.T @ CQ1.T @ p @ CQ2))


def adapter_b_of_query_as_printed(
    AQ: Matrix, CQ1: Matrix, CQ2: Matrix, p: Matrix, dL_dBQ: Matrix
) -> Relation:
    """vec(C_Q1^T p A_Q C_Q2)."""
    return equal(vec(dL_dBQ), vec(CQ1.T @ p @ AQ @ CQ2))


def query_adapter_gradients(
    XQ: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    p: Matrix,
    CQ1: Matrix,
    CQ2: Matrix,
    dL_dAQ: Matrix,
    dL_dBQ: Matrix,
) -> list[Relation]:
    """vec(dL/dB_Q) = vec(C_Q1^T p C_Q2 A_Q^T), and both gradients by the specification."""
    specified = adapter_gradient(
        "q", query_weight_gradient(XQ, score_gradient(f, c, C3), CQ2), AQ, BQ
    )
    return [
        equal(vec(dL_dBQ), vec(CQ1.T @ p @ CQ2 @ AQ.T)),
        equal(dL_dBQ, specified["grad_b_q"]),
        equal(dL_dAQ, specified["grad_a_q"]),
    ]


def key_a_as_printed(
    BK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, d: int, constant: Constant, dL_dAK: Matrix
) -> Relation:
    """T(d^2, d^2)^T vec(B_K^T C_K1^T p C_K2)."""
    T = constant(transposition(d * d, d * d))
    return equal(vec(dL_dAK), T.T @ vec(BK.T @ CK1.T @ p @ CK2))


def key_a_with_small_t(
    BK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, d: int, constant: Constant, dL_dAK: Matrix
) -> Relation:
    """T(d, d)^T vec(B_K^T C_K1^T p C_K2)."""
    T = constant(transposition(d, d))
    return equal(vec(dL_dAK), T.T @ vec(BK.T @ CK1.T @ p @ CK2))


def key_b_as_printed(
    AK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, d: int, constant: Constant, dL_dBK: Matrix
) -> Relation:
    """T(d^2, d^2)^T vec(C_K1^T p A_K C_K2)."""
    T = constant(transposition(d * d, d * d))
    return equal(vec(dL_dBK), T.T @ vec(CK1.T @ p @ AK @ CK2))


def key_adapter_a(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    d: int,
    r: int,
    constant: Constant,
    dL_dAK: Matrix,
) -> list[Relation]:
    """vec(dL/dA_K) = vec(B_K^T C_K2^T p^T C_K1) = T(d, r) vec(C_K1^T p C_K2 B_K)."""
    T = constant(transposition(d, r))
    return [
        equal(vec(dL_dAK), vec(BK.T @ CK2.T @ p.T @ CK1)),
        equal(vec(dL_dAK), T @ vec(CK1.T @ p @ CK2 @ BK)),
    ]


def key_adapter_gradients(
    XK: Matrix,
    AK: Matrix,
    BK: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    p: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    d: int,
    r: int,
    constant: Constant,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
) -> list[Relation]:
    """vec(dL/dB_K) = vec(C_K2^T p^T C_K1 A_K^T) = T(r, d) vec(A_K C_K1^T p C_K2), and both
    gradients by the specification."""
    T = constant(transposition(r, d))
    specified = adapter_gradient(
        "k", key_weight_gradient(XK, score_gradient(f, c, C3), CK1), AK, BK
    )
    return [
        equal(vec(dL_dBK), vec(CK2.T @ p.T @ CK1 @ AK.T)),
        equal(vec(dL_dBK), T @ vec(AK @ CK1.T @ p @ CK2)),
        equal(dL_dBK, specified["grad_b_k"]),
        equal(dL_dAK, specified["grad_a_k"]),
    ]


SQUARE_ADAPTERS = replace(
    FIXED_VALUES,
    name="Equation (B.2) with r = d",
    shapes={
        name: ("d", "d") if "r" in shape else shape for name, shape in FIXED_VALUES.shapes.items()
    },
    limits={},
)

_P_Q = r"p_Q(\underline{W_Q})"
_P_K = r"p_K(\underline{W_K^{\mathsf T}})"
_C1_Q, _C1_K = r"(C_Q^{(1)})^{\mathsf T}", r"(C_K^{(1)})^{\mathsf T}"
_C2_Q, _C2_K = r"C_Q^{(2)}", r"C_K^{(2)}"
_BIG_T = r"T(d^2, d^2)^{\mathsf T}"


def _gradient_in(name: str) -> str:
    return rf"\frac{{\partial \mathcal L}}{{\partial \underline {name}}} ="


A_Q = _gradient_in("A_Q") + rf" \operatorname{{vec}}(B_Q^{{\mathsf T}} {_C1_Q} {_P_Q} {_C2_Q})"
B_Q = _gradient_in("B_Q") + rf" \operatorname{{vec}}({_C1_Q} {_P_Q} A_Q {_C2_Q})"
A_K = _gradient_in("A_K") + (
    rf" {_BIG_T} \operatorname{{vec}}(B_K^{{\mathsf T}} {_C1_K} {_P_K} {_C2_K})"
)
B_K = _gradient_in("B_K") + rf" {_BIG_T} \operatorname{{vec}}({_C1_K} {_P_K} A_K {_C2_K})"
B_Q_CORRECTED = _gradient_in("B_Q") + (
    rf" \operatorname{{vec}}({_C1_Q} {_P_Q} {_C2_Q} A_Q^{{\mathsf T}})"
)
A_K_CORRECTED = _gradient_in("A_K") + (
    r" \operatorname{vec}(B_K^{\mathsf T} (C_K^{(2)})^{\mathsf T} p_K^{\mathsf T} C_K^{(1)}) ="
    r" T(d, r) \operatorname{vec}((C_K^{(1)})^{\mathsf T} p_K C_K^{(2)} B_K)"
)
B_K_CORRECTED = _gradient_in("B_K") + (
    r" \operatorname{vec}((C_K^{(2)})^{\mathsf T} p_K^{\mathsf T} C_K^{(1)} A_K^{\mathsf T}) ="
    r" T(r, d) \operatorname{vec}(A_K (C_K^{(1)})^{\mathsf T} p_K C_K^{(2)})"
)

PARTS_OF_LEMMA_F4 = (
    Part(
        "A_Q",
        setting=FIXED_VALUES,
        printed=(
            Claim(A_Q, p_in_columns),
            Claim(A_Q, p_in_rows, reading="the vectors p_Q(W)_j^T are the rows of p_Q(W)"),
        ),
        corrected=Claim(A_Q, p_in_rows),
        severity=Severity.NOTATION,
        problem="It is not said how the vectors p_j make a matrix. Lemma F.9 makes them its"
        " columns, as q has them; the formula holds if they are its rows, as f has them.",
    ),
    Part(
        "B_Q",
        setting=FIXED_VALUES,
        printed=(Claim(B_Q, adapter_b_of_query_as_printed),),
        corrected=Claim(
            B_Q_CORRECTED,
            query_adapter_gradients,
            code=(adapter_gradient, query_weight_gradient, score_gradient),
        ),
        severity=Severity.ILL_TYPED,
        problem="p is L x L and A_Q is r x d: their product does not exist. A_Q^T belongs at the"
        " right end.",
    ),
    Part(
        "A_K",
        setting=FIXED_VALUES,
        printed=(
            Claim(A_K, key_a_as_printed),
            Claim(
                A_K.replace("d^2, d^2", "d, d"),
                key_a_with_small_t,
                reading="T is the matrix of size d^2 x d^2 that transposes d x d matrices",
            ),
            Claim(
                A_K.replace("d^2, d^2", "d, d"),
                key_a_with_small_t,
                reading="the same, with r = d, where the sizes fit",
                setting=SQUARE_ADAPTERS,
            ),
        ),
        corrected=Claim(A_K_CORRECTED, key_adapter_a, code=(transposition,)),
        severity=Severity.FATAL_TO_STATEMENT,
        problem="T(d^2, d^2) is a matrix of d^4 rows. With T(d, d), for the d^2 x d^2 matrix that"
        " is meant, it still does not act on the r d entries of the product, and even for r = d"
        " the product is wrong: B_K meets G = C_K1^T p C_K2, the gradient in W_K^T, from the left,"
        " and must meet its transpose.",
    ),
    Part(
        "B_K",
        setting=FIXED_VALUES,
        printed=(Claim(B_K, key_b_as_printed),),
        corrected=Claim(
            B_K_CORRECTED,
            key_adapter_gradients,
            code=(adapter_gradient, key_weight_gradient, score_gradient, transposition),
        ),
        severity=Severity.FATAL_TO_STATEMENT,
        problem="T(d^2, d^2) is a matrix of d^4 rows, and p A_K does not exist. A_K belongs at the"
        " left of C_K1^T p C_K2, and T(r, d) before it.",
    ),
)
"""The four formulas, which the proof of Theorem B.1 repeats."""

LEMMA_F4 = Record(
    "Lemma F.4",
    title="The gradients in the four adapters",
    kind=Kind.LEMMA,
    printed=r", \quad ".join((A_Q, B_Q, A_K, B_K)),
    corrected=r", \quad ".join((A_Q, B_Q_CORRECTED, A_K_CORRECTED, B_K_CORRECTED)),
    uses=("Definition F.7", "Lemma F.1", "Lemma F.2", "Lemma F.3"),
    parts=PARTS_OF_LEMMA_F4,
    ocr="The underlines of A_Q and B_Q are not read everywhere.",
    remark="p_K at W_K^T and p_Q at W_Q are the same matrix, the gradient in the scores. T(m, n) is"
    " that of Lemma F.2 as corrected, vec(W^T) = T(m, n) vec(W) for W of shape (m, n). For alpha/r"
    " and beta other than one every gradient has the factor beta alpha/r: see Problem 3.",
)

RECORDS = (LEMMA_F4,)
