"""Definition G.1 and Lemma G.1: attention loss gradients and their hardness."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import attention_probabilities, residual
from loracle_reference.reduction import AttentionLossInstance, attention_loss

__all__ = ["ATTENTION_LOSS", "RECORDS", "SQUARE", "SQUARE_X"]


def definition_g1(A1: Matrix, A2: Matrix, A3: Matrix, X: Matrix, E: Matrix) -> Matrix:
    """The loss of Definition G.1."""
    return attention_loss(a1=A1, a2=A2, a3=A3, x=X, e=E)


def _wide(d: int, r: int) -> bool:
    return d >= r


def _instance(
    A1: Matrix, A2: Matrix, A3: Matrix, X: Matrix, E: Matrix
) -> AttentionLossInstance[Matrix]:
    return AttentionLossInstance(a1=A1, a2=A2, a3=A3, x=X, e=E)


def _f(A1: Matrix, A2: Matrix, X: Matrix) -> Matrix:
    return attention_probabilities(A1 @ X, A2, Fraction(1, X.shape[0]))


def _q(f: Matrix, A3: Matrix, E: Matrix) -> Matrix:
    return residual(f, A3, E) @ A3.T


def _p(f: Matrix, q: Matrix) -> Matrix:
    return f * q - f.scale_rows((f * q).row_sum())


def _dL_dX(gradient: Any) -> Matrix:
    result: Matrix = gradient("X")
    return result


ATTENTION_LOSS = Setting(
    "Definition G.1",
    shapes={
        "A1": ("L", "r"),
        "A2": ("M", "r"),
        "A3": ("M", "r"),
        "X": ("r", "r"),
        "E": ("L", "r"),
        "W0": ("d", "d"),
        "G": ("r", "d"),
        "g": ("r", "r"),
        "h": ("L", "L"),
    },
    scalars=("lam",),
    derived={"instance": _instance, "f": _f, "q": _q, "p": _p, "dL_dX": _dL_dX},
    square={"M": "L"},
    constraint=_wide,
    limits={"r": 2},
    loss=definition_g1,
)
"""W0 is a frozen weight of Problem 2, lam the scalar of Lemma G.1; G, g and h are answers: to
Problem 2, and to Definition G.1 of the shape of dL/dX and of the printed one."""


SQUARE = "X is square, so its numbers of rows and of columns are one number"
SQUARE_X = {"attention_loss: 0 -> 1": SQUARE}


def output_printed(h: Matrix, dL_dX: Matrix) -> Relation:
    """The error of an L x L output."""
    return equal((h - dL_dX) + dL_dX, h)


def output_corrected(A1: Matrix, A2: Matrix, p: Matrix, r: int, dL_dX: Matrix) -> Relation:
    """dL/dX = A1^T p A2 / r, of shape (r, r)."""
    return equal(dL_dX, (A1.T @ p @ A2).scale(Fraction(1, r)))


def loss_in_full(
    A1: Matrix, A2: Matrix, A3: Matrix, X: Matrix, E: Matrix, r: int, constant: Any
) -> Relation:
    """1/2 ||D^-1 exp(A1 X A2^T / r) A3 - E||_F^2, entry by entry."""
    u = (A1 @ X @ A2.T).scale(Fraction(1, r)).exp()
    c = u.divide_rows(u.row_sum()) @ A3 - E
    total = constant([[0]])
    for j in range(c.shape[0]):
        row = c.take_rows([j])
        total = total + row @ row.T
    return equal(attention_loss(a1=A1, a2=A2, a3=A3, x=X, e=E), total.scale(Fraction(1, 2)))


DEFINITION_G1 = Record(
    "Definition G.1",
    title="Attention loss gradients, approximately",
    kind=Kind.DEFINITION,
    printed=r"\mathcal L(X) = \tfrac12 \left\| D^{-1} \exp(A_1 X A_2^{\mathsf T} / r) A_3 - E"
    r" \right\|_F^2,\quad D = \operatorname{diag}(\exp(A_1 X A_2^{\mathsf T} / r) \mathbb 1_L),"
    r"\quad \widetilde g \in \mathbb R^{L \times L},\quad"
    r" \left\| \widetilde g - \frac{\mathrm d\mathcal L(X)}{\mathrm dX} \right\|_\infty"
    r" \le \epsilon",
    corrected=r"\widetilde g \in \mathbb R^{r \times r}",
    parts=(
        Part(
            "the loss",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\mathcal L(X) = \tfrac12 \left\| D^{-1} \exp(A_1 X A_2^{\mathsf T} / r) A_3"
                    r" - E \right\|_F^2",
                    loss_in_full,
                    code=(attention_loss,),
                    equivalent={
                        "loss_in_full: u.divide_rows(u.row_sum()) @ A3 - E"
                        " -> E - u.divide_rows(u.row_sum()) @ A3": "the loss is even in the"
                        " residual",
                        **SQUARE_X,
                    },
                ),
            ),
        ),
        Part(
            "the output",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\widetilde g - \frac{\mathrm d\mathcal L(X)}{\mathrm dX},\quad"
                    r" \widetilde g \in \mathbb R^{L \times L}",
                    output_printed,
                ),
            ),
            corrected=Claim(
                r"\frac{\mathrm d\mathcal L(X)}{\mathrm dX}"
                r" = \tfrac1r A_1^{\mathsf T} p\, A_2 \in \mathbb R^{r \times r}",
                output_corrected,
            ),
            severity=Severity.ILL_TYPED,
            problem="The gradient in X has the shape of X, r x r. An L x L output cannot be"
            " compared with it, and writing one down would take quadratic time by itself.",
        ),
    ),
    remark="B bounds A1 X and A2, not A3 and E, on which the gradient depends as well; Lemma G.1"
    " bounds A3 and has E = 0. The paper has as many keys as queries; nothing here needs that.",
)


def scaled_identity(A1: Matrix, r: int, lam: Scalar, identity: Any) -> Relation:
    """||A1 (lam I)|| = lam ||A1||."""
    return equal(max_norm(A1 @ identity(r).scale(lam)), max_norm(A1).scale(lam))


def unit_interval(lam: Scalar) -> list[Relation]:
    """0 <= lam <= 1."""
    return [at_most(0, lam), at_most(lam, 1)]


def slow_growth() -> list[Relation]:
    """kappa = log log L tends to infinity and is o(log L); n stands for log L."""
    n = sympy.Symbol("n", positive=True)
    kappa = sympy.log(n)
    return [
        equal(sympy.limit(kappa, n, sympy.oo), sympy.oo),
        equal(sympy.limit(kappa / n, n, sympy.oo), 0),
    ]


LEMMA_G1 = Record(
    "Lemma G.1",
    title="Hardness of attention loss gradients",
    kind=Kind.LEMMA,
    printed=r"\text{SETH} \Rightarrow \text{no } O(L^{2 - \delta})\text{ algorithm for }"
    r"\mathrm{AAttLGC}(L, r, \epsilon):\quad r = O(\log L),\quad"
    r" \|A_1\|_\infty, \|A_2\|_\infty, \|A_3\|_\infty \le O(\sqrt{\log L} \cdot \kappa(L)) = B,"
    r"\quad E = 0,\quad X = \lambda I_r,\ \lambda \in [0, 1],\quad \epsilon = O(1 / (\log L)^4)",
    uses=("Hypothesis 1", "Definition G.1"),
    parts=(
        Part(
            "hardness",
            cites="Theorem 5.5 of Alman and Song (2024a), taken on trust: under SETH no algorithm"
            " in O(L^(2 - delta)) solves AAttLGC(L, r, epsilon) on all instances with these norms,"
            " for some r = O(log L) and some epsilon = O(1 / (log L)^4).",
        ),
        Part(
            "the hypothesis of Definition G.1",
            setting=ATTENTION_LOSS,
            hypotheses=unit_interval,
            printed=(Claim(r"\|A_1 X\|_\infty = \lambda \|A_1\|_\infty \le B", scaled_identity),),
        ),
        Part(
            "a function kappa",
            printed=(
                Claim(
                    r"\kappa(L) = \log\log L:\quad \kappa = \omega(1),\quad \kappa = o(\log L)",
                    slow_growth,
                    equivalent={
                        "slow_growth: equal(sympy.limit(kappa / n, n, sympy.oo), 0) ->"
                        " equal(sympy.limit(kappa / n, n, sympy.oo), negated(0))": "0 is its own"
                        " negative",
                    },
                ),
            ),
        ),
    ),
    remark="O stands for a class out of which one bound is meant: there are r and B of these orders"
    " for which the lemma holds. It does not hold for all of them: with B = 0 the gradient is 0.",
)


RECORDS = (DEFINITION_G1, LEMMA_G1)
