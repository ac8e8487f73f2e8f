"""Problem 2: approximate LoRA gradients for the queries."""

from __future__ import annotations

from dataclasses import replace

from loracle_proofs.relation import Relation, equal
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.gradient import aloragc_gradient
from loracle_reference.vectorization import mat, vec

__all__ = ["RECORDS"]


def _closed_forms(
    C1: Matrix, C2: Matrix, C3: Matrix, W0: Matrix, A: Matrix, B: Matrix, Y: Matrix
) -> dict[str, Matrix]:
    return aloragc_gradient(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)


SURROGATES = replace(
    PROBLEM_2,
    name="Problem 2 with surrogates",
    shapes={**PROBLEM_2.shapes, "EA": ("r", "d"), "EB": ("d", "r")},
    derived={**PROBLEM_2.derived, "closed": _closed_forms},
)
"""EA and EB: the errors of the surrogates; closed: the specification's gradients in closed form."""


def surrogates_as_vectors(
    closed: dict[str, Matrix],
    dL_dA: Matrix,
    dL_dB: Matrix,
    EA: Matrix,
    EB: Matrix,
    d: int,
    r: int,
) -> list[Relation]:
    """A surrogate of shape (d, r) for A and one of shape (r, d) for B, compared as vectors."""
    GA = mat(vec(closed["grad_a"] + EA), d, r)
    GB = mat(vec(closed["grad_b"] + EB), r, d)
    return [
        equal(vec(GA) - vec(dL_dA), vec(EA)),
        equal(vec(GB) - vec(dL_dB), vec(EB)),
    ]


def surrogates_of_printed_shapes(dL_dA: Matrix, dL_dB: Matrix, d: int, r: int) -> list[Relation]:
    """The gradients themselves, cut into matrices of shapes (d, r) for A and (r, d) for B."""
    return [equal(mat(vec(dL_dA), d, r), dL_dA), equal(mat(vec(dL_dB), r, d), dL_dB)]


def surrogates_of_adapter_shapes(dL_dA: Matrix, dL_dB: Matrix, d: int, r: int) -> list[Relation]:
    """The gradients themselves, cut into matrices of shapes (r, d) for A and (d, r) for B."""
    return [equal(mat(vec(dL_dA), r, d), dL_dA), equal(mat(vec(dL_dB), d, r), dL_dB)]


PROBLEM_2_RECORD = Record(
    "Problem 2",
    title="Approximate LoRA gradient computation for the queries",
    kind=Kind.PROBLEM,
    printed=r"\widetilde{G}_Q^{(A)} \in \mathbb{R}^{d \times r},\; \widetilde{G}_Q^{(B)} \in"
    r" \mathbb{R}^{r \times d}:\quad \max\left(\left\|\underline{\widetilde{G}}_Q^{(B)} -"
    r" \frac{\partial \mathcal{L}}{\partial \underline{B}_Q}\right\|_\infty,"
    r" \left\|\underline{\widetilde{G}}_Q^{(A)} - \frac{\partial \mathcal{L}}"
    r"{\partial \underline{A}_Q}\right\|_\infty\right) \le \epsilon",
    corrected=r"\widetilde{G}_Q^{(A)} \in \mathbb{R}^{r \times d},\; \widetilde{G}_Q^{(B)} \in"
    r" \mathbb{R}^{d \times r}",
    uses=("Equation (3.3)", "Definition 2.1"),
    parts=(
        Part(
            "the surrogates as vectors",
            setting=SURROGATES,
            printed=(
                Claim(
                    r"\underline{\widetilde{G}}_Q^{(A)} - \frac{\partial \mathcal{L}}"
                    r"{\partial \underline{A}_Q} = \underline{E}_A,\quad"
                    r" \underline{\widetilde{G}}_Q^{(B)} - \frac{\partial \mathcal{L}}"
                    r"{\partial \underline{B}_Q} = \underline{E}_B",
                    surrogates_as_vectors,
                ),
            ),
        ),
        Part(
            "the surrogates as gradients",
            setting=SURROGATES,
            printed=(
                Claim(
                    r"\widetilde{G}_Q^{(A)} = \frac{\partial \mathcal{L}}{\partial A_Q} \in"
                    r" \mathbb{R}^{d \times r},\; \widetilde{G}_Q^{(B)} = \frac{\partial"
                    r" \mathcal{L}}{\partial B_Q} \in \mathbb{R}^{r \times d}",
                    surrogates_of_printed_shapes,
                ),
                Claim(
                    r"\underline{\widetilde{G}}_Q^{(A)} - \frac{\partial \mathcal{L}}{\partial"
                    r" \underline{A}_Q},\; \underline{\widetilde{G}}_Q^{(B)} - \frac{\partial"
                    r" \mathcal{L}}{\partial \underline{B}_Q}",
                    surrogates_as_vectors,
                    reading="only the vectors are compared, so that a surrogate is the gradient"
                    " cut into rows of another length",
                ),
            ),
            corrected=Claim(
                r"\widetilde{G}_Q^{(A)} = \frac{\partial \mathcal{L}}{\partial A_Q} \in"
                r" \mathbb{R}^{r \times d},\; \widetilde{G}_Q^{(B)} = \frac{\partial"
                r" \mathcal{L}}{\partial B_Q} \in \mathbb{R}^{d \times r}",
                surrogates_of_adapter_shapes,
            ),
            severity=Severity.NOTATION,
            problem="The shapes of the two surrogates are exchanged. The inequality compares"
            " vectors of d r entries and exists all the same, but a matrix of the printed shape is"
            " neither the gradient nor its transpose unless r = d.",
        ),
    ),
    remark="The index i of the given C_i^(1), C_i^(2), C_i^(3), Y_i belongs to the data set"
    " that (S3) left; (3.3) has none. epsilon is given here, as it is not in Problem 1."
    " Numbers have log(L) bits here and O(log L) in Theorem 3.1.",
)


RECORDS = (PROBLEM_2_RECORD,)
