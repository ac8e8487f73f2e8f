"""Appendix A, the phase transition: Hypotheses 1 and 2, Theorem A.1, its sketch, Remarks A.1, A.2.

No program checks a hardness result; what is checked is what it is made of: the classes of
instances it speaks of, the direction of the reduction, the place of the threshold.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from loracle_proofs.records.reduction import ATTENTION_LOSS, gradient_at, gradient_in_block
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import adapted_weight, aloragc_loss, lora_attention_loss
from loracle_reference.reduction import (
    AloragcInstance,
    AttentionLossInstance,
    attention_loss,
    balance,
    balanced_norm_bound,
    embed,
    embed_in_full_adaptation,
)

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


def hard_at_norm_zero(
    C1: Matrix, C2: Matrix, C3: Matrix, W0: Matrix, A: Matrix, B: Matrix, Y: Matrix, constant: Any
) -> Relation:
    """With ||C2|| <= Gamma = 0 and Y = 0 the gradient in A_Q is not 0."""
    arguments = {"c1": C1, "c2": C2.scale(0), "c3": C3, "w": W0, "a": A, "b": B, "y": Y.scale(0)}
    return less(constant([[0]]), max_norm(gradient_at(aloragc_loss, arguments, "a", constant)))


def norms_at_most(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    constant: Any,
) -> list[Relation]:
    """||C2|| <= ||A2|| and ||C1 B_Q A_Q|| <= ||A1 X|| for the embedded instance."""
    i = embed(instance, d, constant)
    return [
        at_most(max_norm(i.c2), max_norm(A2)),
        at_most(max_norm(i.c1 @ i.b @ i.a), max_norm(A1 @ X)),
    ]


def norms_exactly(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    r: int,
    constant: Any,
) -> list[Relation]:
    """||C2|| = ||A2|| / r and ||C1 W|| = ||A1 X|| for the embedded instance."""
    i = embed(instance, d, constant)
    return [
        equal(max_norm(i.c2), max_norm(A2).scale(Fraction(1, r))),
        equal(max_norm(i.c1 @ adapted_weight(i.w, i.b, i.a, 1)), max_norm(A1 @ X)),
    ]


def row_by_row(
    A1: Matrix,
    A2: Matrix,
    A3: Matrix,
    X: Matrix,
    E: Matrix,
    r: int,
    dL_dX: Matrix,
    identity: Any,
    constant: Any,
) -> list[Relation]:
    """With W* = X, A_Q = 0 of rank one and B_Q = e_i, dL/dA_Q is row i of dL/dX."""
    rows = []
    for i in range(r):
        arguments = {
            "c1": A1,
            "c2": A2.scale(Fraction(1, r)),
            "c3": A3,
            "w": X,
            "a": X.take_rows([i]).scale(0),
            "b": identity(r).take_columns([i]),
            "y": E,
        }
        dL_dA = gradient_at(aloragc_loss, arguments, "a", constant)
        rows.append(equal(dL_dA, dL_dX.take_rows([i])))
    return rows


THEOREM_A1 = Record(
    "Theorem A.1",
    title="Inefficiency above the threshold",
    kind=Kind.THEOREM,
    printed=r"\kappa(L) = \omega(1),\ \kappa(L) = o(\log L),\quad"
    r" \Gamma = O(\sqrt{\log L} \cdot \kappa(L));\quad"
    r" \text{SETH} \Rightarrow \text{no } O(L^{2 - \delta})\text{ algorithm for }"
    r"\mathrm{ALoRAGC}(L, d = O(\log L), r < d, \epsilon),\quad"
    r" \|X^{(K)} W_K^\star\|_\infty \le \Gamma,\quad"
    r" \|\alpha X_i^{(Q)} B_Q A_Q / r\|_\infty \le \Gamma,\quad Y = 0,\quad"
    r" \epsilon = O((\log L)^{-4})",
    corrected=r"\text{SETH}\Rightarrow\text{no }O(L^{2-\delta})\text{ algorithm; }"
    r"\text{for some } B = O(\sqrt{\log L} \cdot \kappa(L)),\ r = O(\log L):\quad"
    r" \overline W_Q^\star = 0,\quad \|C^{(1)} W\|_\infty \le B,\quad"
    r" \|C^{(2)}\|_\infty \le B / r,\quad \|C^{(3)}\|_\infty \le B,\quad d \ge r,\quad Y = 0,"
    r" \quad \epsilon = O((\log L)^{-4})",
    uses=("Hypothesis 1", "Lemma G.1", "Problem 2"),
    parts=(
        Part(
            "hardness",
            cites="Taken on trust: Hypothesis 1, and Theorem 5.5 of Alman and Song (2024a), which"
            " is Lemma G.1. What lies between is run in the record of the proof.",
        ),
        Part(
            "the bound Gamma",
            printed=(
                Claim(
                    r"\Gamma = 0:\quad \left\|\frac{\partial\mathcal L}{\partial A_Q}"
                    r"\right\|_\infty > 0",
                    hard_at_norm_zero,
                    setting=PROBLEM_2,
                ),
                Claim(
                    r"\|C^{(2)}\|_\infty \le \|A_2\|_\infty \le \Gamma,\quad"
                    r" \|C^{(1)} B_Q A_Q\|_\infty \le \|A_1 X\|_\infty \le \Gamma",
                    norms_at_most,
                    setting=ATTENTION_LOSS,
                    reading="Gamma is one function of this order, no smaller than the norms of the"
                    " instances of Lemma G.1",
                ),
            ),
            corrected=Claim(
                r"\|C^{(2)}\|_\infty = \|A_2\|_\infty / r \le B / r,\quad"
                r" \|C^{(1)} W\|_\infty = \|A_1 X\|_\infty \le B",
                norms_exactly,
                setting=ATTENTION_LOSS,
            ),
            severity=Severity.MISSING,
            problem="Gamma = O(...) admits every smaller Gamma, even 0, for which the gradient is 0"
            " and nothing is hard. The class must be large enough to hold the hard instances, so"
            " Gamma needs a bound from below.",
        ),
        Part(
            "the rank of the adapter",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\overline W_Q^\star = X,\ A_Q = 0,\ B_Q = e_i:\quad"
                    r" \frac{\partial\mathcal L}{\partial A_Q}"
                    r" = \frac{\mathrm d\mathcal L}{\mathrm dX}[i, \cdot]",
                    row_by_row,
                    reading="adapters of any smaller rank are hard too, by a reduction that solves"
                    " at most O(log L) instances and is not in the paper",
                ),
            ),
            severity=Severity.MISSING,
            problem="The proof gives hardness for adapters whose rank is the r of Lemma G.1, and"
            " for no smaller one, though r < d asks for nothing but an upper bound. With W* = X the"
            " rows of the gradient can be had one by one from adapters of rank one.",
        ),
    ),
    remark="Hardness for a class passes to every larger one; C2 of the hard instances is smaller"
    " than the theorem says by the factor r. Remark A.1 has what this does to the threshold. The"
    " norm of X_Q B_Q A_Q leaves out the frozen weight, which the proof must set to 0.",
)


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


def bounded_matrix(C1: Matrix, W: Matrix, A: Matrix, B: Matrix) -> Relation:
    """||C1 B_Q A_Q|| = ||C1 W||."""
    return equal(max_norm(C1 @ B @ A), max_norm(C1 @ W))


def bounded_matrix_without_frozen_weight(
    C1: Matrix, W0: Matrix, W: Matrix, A: Matrix, B: Matrix
) -> Relation:
    """C1 B_Q A_Q = C1 (W - W*)."""
    return equal(C1 @ B @ A, C1 @ (W - W0))


def hard_above_root_log() -> Relation:
    """Gamma / sqrt(log L) tends to infinity for the hard instances, balanced, of r = log L columns.

    n stands for log L, and kappa is log log L.
    """
    n = sympy.Symbol("n", positive=True)
    gamma = balanced_norm_bound(sympy.sqrt(n) * sympy.log(n), n)
    return equal(
        sympy.limit(gamma / sympy.sqrt(n), n, sympy.oo), sympy.oo, witness="kappa = log log L"
    )


def hard_above_log() -> Relation:
    """r Gamma^2 / log L = kappa^2 for the hard instances, balanced."""
    n, r, kappa = sympy.symbols("n r kappa", positive=True)
    gamma = balanced_norm_bound(sympy.sqrt(n) * kappa, r)
    return equal(sympy.simplify(r * gamma**2 / n), kappa**2)


def balanced(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, r: int, constant: Any
) -> list[Relation]:
    """C1 / t and t C2, here with t = r, have the gradient of C1 and C2."""
    i = embed(instance, d, constant)
    moved = balance(i, r)
    return [
        equal(moved.c1.scale(r), i.c1),
        equal(moved.c2, i.c2.scale(r)),
        equal(gradient_at(aloragc_loss, moved.arguments(), "a", constant), dL_dX @ i.b.T),
    ]


REMARK_A1 = Record(
    "Remark A.1",
    title="Where the transition is",
    kind=Kind.REMARK,
    printed=r"\text{efficient for } \Gamma = o(\sqrt{\log L}),\quad"
    r" \text{not efficient for } \Gamma = O(\sqrt{\log L} \cdot \kappa(L))",
    corrected=r"\beta = 1:\quad \text{the transition is where } d\, \|C^{(1)} W\|_\infty"
    r" \|C^{(2)}\|_\infty\text{ passes } \log L",
    uses=("Theorem A.1", "Theorem 3.1", "Lemma G.1"),
    parts=(
        Part(
            "one quantity on both sides",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\|C^{(1)} B_Q A_Q\|_\infty = \|C^{(1)} W\|_\infty",
                    bounded_matrix,
                ),
                Claim(
                    r"C^{(1)} B_Q A_Q = C^{(1)} (W - \overline W_Q^\star)",
                    bounded_matrix_without_frozen_weight,
                    reading="the frozen weight is taken off W, or is 0 as in the hard instances",
                ),
            ),
            corrected=Claim(
                r"C^{(1)} B_Q A_Q = C^{(1)} (W - \overline W_Q^\star)",
                bounded_matrix_without_frozen_weight,
            ),
            severity=Severity.MISSING,
            problem="Theorem A.1 bounds C1 B_Q A_Q, Theorem 3.1 bounds C1 W with the frozen weight"
            " in it. One Gamma for both makes sense where the frozen weight is 0 only.",
        ),
        Part(
            "the threshold",
            printed=(
                Claim(
                    r"\text{hard instances, balanced as below: }"
                    r" \Gamma / \sqrt{\log L} \to \infty",
                    hard_above_root_log,
                ),
            ),
            corrected=Claim(
                r"\Gamma = \frac{B}{\sqrt r},\ B = \sqrt{\log L} \cdot \kappa:\quad"
                r" \frac{r\, \Gamma^2}{\log L} = \kappa^2 \to \infty",
                hard_above_log,
                code=(balanced_norm_bound,),
            ),
            severity=Severity.FATAL_TO_STATEMENT,
            problem="That nothing is efficient above sqrt(log L) stands; that this is where the"
            " transition is does not. Scaling C1 down and C2 up makes both norms of the hard"
            " instances B / sqrt(r), which for r = Theta(log L) is O(kappa) and may be far below"
            " sqrt(log L): they meet the hypothesis of Theorem 3.1 as printed, which would"
            " refute SETH. The scores are sums of d products; with beta = 1 it is d Gamma^2, not"
            " Gamma^2, that must pass log L.",
        ),
        Part(
            "balancing, which the threshold rests on",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"(C^{(1)} / t, t\, C^{(2)}):\quad \frac{\partial\mathcal L}{\partial A_Q}"
                    r" = \Bigl[ \frac{\mathrm d\mathcal L}{\mathrm dX}, 0 \Bigr]",
                    balanced,
                    code=(balance,),
                ),
            ),
        ),
    ),
    remark="With beta = 1 / d, as in Alman and Song (2023), the threshold is sqrt(log L) indeed."
    " At Gamma = Theta(sqrt(log L)) neither theorem says anything, as kappa must tend to infinity."
    " That an instance above a threshold may be easy is in the record of Remark C.2. Balancing is"
    " not in the paper: it shows that a bound of both norms by one Gamma depends on how a factor is"
    " split between C1 and C2, which the gradient does not.",
)


def b2_loss(**arguments: Any) -> Matrix:
    """The loss of (B.2), which has no factor 1/2."""
    loss: Matrix = lora_attention_loss(**arguments).scale(2)
    return loss


def problem_3_printed(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
    constant: Any,
) -> list[Relation]:
    """The gradients of (B.2) in A_Q and B_Q are those of (3.3)."""
    i = AloragcInstance(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    full = embed_in_full_adaptation(i, constant)
    return [
        equal(gradient_at(b2_loss, full, "a_q", constant), dL_dA),
        equal(gradient_at(b2_loss, full, "b_q", constant), dL_dB),
    ]


def problem_3(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
    constant: Any,
) -> list[Relation]:
    """The gradients of Definition B.1 in A_Q and B_Q are those of (3.3)."""
    i = AloragcInstance(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    full = embed_in_full_adaptation(i, constant)
    return [
        equal(gradient_at(lora_attention_loss, full, "a_q", constant), dL_dA),
        equal(gradient_at(lora_attention_loss, full, "b_q", constant), dL_dB),
    ]


def equal_samples(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    L: int,
    dL_dA: Matrix,
    dL_dB: Matrix,
    constant: Any,
) -> list[Relation]:
    """The mean over N equal samples, here with N = L, has the gradients of one."""

    def loss(**sample: Matrix) -> Matrix:
        total = aloragc_loss(**sample)
        for _ in range(1, L):
            total = total + aloragc_loss(**sample)
        return total.scale(Fraction(1, L))

    sample = {"c1": C1, "c2": C2, "c3": C3, "w": W0, "a": A, "b": B, "y": Y}
    return [
        equal(gradient_at(loss, sample, "a", constant), dL_dA),
        equal(gradient_at(loss, sample, "b", constant), dL_dB),
    ]


REMARK_A2 = Record(
    "Remark A.2",
    title="From one sample and one adapter to the other problems",
    kind=Kind.REMARK,
    printed=r"\text{Theorem A.1 applies to Problem 2, to Problem 3 and to } N > 1\text{ samples}",
    uses=("Theorem A.1", "Problem 2", "Problem 3", "Simplification (S3)"),
    parts=(
        Part(
            "Problem 3",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"X^{(Q)} = C^{(1)},\ X^{(K)} = C^{(2)},\ X^{(V)} = C^{(3)},\ W_K = W_V = I:"
                    r"\quad \text{the gradients of (B.2) are those of (3.3)}",
                    problem_3_printed,
                ),
                Claim(
                    r"X^{(Q)} = C^{(1)},\ X^{(K)} = C^{(2)},\ X^{(V)} = C^{(3)},\ W_K = W_V = I:"
                    r"\quad \text{the gradients of Definition B.1 are those of (3.3)}",
                    problem_3,
                    reading="(B.2) has the factor 1/2 of Definition B.1",
                ),
            ),
            corrected=Claim(
                r"X^{(Q)} = C^{(1)},\ X^{(K)} = C^{(2)},\ X^{(V)} = C^{(3)},\ W_K = W_V = I:"
                r"\quad \text{the gradients of Definition B.1 are those of (3.3)}",
                problem_3,
                code=(embed_in_full_adaptation,),
            ),
            severity=Severity.MISSING,
            problem="(B.2) has lost the factor 1/2, so its gradients are twice those of (3.3). The"
            " reduction stands with epsilon doubled.",
        ),
        Part(
            "more samples",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"X_1 = \ldots = X_N,\ Y_1 = \ldots = Y_N:\quad"
                    r" \nabla \frac1N \sum_{i=1}^N \mathcal L_i = \nabla \mathcal L_1",
                    equal_samples,
                ),
            ),
        ),
    ),
    remark="The remark gives no embeddings; these are some. Problem 3 asks for more matrices than"
    " Problem 2, which only makes it harder.",
)


RECORDS = (HYPOTHESIS_1, THEOREM_A1, PROOF_SKETCH, REMARK_A1, REMARK_A2, HYPOTHESIS_2)
