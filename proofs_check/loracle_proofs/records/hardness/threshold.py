"""Theorem A.1: inefficiency above the threshold."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import adapted_weight, aloragc_loss
from loracle_reference.reduction import AttentionLossInstance, embed

__all__ = ["RECORDS"]


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


RECORDS = (THEOREM_A1,)
