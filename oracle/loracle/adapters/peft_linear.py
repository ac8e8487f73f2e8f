"""The installed peft's own LoRA layer: peft.tuners.lora.Linear around torch.nn.Linear."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear
from torch import Tensor, nn

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_alpha import alpha_for

__all__ = ["lora_linear"]

_ADAPTER = "default"


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by peft: lora_alpha / r is its own division, the adapters are those given.

    The layer is made as peft makes it in a user's model, so that one adapter serves the versions
    whose constructors differ. Base, adapters and x have one dtype: peft casts nothing.
    """
    layer = _layer(weight, lora_a.shape[0], scaling)
    leaves = {**with_grad(x=x), "lora_a": nn.Parameter(lora_a), "lora_b": nn.Parameter(lora_b)}
    layer.lora_A[_ADAPTER].weight = leaves["lora_a"]
    layer.lora_B[_ADAPTER].weight = leaves["lora_b"]
    output = layer(leaves["x"])
    return {"output": output, **gradients(output, leaves, grad_output)}


def _layer(weight: Tensor, rank: int, scaling: float) -> Any:
    """A peft.tuners.lora.Linear; its lora_A and lora_B are modules by adapter name."""
    out_features, in_features = weight.shape
    base = nn.Linear(in_features, out_features, bias=False, device="meta")
    base.weight = nn.Parameter(weight, requires_grad=False)
    settings: dict[str, Any] = {
        "r": rank,
        "lora_alpha": alpha_for(scaling, rank),
        "lora_dropout": 0.0,
        "target_modules": ["layer"],
    }
    model: Any = nn.ModuleDict({"layer": base})
    model = inject_adapter_in_model(LoraConfig(**settings), model, adapter_name=_ADAPTER)
    layer = model["layer"]
    if type(layer) is not Linear:
        raise TypeError(f"peft made a {type(layer).__name__}, not a peft.tuners.lora.Linear")
    if layer.scaling[_ADAPTER] != scaling:
        raise ValueError(f"peft's scaling is {layer.scaling[_ADAPTER]!r}, not {scaling!r}")
    return layer
