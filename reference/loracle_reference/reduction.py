"""The reductions behind Theorem A.1, Remark A.2 and Remark C.3, as functions on instances.

Attention loss gradients (AAttLGC, Definition G.1) become LoRA gradients (ALoRAGC, Problem 2), and
these become gradients of full adaptation (Problem 3). Each embedding comes with what turns an
answer to the new instance into one to the old; both are exact, so an answer within epsilon in max
norm gives an answer within epsilon. Generic over an arithmetic: `constant` embeds the zeros and
ones that an embedding adds, and is usually `arithmetic.matrix`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Generic, TypeVar

import sympy

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Entries, Matrix, Scalar
from loracle_reference.attention import attention_probabilities, half_squared_norm, residual

__all__ = [
    "AloragcInstance",
    "AttentionLossInstance",
    "answer",
    "attention_loss",
    "balance",
    "balanced_norm_bound",
    "embed",
    "embed_in_full_adaptation",
    "embed_in_self_attention",
    "norm_bound_after_balancing",
]

M = TypeVar("M", bound=Matrix)


def attention_loss(*, a1: M, a2: M, a3: M, x: M, e: M) -> M:
    """L(X) = 1/2 ||D^-1 exp(A1 X A2^T / r) A3 - E||_F^2 of Definition G.1, shape (1, 1).

    D = diag(exp(A1 X A2^T / r) 1). Shapes: a1, e (L, r); a2, a3 (M, r); x (r, r); the definition
    has M = L.
    """
    f = attention_probabilities(a1 @ x, a2, Fraction(1, x.shape[0]))
    return half_squared_norm(residual(f, a3, e))


@dataclass(frozen=True)
class AttentionLossInstance(Generic[M]):
    """An instance of AAttLGC(L, r, epsilon), Definition G.1: the arguments of `attention_loss`.

    Shapes: a1, e (L, r); a2, a3 (M, r); x (r, r); else ValueError. The answer is dL/dX, (r, r),
    where the definition prints L x L. The definition's B bounds |A1 X| and |A2| in max norm.
    """

    a1: M
    a2: M
    a3: M
    x: M
    e: M

    def __post_init__(self) -> None:
        length, rank = self.a1.shape
        keys = self.a2.shape[0]
        shapes = {
            "a2": (keys, rank),
            "a3": (keys, rank),
            "x": (rank, rank),
            "e": (length, rank),
        }
        _require_shapes(self, shapes, f"a1 of shape {self.a1.shape}")

    def arguments(self) -> dict[str, M]:
        """By the names that `attention_loss` has for them."""
        return _by_name(self)


@dataclass(frozen=True)
class AloragcInstance(Generic[M]):
    """An instance of Problem 2: the arguments of `aloragc_loss` and `aloragc_gradient`.

    Shapes: c1, y (L, d); c2, c3 (M, d); w (d, d); b (d, r); a (r, d); else ValueError.
    """

    c1: M
    c2: M
    c3: M
    w: M
    a: M
    b: M
    y: M

    def __post_init__(self) -> None:
        length, width = self.c1.shape
        keys, rank = self.c2.shape[0], self.a.shape[0]
        shapes = {
            "c2": (keys, width),
            "c3": (keys, width),
            "w": (width, width),
            "a": (rank, width),
            "b": (width, rank),
            "y": (length, width),
        }
        _require_shapes(self, shapes, f"c1 of shape {self.c1.shape}")

    def arguments(self) -> dict[str, M]:
        """By the names that `aloragc_loss` has for them."""
        return _by_name(self)


def embed(
    instance: AttentionLossInstance[M], width: int, constant: Callable[[Entries], M]
) -> AloragcInstance[M]:
    """AAttLGC(L, r, epsilon) to ALoRAGC(L, d, r, epsilon), the proof of Theorem A.1.

    C1 = [A1, 0], B_Q = [I_r; 0], hence C1 B_Q = A1;   A_Q = [X, 0]
    C2 = [A2, 0] / r,   C3 = [A3, 0],   Y = [E, 0],   W* = 0
    The proof asks for C1 B_Q = A1 and names no W*; for another W* the scores would not be
    A1 X A2^T / r. They are then, so f is that of the instance; f C3 - Y = [f A3 - E, 0] by columns
    (the proof says rows), so the losses are equal. If |A1 X|, |A2| <= B in max norm, then
    |C1 (W* + B_Q A_Q)| <= B and |C2| <= B / r. Raises ValueError if d = width < r.
    """
    rank = instance.x.shape[0]
    if width < rank:
        raise ValueError(f"expected a width d of at least r = {rank}, got {width}")

    def padded(matrix: M) -> M:
        if width == rank:
            return matrix
        return matrix.beside(constant(_zeros(matrix.shape[0], width - rank)))

    return AloragcInstance(
        c1=padded(instance.a1),
        c2=padded(instance.a2).scale(Fraction(1, rank)),
        c3=padded(instance.a3),
        w=constant(_zeros(width, width)),
        a=padded(instance.x),
        b=constant(_unit_columns(width, 0, rank)),
        y=padded(instance.e),
    )


def answer(grad_a: M, rank: int) -> M:
    """dL/dX of the embedded instance: the first r columns of dL/dA_Q, shape (r, r).

    For `embed` and `embed_in_self_attention` alike, as A_Q = [X, 0] in both. A selection of
    entries: its error in max norm is at most that of grad_a (r, d).
    """
    return grad_a.take_columns(range(rank))


def balance(instance: AloragcInstance[M], factor: Scalar) -> AloragcInstance[M]:
    """C1 / t and t C2 for t = factor > 0: the same scores, loss, dL/dA and dL/dB.

    dL/dW = (C1 / t)^T p (t C2). Moves norm from the one hypothesis of Theorem 3.1 to the other:
    |C1 W| is divided by t and |C2| multiplied. Raises ValueError unless t is a positive rational.
    """
    t = as_fraction(factor)
    if t <= 0:
        raise ValueError(f"expected a positive factor, got {factor}")
    return replace(instance, c1=instance.c1.scale(1 / t), c2=instance.c2.scale(t))


def norm_bound_after_balancing(bound: Scalar, rank: int, factor: Scalar) -> Fraction:
    """Gamma = max(B / t, t B / r), what bounds |C1 W| and |C2| of `balance(embed(...), t)`.

    In max norm, if B bounds |A1 X| and |A2| (Definition G.1). Exact scalars; raises ValueError
    unless B >= 0, r >= 1 and t > 0.
    """
    b, t = as_fraction(bound), as_fraction(factor)
    if b < 0 or rank < 1 or t <= 0:
        raise ValueError(
            f"expected a bound >= 0, a rank >= 1 and a positive factor, got {bound}, {rank} and "
            f"{factor}"
        )
    return max(b / t, t * b / rank)


def balanced_norm_bound(bound: Any, rank: Any) -> Any:
    """B / sqrt(r), a sympy expression: the smallest Gamma that balancing reaches, at t = sqrt(r).

    In Lemma G.1, B = O(sqrt(log L) kappa) with any kappa that tends to infinity. For the hard
    instances of r = Theta(log L) columns Gamma = B / sqrt(r) = O(kappa), which for a slow kappa
    is o(sqrt(log L)): the hypothesis that Theorem 3.1 prints. What decides is r Gamma^2 = B^2,
    which bounds the scores and is not o(log L).
    """
    return sympy.sympify(bound) / sympy.sqrt(rank)


def embed_in_full_adaptation(
    instance: AloragcInstance[M], constant: Callable[[Entries], M]
) -> dict[str, Any]:
    """Problem 2 to Problem 3 (Remark A.2): the arguments of `lora_attention_loss`.

    X_Q = C1, X_K = C2, X_V = C3, W_Q* = W*, A_Q = A, B_Q = B; W_K* = W_V* = I and no adapter moves
    K or V (A = B = 0); s = beta = 1. Then X_K W_K = C2 and X_V W_V = C3, so the losses are equal,
    and dL/dA_Q, dL/dB_Q are Problem 2's dL/dA, dL/dB.
    """
    rank, width = instance.a.shape
    identity = constant(_unit_columns(width, 0, width))
    no_a, no_b = constant(_zeros(rank, width)), constant(_zeros(width, rank))
    return {
        "x_q": instance.c1,
        "x_k": instance.c2,
        "x_v": instance.c3,
        "w_q": instance.w,
        "w_k": identity,
        "w_v": identity,
        "a_q": instance.a,
        "b_q": instance.b,
        "a_k": no_a,
        "b_k": no_b,
        "a_v": no_a,
        "b_v": no_b,
        "scaling": 1,
        "beta": 1,
        "y": instance.y,
    }


def embed_in_self_attention(
    instance: AttentionLossInstance[M], constant: Callable[[Entries], M]
) -> dict[str, Any]:
    """AAttLGC to self-attention (Remark C.3): the arguments of `lora_attention_loss`, width 3 r.

    One input X_Q = X_K = X_V = [A1, A2, A3], whose blocks the weights select:
    W_Q* = 0, B_Q = [I; 0; 0], A_Q = [X, 0, 0]:  X_Q W_Q = [A1 X, 0, 0]
    W_K* = [0 0 0; I 0 0; 0 0 0]:                X_K W_K = [A2, 0, 0]
    W_V* = [0 0 0; 0 0 0; I 0 0]:                X_V W_V = [A3, 0, 0]
    s = 1, beta = 1 / r, Y = [E, 0, 0]. The losses are equal; dL/dX is the first r x r block of
    dL/dW_Q, and `answer` of dL/dA_Q. Raises ValueError unless M = L, as one input has one length.
    """
    length, rank = instance.a1.shape
    if instance.a2.shape[0] != length:
        raise ValueError(
            f"self-attention needs as many keys as queries, got {instance.a2.shape[0]} and {length}"
        )
    width = 3 * rank
    tokens = instance.a1.beside(instance.a2).beside(instance.a3)
    no_columns = _zeros(width, width - rank)

    def selector(block: int) -> M:
        rows = _unit_columns(width, block * rank, rank)
        return constant([row + more for row, more in zip(rows, no_columns, strict=True)])

    no_a, no_b = constant(_zeros(rank, width)), constant(_zeros(width, rank))
    return {
        "x_q": tokens,
        "x_k": tokens,
        "x_v": tokens,
        "w_q": constant(_zeros(width, width)),
        "w_k": selector(1),
        "w_v": selector(2),
        "a_q": instance.x.beside(constant(_zeros(rank, width - rank))),
        "b_q": constant(_unit_columns(width, 0, rank)),
        "a_k": no_a,
        "b_k": no_b,
        "a_v": no_a,
        "b_v": no_b,
        "scaling": 1,
        "beta": Fraction(1, rank),
        "y": instance.e.beside(constant(_zeros(length, width - rank))),
    }


def _zeros(rows: int, columns: int) -> list[list[int]]:
    return [[0] * columns for _ in range(rows)]


def _unit_columns(rows: int, first: int, count: int) -> list[list[int]]:
    """The unit vectors e_first, ..., e_(first + count - 1) of length `rows`, as columns."""
    return [[int(i == first + j) for j in range(count)] for i in range(rows)]


def _by_name(instance: Any) -> dict[str, Any]:
    return {field.name: getattr(instance, field.name) for field in fields(instance)}


def _require_shapes(instance: Any, shapes: dict[str, tuple[int, int]], given: str) -> None:
    for name, shape in shapes.items():
        found = getattr(instance, name).shape
        if found != shape:
            raise ValueError(f"{name} must have shape {shape} beside {given}, got {found}")
