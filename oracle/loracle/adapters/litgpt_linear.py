"""The installed litgpt's own LoRA layers: litgpt.lora.LoRALinear and LoRAQKVLinear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from litgpt.lora import LoRALinear, LoRAQKVLinear
from torch import Tensor, nn

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_alpha import alpha_for
from loracle.adapters.lora_mha import lora_mha_of, sdpa
from loracle.adapters.three_projections import Projection, lora_linear_of

__all__ = ["fused_lora_linear", "fused_lora_mha", "lora_linear"]

_SHARED = 0.5


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by LoRALinear: lora_alpha / r is its own division."""
    rank = lora_a.shape[0]
    out_features, in_features = weight.shape
    layer = LoRALinear(
        in_features, out_features, r=rank, lora_alpha=alpha_for(scaling, rank), bias=False
    )
    _check_scaling(layer.scaling, scaling)
    layer.linear.weight = nn.Parameter(weight, requires_grad=False)
    layer.lora_A, layer.lora_B = nn.Parameter(lora_a), nn.Parameter(lora_b)
    leaves = {**with_grad(x=x), "lora_a": layer.lora_A, "lora_b": layer.lora_B}
    output = layer(leaves["x"])
    return {"output": output, **gradients(output, leaves, grad_output)}


def _qkv(x: Tensor, places: Sequence[Projection]) -> Sequence[Tensor]:
    """As many heads of queries for one of keys and values as the widths say."""
    places = _of_one_scaling(places)
    rank, widths = places[0].lora_a.shape[0], [p.weight.shape[0] for p in places]
    weight = torch.cat([p.weight for p in places])
    layer = LoRAQKVLinear(
        weight.shape[1],
        weight.shape[0],
        head_size=widths[1],
        n_head=widths[0] // widths[1],
        n_query_groups=1,
        r=rank,
        lora_alpha=alpha_for(places[0].scaling, rank),
        enable_lora=(True, True, True),
        bias=False,
    )
    _check_scaling(layer.scaling, places[0].scaling)
    layer.linear.weight = nn.Parameter(weight, requires_grad=False)
    # No Parameters: the gradients are those of the tensors they are made of.
    del layer.lora_A, layer.lora_B
    layer.lora_A = torch.cat([p.lora_a for p in places])
    layer.lora_B = torch.cat([p.lora_b for p in places])
    output: Tensor = layer(x)
    return torch.split(output, widths, dim=-1)


def _of_one_scaling(places: Sequence[Projection]) -> Sequence[Projection]:
    """The layer has one scaling for all three: where they differ it is 1/2, and twice s B takes the
    place of B, an order of the products that the contract allows."""
    if len({place.scaling for place in places}) == 1:
        return places
    return [
        replace(place, lora_b=place.lora_b * (place.scaling / _SHARED), scaling=_SHARED)
        for place in places
    ]


fused_lora_linear = lora_linear_of(
    _qkv,
    "fused_lora_linear",
    "`lora-linear` by LoRAQKVLinear, dealt to q, k and v.",
    one_scaling=True,
)
fused_lora_mha = lora_mha_of(
    "fused_lora_mha",
    "`lora-mha` by LoRAQKVLinear and torch's attention.",
    project=_qkv,
    attend=sdpa,
)


def _check_scaling(found: float, wanted: float) -> None:
    if found != wanted:
        raise ValueError(f"litgpt's scaling is {found!r}, not {wanted!r}")
