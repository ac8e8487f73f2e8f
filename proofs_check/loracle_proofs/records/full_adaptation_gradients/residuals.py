"""Definitions F.4 and F.5: the residuals and the terms of the loss, for Q and for K."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import (
    ANY_KEYS,
    FIXED_VALUES,
    WEIGHTS,
    fixed_values_loss,
    query_key_loss,
    sum_of,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import HALF, Matrix
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]


def entries_of_c(
    fQ: Matrix, fK: Matrix, C3: Matrix, Y: Matrix, c: Matrix, L: int, d: int
) -> list[Relation]:
    """<f_j, C3[., i]> - Y_ji is the residual at (j, i), for Q and for K."""
    return [
        equal(
            f.take_rows([j]) @ C3.take_columns([i]) - Y.take_rows([j]).take_columns([i]),
            c.take_rows([j]).take_columns([i]),
        )
        for f in (fQ, fK)
        for j in range(L)
        for i in range(d)
    ]


def matrix_of_c(fQ: Matrix, fK: Matrix, C3: Matrix, Y: Matrix, c: Matrix) -> list[Relation]:
    """c_Q = f_Q C3 - Y and c_K = f_K C3 - Y are the residual."""
    return [equal(fQ @ C3 - Y, c), equal(fK @ C3 - Y, c)]


def c_of_two_arguments(
    CQ1: Matrix, CQ2: Matrix, WQ: Matrix, WK: Matrix, C3: Matrix, Y: Matrix, c: Matrix, M: int
) -> Relation:
    """C_j^Q times an element of R^(d^2) x R^(d^2)."""
    argument = vec(WQ).T.beside(vec(WK).T).T
    u = (sub_block(kronecker(CQ1, CQ2), 0, M) @ argument).exp().T
    return equal(u.divide_rows(u.row_sum()) @ C3 - Y.take_rows([0]), c.take_rows([0]))


def c_of_one_argument(
    CQ1: Matrix, CQ2: Matrix, WQ: Matrix, C3: Matrix, Y: Matrix, c: Matrix, M: int
) -> Relation:
    """C_j^Q times an element of R^(d^2)."""
    u = (sub_block(kronecker(CQ1, CQ2), 0, M) @ vec(WQ)).exp().T
    return equal(u.divide_rows(u.row_sum()) @ C3 - Y.take_rows([0]), c.take_rows([0]))


DEFINITION_F4 = Record(
    "Definition F.4",
    title="Residuals, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"c_\mu(\underline W)_{j,i} : \mathbb R^{d^2} \times \mathbb R^{d^2} \to \mathbb R,"
    r" \quad c_\mu(\underline W)_{j,i} = \langle f_\mu(\underline W)_j, C^{(3)}[\cdot, i] \rangle -"
    r" Y_{j,i}, \quad c_\mu(\underline W) = f_\mu(\underline W) C^{(3)} - Y, \quad \mu = K, Q",
    corrected=r"c_\mu(\underline W)_{j,i} : \mathbb R^{d^2} \to \mathbb R",
    uses=("Definition F.3",),
    parts=(
        Part(
            "entries",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\langle f_\mu(\underline W)_j, C^{(3)}[\cdot, i] \rangle - Y_{j,i} ="
                    r" c_{j,i}",
                    entries_of_c,
                ),
            ),
        ),
        Part(
            "matrices",
            setting=ANY_KEYS,
            printed=(Claim(r"c_\mu(\underline W) = f_\mu(\underline W) C^{(3)} - Y", matrix_of_c),),
        ),
        Part(
            "domain",
            setting=WEIGHTS,
            printed=(
                Claim(r"\mathbb R^{d^2} \times \mathbb R^{d^2} \to \mathbb R", c_of_two_arguments),
                Claim(
                    r"\mathbb R^{d^2} \to \mathbb R",
                    c_of_one_argument,
                    reading="the domain is R^(d^2), as the one argument of c_mu has it",
                ),
            ),
            corrected=Claim(r"\mathbb R^{d^2} \to \mathbb R", c_of_one_argument),
            severity=Severity.NOTATION,
            problem="The domain is written R^(d^2) x R^(d^2) for functions of one vector of d^2"
            " entries.",
        ),
    ),
)


def sums_of_terms(cQ: Matrix, cK: Matrix, L: int, d: int, loss: Matrix) -> list[Relation]:
    """sum_j sum_i c_mu(j, i)^2 / 2 is the loss with its factor 1/2, for Q and for K."""
    return [
        equal(
            sum_of(
                (c * c).take_rows([j]).take_columns([i]).scale(HALF)
                for j in range(L)
                for i in range(d)
            ),
            loss,
        )
        for c in (cQ, cK)
    ]


ADAPTERS_ANY_KEYS = replace(
    FIXED_VALUES, square={}, derived={**FIXED_VALUES.derived, "loss": fixed_values_loss}
)


def loss_through_weights(
    XQ: Matrix,
    XK: Matrix,
    C3: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
    loss: Matrix,
) -> Relation:
    """The adapters enter the loss through W_Q = W_Q* + B_Q A_Q and W_K = W_K* + B_K A_K only."""
    return equal(query_key_loss(XQ, XK, C3, WQ0 + BQ @ AQ, WK0 + BK @ AK, Y), loss)


DEFINITION_F5 = Record(
    "Definition F.5",
    title="The terms of the loss, for Q and for K",
    kind=Kind.DEFINITION,
    printed=r"\mathcal L_\mu(\underline W)_{j,i} = \frac{1}{2} c_\mu(\underline W)_{j,i}^2, \quad"
    r" \mathcal L(A_K, B_K, A_Q, B_Q) = \mathcal L(\underline{W_Q}, \underline{W_K})",
    uses=("Definition F.4", "Definition B.1"),
    parts=(
        Part(
            "sum",
            setting=ANY_KEYS,
            printed=(
                Claim(
                    r"\sum_{j=1}^L \sum_{i=1}^d \mathcal L_Q(\underline{W_Q})_{j,i} = \sum_{j=1}^L"
                    r" \sum_{i=1}^d \mathcal L_K(\underline{W_K^{\mathsf T}})_{j,i} = \frac{1}{2}"
                    r" \|D^{-1}\exp(\cdots) C^{(3)} - Y\|_F^2",
                    sums_of_terms,
                ),
            ),
        ),
        Part(
            "loss as a function of the weights",
            setting=ADAPTERS_ANY_KEYS,
            printed=(
                Claim(
                    r"\mathcal L(A_K, B_K, A_Q, B_Q) = \mathcal L(\underline{W_Q},"
                    r" \underline{W_K})",
                    loss_through_weights,
                ),
            ),
        ),
    ),
    ocr="In the sentence after the definition a full stop between the two weights is read as a"
    " product, A_Q . W_K.",
    remark="The terms sum to the loss of Definition B.1, which has the factor 1/2. Equation (B.2),"
    " to which the text refers, is twice that: see equations (F.1) and (F.2).",
)

RECORDS = (DEFINITION_F4, DEFINITION_F5)
