"""The installed loralib's loralib.MergedLinear: queries, keys and values in one layer, in training
mode, unmerged."""

from __future__ import annotations

from collections.abc import Sequence

import loralib
import torch
from torch import Tensor, nn

from loracle.adapters.lora_alpha import alpha_for
from loracle.adapters.three_projections import Projection, lora_linear_of

__all__ = ["lora_linear"]


def _merged(x: Tensor, places: Sequence[Projection]) -> Sequence[Tensor]:
    rank = places[0].lora_a.shape[0]
    weight = torch.cat([p.weight for p in places])
    layer = loralib.MergedLinear(
        weight.shape[1],
        weight.shape[0],
        r=rank,
        lora_alpha=alpha_for(places[0].scaling, rank),
        enable_lora=[True] * len(places),
        bias=False,
        dtype=weight.dtype,
        device=weight.device,
    )
    if layer.scaling != places[0].scaling:
        raise ValueError(f"loralib's scaling is {layer.scaling!r}, not {places[0].scaling!r}")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    # No Parameters: the gradients are those of the tensors they are made of.
    del layer.lora_A, layer.lora_B
    layer.lora_A = torch.cat([p.lora_a for p in places])
    layer.lora_B = torch.cat([p.lora_b for p in places])
    output: Tensor = layer(x)
    return output.chunk(len(places), dim=-1)


lora_linear = lora_linear_of(
    _merged,
    "lora_linear",
    "`lora-linear` by loralib.MergedLinear, dealt to q, k and v.",
    one_scaling=True,
)
