"""One projection of `lora-linear` in the three places of a kernel for queries, keys and values.

The rows of W and B are dealt to the three places, so that every place has a third of the output,
and A goes to all three: then the output is that of the three side by side, grad_x and grad_lora_a
are sums over the three, and grad_lora_b lies in them as B does. So that a kernel which takes one
place's adapter for another's is wrong, each place has the same product s B A in another form: its
rank axis is another way round, and powers of two and signs, which round nothing, have moved between
A, B and, where the kernel has three of them, the scaling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.adapters.differentiation import gradients, with_grad

__all__ = ["Fused", "Projection", "lora_linear_of"]


@dataclass(frozen=True)
class Projection:
    """One place: weight (n, in), lora_a (r, in), lora_b (n, r)."""

    weight: Tensor
    lora_a: Tensor
    lora_b: Tensor
    scaling: float


Fused = Callable[[Tensor, Sequence[Projection]], Sequence[Tensor]]
"""x (batch, length, in) and projections of equal shapes in, as many outputs (batch, length, n)
out."""

_OWN_SCALINGS = ((1.0, 1.0, 1.0), (2.0, 1.0, 0.5), (-1.0, 1.0, -1.0))
_ONE_SCALING = ((1.0, 1.0, 1.0), (2.0, 0.5, 1.0), (-1.0, -1.0, 1.0))
"""By place, the factors of A, of B and of the scaling; their product is one."""


def lora_linear_of(
    fused: Fused, name: str, summary: str, *, one_scaling: bool = False, places: int = 3
) -> Callable[..., dict[str, Tensor]]:
    """A `lora-linear` kernel around a fused one of three places or fewer; one_scaling: which has
    one for all of them."""
    forms = (_ONE_SCALING if one_scaling else _OWN_SCALINGS)[:places]

    def lora_linear(
        *,
        x: Tensor,
        weight: Tensor,
        lora_a: Tensor,
        lora_b: Tensor,
        scaling: float,
        grad_output: Tensor,
    ) -> dict[str, Tensor]:
        leaves = with_grad(x=x, lora_a=lora_a, lora_b=lora_b)
        out_features = weight.shape[0]
        rows = _dealt(out_features, len(forms), weight.device)
        dealt = [
            Projection(
                weight[rows[place]],
                (leaves["lora_a"] * of_a).roll(place, 0),
                (leaves["lora_b"][rows[place]] * of_b).roll(place, 1),
                scaling * of_scaling,
            )
            for place, (of_a, of_b, of_scaling) in enumerate(forms)
        ]
        outputs = tuple(fused(leaves["x"], dealt))
        upstream = [_part(grad_output, place, rows.shape[1]) for place in range(len(forms))]
        output = torch.cat(outputs, dim=-1)[..., :out_features]
        return {"output": output, **gradients(outputs, leaves, upstream)}

    lora_linear.__name__ = lora_linear.__qualname__ = name
    lora_linear.__doc__ = summary
    return lora_linear


def _dealt(out_features: int, places: int, device: torch.device) -> Tensor:
    """The rows of each place (places, n); n is the least that suffices, and rows come again to
    fill."""
    each = -(-out_features // places)
    dealt = torch.arange(places * each, device=device).remainder(out_features)
    return dealt.reshape(places, each)


def _part(grad_output: Tensor, place: int, each: int) -> Tensor:
    """A place's part of the upstream gradient: a view, so that it lies in memory as the case wants
    it, but for rows that are there to fill, which get zeros."""
    part = grad_output[..., place * each : (place + 1) * each]
    missing = each - part.shape[-1]
    return torch.nn.functional.pad(part, (0, missing)) if missing else part
