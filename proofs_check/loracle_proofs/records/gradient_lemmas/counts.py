"""Remarks 3.1 and 3.2: the operations that the gradients take."""

from __future__ import annotations

from loracle_proofs.relation import Relation, equal
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.cost import (
    FEATURES,
    LENGTH,
    almost_linear_operations,
    exact_gradient_operations,
    tensor_trick_operations,
)

__all__ = ["RECORDS"]


def almost_linear_count() -> list[Relation]:
    """The evaluation of Theorem 3.1 is of degree 1 in L and of degree 1 in its features."""
    operations = almost_linear_operations()
    return [
        equal(operations.degree(LENGTH), 1),
        equal(operations.degree(FEATURES), 1),
    ]


def quadratic_counts() -> list[Relation]:
    """Two exact evaluations, by queries and by whole matrices, are of degree 2 in L."""
    return [
        equal(tensor_trick_operations().degree(LENGTH), 2),
        equal(exact_gradient_operations().degree(LENGTH), 2),
    ]


RECORDS = (
    Record(
        "Remark 3.1",
        title="Fast approximation of (3.5)",
        kind=Kind.REMARK,
        printed=r"\text{(3.5) in time } L^{1+o(1)}",
        corrected=r"\text{(3.5) up to } 1/\mathrm{poly}(L) \text{ in time } L^{1+o(1)},"
        r" \text{ under the hypotheses of Theorem 3.1}",
        uses=("Equation (3.5)", "Theorem 3.1", "Theorem A.1"),
        parts=(
            Part(
                "almost linear time",
                printed=(
                    Claim(
                        r"\deg_L(\text{count}) = 1, \quad \deg_{k_1}(\text{count}) = 1,"
                        r" \quad k_1 = L^{o(1)}",
                        almost_linear_count,
                        reading="to compute means to approximate, by the evaluation of Theorem 3.1"
                        " with k_1 features",
                    ),
                ),
                severity=Severity.MISSING,
                problem="What the later sections give is an approximation of the adapters'"
                " gradients to 1/poly(L), and only under the norm bound of Theorem 3.1; nothing"
                " there computes (3.5) itself in almost linear time.",
            ),
            Part(
                "the approximation",
                cites="That k_1 = L^{o(1)} features leave an error of 1/poly(L): Theorem 3.1 and"
                " Lemma 3.3, which have records of their own. That no such algorithm exists above"
                " the threshold of the norm bound: Theorem A.1, under the strong exponential time"
                " hypothesis.",
            ),
        ),
    ),
    Record(
        "Remark 3.2",
        title="Quadratic time of the exact gradient",
        kind=Kind.REMARK,
        printed=r"\text{the gradient of LoRA takes quadratic time}",
        corrected=r"\text{time of the LoRA gradient} = O(L^2) \text{ for fixed } d, r",
        uses=("Lemma 3.1", "Remark H.1", "Theorem H.1"),
        parts=(
            Part(
                "quadratic time",
                printed=(
                    Claim(
                        r"\deg_L(\text{count}) = 2",
                        quadratic_counts,
                        reading="an upper bound for fixed d and r, by an evaluation that forms no"
                        " Part (I)",
                    ),
                ),
                severity=Severity.MISSING,
                problem="A formula implies no lower bound on the time to compute what it gives:"
                " Lemma 3.1 yields O(L^2), once its terms are evaluated in the order of Appendix"
                " H, and Theorem 3.1 approximates the same gradient in less.",
            ),
            Part(
                "the hardness of inference",
                cites="The result of Alman and Song (2023) that is called similar is a lower bound"
                " under the strong exponential time hypothesis, for approximate inference above a"
                " norm bound. Its counterpart for gradients is Theorem A.1, not this remark.",
            ),
        ),
        remark="With Part (I) formed for each query the count is of degree 3 in L: see Remark H.1."
        " All counts take schoolbook products.",
    ),
)
