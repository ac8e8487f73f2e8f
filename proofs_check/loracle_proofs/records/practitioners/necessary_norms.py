"""Remark C.2: norms as necessary conditions."""

from __future__ import annotations

from typing import Any

from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import aloragc_loss, attention_probabilities
from loracle_reference.reduction import AttentionLossInstance, embed
from loracle_reference.vectorization import vec

__all__ = ["RECORDS"]


def _one(one: int) -> bool:
    return one == 1


KEYS = Setting(
    "Problem 2 with a common vector in the keys",
    shapes={**PROBLEM_2.shapes, "k": ("one", "d")},
    scalars=("Gamma",),
    square={"M": "L"},
    constraint=_one,
    limits={"r": 2, "one": 1},
)
"""k is a vector that all keys share, Gamma a bound of norms."""


def gradients_of(arguments: dict[str, Matrix], constant: Any) -> tuple[Matrix, Matrix]:
    """dL/dA and dL/dB of Problem 2, from the loss."""
    return (
        gradient_at(aloragc_loss, arguments, "a", constant),
        gradient_at(aloragc_loss, arguments, "b", constant),
    )


def equal_keys_need_small_norms(
    C1: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    k: Matrix,
    M: int,
    ones: Any,
    constant: Any,
    Gamma: Scalar,
) -> list[Relation]:
    """With equal keys the gradients are 0, and ||C2|| <= |Gamma|."""
    C2 = ones(M) @ k
    dL_dA, dL_dB = gradients_of(
        {"c1": C1, "c2": C2, "c3": C3, "w": W0, "a": A, "b": B, "y": Y}, constant
    )
    return [
        equal(dL_dA, A.scale(0)),
        equal(dL_dB, B.scale(0)),
        at_most(max_norm(C2), constant([[abs(Gamma)]])),
    ]


def equal_keys(
    C1: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    k: Matrix,
    M: int,
    ones: Any,
    constant: Any,
) -> list[Relation]:
    """With equal keys the gradients are 0, whatever the norms."""
    C2 = ones(M) @ k
    dL_dA, dL_dB = gradients_of(
        {"c1": C1, "c2": C2, "c3": C3, "w": W0, "a": A, "b": B, "y": Y}, constant
    )
    return [equal(dL_dA, A.scale(0)), equal(dL_dB, B.scale(0))]


def shifted_keys_need_small_norms(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    k: Matrix,
    M: int,
    ones: Any,
    constant: Any,
    Gamma: Scalar,
) -> list[Relation]:
    """Keys C2 + 1 k^T have the gradients of C2, and ||C2 + 1 k^T|| <= |Gamma|."""
    rest = {"c1": C1, "c3": C3, "w": W0, "a": A, "b": B, "y": Y}
    shifted = C2 + ones(M) @ k
    before = gradients_of({"c2": C2, **rest}, constant)
    after = gradients_of({"c2": shifted, **rest}, constant)
    return [
        equal(before[0], after[0]),
        equal(before[1], after[1]),
        at_most(max_norm(shifted), constant([[abs(Gamma)]])),
    ]


def shifted_keys(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    k: Matrix,
    M: int,
    ones: Any,
    constant: Any,
) -> list[Relation]:
    """Keys C2 + 1 k^T have the gradients of C2, whatever the norms."""
    rest = {"c1": C1, "c3": C3, "w": W0, "a": A, "b": B, "y": Y}
    shifted = C2 + ones(M) @ k
    before = gradients_of({"c2": C2, **rest}, constant)
    after = gradients_of({"c2": shifted, **rest}, constant)
    return [
        equal(shifted.take_rows([0]), C2.take_rows([0]) + k),
        equal(before[0], after[0]),
        equal(before[1], after[1]),
    ]


def composed_printed(
    XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, f: Matrix
) -> Relation:
    """f = softmax(beta (X_Q W_Q W_K) X_K^T)."""
    return equal(f, attention_probabilities(XQ @ WQ @ WK, XK, beta))


def composed(XQ: Matrix, XK: Matrix, WQ: Matrix, WK: Matrix, beta: Scalar, f: Matrix) -> Relation:
    """f = softmax(beta (X_Q W_Q W_K^T) X_K^T)."""
    return equal(f, attention_probabilities(XQ @ WQ @ WK.T, XK, beta))


def hard_instances_exceed(
    instance: AttentionLossInstance[Matrix],
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    d: int,
    constant: Any,
) -> Relation:
    """The instances of Theorem A.1's proof have norms above those of Lemma G.1's."""
    hard = embed(instance, d, constant)
    given = vec(A1 @ X).T.beside(vec(A2).T)
    embedded = vec(hard.c2).T.beside(vec(hard.c1 @ hard.b @ hard.a).T)
    return less(max_norm(given), max_norm(embedded))


def hard_instances_within(
    instance: AttentionLossInstance[Matrix],
    A1: Matrix,
    A2: Matrix,
    X: Matrix,
    d: int,
    constant: Any,
) -> list[Relation]:
    """They have norms at most as large."""
    hard = embed(instance, d, constant)
    return [
        at_most(max_norm(hard.c2), max_norm(A2)),
        at_most(max_norm(hard.c1 @ hard.b @ hard.a), max_norm(A1 @ X)),
    ]


REMARK_C2 = Record(
    "Remark C.2",
    title="Norms as necessary conditions",
    kind=Kind.REMARK,
    printed=r"\text{necessary for subquadratic time: } \|X^{(K)} W_K^\star\| \le \Gamma,\quad"
    r" \|\alpha X_i^{(Q)} B_Q A_Q / r\| \le \Gamma,\quad"
    r" \Gamma = O(\sqrt{\log L} \cdot \kappa(L));\qquad"
    r" \text{for almost linear time: } \left\|\frac\alpha r X^{(Q)} W\right\|_\infty \le \Gamma,"
    r"\quad \|X^{(K)} W_K^\star\|_\infty \le \Gamma;\quad"
    r" \left\|X^{(Q)} \Bigl(W_Q^\star + \frac\alpha r B_Q A_Q\Bigr) W_K\right\|_\infty,"
    r" \|X^{(K)}\|, \|X^{(Q)} W_Q\|,"
    r" \left\|X^{(K)} \Bigl(W_K^\star + \frac\alpha r B_K A_K\Bigr)\right\|_\infty \le \Gamma,"
    r"\quad \Gamma = o(\sqrt{\log L})",
    corrected=r"\text{for Theorems 3.1 and B.1: sufficient, not necessary, with }"
    r" \beta d\, \Gamma_Q \Gamma_K = o(\log L)\text{ for }\Gamma = o(\sqrt{\log L});\quad"
    r" \left\|X^{(Q)} \Bigl(W_Q^\star + \frac\alpha r B_Q A_Q\Bigr) W_K^{\mathsf T}\right\|_\infty",
    uses=("Theorem A.1", "Theorem 3.1", "Theorem B.1"),
    parts=(
        Part(
            "necessary for subquadratic time",
            setting=KEYS,
            printed=(
                Claim(
                    r"C^{(2)} = \mathbb 1 k^{\mathsf T}:\quad"
                    r" \frac{\partial\mathcal L}{\partial A_Q} = 0,\quad"
                    r" \frac{\partial\mathcal L}{\partial B_Q} = 0"
                    r"\quad\text{and}\quad \|C^{(2)}\|_\infty \le \Gamma",
                    equal_keys_need_small_norms,
                ),
            ),
            corrected=Claim(
                r"C^{(2)} = \mathbb 1 k^{\mathsf T}:\quad"
                r" \frac{\partial\mathcal L}{\partial A_Q} = 0,\quad"
                r" \frac{\partial\mathcal L}{\partial B_Q} = 0",
                equal_keys,
                equivalent={
                    f"equal_keys: equal(dL_d{x}, {x}.scale(0)) ->"
                    f" equal(dL_d{x}, negated({x}.scale(0)))": "0 is its own negative"
                    for x in "AB"
                },
            ),
            severity=Severity.MISSING,
            problem="An instance may be easy whatever its norms: with equal keys the gradients are"
            " 0. Theorem A.1 is about algorithms that must be right on all instances of a norm, and"
            " only for those is a bound of the norm necessary, under SETH.",
        ),
        Part(
            "the bound of the first bullet",
            setting=ATTENTION_LOSS,
            printed=(
                Claim(
                    r"\text{hard instances: } \max(\|C^{(2)}\|_\infty,"
                    r" \|C^{(1)} B_Q A_Q\|_\infty) > \max(\|A_1 X\|_\infty, \|A_2\|_\infty)"
                    r" = O(\sqrt{\log L} \cdot \kappa(L))",
                    hard_instances_exceed,
                ),
            ),
            corrected=Claim(
                r"\text{hard instances: } \|C^{(2)}\|_\infty \le \|A_2\|_\infty,\quad"
                r" \|C^{(1)} B_Q A_Q\|_\infty \le \|A_1 X\|_\infty",
                hard_instances_within,
                extremal=(
                    (
                        {"L": 1, "M": 1, "r": 1, "d": 1},
                        {"A1": [[1]], "A2": [[1]], "A3": [[1]], "X": [[1]], "E": [[1]]},
                    ),
                ),
            ),
            severity=Severity.FATAL_TO_STATEMENT,
            problem="The bullet asks for the norms of Theorem A.1's hard instances: whoever"
            " normalizes to this Gamma is in the class that is proved hard. Under SETH, Gamma must"
            " stay below sqrt(log L) kappa for every such kappa.",
        ),
        Part(
            "necessary for almost linear time",
            setting=KEYS,
            printed=(
                Claim(
                    r"C^{(2)} + \mathbb 1 k^{\mathsf T}\text{ has the gradients of } C^{(2)}"
                    r"\quad\text{and}\quad"
                    r" \|C^{(2)} + \mathbb 1 k^{\mathsf T}\|_\infty \le \Gamma",
                    shifted_keys_need_small_norms,
                ),
            ),
            corrected=Claim(
                r"C^{(2)} + \mathbb 1 k^{\mathsf T}\text{ has the gradients of } C^{(2)}",
                shifted_keys,
            ),
            severity=Severity.FATAL_TO_STATEMENT,
            problem="Theorems 3.1 and B.1 have bounds of these norms for hypotheses, which makes"
            " them sufficient at best, not necessary. A vector added to all keys changes neither f"
            " nor the gradients, so that every instance that is solved fast has others of any norm"
            " beside it that are.",
        ),
        Part(
            "the composed norm of full adaptation",
            setting=FULL_ADAPTATION,
            printed=(
                Claim(
                    r"f = \operatorname{softmax}\bigl(\beta\, (X^{(Q)} W_Q W_K)"
                    r" (X^{(K)})^{\mathsf T}\bigr)",
                    composed_printed,
                ),
            ),
            corrected=Claim(
                r"f = \operatorname{softmax}\bigl(\beta\, (X^{(Q)} W_Q W_K^{\mathsf T})"
                r" (X^{(K)})^{\mathsf T}\bigr)",
                composed,
            ),
            severity=Severity.TYPO,
            problem="What meets X_K in the scores, and what the norm must bound, is"
            " X_Q W_Q W_K^T: the transposition of W_K is missing.",
        ),
    ),
    remark="The limitations in Section 4 repeat the mistake: they say that necessary conditions are"
    " identified and no sufficient ones. Norms without an index are read as max norms. The first"
    " bullet bounds X_Q B_Q A_Q, without the frozen weight that the second has.",
)


RECORDS = (REMARK_C2,)
