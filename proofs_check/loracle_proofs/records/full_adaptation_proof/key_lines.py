"""The proof of Lemma F.4: what its lines for A_K and for B_K share."""

from __future__ import annotations

from loracle_proofs.full_adaptation_settings import Sized, sum_of
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker, sub_block

__all__ = [
    "BIG",
    "BLOCK",
    "NO_OUTER",
    "ORDER_PROBLEM",
    "OUTER",
    "ROW_MAJOR",
    "SMALL",
    "SMALL_T_PROBLEM",
    "SMALL_T_READING",
    "SYMMETRIC",
    "bracket",
    "first_line",
    "pulled_back",
    "second_line",
    "terms_of_sum",
    "third_line",
    "third_line_corrected",
]


def terms_of_sum(
    first: Matrix,
    J: Matrix,
    outer: bool,
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    identity: Sized,
) -> list[Matrix]:
    """(T J)^T c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i] for all j and i; without `outer` the
    second transposition of f_j is left out, as printed."""
    C, keys = kronecker(CK1, CK2), CK2.shape[0]
    terms = []
    for j in range(CK1.shape[0]):
        f_j = f.take_rows([j]).T
        square = f_j @ f_j.T if outer else f_j @ f_j
        inner = sub_block(C, j, keys).T @ (identity(keys).scale_rows(f_j) - square)
        terms += [
            (first @ J).T @ inner @ C3.take_columns([i]) @ c.take_rows([j]).take_columns([i])
            for i in range(C3.shape[1])
        ]
    return terms


def pulled_back(J: Matrix, CK1: Matrix, CK2: Matrix, p: Matrix) -> Matrix:
    """sum_j J^T C_j^T p_j, the vectors p_j being the rows of p."""
    C, keys = kronecker(CK1, CK2), CK2.shape[0]
    return sum_of(J.T @ sub_block(C, j, keys).T @ p.take_rows([j]).T for j in range(CK1.shape[0]))


ROW_MAJOR = "J_B and J_A are B (x) I and I (x) A^T"
SMALL_T_READING = (
    "T(d^2, d^2) is the matrix of size d^2 x d^2 that transposes d x d matrices, T(d, d); f_K f_K"
    f" stands for f_K f_K^T; {ROW_MAJOR}"
)
SMALL_T_PROBLEM = (
    "T(d^2, d^2) has d^4 rows, the J have d^2; and the product f_K f_K of two columns does not"
    " exist. Both are meant as T(d, d) and f_K f_K^T."
)
ORDER_PROBLEM = (
    "(T J)^T is J^T T^T. The line has T^T first, where it meets a vector of r d entries, not d^2;"
    " for r = d the sizes fit and the line is false. This is the step from which the wrong formula"
    " of Lemma F.4 comes."
)
SYMMETRIC = "T(d, d) is symmetric"


def bracket(product: str) -> str:
    return rf"(\operatorname{{diag}}(f_{{K,j}}) - {product})"


OUTER, NO_OUTER = r"f_{K,j} f_{K,j}^{\mathsf T}", r"f_{K,j} f_{K,j}"
BLOCK = r"(\mathsf C_j^K)^{\mathsf T}"


def first_line(name: str, t: str, product: str) -> str:
    return (
        rf"\sum_{{j=1}}^L \sum_{{i=1}}^d (T({t}) J_{{{name}_K}})^{{\mathsf T}} c_{{K,j,i}} {BLOCK}"
        rf" {bracket(product)} C^{{(3)}}[\cdot, i]"
    )


def second_line(name: str, t: str, product: str) -> str:
    return (
        rf"\sum_{{j=1}}^L (T({t}) J_{{{name}_K}})^{{\mathsf T}} {BLOCK}"
        rf" {bracket(product)} q_{{K,j}}"
    )


def third_line(name: str, t: str, vector: str) -> str:
    return rf"T({t})^{{\mathsf T}} \sum_{{j=1}}^L J_{{{name}_K}}^{{\mathsf T}} {BLOCK} {vector}"


def third_line_corrected(name: str) -> str:
    return rf"J_{{{name}_K}}^{{\mathsf T}} T(d, d)^{{\mathsf T}} \sum_{{j=1}}^L {BLOCK} p_{{K,j}}"


BIG, SMALL = "d^2, d^2", "d, d"
