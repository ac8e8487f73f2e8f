"""Queries and keys as features, in the dtype of the large products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.coordinates import Centred
from loracle.kernels.almost_linear.monomials import IndexSet
from loracle.kernels.almost_linear.statistics import KeyStatistics

__all__ = ["Columns", "FeatureBlock"]


class FeatureBlock:
    """Memory for the features of one block of tokens, filled again and again."""

    def __init__(
        self, index_set: IndexSet, length: int, *, dtype: torch.dtype, like: Tensor
    ) -> None:
        self._memory = like.new_empty(like.shape[0], index_set.rank, length, dtype=dtype)
        self._steps = [
            (step.start, step.stop, _on_device(step.parents, like.device), step.variable)
            for step in index_set.steps
        ]

    def fill(self, points: Tensor) -> Tensor:
        """points^mu for every mu of the index set, each by one product from one of a degree less.

        Shapes: points (H, d, B), rounded to the features' dtype; result (H, k, B), valid until the
        next call.
        """
        points = points.to(self._memory.dtype)
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
    order one: scales (H, 1, 1) of omega z, omega x, x and omega v, float64."""

    centred: Centred
    scale_z: Tensor
    scale_x: Tensor
    scale_plain: Tensor
    scale_v: Tensor

    @classmethod
    def of(cls, centred: Centred, statistics: KeyStatistics) -> Columns:
        """The columns of a problem."""
        scales = {name: _power_of_two(size) for name, size in statistics.largest.items()}
        return cls(
            centred,
            scale_z=scales["weighted_z"],
            scale_x=scales["weighted_x"],
            scale_plain=scales["x"],
            scale_v=scales["weighted_v"],
        )

    @property
    def scale_xv(self) -> Tensor:
        """Of x times omega v."""
        return self.scale_plain * self.scale_v

    @property
    def count(self) -> int:
        """(1 + d)^2: 1, z, x and x (x) v."""
        return (1 + self.centred.problem.width) ** 2

    def fill(self, keys: slice, out: Tensor) -> Tensor:
        """The columns of a block of keys, (H, (1 + d)^2, B), in the order 1, z, x, x (x) v, rounded
        to the dtype of out: once, and x (x) v once more.

        x (x) v stands where the paper has the features times the values (Lemma 3.6): the row-wise
        Kronecker product is taken of the d columns instead of the k features.
        """
        centred, width = self.centred, self.centred.problem.width
        weights = centred.weights[..., keys]
        x, z = centred.inputs_k(keys), centred.inputs_v(keys)
        v = centred.values(z)
        length = x.shape[-1]
        out = out[..., :length]
        out[:, :1] = weights
        out[:, 1 : 1 + width] = z * (weights / self.scale_z)
        out[:, 1 + width : 1 + 2 * width] = x * (weights / self.scale_x)
        weighted_v = (v * (weights / self.scale_v)).to(out.dtype)
        plain = (x / self.scale_plain).to(out.dtype)
        products = out[:, 1 + 2 * width :].view(-1, width, width, length)
        torch.mul(plain[:, :, None], weighted_v[:, None], out=products)
        return out


def _power_of_two(largest: Tensor) -> Tensor:
    """At least the largest magnitude and at most twice that; 1 for zero."""
    exponent = torch.ceil(torch.log2(torch.where(largest > 0, largest, torch.ones_like(largest))))
    return torch.exp2(exponent)
