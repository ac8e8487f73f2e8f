"""Definition H.1 and Theorem H.1: the time of a matrix product and of the exact gradient."""

from __future__ import annotations

import sympy

from loracle_proofs.records.quadratic_time.operation_counts import L, d, r, sizes_only, within
from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.cost import matmul_cost, theorem_h1_bound
from loracle_reference.gradient import aloragc_gradient

__all__ = ["RECORDS", "SAME_SIZES", "exact_operations"]


def exact_operations() -> Relation:
    """The exact gradient takes (8 d + 6) L^2 operations and terms of lower degree in L."""
    counting, operands = sizes_only()
    aloragc_gradient(**operands)
    leading = (8 * d + 6) * L**2
    rest = (4 * d**2 - 2 * d - 2) * L + (6 * d - 2) * d * r
    return equal(counting.operations.total, sympy.expand(leading + rest))


def schoolbook() -> Relation:
    """T_mat(n1, n2, n3) = n1 n3 (2 n2 - 1) for schoolbook products."""
    n1, n2, n3 = sympy.symbols("n_1:4", positive=True, integer=True)
    return equal(matmul_cost(n1, n2, n3), sympy.expand(n1 * n3 * (2 * n2 - 1)))


DEFINITION_H1 = Record(
    "Definition H.1",
    title="The time of a matrix product",
    kind=Kind.DEFINITION,
    printed=r"\mathcal T_{\mathrm{mat}}(n_1, n_2, n_3)",
    parts=(
        Part(
            "schoolbook products",
            printed=(
                Claim(
                    r"\mathcal T_{\mathrm{mat}}(n_1, n_2, n_3) = n_1 n_3 (2 n_2 - 1)",
                    schoolbook,
                    code=(matmul_cost,),
                ),
            ),
        ),
    ),
    remark="The definition leaves the algorithm open. Here it is the schoolbook product, the one"
    " whose operations are counted. Theorem H.1's proof also takes T_mat for symmetric in its"
    " arguments, up to a constant: for schoolbook products the record of the proof has the"
    " constants.",
)


def exact_gradient(
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
    """What is counted computes the gradient of the loss."""
    gradients = aloragc_gradient(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    return [equal(gradients["grad_a"], dL_dA), equal(gradients["grad_b"], dL_dB)]


def theorem_h1() -> list[Relation]:
    """count <= 7 (T_mat(d, L, L) + T_mat(d, d, L) + T_mat(d, d, r)).

    For d = 1 and L to infinity the quotient tends to 7.
    """
    counting, operands = sizes_only()
    aloragc_gradient(**operands)
    count = counting.operations.total
    bound = matmul_cost(d, L, L) + matmul_cost(d, d, L) + matmul_cost(d, d, r)
    leading = (8 * d + 6) * L**2
    rest = (4 * d**2 - 2 * d - 2) * L + (6 * d - 2) * d * r
    return [
        equal(count, sympy.expand(leading + rest)),
        equal(theorem_h1_bound(), sympy.expand(bound)),
        *within(count, 7, theorem_h1_bound()),
        equal(sympy.limit((count / bound).subs(d, 1), L, sympy.oo), 7),
    ]


def exact_bounded_by_length_alone() -> Relation:
    """The coefficient of L^2 in the exact gradient's operations is a number."""
    counting, operands = sizes_only()
    aloragc_gradient(**operands)
    leading = sympy.Poly(counting.operations.total, L).coeff_monomial(L**2)
    return equal(
        len(leading.free_symbols), 0, witness=f"symbols in the coefficient {leading} of L^2"
    )


def exact_of_degree_two() -> Relation:
    """For fixed d and r the exact gradient is of degree 2 in L."""
    counting, operands = sizes_only()
    aloragc_gradient(**operands)
    return equal(counting.operations.degree(L), 2)


SAME_SIZES = {
    "aloragc_gradient: 1 -> 2": "a factor of 2 is as many operations as a factor of 1",
    "aloragc_gradient: b.T @ grad_w -> b.T @ grad_w.T": "the transpose of a square matrix has its"
    " sizes; the values are the matter of the part on exactness",
    "aloragc_gradient: grad_w @ a.T -> grad_w.T @ a.T": "the transpose of a square matrix has its"
    " sizes; the values are the matter of the part on exactness",
}
"""Mutants that cost what the gradient costs."""


THEOREM_H1 = Record(
    "Theorem H.1",
    title="The exact gradient in quadratic time",
    kind=Kind.THEOREM,
    printed=r"O\bigl(\mathcal T_{\mathrm{mat}}(d, L, L) + \mathcal T_{\mathrm{mat}}(d, d, L)"
    r" + \mathcal T_{\mathrm{mat}}(d, d, r)\bigr)",
    corrected=r"8 L^2 d + 6 L^2 + 4 L d^2 - 2 L d - 2 L + 6 d^2 r - 2 d r"
    r" \le 7\,\bigl(\mathcal T_{\mathrm{mat}}(d, L, L) + \mathcal T_{\mathrm{mat}}(d, d, L)"
    r" + \mathcal T_{\mathrm{mat}}(d, d, r)\bigr)",
    uses=("Lemma 3.2", "Definition H.1"),
    ocr="The theorem's own list of products is damaged after its second term; the three that stand"
    " here are those of the last line of the proof.",
    parts=(
        Part(
            "exactness",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"B_Q^{\mathsf T} (C^{(1)})^{\mathsf T} p\, C^{(2)}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q},\quad"
                    r" (C^{(1)})^{\mathsf T} p\, C^{(2)} A_Q^{\mathsf T}"
                    r" = \frac{\partial\mathcal L}{\partial B_Q}",
                    exact_gradient,
                    code=(aloragc_gradient,),
                ),
            ),
        ),
        Part(
            "time",
            printed=(
                Claim(
                    r"\text{count} \le 7\,\bigl(\mathcal T_{\mathrm{mat}}(d, L, L)"
                    r" + \mathcal T_{\mathrm{mat}}(d, d, L) + \mathcal T_{\mathrm{mat}}(d, d, r)"
                    r"\bigr)",
                    theorem_h1,
                    code=(aloragc_gradient, theorem_h1_bound),
                    equivalent=SAME_SIZES,
                ),
            ),
        ),
        Part(
            "quadratic",
            printed=(
                Claim(
                    r"\text{count} = O(L^2)\text{ uniformly in } d, r",
                    exact_bounded_by_length_alone,
                ),
                Claim(
                    r"\text{count} = O(L^2)",
                    exact_of_degree_two,
                    reading="d and r are fixed as L grows",
                ),
            ),
            corrected=Claim(
                r"\text{count} = (8 d + 6) L^2 + (4 d^2 - 2 d - 2) L + (6 d - 2) d r",
                exact_operations,
            ),
            severity=Severity.MISSING,
            problem="The title's quadratic time is quadratic in L for fixed d and r only; the"
            " leading term is 8 L^2 d, which for the paper's own d = O(log L) may be L^2 log L.",
        ),
    ),
    remark="An upper bound. That the exact gradient takes at least quadratic time, as the title can"
    " be read, is not shown.",
)


RECORDS = (DEFINITION_H1, THEOREM_H1)
