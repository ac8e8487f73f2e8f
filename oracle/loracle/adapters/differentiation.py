"""The one way in which the adapters ask torch for gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["gradients", "second_backward", "with_grad"]

_backwards = 1


@contextmanager
def second_backward() -> Iterator[None]:
    """Inside, `gradients` are those of a second backward through the same graph, which differ from
    the first's where a backward overwrites what the forward has saved."""
    global _backwards
    _backwards = 2
    try:
        yield
    finally:
        _backwards = 1


def with_grad(**tensors: Tensor) -> dict[str, Tensor]:
    """The same values as new leaves that ask for a gradient; the inputs stay as they are."""
    return {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}


def gradients(
    output: Tensor | Sequence[Tensor],
    leaves: Mapping[str, Tensor],
    grad_output: Tensor | Sequence[Tensor] | None = None,
) -> dict[str, Tensor]:
    """`grad_<name>` of every leaf: derivatives of <grad_output, output>, summed over the outputs
    if there are several, or of a scalar output."""
    inputs = list(leaves.values())
    for _ in range(_backwards - 1):
        torch.autograd.grad(output, inputs, grad_output, retain_graph=True)
    found = torch.autograd.grad(output, inputs, grad_output)
    return {f"grad_{name}": grad for name, grad in zip(leaves, found, strict=True)}
