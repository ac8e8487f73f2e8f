"""The installed loralib's own LoRA layer: loralib.Linear, in training mode, unmerged."""

from __future__ import annotations

import loralib
from torch import Tensor, nn

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_alpha import alpha_for

__all__ = ["lora_linear"]


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by loralib: lora_alpha / r is its own division, the adapters are the given."""
    rank = lora_a.shape[0]
    out_features, in_features = weight.shape
    layer = loralib.Linear(
        in_features,
        out_features,
        r=rank,
        lora_alpha=alpha_for(scaling, rank),
        bias=False,
        dtype=weight.dtype,
        device=weight.device,
    )
    if layer.scaling != scaling:
        raise ValueError(f"loralib's scaling is {layer.scaling!r}, not {scaling!r}")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.lora_A = nn.Parameter(lora_a)
    layer.lora_B = nn.Parameter(lora_b)
    leaves = {**with_grad(x=x), "lora_a": layer.lora_A, "lora_b": layer.lora_B}
    output = layer(leaves["x"])
    return {"output": output, **gradients(output, leaves, grad_output)}
