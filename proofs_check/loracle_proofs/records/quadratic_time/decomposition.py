"""Remark H.1: Parts (II) and (III) make the seemingly cubic evaluation quadratic."""

from __future__ import annotations

from typing import Any

import sympy

from loracle_proofs.records.quadratic_time.exact_gradient import exact_operations
from loracle_proofs.records.quadratic_time.operation_counts import L, sizes_only
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.counting import Counting
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.cost import matmul_cost, naive_operations, tensor_trick_operations
from loracle_reference.evaluation_orders import (
    gradient_by_queries,
    part_one_formed,
    part_one_split,
    sum_over,
)

__all__ = ["RECORDS"]


def part_one_is_split(f: Matrix, q: Matrix, M: int, L: int, identity: Any) -> list[Relation]:
    """(diag(f_j) - f_j f_j^T) q_j = f_j o q_j - f_j <f_j, q_j> for every j."""
    return [
        equal(
            part_one_formed(f.take_rows([j]), q.take_rows([j]).T, identity(M)),
            part_one_split(f.take_rows([j]), q.take_rows([j]).T),
        )
        for j in range(L)
    ]


def cost_of_part_one() -> Any:
    """The operations of `part_one_formed` less those of the product with q_j."""
    counting = Counting()
    f_j, q_j = counting.symbol_matrix(1, L), counting.symbol_matrix(L, 1)
    part_one_formed(f_j, q_j, counting.symbol_matrix(L, L))
    return sympy.expand(counting.operations.total - matmul_cost(L, L, 1))


def forming_part_one() -> Relation:
    """Forming diag(f_j) - f_j f_j^T takes 3 L^2 operations."""
    return equal(cost_of_part_one(), 3 * L**2)


def forming_every_part_one() -> Relation:
    """Equation (3.5) with Part (I) formed for each j is of degree 3 in L."""
    return equal(naive_operations().degree(L), 3)


def part_one_is_linear() -> Relation:
    """The cost of forming Part (I) is of degree 1 in L."""
    degree = sympy.degree(cost_of_part_one(), L)
    return equal(degree, 1, witness="the degree in L of the operations that form Part (I)")


def applying_part_one() -> Relation:
    """Part (I) times q_j takes 5 L - 1 operations by Parts (II) and (III)."""
    counting, _ = sizes_only()
    part_one_split(counting.symbol_matrix(1, L), counting.symbol_matrix(L, 1))
    return equal(counting.operations.total, 5 * L - 1)


def trick_bounded_by_length_alone() -> Relation:
    """The operations grow with L alone: whatever d and r, the coefficient of L^2 is a number."""
    leading = sympy.Poly(tensor_trick_operations().total, L).coeff_monomial(L**2)
    return equal(
        len(leading.free_symbols), 0, witness=f"symbols in the coefficient {leading} of L^2"
    )


def trick_of_degree_two() -> Relation:
    """For fixed d and r the evaluation by Parts (II) and (III) is of degree 2 in L."""
    return equal(tensor_trick_operations().degree(L), 2)


def gradient_by_split(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """Equation (3.5) evaluated by Parts (II) and (III) is the gradient of the loss."""
    gradients = gradient_by_queries(
        c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y, part_one=part_one_split, sum_over=sum_over
    )
    return [equal(gradients["grad_a"], dL_dA), equal(gradients["grad_b"], dL_dB)]


REMARK_H1 = Record(
    "Remark H.1",
    title="Parts (II) and (III) make the seemingly cubic evaluation quadratic",
    kind=Kind.REMARK,
    printed=r"\operatorname{diag}(f_j) - f_j f_j^{\mathsf T}:\ \Theta(L^2)\text{ for each } j,"
    r"\quad \Theta(L^3)\text{ in total};\qquad"
    r" \text{decomposed: } O(L)\text{ for each } j,\quad"
    r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}:\ O(L^2)",
    corrected=r"\bigl(\operatorname{diag}(f_j) - f_j f_j^{\mathsf T}\bigr) q_j:\ 5L - 1"
    r"\text{ operations};\qquad"
    r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}:\ (8 d + 6) L^2 + O(L)",
    uses=("Lemma 3.1", "Equation (3.5)"),
    ocr="The braces under (3.5) read (I) twice; Parts (II) and (III) are the diagonal and the"
    " rank-one term, as the text of the remark says.",
    parts=(
        Part(
            "the two parts",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\bigl(\operatorname{diag}(f_j) - f_j f_j^{\mathsf T}\bigr) q_j"
                    r" = f_j \odot q_j - f_j \langle f_j, q_j\rangle",
                    part_one_is_split,
                    code=(part_one_formed, part_one_split),
                ),
            ),
        ),
        Part(
            "forming Part (I)",
            printed=(Claim(r"3 L^2 = \Theta(L^2)", forming_part_one),),
        ),
        Part(
            "forming it for every query",
            printed=(Claim(r"\deg_L = 3", forming_every_part_one),),
        ),
        Part(
            "Part (I) in linear time",
            printed=(
                Claim(r"\text{cost of Part (I)} = O(L)", part_one_is_linear),
                Claim(
                    r"\bigl(\operatorname{diag}(f_j) - f_j f_j^{\mathsf T}\bigr) q_j"
                    r"\text{ in } 5 L - 1 = O(L)",
                    applying_part_one,
                    reading="Part (I) is applied to the vector q_j, not formed",
                ),
            ),
            corrected=Claim(
                r"\bigl(\operatorname{diag}(f_j) - f_j f_j^{\mathsf T}\bigr) q_j"
                r"\text{ in } 5 L - 1\text{ operations}",
                applying_part_one,
            ),
            severity=Severity.NOTATION,
            problem="Part (I) has L^2 entries, so it is not computed in O(L); its product with q_j"
            " is. The remark's own first paragraph gives the first, its second means the other.",
        ),
        Part(
            "the whole gradient",
            printed=(
                Claim(r"O(L^2)\text{ uniformly in } d, r", trick_bounded_by_length_alone),
                Claim(r"O(L^2)", trick_of_degree_two, reading="d and r are fixed as L grows"),
            ),
            corrected=Claim(
                r"\text{count} = (8 d + 6) L^2 + (4 d^2 - 2 d - 2) L + (6 d - 2) d r",
                exact_operations,
            ),
            severity=Severity.MISSING,
            problem="The width d is left out. Evaluated as (3.5) stands, with the blocks C_j"
            " formed, the coefficient of L^2 grows with d^2, in the order of Theorem H.1's proof"
            " with d, and the paper's own d = O(log L) is not fixed.",
        ),
        Part(
            "the decomposed evaluation is the gradient",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\sum_j \mathsf C_j^{\mathsf T} \bigl(f_j \odot q_j"
                    r" - f_j \langle f_j, q_j\rangle\bigr)"
                    r" = \frac{\mathrm d\mathcal L}{\mathrm d\underline W}",
                    gradient_by_split,
                    code=(gradient_by_queries,),
                ),
            ),
        ),
    ),
)


RECORDS = (REMARK_H1,)
