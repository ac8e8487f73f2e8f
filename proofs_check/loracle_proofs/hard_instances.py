"""The class of hard instances of Lemma G.1, after the reduction of the proof of Theorem A.1 and
balancing: how large its norms and its scores are.

L = 2^bits with bits = 4^step, r = d = log2 L, kappa = step = 1/2 log2 log2 L, which tends to
infinity and is o(log L), and B = sqrt(log2 L) kappa, an integer. The instance whose entries are as
large as the class allows has the largest norms and scores of the class; two tokens show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from loracle_reference.arithmetic.rational import Rational, RationalMatrix
from loracle_reference.reduction import (
    AloragcInstance,
    AttentionLossInstance,
    balance,
    embed,
    embed_in_full_adaptation,
    norm_bound_after_balancing,
)

__all__ = ["HardClass", "hard_classes"]


@dataclass(frozen=True)
class HardClass:
    """The class at one length. step >= 1, else ValueError."""

    step: int

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ValueError(f"the step must be at least 1, got {self.step}")

    @property
    def bits(self) -> int:
        """log2 L, which is also r and d."""
        return int(4**self.step)

    @property
    def bound(self) -> int:
        """B = sqrt(log2 L) kappa, what Lemma G.1 allows the entries of A1, A2 and A3."""
        return int(2**self.step) * self.step

    @property
    def gamma(self) -> Fraction:
        """Gamma = B / sqrt(r), which bounds the entries of C1 W and of C2 after balancing."""
        return norm_bound_after_balancing(self.bound, self.bits, 2**self.step)

    @property
    def norm_rate(self) -> Fraction:
        """Gamma^2 / log2 L, which tends to zero if and only if Gamma = o(sqrt(log L))."""
        return self.gamma**2 / self.bits

    @property
    def product_rate(self) -> Fraction:
        """beta d Gamma^2 / log2 L for beta = 1, which bounds the scores."""
        return self.bits * self.gamma**2 / self.bits

    @cached_property
    def instance(self) -> AloragcInstance[RationalMatrix]:
        """Two tokens of the instance with the largest entries, embedded and balanced; X = I."""
        rational = Rational()
        row = [self.bound] * self.bits
        largest = rational.matrix([row, row])
        instance = AttentionLossInstance(
            a1=largest,
            a2=largest,
            a3=largest,
            x=rational.matrix([[int(i == j) for j in range(self.bits)] for i in range(self.bits)]),
            e=largest.scale(0),
        )
        return balance(embed(instance, self.bits, rational.matrix), 2**self.step)

    @cached_property
    def queries(self) -> RationalMatrix:
        """C1 (W* + B A) of the instance."""
        one = self.instance
        return one.c1 @ one.w + (one.c1 @ one.b) @ one.a

    @cached_property
    def full_norms(self) -> dict[str, Fraction]:
        """||C_Q1 W_Q||, ||C_Q2||, ||C_K1 W_K^T|| and ||C_K2|| of equation (B.1) for the instance
        embedded in full adaptation (Remark A.2), where alpha/r = beta = 1."""
        full = embed_in_full_adaptation(self.instance, Rational().matrix)
        queries = full["x_q"] @ full["w_q"] + (full["x_q"] @ full["b_q"]) @ full["a_q"]
        return {
            "C_Q1 W_Q": _largest(queries),
            "C_Q2": _largest(full["x_k"] @ full["w_k"]),
            "C_K1 W_K^T": _largest(queries @ full["w_k"].T),
            "C_K2": _largest(full["x_k"]),
        }

    @property
    def largest_score(self) -> Fraction:
        """max |C1 (W* + B A) C2^T|."""
        return _largest(self.queries @ self.instance.c2.T)

    @property
    def largest_query(self) -> Fraction:
        """||C1 (W* + B A)||."""
        return _largest(self.queries)

    @property
    def largest_key(self) -> Fraction:
        """||C2||."""
        return _largest(self.instance.c2)


def hard_classes(last: int) -> list[HardClass]:
    """The classes of the steps 2 to last; kappa^2 / log L falls from there on."""
    return [HardClass(step) for step in range(2, last + 1)]


def _largest(matrix: RationalMatrix) -> Fraction:
    return max(Fraction(int(abs(x).p), int(abs(x).q)) for x in matrix.values.flat)
