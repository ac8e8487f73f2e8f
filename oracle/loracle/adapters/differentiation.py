"""The one way in which the adapters ask torch for gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["gradients", "with_grad"]


def with_grad(**tensors: Tensor) -> dict[str, Tensor]:
    """The same values as new leaves that ask for a gradient; the inputs stay as they are."""
    return {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}


def gradients(
    output: Tensor, leaves: Mapping[str, Tensor], grad_output: Tensor | None = None
) -> dict[str, Tensor]:
    """`grad_<name>` of every leaf: derivatives of <grad_output, output>, or of a scalar output."""
    found = torch.autograd.grad(output, list(leaves.values()), grad_output)
    return {f"grad_{name}": grad for name, grad in zip(leaves, found, strict=True)}
