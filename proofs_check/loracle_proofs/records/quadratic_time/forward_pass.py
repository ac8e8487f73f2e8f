"""Proof of Theorem H.1, steps 1 and 2: f, c and their times."""

from __future__ import annotations

import sympy

from loracle_proofs.records.quadratic_time.operation_counts import L, d, sizes_only, within
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Part, Severity
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import attention_probabilities, residual
from loracle_reference.cost import matmul_cost

__all__ = ["FORWARD_PARTS"]


def normalisation_printed(C1: Matrix, W: Matrix, C2: Matrix, f: Matrix) -> Relation:
    """f = D^-1 u with D^-1 = diag(u 1)."""
    u = (C1 @ W @ C2.T).exp()
    return equal(f, u.scale_rows(u.row_sum()))


def normalisation(C1: Matrix, W: Matrix, C2: Matrix, f: Matrix) -> Relation:
    """f = D^-1 u with D = diag(u 1)."""
    u = (C1 @ W @ C2.T).exp()
    return equal(f, u.divide_rows(u.row_sum()))


def first_product_printed(C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, f: Matrix) -> Relation:
    """f = D^-1 (exp(C1 W C2^T) C3)."""
    u = (C1 @ W @ C2.T).exp()
    return equal(f, (u @ C3).divide_rows(u.row_sum()))


def time_of_f() -> list[Relation]:
    """f in T(L, d, d) + T(L, d, L) + 3 L^2 - L <= 2 (T(d, d, L) + T(d, L, L)) operations."""
    counting, operands = sizes_only()
    attention_probabilities(operands["c1"] @ operands["w"], operands["c2"])
    count = counting.operations.total
    exactly = matmul_cost(L, d, d) + matmul_cost(L, d, L) + 3 * L**2 - L
    return [
        equal(count, sympy.expand(exactly)),
        *within(count, 2, matmul_cost(d, d, L) + matmul_cost(d, L, L)),
    ]


def time_of_normalisation() -> list[Relation]:
    """D in L^2 - L operations, f from D and exp(C1 W C2^T) in L^2."""
    counting = Counting()
    u = counting.symbol_matrix(L, L)
    sums = u.row_sum()
    for_d = counting.operations.total
    u.divide_rows(sums)
    return [
        equal(for_d, L**2 - L),
        equal(sympy.expand(counting.operations.total - for_d), L**2),
    ]


def time_of_c() -> list[Relation]:
    """c in T(L, L, d) + L d <= 2 T(d, L, L) operations."""
    counting, operands = sizes_only()
    residual(counting.symbol_matrix(L, L), operands["c3"], operands["y"])
    count = counting.operations.total
    return [
        equal(count, sympy.expand(matmul_cost(L, L, d) + L * d)),
        *within(count, 2, matmul_cost(d, L, L)),
    ]


FORWARD_PARTS = (
    Part(
        "step 1: the normalisation",
        setting=PROBLEM_2,
        printed=(
            Claim(
                r"f = D^{-1} u,\quad D^{-1} = \operatorname{diag}(u \mathbb 1_L)",
                normalisation_printed,
            ),
        ),
        corrected=Claim(
            r"f = D^{-1} u,\quad D = \operatorname{diag}(u \mathbb 1_L)", normalisation
        ),
        severity=Severity.TYPO,
        problem="The diagonal matrix of the row sums is D, not its inverse; with it in the"
        " place of the inverse the rows are multiplied by what they should be divided by.",
    ),
    Part(
        "step 1: the product",
        setting=PROBLEM_2,
        printed=(
            Claim(
                r"f = D^{-1} \exp(C^{(1)} W (C^{(2)})^{\mathsf T}) C^{(3)}",
                first_product_printed,
            ),
        ),
        corrected=Claim(r"f = D^{-1} \exp(C^{(1)} W (C^{(2)})^{\mathsf T})", normalisation),
        severity=Severity.TYPO,
        problem="The factor C3 is stray: with it the product is L x d, and f, which is L x L,"
        " cannot be had from it. The times given for the step are those without it.",
    ),
    Part(
        "step 1: time of D and of the division",
        printed=(Claim(r"L^2 - L = O(L^2),\quad L^2 = O(L^2)", time_of_normalisation),),
    ),
    Part(
        "step 1: time",
        printed=(
            Claim(
                r"\mathcal T_{\mathrm{mat}}(L, d, d) + \mathcal T_{\mathrm{mat}}(L, d, L)"
                r" + 3 L^2 - L \le 2\,\bigl(\mathcal T_{\mathrm{mat}}(d, d, L)"
                r" + \mathcal T_{\mathrm{mat}}(d, L, L)\bigr)",
                time_of_f,
            ),
        ),
    ),
    Part(
        "step 2: time",
        printed=(
            Claim(
                r"\mathcal T_{\mathrm{mat}}(L, L, d) + L d"
                r" \le 2\,\mathcal T_{\mathrm{mat}}(d, L, L)",
                time_of_c,
            ),
        ),
    ),
)
