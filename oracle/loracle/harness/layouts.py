"""How a tensor lies in memory: the same values, with the strides that autograd hands to kernels."""

from __future__ import annotations

import torch

__all__ = ["laid_out"]


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """A tensor equal to a contiguous one, in memory of its own.

    transposed: its first two axes lie in memory in the other order, as the gradient of what was
    transposed after the layer does. sliced: it is the middle of a buffer that is three times as
    wide in the last axis, as the gradient of one of Q, K and V; NaN lies around it, since a kernel
    may not rely on anything there. expanded: stride 0 along every axis along which the values do
    not change, as the gradient of a sum.

    Raises ValueError on another layout.
    """
    if layout == "transposed":
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "sliced":
        width = tensor.shape[-1]
        buffer = tensor.new_full((*tensor.shape[:-1], 3 * width), torch.nan)
        middle = buffer[..., width : 2 * width]
        return middle.copy_(tensor)
    if layout == "expanded":
        one = tensor
        for axis, size in enumerate(tensor.shape):
            first = one.narrow(axis, 0, min(size, 1))
            one = first.clone() if torch.equal(first.expand_as(one), one) else one
        return one.expand_as(tensor)
    raise ValueError(f"unknown layout {layout!r}")
