"""The proof of Lemma F.4: the lines for B_K."""

from __future__ import annotations

from loracle_proofs.full_adaptation_settings import ONE_ADAPTER, Constant, Sized, sum_of
from loracle_proofs.records.full_adaptation_gradients.adapter_gradients import SQUARE_ADAPTERS
from loracle_proofs.records.full_adaptation_gradients.score_gradient import p_vector
from loracle_proofs.records.full_adaptation_proof.key_lines import (
    BIG,
    BLOCK,
    NO_OUTER,
    ORDER_PROBLEM,
    OUTER,
    ROW_MAJOR,
    SMALL,
    SMALL_T_PROBLEM,
    SMALL_T_READING,
    SYMMETRIC,
    bracket,
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
from loracle_reference.jacobian import jacobian_in_b
from loracle_reference.vectorization import kronecker, sub_block, transposition, vec

__all__ = ["PARTS"]


def b_first_line_as_printed(
    AK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dBK: Matrix,
) -> Relation:
    """T(d^2, d^2) and f_K f_K."""
    T, J = constant(transposition(d * d, d * d)), jacobian_in_b(AK, identity(d))
    return equal(sum_of(terms_of_sum(T, J, False, CK1, CK2, C3, f, c, identity)), vec(dL_dBK))


def b_first_line(
    AK: Matrix,
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
    dL_dBK: Matrix,
) -> Relation:
    """sum_j sum_i (T(d, d) J_A)^T c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i] = dL/dB_K."""
    T, J = constant(transposition(d, d)), jacobian_in_b(AK, identity(d))
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
    return equal(sum_of(terms), vec(dL_dBK))


def b_second_line_as_printed(
    AK: Matrix,
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
    dL_dBK: Matrix,
) -> Relation:
    """q_j for the sum over i; T(d^2, d^2) and f_K f_K."""
    T, J = constant(transposition(d * d, d * d)), jacobian_in_b(AK, identity(d))
    C, q = kronecker(CK1, CK2), C3 @ c.T
    rows = [f.take_rows([j]) for j in range(L)]
    terms = [
        (T @ J).T
        @ sub_block(C, j, M).T
        @ (identity(M).scale_rows(row.T) - row.T @ row.T)
        @ q.take_columns([j])
        for j, row in enumerate(rows)
    ]
    return equal(sum_of(terms), vec(dL_dBK))


def b_second_line(
    AK: Matrix,
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
    dL_dBK: Matrix,
) -> Relation:
    """sum_j (T(d, d) J_A)^T C_j^T (diag(f_j) - f_j f_j^T) q_j = dL/dB_K, q_j column j of q."""
    T, J = constant(transposition(d, d)), jacobian_in_b(AK, identity(d))
    C, q = kronecker(CK1, CK2), C3 @ c.T
    rows = [f.take_rows([j]) for j in range(L)]
    terms = [
        (T @ J).T
        @ sub_block(C, j, M).T
        @ (identity(M).scale_rows(row.T) - row.T @ row)
        @ q.take_columns([j])
        for j, row in enumerate(rows)
    ]
    return equal(sum_of(terms), vec(dL_dBK))


def b_third_line_as_printed(
    AK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dBK: Matrix,
) -> Relation:
    """T(d^2, d^2)^T sum_j J_A^T C_j^T p_j, with p_j where the text has q_j."""
    T, J = constant(transposition(d * d, d * d)), jacobian_in_b(AK, identity(d))
    return equal(T.T @ pulled_back(J, CK1, CK2, p), vec(dL_dBK))


def b_third_line_with_small_t(
    AK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dBK: Matrix,
) -> Relation:
    """T(d, d)^T sum_j J_A^T C_j^T p_j, with p_j where the text has q_j."""
    T, J = constant(transposition(d, d)), jacobian_in_b(AK, identity(d))
    return equal(T.T @ pulled_back(J, CK1, CK2, p), vec(dL_dBK))


def b_third_line(
    AK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
    constant: Constant,
    dL_dBK: Matrix,
) -> Relation:
    """J_A^T T(d, d)^T sum_j C_j^T p_j = dL/dB_K."""
    T, J = constant(transposition(d, d)), jacobian_in_b(AK, identity(d))
    C = kronecker(CK1, CK2)
    total = sum_of(sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L))
    return equal(J.T @ T.T @ total, vec(dL_dBK))


def q_in_place_of_p(
    AK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
) -> Relation:
    """sum_j J_A^T C_j^T (diag(f_j) - f_j f_j^T) q_j = sum_j J_A^T C_j^T q_j."""
    J, C, q = jacobian_in_b(AK, identity(d)), kronecker(CK1, CK2), C3 @ c.T
    vectors = [p_vector(f.take_rows([j]).T, q.take_columns([j]), identity) for j in range(L)]
    left = sum_of(J.T @ sub_block(C, j, M).T @ vectors[j] for j in range(L))
    return equal(left, sum_of(J.T @ sub_block(C, j, M).T @ q.take_columns([j]) for j in range(L)))


def p_in_its_place(
    AK: Matrix,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Sized,
) -> Relation:
    """sum_j J_A^T C_j^T (diag(f_j) - f_j f_j^T) q_j = sum_j J_A^T C_j^T p_j."""
    J, C, q = jacobian_in_b(AK, identity(d)), kronecker(CK1, CK2), C3 @ c.T
    rows = [f.take_rows([j]) for j in range(L)]
    left = sum_of(
        J.T
        @ sub_block(C, j, M).T
        @ (identity(M).scale_rows(row.T) - row.T @ row)
        @ q.take_columns([j])
        for j, row in enumerate(rows)
    )
    right = [J.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L)]
    return equal(left, sum_of(right))


def b_trick_as_printed(
    AK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, L: int, M: int, d: int, identity: Sized
) -> Relation:
    """sum_j J_A^T C_j^T p_j = vec(C_K1^T p A_K C_K2)."""
    J, C = jacobian_in_b(AK, identity(d)), kronecker(CK1, CK2)
    terms = [J.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L)]
    return equal(sum_of(terms), vec(CK1.T @ p @ AK @ CK2))


def b_trick(
    AK: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix, L: int, M: int, d: int, identity: Sized
) -> Relation:
    """sum_j J_A^T C_j^T p_j = vec(C_K1^T p C_K2 A_K^T)."""
    J, C = jacobian_in_b(AK, identity(d)), kronecker(CK1, CK2)
    terms = [J.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L)]
    return equal(sum_of(terms), vec(CK1.T @ p @ CK2 @ AK.T))


_B_TRICK = (
    r"\sum_{j=1}^L J_{A_K}^{\mathsf T} (\mathsf C_j^K)^{\mathsf T} p_{K,j} = \operatorname{vec}("
)

PARTS = (
    Part(
        "B_K, first line",
        setting=ONE_ADAPTER,
        printed=(
            Claim(first_line("A", BIG, NO_OUTER), b_first_line_as_printed),
            Claim(first_line("A", SMALL, OUTER), b_first_line, reading=SMALL_T_READING),
        ),
        corrected=Claim(
            first_line("A", SMALL, OUTER),
            b_first_line,
            equivalent={"b_first_line: T @ J -> T.T @ J": SYMMETRIC},
        ),
        severity=Severity.NOTATION,
        problem=SMALL_T_PROBLEM,
    ),
    Part(
        "B_K, second line",
        setting=ONE_ADAPTER,
        printed=(
            Claim(second_line("A", BIG, NO_OUTER), b_second_line_as_printed),
            Claim(second_line("A", SMALL, OUTER), b_second_line, reading=SMALL_T_READING),
        ),
        corrected=Claim(
            second_line("A", SMALL, OUTER),
            b_second_line,
            equivalent={"b_second_line: T @ J -> T.T @ J": SYMMETRIC},
        ),
        severity=Severity.NOTATION,
        problem=SMALL_T_PROBLEM,
    ),
    Part(
        "B_K, third line: q for p",
        setting=ONE_ADAPTER,
        printed=(
            Claim(
                rf"\sum_{{j=1}}^L J_{{A_K}}^{{\mathsf T}} {BLOCK} {bracket(OUTER)} q_{{K,j}}"
                rf" = \sum_{{j=1}}^L J_{{A_K}}^{{\mathsf T}} {BLOCK} q_{{K,j}}",
                q_in_place_of_p,
                reading="T(d^2, d^2)^T is left out on both sides, f_K f_K stands for f_K"
                f" f_K^T, and {ROW_MAJOR}",
            ),
        ),
        corrected=Claim(
            rf"\sum_{{j=1}}^L J_{{A_K}}^{{\mathsf T}} {BLOCK} {bracket(OUTER)} q_{{K,j}}"
            rf" = \sum_{{j=1}}^L J_{{A_K}}^{{\mathsf T}} {BLOCK} p_{{K,j}}",
            p_in_its_place,
        ),
        severity=Severity.TYPO,
        problem="The line has q_K where p_K must stand, as in the line for A_K and in the line"
        " after it.",
    ),
    Part(
        "B_K, third line: order of T and J",
        setting=ONE_ADAPTER,
        printed=(
            Claim(third_line("A", BIG, "p_{K,j}"), b_third_line_as_printed),
            Claim(
                third_line("A", SMALL, "p_{K,j}"),
                b_third_line_with_small_t,
                reading=f"T(d, d) is meant; {ROW_MAJOR}",
            ),
            Claim(
                third_line("A", SMALL, "p_{K,j}"),
                b_third_line_with_small_t,
                reading=f"T(d, d) is meant, and r = d; {ROW_MAJOR}",
                setting=SQUARE_ADAPTERS,
            ),
        ),
        corrected=Claim(
            third_line_corrected("A"),
            b_third_line,
            equivalent={"b_third_line: T.T -> T": SYMMETRIC},
        ),
        severity=Severity.FATAL_TO_PROOF,
        problem=ORDER_PROBLEM,
    ),
    Part(
        "B_K, tensor trick",
        setting=ONE_ADAPTER,
        printed=(
            Claim(_B_TRICK + r"(C_K^{(1)})^{\mathsf T} p_K A_K C_K^{(2)})", b_trick_as_printed),
        ),
        corrected=Claim(
            _B_TRICK + r"(C_K^{(1)})^{\mathsf T} p_K C_K^{(2)} A_K^{\mathsf T})", b_trick
        ),
        severity=Severity.ILL_TYPED,
        problem="p_K A_K does not exist, p_K being L x L and A_K r x d; the Jacobian gives"
        " A_K^T at the right end.",
    ),
)
