"""Proof of Theorem 3.1: the gradients in A_Q and B_Q from the factors of p1 and p2."""

from __future__ import annotations

from typing import Any

import sympy

from loracle_proofs.low_rank_settings import distance
from loracle_proofs.records.low_rank_proofs.sizes import LENGTH, WIDTH
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["RECORDS"]


def _p_tilde(U3: Matrix, V3: Matrix, U4: Matrix, V4: Matrix) -> Matrix:
    return U3 @ V3.T - U4 @ V4.T


THEOREM_3_1 = Setting(
    "Theorem 3.1",
    shapes={
        **PROBLEM_2.shapes,
        "U3": ("L", "k3"),
        "V3": ("M", "k3"),
        "U4": ("L", "k4"),
        "V4": ("M", "k4"),
    },
    derived={**PROBLEM_2.derived, "p_tilde": _p_tilde},
    square=PROBLEM_2.square,
    limits={"r": 2, "k3": 1, "k4": 1},
    loss=PROBLEM_2.loss,
)
"""Problem 2 with p1~ = U3 V3^T, p2~ = U4 V4^T and p~ = p1~ - p2~."""

RANK, K3 = sympy.symbols("r k3", positive=True, integer=True)


def gradient_in_a(B: Matrix, C1: Matrix, p1: Matrix, p2: Matrix, C2: Matrix, dL_dA: Matrix) -> Any:
    """dL/dA = B^T C1^T (p1 - p2) C2."""
    return equal(dL_dA, B.T @ C1.T @ (p1 - p2) @ C2)


def gradient_in_b_as_printed(
    A: Matrix, C1: Matrix, p1: Matrix, p2: Matrix, C2: Matrix, dL_dB: Matrix
) -> Relation:
    """dL/dB = C1^T (p1 - p2) A C2."""
    return equal(dL_dB, C1.T @ (p1 - p2) @ A @ C2)


def gradient_in_b(A: Matrix, C1: Matrix, p1: Matrix, p2: Matrix, C2: Matrix, dL_dB: Matrix) -> Any:
    """dL/dB = C1^T (p1 - p2) C2 A^T."""
    return equal(dL_dB, C1.T @ (p1 - p2) @ C2 @ A.T)


def association_in_a(B: Matrix, C1: Matrix, U3: Matrix, V3: Matrix, C2: Matrix) -> Relation:
    """B^T C1^T (U3 V3^T) C2 = (B^T C1^T U3)(V3^T C2)."""
    return equal(B.T @ C1.T @ (U3 @ V3.T) @ C2, (B.T @ C1.T @ U3) @ (V3.T @ C2))


def cost_in_a() -> Relation:
    """B^T C1^T, times U3, V3^T C2, and their product: linear in L."""
    counting = Counting()
    b = counting.symbol_matrix(WIDTH, RANK)
    c1, c2 = counting.symbol_matrix(LENGTH, WIDTH), counting.symbol_matrix(LENGTH, WIDTH)
    u3, v3 = counting.symbol_matrix(LENGTH, K3), counting.symbol_matrix(LENGTH, K3)
    _ = ((b.T @ c1.T) @ u3) @ (v3.T @ c2)
    per_token = RANK * (2 * WIDTH - 1) + 2 * K3 * RANK + 2 * K3 * WIDTH
    once = RANK * WIDTH * (2 * K3 - 1) - K3 * RANK - K3 * WIDTH
    return equal(counting.operations.total, sympy.expand(LENGTH * per_token + once))


def association_in_b_as_printed(
    A: Matrix, C1: Matrix, U3: Matrix, V3: Matrix, C2: Matrix
) -> Relation:
    """C1^T (U3 V3^T) A C2 = (C1^T U3)(V3^T (A C2))."""
    return equal(C1.T @ (U3 @ V3.T) @ A @ C2, (C1.T @ U3) @ (V3.T @ (A @ C2)))


def association_in_b(A: Matrix, C1: Matrix, U3: Matrix, V3: Matrix, C2: Matrix) -> Relation:
    """C1^T (U3 V3^T) C2 A^T = (C1^T U3)(V3^T (C2 A^T))."""
    return equal(C1.T @ (U3 @ V3.T) @ C2 @ A.T, (C1.T @ U3) @ (V3.T @ (C2 @ A.T)))


def error_in_b_as_printed(
    A: Matrix, B: Matrix, C1: Matrix, C2: Matrix, p: Matrix, p_tilde: Matrix, dL_dB: Matrix
) -> Relation:
    """||dL/dB - G~|| = ||C1^T p A C2 - B^T C1^T p~ A C2||, with G~ = C1^T p~ C2 A^T."""
    return equal(
        max_norm(dL_dB - C1.T @ p_tilde @ C2 @ A.T),
        max_norm(C1.T @ p @ A @ C2 - B.T @ C1.T @ p_tilde @ A @ C2),
    )


def error_in_b(
    A: Matrix, C1: Matrix, C2: Matrix, p: Matrix, p_tilde: Matrix, dL_dB: Matrix
) -> Relation:
    """dL/dB - G~ = C1^T p C2 A^T - C1^T p~ C2 A^T with G~ = C1^T p~ C2 A^T."""
    return equal(dL_dB - C1.T @ p_tilde @ C2 @ A.T, C1.T @ p @ C2 @ A.T - C1.T @ p_tilde @ C2 @ A.T)


def split_as_printed(
    A: Matrix,
    C1: Matrix,
    C2: Matrix,
    p: Matrix,
    p_tilde: Matrix,
    p1: Matrix,
    p2: Matrix,
    U3: Matrix,
    V3: Matrix,
    U4: Matrix,
    V4: Matrix,
) -> Relation:
    """||C1^T (p - p~) A C2|| <= ||C1^T (p1 - p1~) A C2|| + ||C1^T (p2 - p2~) A C2||."""
    return at_most(
        distance(C1.T @ p @ A @ C2, C1.T @ p_tilde @ A @ C2),
        distance(C1.T @ p1 @ A @ C2, C1.T @ (U3 @ V3.T) @ A @ C2)
        + distance(C1.T @ p2 @ A @ C2, C1.T @ (U4 @ V4.T) @ A @ C2),
    )


def split(
    A: Matrix,
    C1: Matrix,
    C2: Matrix,
    p: Matrix,
    p_tilde: Matrix,
    p1: Matrix,
    p2: Matrix,
    U3: Matrix,
    V3: Matrix,
    U4: Matrix,
    V4: Matrix,
) -> Relation:
    """||C1^T (p - p~) C2 A^T|| <= ||C1^T (p1 - p1~) C2 A^T|| + ||C1^T (p2 - p2~) C2 A^T||."""
    return at_most(
        distance(C1.T @ p @ C2 @ A.T, C1.T @ p_tilde @ C2 @ A.T),
        distance(C1.T @ p1 @ C2 @ A.T, C1.T @ (U3 @ V3.T) @ C2 @ A.T)
        + distance(C1.T @ p2 @ C2 @ A.T, C1.T @ (U4 @ V4.T) @ C2 @ A.T),
    )


def norms_as_printed(
    A: Matrix, C1: Matrix, C2: Matrix, p1: Matrix, p2: Matrix, U3: Matrix, V3: Matrix
) -> Relation:
    """||C1^T (p1 - p1~) A C2|| <= ||A|| ||C1|| ||C2|| ||p1 - p1~||."""
    error = p1 - U3 @ V3.T
    return at_most(
        max_norm(C1.T @ error @ A @ C2),
        max_norm(A) * max_norm(C1) * max_norm(C2) * max_norm(error),
    )


def norms_transposed(A: Matrix, C1: Matrix, C2: Matrix, p1: Matrix, U3: Matrix, V3: Matrix) -> Any:
    """||C1^T (p1 - p1~) C2 A^T|| <= ||A|| ||C1|| ||C2|| ||p1 - p1~||."""
    error = p1 - U3 @ V3.T
    return at_most(
        max_norm(C1.T @ error @ C2 @ A.T),
        max_norm(A) * max_norm(C1) * max_norm(C2) * max_norm(error),
    )


def gradient_error_bound(
    A: Matrix,
    B: Matrix,
    C1: Matrix,
    C2: Matrix,
    p1: Matrix,
    p2: Matrix,
    p_tilde: Matrix,
    U3: Matrix,
    V3: Matrix,
    U4: Matrix,
    V4: Matrix,
    L: int,
    M: int,
    d: int,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """||dL/dB - C1^T p~ C2 A^T|| <= L M d ||A|| ||C1|| ||C2|| (e_1 + e_2), and
    ||dL/dA - B^T C1^T p~ C2|| <= L M d ||B|| ||C1|| ||C2|| (e_1 + e_2)."""
    errors = distance(p1, U3 @ V3.T) + distance(p2, U4 @ V4.T)
    common = (max_norm(C1) * max_norm(C2) * errors).scale(L * M * d)
    return [
        at_most(distance(dL_dB, C1.T @ p_tilde @ C2 @ A.T), max_norm(A) * common),
        at_most(distance(dL_dA, B.T @ C1.T @ p_tilde @ C2), max_norm(B) * common),
    ]


# W = 0, so f = 1/2; q_j = (6, 2), p1_j = (3, 1), p2_j = (2, 2). The errors are 4 (1, -1) and
# -7 (1, -1), which add up and have the signs of C2.
_ERRORS_ADD_UP = (
    {"L": 2, "M": 2, "d": 2},
    {
        "C1": [[2, 2], [2, 2]],
        "C2": [[3, 3], [-3, -3]],
        "C3": [[3, 0], [1, 0]],
        "A": [[5, 5]],
        "B": [[7], [7]],
        "W0": [[-35, -35], [-35, -35]],
        "U3": [[1], [1]],
        "V3": [[-1], [5]],
        "U4": [[1], [1]],
        "V4": [[9], [-5]],
    },
)


RECORDS = (
    Record(
        "Proof of Theorem 3.1",
        title="The gradients from the low-rank factors",
        kind=Kind.PROOF,
        printed=r"\frac{\partial\mathcal L}{\partial\underline A_Q}"
        r"=\operatorname{vec}(B_Q^{\mathsf T}(C^{(1)})^{\mathsf T}p\,C^{(2)}),\quad"
        r"\frac{\partial\mathcal L}{\partial\underline B_Q}"
        r"=\operatorname{vec}((C^{(1)})^{\mathsf T}p\,A_QC^{(2)});\quad"
        r"\Big\|\frac{\partial\mathcal L}{\partial\underline B_Q}-\widetilde G_Q^{(B)}\Big\|_\infty"
        r"=\|\operatorname{vec}((C^{(1)})^{\mathsf T}p\,A_QC^{(2)})"
        r"-\operatorname{vec}(B_Q^{\mathsf T}(C^{(1)})^{\mathsf T}\widetilde p\,A_QC^{(2)})"
        r"\|_\infty"
        r"\le\|A_Q\|_\infty\|C^{(1)}\|_\infty\|C^{(2)}\|_\infty"
        r"(\|p_1-\widetilde p_1\|_\infty+\|p_2-\widetilde p_2\|_\infty)"
        r"\le\epsilon/\operatorname{poly}(L)",
        corrected=r"\frac{\partial\mathcal L}{\partial B_Q}"
        r"=(C^{(1)})^{\mathsf T}p\,C^{(2)}A_Q^{\mathsf T},\quad"
        r"\Big\|\frac{\partial\mathcal L}{\partial B_Q}-\widetilde G_Q^{(B)}\Big\|_\infty"
        r"\le LMd\,\|A_Q\|_\infty\|C^{(1)}\|_\infty\|C^{(2)}\|_\infty"
        r"(\|p_1-\widetilde p_1\|_\infty+\|p_2-\widetilde p_2\|_\infty),\quad"
        r"\text{and with }\|B_Q\|_\infty\text{ for }A_Q",
        uses=("Lemma 3.2", "Lemma 3.6", "Lemma 3.7", "Equation (E.2)"),
        ocr="The lines of the error display for A_Q are missing in this source: the corrected bound"
        " covers A_Q, and no printed form of it is judged. B_Q^T (C1) without a second"
        " transposition may be lost print as well.",
        parts=(
            Part(
                "gradient in A",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial A_Q}"
                        r"=B_Q^{\mathsf T}(C^{(1)})^{\mathsf T}(p_1-p_2)C^{(2)}",
                        gradient_in_a,
                    ),
                ),
            ),
            Part(
                "gradient in B",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial B_Q}"
                        r"=(C^{(1)})^{\mathsf T}(p_1-p_2)A_QC^{(2)}",
                        gradient_in_b_as_printed,
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial B_Q}"
                    r"=(C^{(1)})^{\mathsf T}(p_1-p_2)C^{(2)}A_Q^{\mathsf T}",
                    gradient_in_b,
                ),
                severity=Severity.ILL_TYPED,
                problem="A_Q (r x d) stands between p (L x L) and C2 (L x d). Its transpose"
                " belongs after C2.",
            ),
            Part(
                "evaluation for A",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"B_Q^{\mathsf T}(C^{(1)})^{\mathsf T}(U_3V_3^{\mathsf T})C^{(2)}"
                        r"=(B_Q^{\mathsf T}(C^{(1)})^{\mathsf T}U_3)(V_3^{\mathsf T}C^{(2)})",
                        association_in_a,
                    ),
                ),
            ),
            Part(
                "time for A",
                printed=(
                    Claim(
                        r"\text{operations}=L\,(r(2d-1)+2k_3r+2k_3d)+rd(2k_3-1)-k_3r-k_3d",
                        cost_in_a,
                    ),
                ),
            ),
            Part(
                "evaluation for B",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"(C^{(1)})^{\mathsf T}(U_3V_3^{\mathsf T})A_QC^{(2)}"
                        r"=((C^{(1)})^{\mathsf T}U_3)(V_3^{\mathsf T}(A_QC^{(2)}))",
                        association_in_b_as_printed,
                    ),
                ),
                corrected=Claim(
                    r"(C^{(1)})^{\mathsf T}(U_3V_3^{\mathsf T})C^{(2)}A_Q^{\mathsf T}"
                    r"=((C^{(1)})^{\mathsf T}U_3)(V_3^{\mathsf T}(C^{(2)}A_Q^{\mathsf T}))",
                    association_in_b,
                ),
                severity=Severity.ILL_TYPED,
                problem="A_Q C2, which is said to be computed exactly beforehand, does not exist:"
                " r x d times L x d. C2 A_Q^T does.",
            ),
            Part(
                "error for B",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"\Big\|\frac{\partial\mathcal L}{\partial B_Q}-\widetilde G\Big\|_\infty"
                        r"=\|(C^{(1)})^{\mathsf T}p\,A_QC^{(2)}"
                        r"-B_Q^{\mathsf T}(C^{(1)})^{\mathsf T}\widetilde p\,A_QC^{(2)}\|_\infty",
                        error_in_b_as_printed,
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial B_Q}-\widetilde G"
                    r"=(C^{(1)})^{\mathsf T}p\,C^{(2)}A_Q^{\mathsf T}"
                    r"-(C^{(1)})^{\mathsf T}\widetilde p\,C^{(2)}A_Q^{\mathsf T}",
                    error_in_b,
                ),
                severity=Severity.ILL_TYPED,
                problem="Besides A_Q C2, the second term has a factor B_Q^T that the gradient in B"
                " has not; the line after it drops the factor again.",
            ),
            Part(
                "split of the error",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"\|(C^{(1)})^{\mathsf T}(p-\widetilde p)A_QC^{(2)}\|_\infty"
                        r"\le\sum_{i=1}^{2}\|(C^{(1)})^{\mathsf T}(p_i-\widetilde p_i)"
                        r"A_QC^{(2)}\|_\infty",
                        split_as_printed,
                    ),
                    Claim(
                        r"\|(C^{(1)})^{\mathsf T}(p-\widetilde p)C^{(2)}A_Q^{\mathsf T}\|_\infty"
                        r"\le\sum_{i=1}^{2}\|(C^{(1)})^{\mathsf T}(p_i-\widetilde p_i)"
                        r"C^{(2)}A_Q^{\mathsf T}\|_\infty",
                        split,
                        reading="C2 A_Q^T for A_Q C2",
                    ),
                ),
                corrected=Claim(
                    r"\|(C^{(1)})^{\mathsf T}(p-\widetilde p)C^{(2)}A_Q^{\mathsf T}\|_\infty"
                    r"\le\sum_{i=1}^{2}\|(C^{(1)})^{\mathsf T}(p_i-\widetilde p_i)"
                    r"C^{(2)}A_Q^{\mathsf T}\|_\infty",
                    split,
                    extremal=(_ERRORS_ADD_UP,),
                ),
                severity=Severity.ILL_TYPED,
                problem="The same product A_Q C2; with C2 A_Q^T the step is right.",
            ),
            Part(
                "product of norms",
                setting=THEOREM_3_1,
                printed=(
                    Claim(
                        r"\|(C^{(1)})^{\mathsf T}(p_1-\widetilde p_1)A_QC^{(2)}\|_\infty"
                        r"\le\|A_Q\|_\infty\|C^{(1)}\|_\infty\|C^{(2)}\|_\infty"
                        r"\|p_1-\widetilde p_1\|_\infty",
                        norms_as_printed,
                    ),
                    Claim(
                        r"\|(C^{(1)})^{\mathsf T}(p_1-\widetilde p_1)C^{(2)}A_Q^{\mathsf T}\|"
                        r"_\infty\le\|A_Q\|_\infty\|C^{(1)}\|_\infty\|C^{(2)}\|_\infty"
                        r"\|p_1-\widetilde p_1\|_\infty",
                        norms_transposed,
                        reading="C2 A_Q^T for A_Q C2",
                    ),
                ),
                corrected=Claim(
                    r"\Big\|\frac{\partial\mathcal L}{\partial B_Q}-\widetilde G^{(B)}\Big\|_\infty"
                    r"\le LMd\,\|A_Q\|_\infty\|C^{(1)}\|_\infty\|C^{(2)}\|_\infty(e_1+e_2),\quad"
                    r"\Big\|\frac{\partial\mathcal L}{\partial A_Q}-\widetilde G^{(A)}\Big\|_\infty"
                    r"\le LMd\,\|B_Q\|_\infty\|C^{(1)}\|_\infty\|C^{(2)}\|_\infty(e_1+e_2)",
                    gradient_error_bound,
                    extremal=(_ERRORS_ADD_UP,),
                ),
                severity=Severity.MISSING,
                problem="The largest entry is no submultiplicative norm: each product multiplies"
                " the bound by its inner dimension, together L M d. Even with C2 A_Q^T the printed"
                " line is false, from L = 2 on.",
            ),
        ),
        remark="The lost factor is a polynomial, so that 1/poly(L) can be reached by starting from"
        " a smaller error of f. The exact factors C2 and C1 enter as they are: what the theorem"
        " needs of its input is C1 W and C2 for Lemma 3.3, and C1, C2, C3, Y, A, B for the errors.",
    ),
)
