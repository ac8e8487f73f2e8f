"""Layers for `almost_linear.attention`, and what exact autograd makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loracle.kernels import almost_linear
from loracle.kernels.almost_linear import AttentionRecord

ADAPTERS = ("a_q", "b_q", "a_k", "b_k", "a_v", "b_v")
SCALING = -0.75
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Layer:
    """Arguments of `attention`, an upstream gradient and a y, (..., L, d); M is not L."""

    frozen: dict[str, Tensor]
    adapters: dict[str, Tensor]
    beta: float
    upstream: Tensor
    y: Tensor

    def attend(self, record: AttentionRecord | None = None, **changes: Any) -> Tensor:
        """Z, differentiable in the layer's adapters."""
        given_: dict[str, Any] = {
            **self.frozen,
            **self.adapters,
            "scaling": SCALING,
            "beta": self.beta,
            "epsilon": 1e-2,
            "record": record,
        }
        return almost_linear.attention(**(given_ | changes))

    def gradients(self, value: Tensor, upstream: Tensor) -> dict[str, Tensor]:
        """Of <upstream, value>, by adapter."""
        found = torch.autograd.grad(value, [*self.adapters.values()], upstream)
        return dict(zip(self.adapters, found, strict=True))

    def head(self, *index: int) -> Layer:
        """One head of a layer whose every tensor has the heads' dimensions."""
        frozen = {name: tensor[index] for name, tensor in self.frozen.items()}
        adapters = {n: t.detach()[index].requires_grad_() for n, t in self.adapters.items()}
        return Layer(frozen, adapters, self.beta, self.upstream[index], self.y[index])


def a_layer(
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    *,
    queries: int = 50,
    keys: int = 70,
    width: int = 4,
    rank: int = 2,
    heads: tuple[int, ...] = (),
    shared: bool = False,
) -> Layer:
    """The largest score of any head is 1. shared: weights and adapters have no heads."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    own = () if shared else heads
    lengths = {"q": queries, "k": keys, "v": keys}
    # A mean that is not zero, so that Z is not zero either.
    frozen = {f"x_{m}": normal(*heads, lengths[m], width) + normal(width) / 2 for m in "qkv"}
    frozen |= {f"w_{m}": normal(*own, width, width) / width**0.5 for m in "qkv"}
    adapters = {}
    for m in "qkv":
        adapters |= {f"a_{m}": normal(*own, rank, width) / width**0.5}
        adapters |= {f"b_{m}": normal(*own, width, rank) / rank}
    query, key = (projected(frozen, adapters, m) for m in "qk")
    return Layer(
        frozen={name: t.to(dtype).to(device) for name, t in frozen.items()},
        adapters={name: t.to(dtype).to(device).requires_grad_() for name, t in adapters.items()},
        beta=float(1 / (query @ key.mT).abs().max()),
        upstream=normal(*heads, queries, width).to(dtype).to(device),
        y=normal(*heads, queries, width).to(dtype).to(device),
    )


def projected(frozen: dict[str, Tensor], adapters: dict[str, Tensor], m: str) -> Tensor:
    update = SCALING * (adapters[f"b_{m}"] @ adapters[f"a_{m}"])
    return frozen[f"x_{m}"] @ (frozen[f"w_{m}"] + update)


def exactly(layer: Layer, upstream: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Z and the gradients of <upstream, Z>, by autograd in float64 on the CPU."""
    frozen = {name: t.double().cpu() for name, t in layer.frozen.items()}
    adapters = {n: t.detach().double().cpu().requires_grad_() for n, t in layer.adapters.items()}
    query, key, value = (projected(frozen, adapters, m) for m in "qkv")
    result = torch.softmax(layer.beta * (query @ key.mT), dim=-1) @ value
    found = torch.autograd.grad(result, [*adapters.values()], upstream.double().cpu())
    return result.detach(), dict(zip(adapters, found, strict=True))


def distance(found: dict[str, Tensor], truth: dict[str, Tensor]) -> float:
    """The largest error of a gradient, relative to its largest entry."""
    assert set(found) == set(truth)
    return max(
        float((found[name] - truth[name]).abs().max() / truth[name].abs().max()) for name in truth
    )
