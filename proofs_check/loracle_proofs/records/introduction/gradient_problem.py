"""Problem 1 and Remark 1.1: approximate gradients, and what the problem covers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from loracle_proofs.records.introduction.norms import is_scalar, largest
from loracle_proofs.records.vectorization import indices, row
from loracle_proofs.relation import Relation, at_most, equal, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, PROBLEM_2, full_loss, weight_loss
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import lora_attention_loss
from loracle_reference.gradient import lora_attention_gradient

__all__ = ["RECORDS"]


def _closed_forms(
    XQ: Matrix,
    XK: Matrix,
    XV: Matrix,
    WQ0: Matrix,
    WK0: Matrix,
    WV0: Matrix,
    AQ: Matrix,
    BQ: Matrix,
    AK: Matrix,
    BK: Matrix,
    AV: Matrix,
    BV: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> dict[str, Matrix]:
    return lora_attention_gradient(
        x_q=XQ,
        x_k=XK,
        x_v=XV,
        w_q=WQ0,
        w_k=WK0,
        w_v=WV0,
        a_q=AQ,
        b_q=BQ,
        a_k=AK,
        b_k=BK,
        a_v=AV,
        b_v=BV,
        scaling=s,
        beta=beta,
        y=Y,
    )


def _gradients(derivative: Any) -> dict[str, Matrix]:
    return {
        f"grad_{name[0].lower()}_{name[1].lower()}": derivative(full_loss, name)
        for name in ("AQ", "BQ", "AK", "BK", "AV", "BV")
    }


def _is_small(L: int, M: int, d: int, r: int) -> bool:
    # Six gradients from the loss, an evaluation of it for each of their entries.
    return max(L, M, d) <= 3 and r <= 2


_GRADIENTS_A = ("grad_a_q", "grad_a_k", "grad_a_v")
_GRADIENTS_B = ("grad_b_q", "grad_b_k", "grad_b_v")

PROBLEM_1 = replace(
    FULL_ADAPTATION,
    name="Problem 1",
    shapes={**FULL_ADAPTATION.shapes, "EA": ("r", "d"), "EB": ("d", "r")},
    derived={
        **FULL_ADAPTATION.derived,
        "closed": _closed_forms,
        "gradients": _gradients,
    },
    constraint=_is_small,
)
"""EA and EB: the errors of the surrogates; closed: the specification's six gradients in closed
form; gradients: the six from the loss."""


def surrogates_of_printed_shapes(
    closed: dict[str, Matrix], gradients: dict[str, Matrix], EA: Matrix, EB: Matrix
) -> list[Relation]:
    """Surrogates of shapes (d, r) for A and (r, d) for B, off by E^T: their error is max |E|."""
    errors_a = [closed[name].T + EA.T - gradients[name] for name in _GRADIENTS_A]
    errors_b = [closed[name].T + EB.T - gradients[name] for name in _GRADIENTS_B]
    return [equal(largest(*errors_a, *errors_b), largest(EA, EB))]


def surrogates_of_adapter_shapes(
    closed: dict[str, Matrix], gradients: dict[str, Matrix], EA: Matrix, EB: Matrix
) -> list[Relation]:
    """Surrogates of shapes (r, d) for A and (d, r) for B: the closed forms, off by E, solve
    Problem 1 for epsilon = max |E| and for no smaller epsilon."""
    errors_a = [closed[name] + EA - gradients[name] for name in _GRADIENTS_A]
    errors_b = [closed[name] + EB - gradients[name] for name in _GRADIENTS_B]
    return [
        *(equal(error, EA) for error in errors_a),
        *(equal(error, EB) for error in errors_b),
        equal(largest(*errors_a, *errors_b), largest(EA, EB)),
    ]


def some_epsilon(
    closed: dict[str, Matrix], gradients: dict[str, Matrix], EA: Matrix, EB: Matrix, ones: Any
) -> Relation:
    """There is an epsilon > 0 for which the surrogates solve the problem: their error plus one."""
    errors = [closed[name] + (EA if "_a_" in name else EB) - gradients[name] for name in gradients]
    epsilon = largest(*errors) + ones(1)
    return at_most(largest(*errors), epsilon)


def some_epsilon_for_zero(gradients: dict[str, Matrix], ones: Any) -> Relation:
    """There is an epsilon > 0 for which six matrices of zeros solve the problem."""
    errors = list(gradients.values())
    epsilon = largest(*errors) + ones(1)
    return at_most(largest(*errors), epsilon)


def _zero(epsilon: Matrix) -> Matrix:
    return epsilon.scale(0)


TOLERANCE = Setting(
    "Problem 1 with epsilon given",
    shapes={"epsilon": ("one", "one")},
    derived={"AV": _zero},
    constraint=is_scalar,
)


def unit_loss(AV: Matrix, epsilon: Matrix) -> Matrix:
    """The loss of one token in one dimension with the value adapter free: the other five adapters,
    and W_V*, are zero, x = b_V = s = 1, y = 2 epsilon."""
    unit = AV.scale(0).exp()
    zero = AV.scale(0)
    return lora_attention_loss(
        x_q=unit,
        x_k=unit,
        x_v=unit,
        w_q=unit,
        w_k=unit,
        w_v=zero,
        a_q=zero,
        b_q=zero,
        a_k=zero,
        b_k=zero,
        a_v=AV,
        b_v=unit,
        scaling=1,
        beta=1,
        y=epsilon.scale(2),
    )


def zero_misses_given_epsilon(derivative: Any, epsilon: Matrix) -> Relation:
    """For every given epsilon there is an instance at which zeros are 2 |epsilon| away."""
    return equal(max_norm(derivative(unit_loss, "AV")), max_norm(epsilon).scale(2))


_SHAPED = Claim(
    r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{r \times d},\;"
    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{d \times r}",
    surrogates_of_adapter_shapes,
)

PROBLEM_1_RECORD = Record(
    "Problem 1",
    title="Approximate LoRA gradient computation",
    kind=Kind.PROBLEM,
    printed=r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{d \times r},\;"
    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{r \times d},\ \mu = K, Q, V:\quad"
    r" \max_\mu\left(\left\|\widetilde{G}_\mu^{(B)} - \frac{\partial \mathcal{L}}"
    r"{\partial B_\mu}\right\|_\infty, \left\|\widetilde{G}_\mu^{(A)} -"
    r" \frac{\partial \mathcal{L}}{\partial A_\mu}\right\|_\infty\right) \le \epsilon"
    r" \text{ for some } \epsilon > 0",
    corrected=r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{r \times d},\;"
    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{d \times r}\text{, for the given }"
    r" \epsilon > 0",
    uses=("Definition 1.2",),
    parts=(
        Part(
            "the shapes of the surrogates",
            setting=PROBLEM_1,
            printed=(
                Claim(
                    r"\widetilde{G}_\mu^{(A)} \in \mathbb{R}^{d \times r},\;"
                    r" \widetilde{G}_\mu^{(B)} \in \mathbb{R}^{r \times d}",
                    surrogates_of_printed_shapes,
                ),
            ),
            corrected=_SHAPED,
            severity=Severity.ILL_TYPED,
            problem="A has shape (r, d) and B has (d, r), and so have the gradients; the"
            " differences in the problem do not exist unless r = d.",
        ),
        Part(
            "the tolerance",
            setting=PROBLEM_1,
            printed=(
                Claim(
                    r"\exists\, \epsilon > 0:\ \max_\mu(\ldots) \le \epsilon",
                    some_epsilon,
                ),
            ),
            trivial=Claim(
                r"\widetilde{G}_\mu^{(A)} = 0,\ \widetilde{G}_\mu^{(B)} = 0", some_epsilon_for_zero
            ),
            corrected=Claim(
                r"\forall \epsilon\ \exists \text{ an instance}: \left\|0 - \frac{\partial"
                r" \mathcal{L}}{\partial A_V}\right\|_\infty = 2 \epsilon",
                zero_misses_given_epsilon,
                setting=TOLERANCE,
            ),
            severity=Severity.NOTATION,
            problem="For some epsilon, any six matrices solve the problem, zeros among them;"
            " epsilon must be given, as the name ALoRAGC(L, d, r, epsilon) and Problem 2 have it.",
        ),
    ),
    remark="The surrogates of the corrected form are the closed forms of the specification, changed"
    " by an error; they are held to the gradients that dual numbers take from the loss. Problem 1"
    " has six gradients; Problems 2 and 3, which the theorems solve, have two and four. Numbers"
    " have log(L) bits here and O(log L) in Theorem 3.1.",
)


def row_loss(j: int, C1: Matrix, C2: Matrix, C3: Matrix, W: Matrix, Y: Matrix) -> Matrix:
    """What query j contributes to (3.4): its own loss, shape (1, 1)."""
    return weight_loss(row(C1, j), C2, C3, W, row(Y, j))


def _mean(matrices: list[Matrix]) -> Matrix:
    total = matrices[0]
    for other in matrices[1:]:
        total = total + other
    return total.scale(Fraction(1, len(matrices)))


def sampled_rows(derivative: Any, dL_dW: Matrix, L: int) -> Relation:
    """The mean, over a query j drawn uniformly, of L times its gradient is the gradient."""
    drawn = [derivative(partial(row_loss, j), "W").scale(L) for j in indices(L)]
    return equal(_mean(drawn), dL_dW)


REMARK_1_1 = Record(
    "Remark 1.1",
    title="What the problem covers",
    kind=Kind.REMARK,
    printed=r"\text{sampling and quantisation yield surrogate gradients}",
    uses=("Problem 1",),
    parts=(
        Part(
            "the scope",
            cites="A statement about what other work does (Pan et al. 2024, Li et al. 2024,"
            " Dettmers et al. 2024); whether a given method reaches a given epsilon is not said.",
        ),
        Part(
            "sampling",
            setting=PROBLEM_2,
            printed=(
                Claim(
                    r"\frac{1}{L} \sum_{j=1}^L L\, \frac{\partial \mathcal{L}_j}{\partial W} ="
                    r" \frac{\partial \mathcal{L}}{\partial W}",
                    sampled_rows,
                ),
            ),
        ),
    ),
    remark="A sampled surrogate is right in the mean only, and only with the weight L; Problem 1"
    " asks for every entry of the one that is returned.",
)

RECORDS = (PROBLEM_1_RECORD, REMARK_1_1)
