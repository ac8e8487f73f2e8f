"""The one place where the benchmark meets the almost-linear kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from loracle.bench.catalogue import Promise
from loracle.bench.messages import Certificate
from loracle.kernels.almost_linear import Gradients, lora_attention_gradients

__all__ = ["Gradients", "certificate_of", "gradients"]


def gradients(
    tensors: Mapping[str, Tensor], scaling: float, beta: float, epsilon: float, promise: Promise
) -> Gradients:
    """The kernel's call. Raises UsageError, in one line, if epsilon is out of its reach."""
    call: dict[str, Any] = {**tensors, "epsilon": epsilon, "promise": promise}
    return lora_attention_gradients(**call, scaling=scaling, beta=beta)


def certificate_of(result: Gradients) -> Certificate:
    """The certificate and plan as plain numbers."""
    certificate, plan = result.certificate, result.plan
    # Only a call that leaves the choice of the method to the kernel may come without.
    assert certificate is not None
    return Certificate(
        errors=_by_head(certificate.errors),
        natural_scale=_by_head(certificate.natural_scale),
        gradient_max=_by_head(certificate.gradient_max),
        probability_error=float(certificate.probability_error),
        degree=int(plan.degree),
        rank=int(plan.rank),
        operations=int(plan.operations),
    )


def _by_head(numbers: Mapping[str, Tensor]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(float, value.reshape(-1))) for name, value in numbers.items()}
