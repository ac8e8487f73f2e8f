"""Hypotheses 1 and 2: the strong exponential time hypothesis."""

from __future__ import annotations

from loracle_proofs.statement import Kind, Part, Record

__all__ = ["RECORDS"]

SETH = (
    "Impagliazzo and Paturi (2001): a hypothesis, taken on trust by all that rests on it. Neither a"
    " proof nor a refutation is known."
)


def seth(label: str, remark: str) -> Record:
    """The hypothesis, which the paper states twice in the same words."""
    return Record(
        label,
        title="Strong Exponential Time Hypothesis",
        kind=Kind.HYPOTHESIS,
        printed=r"\forall \epsilon > 0\ \exists k \ge 3:\ k\text{-SAT on } n\text{ variables is not"
        r" solved in } O(2^{(1 - \epsilon) n})\text{, even by randomized algorithms}",
        parts=(Part("the hypothesis", cites=SETH),),
        remark=remark,
    )


HYPOTHESIS_1 = seth(
    "Hypothesis 1",
    "It says something for epsilon < 1 only: from epsilon = 1 on, the bound is less than the time"
    " to read a formula. The paper uses it through Lemma G.1 alone.",
)

HYPOTHESIS_2 = seth(
    "Hypothesis 2",
    "Hypothesis 1 once more, in the section on related work, with the same formula. The prose"
    " before it has the quantifiers the other way round: for every fixed k, k-SAT is solved in"
    " 2^((1 - epsilon) n) for some epsilon > 0.",
)


RECORDS = (HYPOTHESIS_1, HYPOTHESIS_2)
