"""What a plan is, and the words that plans are written in.

A scalar multiplies the matrix product at which it stands, or one of its two factors; `deferred`
marks the later products at which a kernel may apply it instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = [
    "MERGED",
    "MERGED_FLASH",
    "UNMERGED",
    "UNMERGED_FLASH",
    "EvaluationPlan",
    "Store",
    "by_name",
    "deferred",
    "scaled",
]

M = TypeVar("M", bound=Matrix)
Store = Callable[[M], M]
"""Rounds a result to the storage dtype; the identity on exact values."""

MERGED = "weights merged first; every result of an operation stored, as in plain torch"
UNMERGED = "low-rank path kept apart; every result of an operation stored, as in plain torch"
MERGED_FLASH = "weights merged first; scores, f and p in registers, as in FlashAttention"
UNMERGED_FLASH = "low-rank path kept apart; scores, f and p in registers, as in FlashAttention"


@dataclass(frozen=True)
class EvaluationPlan:
    """One way to evaluate the outputs of a contract.

    formulas: called as formulas(store, **arguments of the contract's closed form), returns the
    outputs. stores_every_result: every operation's result is stored, `store` is not called.
    summary: what the kernels do that follow it, in a phrase.
    """

    name: str
    formulas: Callable[..., dict[str, Any]]
    summary: str
    stores_every_result: bool = False


def by_name(*plans: EvaluationPlan) -> dict[str, EvaluationPlan]:
    """The plans of a contract, in this order."""
    return {plan.name: plan for plan in plans}


def scaled(product: M, factor: Scalar) -> M:
    """The product times the factor."""
    return product if factor == 1 else product.scale(factor)


def deferred(product: M, *factors: Scalar) -> M:
    """A product that a kernel may multiply by one of the factors, which stand further up."""
    for factor in factors:
        product = product if factor == 1 else product.scale(1)
    return product
