"""Lemma F.1: the gradients in W_Q and in W_K^T as double sums."""

from __future__ import annotations

from loracle_proofs.full_adaptation_settings import (
    ANY_KEYS,
    WEIGHTS,
    Sized,
    attention_vector,
    sum_of,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]


def query_decomposition(
    CQ1: Matrix,
    CQ2: Matrix,
    WQ: Matrix,
    C3: Matrix,
    cQ: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dWQ: Matrix,
) -> Relation:
    """sum_j sum_i c_ji (C_j^Q)^T (diag(f_j) - f_j f_j^T) C3[., i] = vec(dL/dW_Q)."""
    C = kronecker(CQ1, CQ2)
    f = [attention_vector(CQ1, CQ2, WQ, j) for j in range(L)]
    terms = [
        sub_block(C, j, M).T
        @ (identity(M).scale_rows(f[j]) - f[j] @ f[j].T)
        @ C3.take_columns([i])
        @ cQ.take_rows([j]).take_columns([i])
        for j in range(L)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dWQ))


def key_decomposition_as_printed(
    CK1: Matrix,
    CK2: Matrix,
    WKT: Matrix,
    C3: Matrix,
    cK: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dWKT: Matrix,
) -> Relation:
    """The same for K with f_j f_j in place of f_j f_j^T."""
    C = kronecker(CK1, CK2)
    f = [attention_vector(CK1, CK2, WKT, j) for j in range(L)]
    terms = [
        sub_block(C, j, M).T
        @ (identity(M).scale_rows(f[j]) - f[j] @ f[j])
        @ C3.take_columns([i])
        @ cK.take_rows([j]).take_columns([i])
        for j in range(L)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dWKT))


def key_decomposition(
    CK1: Matrix,
    CK2: Matrix,
    WKT: Matrix,
    C3: Matrix,
    cK: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    dL_dWKT: Matrix,
) -> Relation:
    """sum_j sum_i c_ji (C_j^K)^T (diag(f_j) - f_j f_j^T) C3[., i] = vec(dL/d(W_K^T))."""
    C = kronecker(CK1, CK2)
    f = [attention_vector(CK1, CK2, WKT, j) for j in range(L)]
    terms = [
        sub_block(C, j, M).T
        @ (identity(M).scale_rows(f[j]) - f[j] @ f[j].T)
        @ C3.take_columns([i])
        @ cK.take_rows([j]).take_columns([i])
        for j in range(L)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dWKT))


def _decomposition(mu: str, variable: str, product: str) -> str:
    return (
        rf"\frac{{\partial \mathcal L}}{{\partial {variable}}} = \sum_{{j=1}}^L \sum_{{i=1}}^d"
        rf" c_{mu}({variable})_{{j,i}} (\mathsf C_j^{mu})^{{\mathsf T}}"
        rf" (\operatorname{{diag}}(f_{mu}({variable})_j) - {product}) C^{{(3)}}[\cdot, i]"
    )


_WQ = r"\underline{W_Q}"
_WKT = r"\underline{W_K^{\mathsf T}}"
_LEMMA_F1_Q = _decomposition("Q", _WQ, rf"f_Q({_WQ})_j f_Q({_WQ})_j^{{\mathsf T}}")
_LEMMA_F1_K = _decomposition("K", _WKT, rf"f_K({_WKT})_j f_K({_WKT})_j")
_LEMMA_F1_K_CORRECTED = _decomposition("K", _WKT, rf"f_K({_WKT})_j f_K({_WKT})_j^{{\mathsf T}}")
_OUTER_OCR = (
    "f_K f_K stands without a transposition here and in the proof of Lemma F.4, in every"
    " occurrence; the occurrences for Q, and Definition F.7, have it. A sign lost in reading the"
    " page cannot be excluded."
)
_OUTER_READING = "f_K f_K stands for f_K f_K^T, as in the line for Q and in Definition F.7"

LEMMA_F1 = Record(
    "Lemma F.1",
    title="The gradients in W_Q and in the transpose of W_K",
    kind=Kind.LEMMA,
    printed=_LEMMA_F1_Q + r", \quad " + _LEMMA_F1_K,
    corrected=_LEMMA_F1_Q + r", \quad " + _LEMMA_F1_K_CORRECTED,
    uses=("Definition F.5", "Lemma 3.1", "Equation (F.1)", "Equation (F.2)"),
    parts=(
        Part(
            "Q",
            setting=ANY_KEYS,
            printed=(Claim(_LEMMA_F1_Q, query_decomposition),),
        ),
        Part(
            "K",
            setting=WEIGHTS,
            printed=(
                Claim(_LEMMA_F1_K, key_decomposition_as_printed),
                Claim(_LEMMA_F1_K_CORRECTED, key_decomposition, reading=_OUTER_READING),
            ),
            corrected=Claim(_LEMMA_F1_K_CORRECTED, key_decomposition),
            severity=Severity.TYPO,
            problem="The product f_K f_K of two columns does not exist; the outer product f_K"
            " f_K^T is needed, as in the line for Q.",
        ),
    ),
    ocr=_OUTER_OCR,
    remark="The loss follows Definition F.5 and so has its factor 1/2. The argument of the second"
    " line is vec(W_K^T): see equation (F.2).",
)

RECORDS = (LEMMA_F1,)
