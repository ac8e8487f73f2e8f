"""Adapted projections in float64, one token a column, and the problem that they pose.

Every array here is (H, n, L): H heads, n coordinates, L tokens side by side, so that what the
kernel does token by token runs along contiguous memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Problem", "Projection"]


@dataclass(frozen=True)
class Projection:
    """X (W* + s B A) for all heads (Definition 1.1).

    inputs: X^T, (H, d, L). weight: W* (H, d, d), None for the identity. a (H, r, d) and b (H, d, r)
    are None where there is no adapter. All float64. The magnitudes are the same expressions with
    absolute values: what the rounding errors of the projection are relative to.
    """

    inputs: Tensor
    weight: Tensor | None
    a: Tensor | None
    b: Tensor | None
    scaling: float

    @cached_property
    def matrix(self) -> Tensor:
        """W = W* + s B A, (H, d, d)."""
        if self.weight is None:
            return self._identity
        if self.a is None or self.b is None:
            return self.weight
        return self.weight + self.scaling * (self.b @ self.a)

    @cached_property
    def magnitude(self) -> Tensor:
        """|W*| + |s| |B| |A|, (H, d, d)."""
        if self.weight is None:
            return self._identity
        if self.a is None or self.b is None:
            return self.weight.abs()
        return self.weight.abs() + abs(self.scaling) * (self.b.abs() @ self.a.abs())

    def projected(self, tokens: slice = slice(None)) -> Tensor:
        """(X W)^T of some tokens, (H, d, B)."""
        inputs = self.inputs[..., tokens]
        return inputs if self.weight is None else self.matrix.mT @ inputs

    def projected_magnitude(self, tokens: slice) -> Tensor:
        """(|X| |W|)^T of some tokens, (H, d, B), at least |projected| entry by entry."""
        magnitude = self.inputs[..., tokens].abs()
        return magnitude if self.weight is None else self.magnitude.mT @ magnitude

    @cached_property
    def largest_magnitude(self) -> Tensor:
        """At least the largest entry of |X| |W| for each coordinate, (H, d, 1)."""
        largest = self.inputs.amax(-1, keepdim=True).maximum(-self.inputs.amin(-1, keepdim=True))
        return largest if self.weight is None else self.magnitude.mT @ largest

    @property
    def _identity(self) -> Tensor:
        heads, width, _ = self.inputs.shape
        eye = torch.eye(width, dtype=self.inputs.dtype, device=self.inputs.device)
        return eye.expand(heads, width, width)


@dataclass(frozen=True)
class Problem:
    """1/2 ||softmax(beta Q K^T) V - Y||_F^2 with Q, K and V adapted projections (Problems 1 to 3).

    y: Y^T, (H, d, L). Problem 2 is the one whose K and V are not projected.
    """

    q: Projection
    k: Projection
    v: Projection
    y: Tensor
    beta: float

    @property
    def heads(self) -> int:
        """H."""
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        """d."""
        return int(self.y.shape[1])

    @property
    def queries(self) -> int:
        """L."""
        return int(self.y.shape[2])

    @property
    def keys(self) -> int:
        """M."""
        return int(self.k.inputs.shape[2])

    def head_group(self, start: int, stop: int) -> Problem:
        """The problem of some of the heads."""
        rows = slice(start, stop)

        def some(p: Projection) -> Projection:
            def cut(t: Tensor | None) -> Tensor | None:
                return None if t is None else t[rows]

            return Projection(p.inputs[rows], cut(p.weight), cut(p.a), cut(p.b), p.scaling)

        return Problem(some(self.q), some(self.k), some(self.v), self.y[rows], self.beta)
