"""Remark C.3: self- and cross-attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loracle_proofs.records.reduction.attention_loss import ATTENTION_LOSS
from loracle_proofs.records.reduction.gradients import gradient_at
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import adapted_weight, attention_probabilities, lora_attention_loss
from loracle_reference.reduction import (
    AttentionLossInstance,
    answer,
    embed,
    embed_in_full_adaptation,
    embed_in_self_attention,
)

__all__ = ["RECORDS"]

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


RECORDS = (REMARK_C3,)
