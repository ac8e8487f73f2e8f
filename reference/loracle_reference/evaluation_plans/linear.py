"""Plans of `lora-linear`, y = x (W + s B A)^T."""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.evaluation_plans.plan import (
    MERGED,
    UNMERGED,
    EvaluationPlan,
    Store,
    by_name,
    deferred,
    scaled,
)

__all__ = ["LORA_LINEAR"]

M = TypeVar("M", bound=Matrix)


def _merged(
    store: Store[M], *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> dict[str, M]:
    """W' = W + s B A;  y = x W'^T,  dX = G W',  dW = s G^T x,  dA = B^T dW,  dB = dW A^T."""
    merged = store(weight + scaled(store(lora_b @ lora_a), scaling))
    grad_weight = scaled(store(grad_output.T @ x), scaling)
    return {
        "output": store(x @ merged.T),
        "grad_x": store(grad_output @ merged),
        "grad_lora_a": deferred(store(lora_b.T @ grad_weight), scaling),
        "grad_lora_b": deferred(store(grad_weight @ lora_a.T), scaling),
    }


def _unmerged(
    store: Store[M], *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> dict[str, M]:
    """h = x A^T, g = s G B;  y = x W^T + s h B^T,  dX = G W + g A,  dA = g^T x,  dB = s G^T h."""
    hidden = store(x @ lora_a.T)
    grad_hidden = scaled(store(grad_output @ lora_b), scaling)
    low_rank = scaled(store(hidden @ lora_b.T), scaling)
    grad_low_rank = deferred(store(grad_hidden @ lora_a), scaling)
    return {
        "output": store(store(x @ weight.T) + low_rank),
        "grad_x": store(store(grad_output @ weight) + grad_low_rank),
        "grad_lora_a": deferred(store(grad_hidden.T @ x), scaling),
        "grad_lora_b": scaled(store(grad_output.T @ hidden), scaling),
    }


LORA_LINEAR = by_name(
    EvaluationPlan("merged", _merged, MERGED), EvaluationPlan("unmerged", _unmerged, UNMERGED)
)
