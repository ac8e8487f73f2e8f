"""Remark A.1: where the transition is."""

from __future__ import annotations

from typing import Any

import sympy

from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, equal, max_norm
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import aloragc_loss
from loracle_reference.reduction import AttentionLossInstance, balance, balanced_norm_bound, embed

__all__ = ["RECORDS"]


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


RECORDS = (REMARK_A1,)
