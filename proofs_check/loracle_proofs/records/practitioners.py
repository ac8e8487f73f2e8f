"""Appendix C, insights for practitioners: Remarks C.1 to C.3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.records.reduction import ATTENTION_LOSS, gradient_at
from loracle_proofs.relation import Relation, at_most, equal, less, max_norm
from loracle_proofs.setting import Setting
from loracle_proofs.settings import FULL_ADAPTATION, PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    adapted_weight,
    aloragc_loss,
    attention_probabilities,
    lora_attention_loss,
)
from loracle_reference.reduction import (
    AttentionLossInstance,
    answer,
    embed,
    embed_in_full_adaptation,
    embed_in_self_attention,
)
from loracle_reference.vectorization import vec

__all__ = ["RECORDS"]


def nothing_for_values(gradient: Any, AV: Matrix, BV: Matrix) -> list[Relation]:
    """The gradients that Problem 3 does not ask for, those in A_V and B_V, are 0."""
    return [equal(gradient("AV"), AV.scale(0)), equal(gradient("BV"), BV.scale(0))]


def values(
    XV: Matrix, AV: Matrix, BV: Matrix, f: Matrix, c: Matrix, s: Scalar, gradient: Any
) -> list[Relation]:
    """dL/dW_V = X_V^T f^T c, and the gradients in A_V and B_V from it."""
    dL_dWV = XV.T @ f.T @ c
    return [
        equal(gradient("AV"), (BV.T @ dL_dWV).scale(s)),
        equal(gradient("BV"), (dL_dWV @ AV.T).scale(s)),
    ]


_VALUES = Claim(
    r"\frac{\partial\mathcal L}{\partial A_V} = \tfrac{\alpha}{r} B_V^{\mathsf T}"
    r" (X^{(V)})^{\mathsf T} f^{\mathsf T} c,\quad"
    r" \frac{\partial\mathcal L}{\partial B_V} = \tfrac{\alpha}{r}"
    r" (X^{(V)})^{\mathsf T} f^{\mathsf T} c\, A_V^{\mathsf T}",
    values,
)

REMARK_C1 = Record(
    "Remark C.1",
    title="Full adaptation is analysed in Appendix B",
    kind=Kind.REMARK,
    printed=r"W_K, W_Q, W_V:\ \text{Appendix B}",
    corrected=r"W_K, W_Q:\ \text{Appendix B};\qquad"
    r" \frac{\partial\mathcal L}{\partial W_V} = (X^{(V)})^{\mathsf T} f^{\mathsf T} c",
    uses=("Definition B.1", "Equation (B.2)", "Problem 3", "Simplification (S1)"),
    parts=(
        Part(
            "all three weights",
            setting=FULL_ADAPTATION,
            printed=(
                Claim(
                    r"\frac{\partial\mathcal L}{\partial A_V} = 0,\quad"
                    r" \frac{\partial\mathcal L}{\partial B_V} = 0"
                    r"\quad\text{(nothing is left out by (B.2))}",
                    nothing_for_values,
                    reading="Appendix B, which fixes W_V, leaves nothing out",
                ),
                replace(
                    _VALUES,
                    reading="by (S1) the gradients in A_V and B_V are left to f and c",
                ),
            ),
            corrected=_VALUES,
            severity=Severity.MISSING,
            problem="Appendix B fixes W_V after Definition B.1, and Problem 3 asks for four"
            " gradients of the six. The two in A_V and B_V are not 0; they need f and c alone, and"
            " a low-rank f gives them without an L x L matrix.",
        ),
    ),
)


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


SELF_ATTENTION = Setting(
    "self-attention",
    shapes={
        "X": ("L", "d"),
        "WQ": ("d", "d"),
        "WK": ("d", "d"),
        "WV": ("d", "d"),
    },
    scalars=("beta",),
)

ONE_LENGTH = replace(
    ATTENTION_LOSS,
    name="Definition G.1 with as many keys as queries",
    shapes={
        "A1": ("L", "r"),
        "A2": ("L", "r"),
        "A3": ("L", "r"),
        "X": ("r", "r"),
        "E": ("L", "r"),
        "W0": ("d", "d"),
    },
    scalars=(),
    square={},
)


def one_input(
    X: Matrix, WQ: Matrix, WK: Matrix, WV: Matrix, beta: Scalar, L: int, ones: Any
) -> Relation:
    """Definition 2.5 with three equal inputs is equation (1.1)."""
    u = (X @ WQ @ WK.T @ X.T).scale(beta).exp()
    generic = attention_probabilities(X @ WQ, X @ WK, beta) @ (X @ WV)
    return equal((u @ X @ WV).divide_rows(u @ ones(L)), generic)


def hard_instances_have_one_input(
    instance: AttentionLossInstance[Matrix], d: int, constant: Any
) -> list[Relation]:
    """The inputs of the instances of Theorem A.1's proof are equal."""
    full = embed_in_full_adaptation(embed(instance, d, constant), constant)
    return [equal(full["x_q"], full["x_k"]), equal(full["x_k"], full["x_v"])]


def hard_instances_of_self_attention(
    instance: AttentionLossInstance[Matrix], r: int, dL_dX: Matrix, constant: Any
) -> list[Relation]:
    """One input [A1, A2, A3], whose dL/dA_Q has dL/dX for its first r columns."""
    full = embed_in_self_attention(instance, constant)
    dL_dA = gradient_at(lora_attention_loss, full, "a_q", constant)
    return [
        equal(full["x_q"], full["x_k"]),
        equal(full["x_k"], full["x_v"]),
        equal(answer(dL_dA, r), dL_dX),
    ]


def hard_instances_have_one_context(
    instance: AttentionLossInstance[Matrix], d: int, constant: Any
) -> Relation:
    """The inputs of keys and values of the instances of Theorem A.1's proof are equal."""
    full = embed_in_full_adaptation(embed(instance, d, constant), constant)
    return equal(full["x_k"], full["x_v"])


def hard_instances_of_cross_attention(
    instance: AttentionLossInstance[Matrix],
    A1: Matrix,
    A2: Matrix,
    A3: Matrix,
    f: Matrix,
    r: int,
    dL_dX: Matrix,
    constant: Any,
) -> list[Relation]:
    """Queries from [A1, 0, 0], keys and values from [0, A2, A3], with the weights of the embedding
    in self-attention: f and the values are those of the instance, and dL/dA_Q has dL/dX for its
    first r columns."""
    full = embed_in_self_attention(instance, constant)
    nothing = A1.scale(0)
    queries = A1.beside(nothing).beside(nothing)
    context = nothing.beside(A2).beside(A3)
    full = {**full, "x_q": queries, "x_k": context, "x_v": context}
    W_Q = adapted_weight(full["w_q"], full["b_q"], full["a_q"], full["scaling"])
    dL_dA = gradient_at(lora_attention_loss, full, "a_q", constant)
    return [
        equal(attention_probabilities(queries @ W_Q, context @ full["w_k"], full["beta"]), f),
        equal(context @ full["w_v"], A3.beside(nothing).beside(nothing)),
        equal(answer(dL_dA, r), dL_dX),
    ]


_CROSS_ATTENTION = Claim(
    r"X^{(Q)} = [A_1, 0, 0],\ X^{(K)} = X^{(V)} = [0, A_2, A_3]:\quad"
    r" \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]"
    r" = \frac{\mathrm d\mathcal L}{\mathrm dX}",
    hard_instances_of_cross_attention,
)

REMARK_C3 = Record(
    "Remark C.3",
    title="Self- and cross-attention",
    kind=Kind.REMARK,
    printed=r"\text{all results hold for } X^{(K)} = X^{(Q)} = X^{(V)}"
    r"\text{ and for } X^{(K)} = X^{(V)} \ne X^{(Q)}",
    uses=("Definition 2.5", "Remark 2.1", "Theorem A.1", "Theorem 3.1"),
    parts=(
        Part(
            "algorithms",
            setting=SELF_ATTENTION,
            printed=(
                Claim(
                    r"X^{(K)} = X^{(Q)} = X^{(V)} = X:\quad D^{-1}"
                    r" \exp(X W_Q W_K^{\mathsf T} X^{\mathsf T} \beta) X W_V",
                    one_input,
                ),
            ),
        ),
        Part(
            "hardness",
            setting=ONE_LENGTH,
            printed=(
                Claim(
                    r"\text{the instances of Theorem A.1's proof have } X^{(K)} = X^{(Q)} ="
                    r" X^{(V)}",
                    hard_instances_have_one_input,
                ),
                Claim(
                    r"X^{(K)} = X^{(Q)} = X^{(V)} = [A_1, A_2, A_3]:\quad"
                    r" \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]"
                    r" = \frac{\mathrm d\mathcal L}{\mathrm dX}",
                    hard_instances_of_self_attention,
                    reading="hardness is had from another embedding, not from the generic setting",
                ),
            ),
            corrected=Claim(
                r"X^{(K)} = X^{(Q)} = X^{(V)} = [A_1, A_2, A_3]:\quad"
                r" \frac{\partial\mathcal L}{\partial A_Q}[\cdot, 1 \ldots r]"
                r" = \frac{\mathrm d\mathcal L}{\mathrm dX}",
                hard_instances_of_self_attention,
                code=(embed_in_self_attention,),
                equivalent={
                    "embed_in_self_attention: 0 -> 1 #1": "it stands in the message of a refusal",
                },
            ),
            severity=Severity.FATAL_TO_PROOF,
            problem="That the problem is generic gives self-attention the algorithms but not the"
            " hardness: a special case of a hard problem may be easy, and the hard instances have"
            " three different inputs. The claim holds all the same, by another embedding of width"
            " 3 r.",
        ),
        Part(
            "hardness of cross-attention",
            setting=ONE_LENGTH,
            printed=(
                Claim(
                    r"\text{the instances of Theorem A.1's proof have } X^{(K)} = X^{(V)}",
                    hard_instances_have_one_context,
                ),
                replace(
                    _CROSS_ATTENTION,
                    reading="hardness is had from another embedding, not from the generic setting",
                ),
            ),
            corrected=_CROSS_ATTENTION,
            severity=Severity.FATAL_TO_PROOF,
            problem="As for self-attention: keys and values of the hard instances come from two"
            " different inputs, so that they are no cross-attention. The claim holds all the same,"
            " by the weights of the embedding in self-attention and an input of their own for the"
            " queries.",
        ),
    ),
    remark="Both embeddings take weights W_K and W_V that select a block of the input, and"
    " beta = 1 / r, or beta = 1 and W_K / r.",
)


RECORDS = (REMARK_C1, REMARK_C2, REMARK_C3)
