"""Proof sketch of Theorem A.1: the direction of the reduction."""

from __future__ import annotations

from typing import Any

from loracle_proofs.records.reduction.answers import gradient_in_block
from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, at_most, equal
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.reduction import attention_loss

__all__ = ["RECORDS"]

COSTS = (0, 1, 2)


def first_clause() -> list[Relation]:
    """If AttLGC costs at least ALoRAGC and at least h, then ALoRAGC costs at least h."""
    return [
        at_most(h, alora, witness=f"AttLGC costs {att}, ALoRAGC {alora}; the bound is {h}")
        for att in COSTS
        for alora in COSTS
        for h in COSTS
        if att >= alora and att >= h
    ]


def both_clauses() -> list[Relation]:
    """If AttLGC costs at least ALoRAGC and the other way round, and AttLGC at least h, so does
    ALoRAGC."""
    return [
        at_most(h, alora, witness=f"AttLGC costs {att}, ALoRAGC {alora}; the bound is {h}")
        for att in COSTS
        for alora in COSTS
        for h in COSTS
        if att >= alora and alora >= att and att >= h
    ]


def second_clause() -> list[Relation]:
    """If ALoRAGC costs at least AttLGC, and AttLGC at least h, then ALoRAGC costs at least h."""
    return [
        at_most(h, alora, witness=f"AttLGC costs {att}, ALoRAGC {alora}; the bound is {h}")
        for att in COSTS
        for alora in COSTS
        for h in COSTS
        if alora >= att and att >= h
    ]


def solved_by_attention_loss(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    d: int,
    constant: Any,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """A1 = C1, X = W, A2 = d C2, A3 = C3, E = Y: dL/dA = B^T dL/dX, dL/dB = dL/dX A^T."""
    arguments = {"a1": C1, "a2": C2.scale(d), "a3": C3, "x": W, "e": Y}
    dL_dX = gradient_at(attention_loss, arguments, "x", constant)
    return [equal(dL_dA, B.T @ dL_dX), equal(dL_dB, dL_dX @ A.T)]


PROOF_SKETCH = Record(
    "Proof sketch of Theorem A.1",
    title="The direction of the reduction",
    kind=Kind.PROOF,
    printed=r"\mathrm{AttLGC} \ge \mathrm{ALoRAGC},\quad"
    r" \mathrm{AttLGC}\text{ solved by } \mathrm{ALoRAGC}"
    r"\ \Rightarrow\ \mathrm{ALoRAGC}\text{ is hard}",
    corrected=r"\mathrm{ALoRAGC} \ge \mathrm{AttLGC}\ \Rightarrow\ \mathrm{ALoRAGC}\text{ is hard}",
    uses=("Lemma G.1", "Proof of Theorem A.1"),
    parts=(
        Part(
            "what hardness follows from",
            printed=(
                Claim(
                    r"\mathrm{AttLGC} \ge \mathrm{ALoRAGC},\ \mathrm{AttLGC} \ge h"
                    r"\ \Rightarrow\ \mathrm{ALoRAGC} \ge h",
                    first_clause,
                ),
                Claim(
                    r"\mathrm{AttLGC} \ge \mathrm{ALoRAGC} \ge \mathrm{AttLGC} \ge h"
                    r"\ \Rightarrow\ \mathrm{ALoRAGC} \ge h",
                    both_clauses,
                    reading="the second clause, that a solution to ALoRAGC solves AttLGC, carries"
                    " the proof, the first nothing",
                ),
            ),
            corrected=Claim(
                r"\mathrm{ALoRAGC} \ge \mathrm{AttLGC} \ge h\ \Rightarrow\ \mathrm{ALoRAGC} \ge h",
                second_clause,
            ),
            severity=Severity.NOTATION,
            problem="The first clause is the wrong way round: that AttLGC is at least as hard as"
            " ALoRAGC says nothing about how hard ALoRAGC is.",
        ),
        Part(
            "the first clause",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"A_1 = C^{(1)},\ X = W,\ A_2 = d\, C^{(2)},\ A_3 = C^{(3)},\ E = Y:\quad"
                    r" \frac{\partial\mathcal L}{\partial A_Q}"
                    r" = B_Q^{\mathsf T} \frac{\mathrm d\mathcal L}{\mathrm dX},\quad"
                    r" \frac{\partial\mathcal L}{\partial B_Q}"
                    r" = \frac{\mathrm d\mathcal L}{\mathrm dX} A_Q^{\mathsf T}",
                    solved_by_attention_loss,
                ),
            ),
        ),
        Part(
            "the second clause",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]",
                    gradient_in_block,
                ),
            ),
        ),
    ),
    remark="The first clause is true, as its part shows, with r = d in Definition G.1 and an error"
    " that may grow by d times the norm of the other adapter; it is just of no use here. The"
    " lead-in of Appendix A names Problem 1 and the hardness of the forward pass (Alman and Song,"
    " 2023) as the source; what is reduced is AttLGC (2024a), to Problem 2.",
)


RECORDS = (PROOF_SKETCH,)
