"""Equations (F.1) and (F.2): the gradients in W_Q and in W_K^T, term by term."""

from __future__ import annotations

from loracle_proofs.full_adaptation_settings import (
    WEIGHTS,
    Derivative,
    attention_rows,
    query_key_loss,
    squared_norm,
    transposed_key_loss,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import HALF, Matrix
from loracle_reference.attention import residual
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]


def printed_loss(XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WK: Matrix, Y: Matrix) -> Matrix:
    """(B.2) as printed, without 1/2, as a function of the two weights."""
    return squared_norm(residual((XQ @ WQ @ (XK @ WK).T).softmax_rows(), C3, Y))


def printed_transposed_loss(
    XQ: Matrix, XK: Matrix, C3: Matrix, WQ: Matrix, WKT: Matrix, Y: Matrix
) -> Matrix:
    """(B.2) as printed, as a function of W_K^T."""
    return printed_loss(XQ, XK, C3, WQ, WKT.T, Y)


def query_terms(CQ1: Matrix, CQ2: Matrix, C3: Matrix, WQ: Matrix, Y: Matrix) -> Matrix:
    """1/2 sum_j sum_i c_Q(W_Q)_ji^2 by Definitions F.1 to F.5."""
    c = residual(attention_rows(CQ1, CQ2, WQ), C3, Y)
    return squared_norm(c).scale(HALF)


def key_terms(CK1: Matrix, CK2: Matrix, C3: Matrix, WKT: Matrix, Y: Matrix) -> Matrix:
    """1/2 sum_j sum_i c_K(W_K^T)_ji^2 by Definitions F.1 to F.5."""
    c = residual(attention_rows(CK1, CK2, WKT), C3, Y)
    return squared_norm(c).scale(HALF)


def query_gradient_of_printed_loss(derivative: Derivative) -> Relation:
    """(F.1) with L as (B.2) prints it."""
    return equal(derivative(printed_loss, "WQ"), derivative(query_terms, "WQ"))


def query_gradient_of_terms(derivative: Derivative) -> Relation:
    """(F.1) with the factor 1/2 of Definition B.1."""
    return equal(derivative(query_key_loss, "WQ"), derivative(query_terms, "WQ"))


_LINE_OCR = (
    "The source draws the line under W alone, under W_Q as well; whether in print it reaches over"
    " the index and the transposition cannot be told."
)

_F1 = (
    r"\frac{\partial \mathcal L(\underline{W_Q}, \underline{W_K})}{\partial \underline{W_Q}} ="
    r" \frac{\partial}{\partial \underline{W_Q}} \sum_{j=1}^L \sum_{i=1}^d \mathcal"
    r" L_Q(\underline{W_Q})_{j,i} = \frac{\partial}{\partial \underline{W_Q}} \frac{1}{2}"
    r" \sum_{j=1}^L \sum_{i=1}^d c_Q(\underline{W_Q})_{j,i}^2"
)
_HALF_READING = "L has the factor 1/2 of Definition B.1, and of Definition F.5"
_HALF_PROBLEM = (
    "L is said to be (B.2), which lacks the factor 1/2 that the terms have: the left side is then"
    " twice the right one."
)

EQUATION_F1 = Record(
    "Equation (F.1)",
    title="The gradient in W_Q, term by term",
    kind=Kind.EQUATION,
    printed=_F1,
    corrected=_F1 + r",\quad \mathcal L = \frac{1}{2} \|\cdots\|_F^2",
    ocr=_LINE_OCR,
    uses=("Definition F.5", "Equation (B.2)"),
    parts=(
        Part(
            "factor",
            setting=WEIGHTS,
            printed=(
                Claim(_F1, query_gradient_of_printed_loss),
                Claim(_F1, query_gradient_of_terms, reading=_HALF_READING),
            ),
            corrected=Claim(_F1, query_gradient_of_terms, code=(query_terms,)),
            severity=Severity.MISSING,
            problem=_HALF_PROBLEM,
        ),
    ),
)


def key_gradient_of_printed_loss(derivative: Derivative) -> Relation:
    """(F.2) with L as (B.2) prints it, in vec(W_K^T)."""
    return equal(derivative(printed_transposed_loss, "WKT"), derivative(key_terms, "WKT"))


def key_gradient_of_terms(derivative: Derivative) -> Relation:
    """(F.2) with the factor 1/2 of Definition B.1, in vec(W_K^T)."""
    return equal(derivative(transposed_key_loss, "WKT"), derivative(key_terms, "WKT"))


def scores_of_the_row(
    CK1: Matrix, CK2: Matrix, WK: Matrix, S: Matrix, L: int, M: int
) -> list[Relation]:
    """C_j^K (vec W_K)^T, the vector transposed."""
    C = kronecker(CK1, CK2)
    return [equal((sub_block(C, j, M) @ vec(WK).T).T, S.take_rows([j])) for j in range(L)]


def scores_of_the_transpose(
    CK1: Matrix, CK2: Matrix, WK: Matrix, S: Matrix, L: int, M: int
) -> list[Relation]:
    """C_j^K vec(W_K^T), the matrix transposed, gives the scores of query j."""
    C = kronecker(CK1, CK2)
    return [equal((sub_block(C, j, M) @ vec(WK.T)).T, S.take_rows([j])) for j in range(L)]


_F2 = (
    r"\frac{\partial \mathcal L}{\partial \underline W_K^{\mathsf T}} = \frac{\partial}{\partial"
    r" \underline W_K^{\mathsf T}} \sum_{j=1}^L \sum_{i=1}^d \mathcal L_K(\underline W_K^{\mathsf"
    r" T})_{j,i} = \frac{\partial}{\partial \underline W_K^{\mathsf T}} \frac{1}{2} \sum_{j=1}^L"
    r" \sum_{i=1}^d c_K(\underline W_K^{\mathsf T})_{j,i}^2"
)
_F2_CORRECTED = (
    r"\frac{\partial \mathcal L}{\partial \underline{W_K^{\mathsf T}}} = \frac{\partial}{\partial"
    r" \underline{W_K^{\mathsf T}}} \frac{1}{2} \sum_{j=1}^L \sum_{i=1}^d"
    r" c_K(\underline{W_K^{\mathsf T}})_{j,i}^2,\quad \mathcal L = \frac{1}{2} \|\cdots\|_F^2"
)

EQUATION_F2 = Record(
    "Equation (F.2)",
    title="The gradient in the transpose of W_K, term by term",
    kind=Kind.EQUATION,
    printed=_F2,
    corrected=_F2_CORRECTED,
    ocr=_LINE_OCR,
    uses=("Definition F.5", "Equation (B.2)", "Lemma 2.1"),
    parts=(
        Part(
            "argument",
            setting=WEIGHTS,
            printed=(
                Claim(r"\mathsf C_j^K \underline W_K^{\mathsf T}", scores_of_the_row),
                Claim(
                    r"\mathsf C_j^K \underline{W_K^{\mathsf T}}",
                    scores_of_the_transpose,
                    reading="the argument is vec(W_K^T), not the vector vec(W_K) turned into a row",
                ),
            ),
            corrected=Claim(r"\mathsf C_j^K \underline{W_K^{\mathsf T}}", scores_of_the_transpose),
            severity=Severity.NOTATION,
            problem="The transposition is written outside of the vectorization, where it makes a"
            " row of it, on which C_j^K does not act; vec(W_K^T) and vec(W_K) differ in the order"
            " of their entries.",
        ),
        Part(
            "factor",
            setting=WEIGHTS,
            printed=(
                Claim(_F2, key_gradient_of_printed_loss),
                Claim(_F2, key_gradient_of_terms, reading=_HALF_READING),
            ),
            corrected=Claim(_F2_CORRECTED, key_gradient_of_terms, code=(key_terms,)),
            severity=Severity.MISSING,
            problem=_HALF_PROBLEM,
        ),
    ),
)

RECORDS = (EQUATION_F1, EQUATION_F2)
