"""The steps of one adapted projection, x (w + s b a), that plans of attention share."""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.evaluation_plans.plan import Store, deferred, scaled

__all__ = ["adapter_merged", "adapter_unmerged", "projected_merged", "projected_unmerged"]

M = TypeVar("M", bound=Matrix)


def projected_merged(store: Store[M], x: M, w: M, b: M, a: M, scaling: Scalar) -> M:
    """x (w + s b a), the sum formed first (Definition 1.1)."""
    return store(x @ store(w + scaled(store(b @ a), scaling)))


def projected_unmerged(store: Store[M], x: M, w: M, b: M, a: M, scaling: Scalar) -> M:
    """x w + s (x b) a (Definition 1.1, distributed)."""
    return store(store(x @ w) + scaled(store(store(x @ b) @ a), scaling))


def adapter_merged(store: Store[M], x: M, grad: M, b: M, a: M, scaling: Scalar) -> tuple[M, M]:
    """dW = s x^T grad;  dA = b^T dW,  dB = dW a^T (Lemmas E.1, F.3)."""
    grad_weight = scaled(store(x.T @ grad), scaling)
    return (
        deferred(store(b.T @ grad_weight), scaling),
        deferred(store(grad_weight @ a.T), scaling),
    )


def adapter_unmerged(store: Store[M], x: M, grad: M, b: M, a: M, scaling: Scalar) -> tuple[M, M]:
    """dA = s (x b)^T grad,  dB = x^T (s grad a^T) (Lemmas E.1, F.3, associated otherwise)."""
    grad_a = scaled(store(store(x @ b).T @ grad), scaling)
    grad_hidden = scaled(store(grad @ a.T), scaling)
    return grad_a, deferred(store(x.T @ grad_hidden), scaling)
