"""What the ledger must cover: every numbered statement of the paper, in the paper's order.

The list is typed from the paper, not from the records, so that a missing record is noticed.
"""

from __future__ import annotations

__all__ = ["LABELS", "SECTIONS", "section_of"]

SECTIONS: dict[str, tuple[str, ...]] = {
    "1 Introduction": (
        "Equation (1.1)",
        "Definition 1.1",
        "Lemma 1.1",
        "Definition 1.2",
        "Equation (1.2)",
        "Problem 1",
        "Remark 1.1",
        "Theorem 1.1",
        "Theorem 1.2",
        "Notation",
    ),
    "2 Preliminaries and problem setup": (
        "Definition 2.1",
        "Definition 2.2",
        "Definition 2.3",
        "Definition 2.4",
        "Lemma 2.1",
        "Equation (2.1)",
        "Scenario (C1)",
        "Scenario (C2)",
        "Definition 2.5",
        "Remark 2.1",
    ),
    "3 LoRA on the query and value weights": (
        "Definition 3.1",
        "Equation (3.1)",
        "Simplification (S1)",
        "Simplification (S2)",
        "Equation (3.2)",
        "Simplification (S3)",
        "Simplification (S4)",
        "Equation (3.3)",
        "Problem 2",
        "Definition 3.2",
        "Definition 3.3",
        "Definition 3.4",
        "Definition 3.5",
        "Equation (3.4)",
        "Lemma 3.1",
        "Equation (3.5)",
        "Remark 3.1",
        "Remark 3.2",
        "Lemma 3.2",
        "Equation (3.6)",
        "Definition 3.6",
        "Lemma 3.3",
        "Lemma 3.4",
        "Lemma 3.5",
        "Lemma 3.6",
        "Lemma 3.7",
        "Theorem 3.1",
    ),
    "A Phase transition": (
        "Hypothesis 1",
        "Theorem A.1",
        "Proof sketch of Theorem A.1",
        "Remark A.1",
        "Remark A.2",
    ),
    "B LoRA on all three weights": (
        "Definition B.1",
        "Equation (B.1)",
        "Remark B.1",
        "Equation (B.2)",
        "Problem 3",
        "Theorem B.1",
    ),
    "C and D Insights, related work": (
        "Remark C.1",
        "Remark C.2",
        "Remark C.3",
        "Hypothesis 2",
    ),
    "E Proofs of section 3": (
        "Proof of Lemma 3.1",
        "Lemma E.1",
        "Proof of Lemma E.1",
        "Proof of Lemma 3.2",
        "Proof of Lemma 3.4",
        "Proof of Lemma 3.5",
        "Proof of Lemma 3.6",
        "Equation (E.1)",
        "Proof of Lemma 3.7",
        "Equation (E.2)",
        "Proof of Theorem 3.1",
    ),
    "F Proof of Theorem B.1": (
        "Definition F.1",
        "Definition F.2",
        "Definition F.3",
        "Definition F.4",
        "Definition F.5",
        "Equation (F.1)",
        "Equation (F.2)",
        "Lemma F.1",
        "Proof of Lemma F.1",
        "Definition F.6",
        "Definition F.7",
        "Lemma F.2",
        "Proof of Lemma F.2",
        "Lemma F.3",
        "Proof of Lemma F.3",
        "Lemma F.4",
        "Proof of Lemma F.4",
        "Definition F.8",
        "Lemma F.5",
        "Lemma F.6",
        "Lemma F.7",
        "Lemma F.8",
        "Lemma F.9",
        "Theorem F.1",
        "Proof of Theorem B.1",
    ),
    "G Proof of Theorem A.1": (
        "Definition G.1",
        "Lemma G.1",
        "Proof of Theorem A.1",
    ),
    "H Quadratic time": (
        "Remark H.1",
        "Definition H.1",
        "Theorem H.1",
        "Proof of Theorem H.1",
    ),
    "I Experiments": ("Table 1",),
}

LABELS: tuple[str, ...] = tuple(label for labels in SECTIONS.values() for label in labels)


def section_of(label: str) -> str:
    """The section that a label belongs to; raises KeyError for a label that the paper has not."""
    for section, labels in SECTIONS.items():
        if label in labels:
            return section
    raise KeyError(label)
