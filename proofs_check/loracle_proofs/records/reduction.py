"""Appendix G, the reduction: Definition G.1, Lemma G.1 and the proof of Theorem A.1.

The definition's A1, A2, A3, X and E keep their names; gradients in X and in A_Q come from the two
losses by dual numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy

from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    adapted_weight,
    aloragc_loss,
    attention_probabilities,
    residual,
)
from loracle_reference.differentiation import directional_derivative
from loracle_reference.reduction import (
    AloragcInstance,
    AttentionLossInstance,
    answer,
    attention_loss,
    embed,
)

__all__ = ["ATTENTION_LOSS", "RECORDS", "gradient_at"]


def gradient_at(
    loss: Callable[..., Any], arguments: dict[str, Any], name: str, constant: Any
) -> Matrix:
    """The gradient of a loss in one of its arguments, from the loss by dual numbers.

    arguments: by name matrices and exact scalars; constant embeds zeros and ones.
    """
    matrices = {key: value for key, value in arguments.items() if isinstance(value, Matrix)}
    scalars = {key: value for key, value in arguments.items() if not isinstance(value, Matrix)}
    rows, columns = matrices[name].shape
    gradient = matrices[name].scale(0)
    for i in range(rows):
        left = constant([[int(i == k)] for k in range(rows)])
        for j in range(columns):
            right = constant([[int(j == k) for k in range(columns)]])
            slope = directional_derivative(loss, matrices, {name: left @ right}, scalars)
            gradient = gradient + left @ slope @ right
    return gradient


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
SQUARE_X_EMBEDDED = {"embed: 0 -> 1": SQUARE}


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


def scores(instance: AttentionLossInstance[Matrix], d: int, r: int, constant: Any) -> Relation:
    """A1 X A2^T / r = C1 B_Q A_Q C2^T."""
    i = embed(instance, d, constant)
    return equal(
        (instance.a1 @ instance.x @ instance.a2.T).scale(Fraction(1, r)), i.c1 @ i.b @ i.a @ i.c2.T
    )


def substitution(
    A1: Matrix, A2: Matrix, A3: Matrix, X: Matrix, E: Matrix, d: int, r: int, constant: Any
) -> list[Relation]:
    """C1 B_Q = A1; r C2, C3, A_Q and Y begin with A2, A3, X and E."""
    i = embed(AttentionLossInstance(a1=A1, a2=A2, a3=A3, x=X, e=E), d, constant)
    return [
        equal(i.c1 @ i.b, A1),
        equal(i.c2.scale(r) @ i.b, A2),
        equal(i.c3 @ i.b, A3),
        equal(i.a @ i.b, X),
        equal(i.y @ i.b, E),
    ]


def with_frozen_weight(
    instance: AttentionLossInstance[Matrix], W0: Matrix, f: Matrix, d: int, constant: Any
) -> Relation:
    """f of Problem 2 is f of Definition G.1, whatever W* is."""
    i = replace(embed(instance, d, constant), w=W0)
    return equal(attention_probabilities(i.c1 @ adapted_weight(i.w, i.b, i.a, 1), i.c2), f)


def without_frozen_weight(
    instance: AttentionLossInstance[Matrix], f: Matrix, d: int, constant: Any
) -> Relation:
    """f of Problem 2 is f of Definition G.1 for W* = 0."""
    i = embed(instance, d, constant)
    return equal(attention_probabilities(i.c1 @ adapted_weight(i.w, i.b, i.a, 1), i.c2), f)


def norms(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    E: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    constant: Any,
) -> list[Relation]:
    """||C2|| <= ||A2||, ||C1 B_Q A_Q|| <= ||A1 X||, ||Y|| <= ||E||."""
    i = embed(instance, d, constant)
    return [
        at_most(max_norm(i.c2), max_norm(A2)),
        at_most(max_norm(i.c1 @ i.b @ i.a), max_norm(A1 @ X)),
        at_most(max_norm(i.y), max_norm(E)),
    ]


def exponentials_printed(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    r: int,
    constant: Any,
) -> Relation:
    """exp(A1 X A2^T) / r = exp(C1 B_Q A_Q C2^T)."""
    i = embed(instance, d, constant)
    return equal((A1 @ X @ A2.T).exp().scale(Fraction(1, r)), (i.c1 @ i.b @ i.a @ i.c2.T).exp())


def exponentials(
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    instance: AttentionLossInstance[Matrix],
    d: int,
    r: int,
    constant: Any,
) -> Relation:
    """exp(A1 X A2^T / r) = exp(C1 B_Q A_Q C2^T)."""
    i = embed(instance, d, constant)
    return equal((A1 @ X @ A2.T).scale(Fraction(1, r)).exp(), (i.c1 @ i.b @ i.a @ i.c2.T).exp())


def residuals(
    instance: AttentionLossInstance[Matrix], f: Matrix, d: int, r: int, constant: Any
) -> Relation:
    """The first r columns of f C3 - Y are f A3 - E."""
    i = embed(instance, d, constant)
    c = attention_probabilities(i.c1 @ adapted_weight(i.w, i.b, i.a, 1), i.c2) @ i.c3 - i.y
    return equal(c.take_columns(range(r)), f @ instance.a3 - instance.e)


def residuals_and_losses(
    instance: AttentionLossInstance[Matrix], d: int, r: int, constant: Any
) -> list[Relation]:
    """The other columns of f C3 - Y are 0, so that the two losses are equal."""
    i = embed(instance, d, constant)
    return [
        equal(i.c3 @ i.b @ i.b.T, i.c3),
        equal(i.y @ i.b @ i.b.T, i.y),
        equal(aloragc_loss(**i.arguments()), attention_loss(**instance.arguments())),
    ]


def gradients_printed(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, constant: Any
) -> Relation:
    """dL/dX = dL/dA_Q."""
    i = embed(instance, d, constant)
    return equal(dL_dX, gradient_at(aloragc_loss, i.arguments(), "a", constant))


def gradient_in_block(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, r: int, constant: Any
) -> Relation:
    """dL/dX is the first r columns of dL/dA_Q."""
    i = embed(instance, d, constant)
    return equal(dL_dX, answer(gradient_at(aloragc_loss, i.arguments(), "a", constant), r))


def gradients(
    instance: AttentionLossInstance[Matrix], dL_dX: Matrix, d: int, r: int, constant: Any
) -> list[Relation]:
    """dL/dA_Q = [dL/dX, 0]."""
    i = embed(instance, d, constant)
    dL_dA = gradient_at(aloragc_loss, i.arguments(), "a", constant)
    return [
        equal(answer(dL_dA, r), dL_dX),
        equal(dL_dA, dL_dX @ i.b.T),
    ]


def answers_printed(
    instance: AttentionLossInstance[Matrix], g: Matrix, dL_dX: Matrix, d: int, constant: Any
) -> Relation:
    """The error of G_A = g is that of g."""
    i = embed(instance, d, constant)
    dL_dA = gradient_at(aloragc_loss, i.arguments(), "a", constant)
    return at_most(max_norm(g - dL_dA), max_norm(g - dL_dX))


def answers(
    instance: AttentionLossInstance[Matrix],
    G: Matrix,
    dL_dX: Matrix,
    d: int,
    r: int,
    constant: Any,
) -> Relation:
    """The error of g, the first r columns of G_A, is a block of the error of G_A."""
    i = embed(instance, d, constant)
    dL_dA = gradient_at(aloragc_loss, i.arguments(), "a", constant)
    return equal(answer(G, r) - dL_dX, answer(G - dL_dA, r))


def entries(instance: AloragcInstance[Matrix]) -> int:
    """How many numbers an instance of Problem 2 is."""
    shapes = [matrix.shape for matrix in instance.arguments().values()]
    return sum(rows * columns for rows, columns in shapes)


def constant_time(instance: AttentionLossInstance[Matrix], d: int, constant: Any) -> Relation:
    """What is written does not grow with the number of tokens."""
    one_token = AttentionLossInstance(
        a1=instance.a1.take_rows([0]),
        a2=instance.a2.take_rows([0]),
        a3=instance.a3.take_rows([0]),
        x=instance.x,
        e=instance.e.take_rows([0]),
    )
    return at_most(entries(embed(instance, d, constant)), entries(embed(one_token, d, constant)))


def written(
    instance: AttentionLossInstance[Matrix], L: int, M: int, d: int, r: int, constant: Any
) -> Relation:
    """(2 L + 2 M + d + 2 r) d entries are written."""
    return equal(entries(embed(instance, d, constant)), (2 * L + 2 * M + d + 2 * r) * d)


PROOF_OF_THEOREM_A1 = Record(
    "Proof of Theorem A.1",
    title="Attention loss gradients from LoRA gradients",
    kind=Kind.PROOF,
    printed=r"C^{(1)} B_Q = A_1,\quad C^{(2)} = \{A_2, 0\} / r,\quad C^{(3)} = \{A_3, 0\},\quad"
    r" A_Q = \{X, 0\},\quad \Gamma = B;\qquad"
    r" A_1 X A_2^{\mathsf T} / r = C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T},\quad"
    r" \exp(A_1 X A_2^{\mathsf T}) / r"
    r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr),\quad"
    r" (D^{-1} \exp\{C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\} C^{(3)} - Y)|_{L \times r}"
    r" = (D^{-1} \exp(A_1 X A_2^{\mathsf T} / r) A_3 - E)|_{L \times r},\quad"
    r" \widetilde G_A = \widetilde g",
    corrected=r"C^{(1)} = [A_1, 0],\quad B_Q = [I_r; 0],\quad \overline W_Q^\star = 0,\quad"
    r" Y = [E, 0],\quad d \ge r;\qquad"
    r" \exp(A_1 X A_2^{\mathsf T} / r)"
    r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr),\quad"
    r" \frac{\partial\mathcal L}{\partial A_Q}"
    r" = \Bigl[ \frac{\mathrm d\mathcal L}{\mathrm dX}, 0 \Bigr],\quad"
    r" \widetilde g = \widetilde G_A[\cdot, 1 \ldots r]",
    uses=("Definition G.1", "Lemma G.1", "Problem 2", "Equation (3.3)"),
    parts=(
        Part(
            "the substitution",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"C^{(1)} B_Q = A_1,\ C^{(2)} = \{A_2, 0\} / r,\ C^{(3)} = \{A_3, 0\},"
                    r"\ A_Q = \{X, 0\}",
                    substitution,
                    code=(embed,),
                    equivalent=SQUARE_X_EMBEDDED,
                ),
            ),
        ),
        Part(
            "the frozen weight",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"D^{-1} \exp\bigl(C^{(1)} (\overline W_Q^\star + B_Q A_Q)"
                    r" (C^{(2)})^{\mathsf T}\bigr) = D^{-1} \exp(A_1 X A_2^{\mathsf T} / r)",
                    with_frozen_weight,
                ),
            ),
            corrected=Claim(
                r"\overline W_Q^\star = 0:\quad D^{-1} \exp\bigl(C^{(1)} (\overline W_Q^\star"
                r" + B_Q A_Q) (C^{(2)})^{\mathsf T}\bigr)"
                r" = D^{-1} \exp(A_1 X A_2^{\mathsf T} / r)",
                without_frozen_weight,
                code=(embed,),
                equivalent=SQUARE_X_EMBEDDED,
            ),
            severity=Severity.MISSING,
            problem="The loss (3.3) has the frozen weight in its scores, and the substitution says"
            " nothing about it. For another weight than 0 the scores, and the gradient, are not"
            " those of the instance.",
        ),
        Part(
            "the norms",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\|C^{(2)}\|_\infty, \|C^{(1)} B_Q A_Q\|_\infty, \|Y\|_\infty \le B",
                    norms,
                    extremal=(
                        (
                            {},
                            {"A1": [[1]], "A2": [[1]], "A3": [[1]], "X": [[1]], "E": [[1]]},
                        ),
                    ),
                ),
            ),
        ),
        Part(
            "the scores",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"A_1 X A_2^{\mathsf T} / r = C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}",
                    scores,
                    code=(embed,),
                    equivalent=SQUARE_X_EMBEDDED,
                ),
            ),
        ),
        Part(
            "the exponentials",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\exp(A_1 X A_2^{\mathsf T}) / r"
                    r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr)",
                    exponentials_printed,
                ),
            ),
            corrected=Claim(
                r"\exp(A_1 X A_2^{\mathsf T} / r)"
                r" = \exp\bigl(C^{(1)} B_Q A_Q (C^{(2)})^{\mathsf T}\bigr)",
                exponentials,
            ),
            severity=Severity.TYPO,
            problem="The division by r belongs inside the exponential, as in the line before.",
        ),
        Part(
            "the residuals",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"(f C^{(3)} - Y)|_{L \times r} = (f A_3 - E)|_{L \times r}",
                    residuals,
                    reading="the L x r block of an L x d matrix is its first r columns, on the"
                    " left, not an upper block",
                ),
            ),
            corrected=Claim(
                r"f C^{(3)} - Y = [f A_3 - E, 0],\quad"
                r" \mathcal L(\overline W_Q^\star + B_Q A_Q) = \mathcal L(X)",
                residuals_and_losses,
                code=(embed, attention_loss),
                equivalent={**SQUARE_X, **SQUARE_X_EMBEDDED},
            ),
            severity=Severity.NOTATION,
            problem="An upper block keeps all columns and some rows; an L x r block of an L x d"
            " matrix keeps all rows. That the other columns vanish is not said, without which the"
            " losses need not be equal.",
        ),
        Part(
            "the gradients",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}",
                    gradients_printed,
                ),
                Claim(
                    r"\frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]",
                    gradient_in_block,
                    reading="the partial derivative in those columns of A_Q that hold X",
                ),
            ),
            corrected=Claim(
                r"\frac{\partial\mathcal L}{\partial A_Q}"
                r" = \Bigl[ \frac{\mathrm d\mathcal L}{\mathrm dX}, 0 \Bigr]",
                gradients,
                code=(embed, answer),
                equivalent=SQUARE_X_EMBEDDED,
            ),
            severity=Severity.NOTATION,
            problem="The gradient in X is r x r, that in A_Q r x d: they agree in the columns that"
            " hold X, and the others are 0.",
        ),
        Part(
            "the answers",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\widetilde G_A = \widetilde g:\quad"
                    r" \left\|\widetilde G_A - \frac{\partial\mathcal L}{\partial A_Q}"
                    r"\right\|_\infty \le \epsilon",
                    answers_printed,
                ),
            ),
            corrected=Claim(
                r"\widetilde g = \widetilde G_A[\cdot, 1 \ldots r]:\quad"
                r" \widetilde g - \frac{\mathrm d\mathcal L}{\mathrm dX} ="
                r" \Bigl(\widetilde G_A - \frac{\partial\mathcal L}{\partial A_Q}\Bigr)"
                r"[\cdot, 1 \ldots r],\quad"
                r" \left\|\widetilde g - \frac{\mathrm d\mathcal L}{\mathrm dX}\right\|_\infty"
                r" \le \epsilon",
                answers,
                code=(answer,),
            ),
            severity=Severity.ILL_TYPED,
            problem="The assignment is the wrong way round: an answer to Problem 2 is to give one"
            " to AAttLGC. Nor do the shapes fit: g belongs to X, r x r (printed L x L), G_A to A_Q,"
            " r x d (printed d x r).",
        ),
        Part(
            "the time of the reduction",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(r"O(1)\text{ time}", constant_time),
                Claim(
                    r"\text{one call: } \frac{\mathrm d\mathcal L}{\mathrm dX}"
                    r" = \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]",
                    gradient_in_block,
                    reading="O(1) counts the instances of ALoRAGC that are solved, which is one",
                ),
            ),
            corrected=Claim(r"(2 L + 2 M + d + 2 r)\, d = O(L d)\text{ numbers written}", written),
            severity=Severity.NOTATION,
            problem="Writing the instance down takes time O(L d). For d = O(log L) that is far"
            " below any L^(2 - delta) with delta < 1, so nothing breaks.",
        ),
    ),
    remark="C1 and B_Q are given by their product only; [A1, 0] and [I_r; 0] are one choice, which"
    " needs d >= r. Nothing needs E = Y = 0. Where r is no power of 2 the entries of A2 / r are not"
    " binary fractions; if numbers of log(L) bits are binary fractions, C2 is rounded, which the"
    " proof does not account for.",
)


RECORDS = (DEFINITION_G1, LEMMA_G1, PROOF_OF_THEOREM_A1)
