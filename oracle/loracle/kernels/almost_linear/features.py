"""Queries and keys as features, in the dtype of the large products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.coordinates import Centred
from loracle.kernels.almost_linear.monomials import IndexSet

__all__ = ["Columns", "FeatureBlock", "columns_of"]


class FeatureBlock:
    """Memory for the features of one block of tokens, filled again and again."""

    def __init__(self, index_set: IndexSet, heads: int, length: int, like: Tensor) -> None:
        self._memory = like.new_empty(heads, index_set.rank, length)
        self._steps = [
            (step.start, step.stop, _on_device(step.parents, like.device), step.variable)
            for step in index_set.steps
        ]

    def fill(self, points: Tensor) -> Tensor:
        """points^mu for every mu of the index set, each by one product from one of a degree less.

        Shapes: points (H, d, B), result (H, k, B), valid until the next call.
        """
        out = self._memory[:, :, : points.shape[-1]]
        out[:, 0] = 1
        for start, stop, parents, variable in self._steps:
            target, factor = out[:, start:stop], points[:, variable : variable + 1]
            if isinstance(parents, slice):
                torch.mul(out[:, parents], factor, out=target)
            else:
                torch.mul(out.index_select(1, parents), factor, out=target)
        return out


def _on_device(parents: slice | tuple[int, ...], device: torch.device) -> slice | Tensor:
    return parents if isinstance(parents, slice) else torch.tensor(parents, device=device)


@dataclass(frozen=True)
class Columns:
    """What is summed over the keys, each column scaled by a power of two so that its factors are of
    order one. Shapes: weights (H, 1, M), weighted_z, x, weighted_v, weighted_x (H, d, M), in the
    dtype of the features; scales of weighted_z, weighted_x and of x times v, (H, 1, 1), float64.
    """

    weights: Tensor
    weighted_z: Tensor
    weighted_x: Tensor
    x: Tensor
    weighted_v: Tensor
    scale_z: Tensor
    scale_x: Tensor
    scale_xv: Tensor

    @property
    def count(self) -> int:
        """(1 + d)^2: 1, z, x and x (x) v."""
        width = int(self.x.shape[1])
        return (1 + width) ** 2

    def fill(self, keys: slice, out: Tensor) -> Tensor:
        """The columns of a block of keys, (H, (1 + d)^2, B), in the order 1, z, x, x (x) v.

        x (x) v stands where the paper has the features times the values (Lemma 3.6): the row-wise
        Kronecker product is taken of the d columns instead of the k features.
        """
        width = int(self.x.shape[1])
        block = self.x[..., keys]
        length = block.shape[-1]
        out = out[..., :length]
        out[:, :1] = self.weights[..., keys]
        out[:, 1 : 1 + width] = self.weighted_z[..., keys]
        out[:, 1 + width : 1 + 2 * width] = self.weighted_x[..., keys]
        products = out[:, 1 + 2 * width :].view(-1, width, width, length)
        torch.mul(block[:, :, None], self.weighted_v[:, None, :, keys], out=products)
        return out


def columns_of(centred: Centred, dtype: torch.dtype) -> Columns:
    """The columns of a problem, rounded once to the features' dtype."""
    weights = centred.weights
    z, x, v = centred.inputs_v * weights, centred.inputs_k * weights, centred.values * weights
    scale_z, scale_x, scale_v = _power_of_two(z), _power_of_two(x), _power_of_two(v)
    scale_plain = _power_of_two(centred.inputs_k)
    return Columns(
        weights=weights.to(dtype),
        weighted_z=(z / scale_z).to(dtype),
        weighted_x=(x / scale_x).to(dtype),
        x=(centred.inputs_k / scale_plain).to(dtype),
        weighted_v=(v / scale_v).to(dtype),
        scale_z=scale_z,
        scale_x=scale_x,
        scale_xv=scale_plain * scale_v,
    )


def _power_of_two(x: Tensor) -> Tensor:
    """At least max |x| and less than four times that; 1 for zeros. Shape (H, 1, 1)."""
    largest = x.amax((-1, -2), keepdim=True).maximum(-x.amin((-1, -2), keepdim=True))
    exponent = torch.ceil(torch.log2(torch.where(largest > 0, largest, torch.ones_like(largest))))
    return torch.exp2(exponent)
