"""The inputs of a run as torch tensors, with a leading axis of heads."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from loracle.bench.messages import FloatArray

__all__ = ["Tensors", "first_tokens", "repeated_tokens", "tensors_of"]

Tensors = Mapping[str, Tensor]

_TOKENS = ("x_q", "x_k", "x_v", "y")
"""The inputs with a row for each token; the others are weights and adapters."""


def tensors_of(
    inputs: Mapping[str, FloatArray], copies: int, dtype: str, device: str
) -> dict[str, Tensor]:
    """The inputs (H, ., .), their tokens repeated as often as `copies`."""
    tensors = {
        name: torch.from_numpy(array).to(getattr(torch, dtype)).to(device)
        for name, array in inputs.items()
    }
    return repeated_tokens(tensors, copies)


def repeated_tokens(tensors: Tensors, copies: int) -> dict[str, Tensor]:
    """The problem whose tokens come as often as `copies`."""
    return {
        name: tensor.repeat(1, copies, 1) if name in _TOKENS else tensor
        for name, tensor in tensors.items()
    }


def first_tokens(tensors: Tensors, count: int) -> dict[str, Tensor]:
    """The same problem with the first tokens alone."""
    return {
        name: tensor[:, :count].contiguous() if name in _TOKENS else tensor
        for name, tensor in tensors.items()
    }
