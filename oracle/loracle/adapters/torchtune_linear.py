"""The installed torchtune's own LoRA layer: torchtune.modules.peft.LoRALinear."""

from __future__ import annotations

from torch import Tensor, nn
from torchtune.modules.peft import LoRALinear

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
    """`lora-linear` by torchtune: alpha / rank is its own division."""
    rank = lora_a.shape[0]
    out_features, in_features = weight.shape
    layer = LoRALinear(in_features, out_features, rank=rank, alpha=alpha_for(scaling, rank))
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.lora_a.weight = nn.Parameter(lora_a)
    layer.lora_b.weight = nn.Parameter(lora_b)
    leaves = {**with_grad(x=x), "lora_a": layer.lora_a.weight, "lora_b": layer.lora_b.weight}
    output = layer(leaves["x"])
    return {"output": output, **gradients(output, leaves, grad_output)}
