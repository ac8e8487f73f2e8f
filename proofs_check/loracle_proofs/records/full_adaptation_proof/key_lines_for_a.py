"""The proof of Lemma F.4: the lines for A_K."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.full_adaptation_settings import ONE_ADAPTER, Constant, Sized, sum_of
from loracle_proofs.records.full_adaptation_gradients.adapter_gradients import SQUARE_ADAPTERS
from loracle_proofs.records.full_adaptation_proof.key_lines import (
    BIG,
    NO_OUTER,
    ORDER_PROBLEM,
    OUTER,
    ROW_MAJOR,
    SMALL,
    SMALL_T_PROBLEM,
    SMALL_T_READING,
    SYMMETRIC,
    first_line,
    pulled_back,
    second_line,
    terms_of_sum,
    third_line,
    third_line_corrected,
)
from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Part, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.jacobian import jacobian_in_a
from loracle_reference.vectorization import kronecker, sub_block, transposition, vec

__all__ = ["PARTS"]


def a_first_line_as_printed(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """T(d^2, d^2) and f_K f_K."""
    T, J = constant(transposition(d * d, d * d)), jacobian_in_a(BK, identity(d))
    return equal(sum_of(terms_of_sum(T, J, False, CK1, CK2, C3, f, c, identity)), vec(dL_dAK))


def a_first_line(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """sum_j sum_i (T(d, d) J_B)^T c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i] = dL/dA_K."""
    T, J = constant(transposition(d, d)), jacobian_in_a(BK, identity(d))
    C = kronecker(CK1, CK2)
    rows = [f.take_rows([j]) for j in range(L)]
    terms = [
        (T @ J).T
        @ sub_block(C, j, M).T
        @ (identity(M).scale_rows(row.T) - row.T @ row)
        @ C3.take_columns([i])
        @ c.take_rows([j]).take_columns([i])
        for j, row in enumerate(rows)
        for i in range(d)
    ]
    return equal(sum_of(terms), vec(dL_dAK))


def a_second_line_as_printed(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """q_j for the sum over i; T(d^2, d^2) and f_K f_K."""
    T, J = constant(transposition(d * d, d * d)), jacobian_in_a(BK, identity(d))
    C, q = kronecker(CK1, CK2), C3 @ c.T
    rows = [f.take_rows([j]) for j in range(L)]
    terms = [
        (T @ J).T
        @ sub_block(C, j, M).T
        @ (identity(M).scale_rows(row.T) - row.T @ row.T)
        @ q.take_columns([j])
        for j, row in enumerate(rows)
    ]
    return equal(sum_of(terms), vec(dL_dAK))


def a_second_line(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """sum_j (T(d, d) J_B)^T C_j^T (diag(f_j) - f_j f_j^T) q_j = dL/dA_K, q_j column j of q."""
    T, J = constant(transposition(d, d)), jacobian_in_a(BK, identity(d))
    C, q = kronecker(CK1, CK2), C3 @ c.T
    rows = [f.take_rows([j]) for j in range(L)]
    terms = [
        (T @ J).T
        @ sub_block(C, j, M).T
        @ (identity(M).scale_rows(row.T) - row.T @ row)
        @ q.take_columns([j])
        for j, row in enumerate(rows)
    ]
    return equal(sum_of(terms), vec(dL_dAK))


def a_third_line_as_printed(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """T(d^2, d^2)^T sum_j J_B^T C_j^T p_j."""
    T, J = constant(transposition(d * d, d * d)), jacobian_in_a(BK, identity(d))
    return equal(T.T @ pulled_back(J, CK1, CK2, p), vec(dL_dAK))


def a_third_line_with_small_t(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """T(d, d)^T sum_j J_B^T C_j^T p_j."""
    T, J = constant(transposition(d, d)), jacobian_in_a(BK, identity(d))
    return equal(T.T @ pulled_back(J, CK1, CK2, p), vec(dL_dAK))


def a_third_line(
    BK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dAK: Matrix,
) -> Relation:
    """J_B^T T(d, d)^T sum_j C_j^T p_j = dL/dA_K."""
    T, J = constant(transposition(d, d)), jacobian_in_a(BK, identity(d))
    C = kronecker(CK1, CK2)
    total = sum_of(sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L))
    return equal(J.T @ T.T @ total, vec(dL_dAK))


def a_trick(
    BK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, L: int, M: int, d: int, identity: Sized
) -> Relation:
    """sum_j J_B^T C_j^T p_j = vec(B_K^T C_K1^T p C_K2)."""
    J, C = jacobian_in_a(BK, identity(d)), kronecker(CK1, CK2)
    terms = [J.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L)]
    return equal(sum_of(terms), vec(BK.T @ CK1.T @ p @ CK2))


_ONE_ADAPTER_ANY_KEYS = replace(ONE_ADAPTER, square={})

PARTS = (
    Part(
        "A_K, first line",
        setting=ONE_ADAPTER,
        printed=(
            Claim(first_line("B", BIG, NO_OUTER), a_first_line_as_printed),
            Claim(first_line("B", SMALL, OUTER), a_first_line, reading=SMALL_T_READING),
        ),
        corrected=Claim(
            first_line("B", SMALL, OUTER),
            a_first_line,
            equivalent={"a_first_line: T @ J -> T.T @ J": SYMMETRIC},
        ),
        severity=Severity.NOTATION,
        problem=SMALL_T_PROBLEM,
    ),
    Part(
        "A_K, second line",
        setting=ONE_ADAPTER,
        printed=(
            Claim(second_line("B", BIG, NO_OUTER), a_second_line_as_printed),
            Claim(second_line("B", SMALL, OUTER), a_second_line, reading=SMALL_T_READING),
        ),
        corrected=Claim(
            second_line("B", SMALL, OUTER),
            a_second_line,
            equivalent={"a_second_line: T @ J -> T.T @ J": SYMMETRIC},
        ),
        severity=Severity.NOTATION,
        problem=SMALL_T_PROBLEM,
    ),
    Part(
        "A_K, third line",
        setting=ONE_ADAPTER,
        printed=(
            Claim(third_line("B", BIG, "p_{K,j}"), a_third_line_as_printed),
            Claim(
                third_line("B", SMALL, "p_{K,j}"),
                a_third_line_with_small_t,
                reading=f"T(d, d) is meant; {ROW_MAJOR}",
            ),
            Claim(
                third_line("B", SMALL, "p_{K,j}"),
                a_third_line_with_small_t,
                reading=f"T(d, d) is meant, and r = d; {ROW_MAJOR}",
                setting=SQUARE_ADAPTERS,
            ),
        ),
        corrected=Claim(
            third_line_corrected("B"),
            a_third_line,
            equivalent={"a_third_line: T.T -> T": SYMMETRIC},
        ),
        severity=Severity.FATAL_TO_PROOF,
        problem=ORDER_PROBLEM,
    ),
    Part(
        "A_K, tensor trick",
        setting=_ONE_ADAPTER_ANY_KEYS,
        printed=(
            Claim(
                r"\sum_{j=1}^L J_{B_K}^{\mathsf T} (\mathsf C_j^K)^{\mathsf T} p_{K,j} ="
                r" \operatorname{vec}(B_K^{\mathsf T} (C_K^{(1)})^{\mathsf T} p_K C_K^{(2)})",
                a_trick,
                reading=ROW_MAJOR,
            ),
        ),
        severity=Severity.NOTATION,
        problem="True of the Jacobian of the row-major vec, which Lemma E.1 introduces as J_B,"
        " and not of the matrix that it displays, the Jacobian of the column-major vec.",
    ),
)
