"""The installed peft's own LoRA layer, peft.tuners.lora.Linear around torch.nn.Linear: plain,
rank-stabilised (rsLoRA) and weight-decomposed (DoRA)."""

from __future__ import annotations

import math
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear
from torch import Tensor, nn

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_alpha import alpha_for, alpha_for_root
from loracle.errors import Declined

__all__ = ["dora", "lora_linear", "rank_stabilised"]

_ADAPTER = "default"

_MAGNIFICATION = 2.0
"""DoRA's magnitudes are so many times the norms of the rows. A power of two rounds nothing, and
another than one must reach all that the magnitudes multiply."""


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
    alpha = alpha_for(scaling, lora_a.shape[0])
    layer = _layer(weight, lora_a, lora_b, scaling, lora_alpha=alpha)
    return _results(layer, x, grad_output)


def rank_stabilised(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by peft with use_rslora: lora_alpha / sqrt(r) is its own division."""
    alpha = alpha_for_root(scaling, lora_a.shape[0])
    layer = _layer(weight, lora_a, lora_b, scaling, lora_alpha=alpha, use_rslora=True)
    return _results(layer, x, grad_output)


def dora(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by peft with use_dora, whose norm is a constant to its backward.

    DoRA's output is m / n times that of LoRA, row by row, where n are the norms of the rows of
    W + s B A; peft detaches n, as the DoRA paper proposes (its section 4.3), so that its gradients
    are m / n times those of LoRA, and are not the derivatives of its own output, in which n depends
    on A and B. Here m is 2 n, n as peft computes it: output and gradients must be exactly twice
    those of `lora-linear`, and their halves are returned. The gradient of m is not judged.
    Declines a case in which a row of W + s B A is zero, where DoRA divides by zero.
    """
    alpha = alpha_for(scaling, lora_a.shape[0])
    layer = _layer(weight, lora_a, lora_b, scaling, lora_alpha=alpha, use_dora=True)
    variant = layer.lora_magnitude_vector[_ADAPTER]
    with torch.no_grad():
        product = variant.get_lora_weight(
            lora_A=layer.lora_A[_ADAPTER], lora_B=layer.lora_B[_ADAPTER]
        )
        norms = variant.get_weight_norm(weight=weight, lora_weight=product, scaling=scaling)
    if not (norms > 0).all():
        raise Declined("DoRA divides by the norm of a row of W + s B A, and one is zero")
    variant.weight = nn.Parameter(norms * _MAGNIFICATION, requires_grad=False)
    return {name: value / _MAGNIFICATION for name, value in _results(layer, x, grad_output).items()}


def _results(layer: Any, x: Tensor, grad_output: Tensor) -> dict[str, Tensor]:
    leaves = {
        **with_grad(x=x),
        "lora_a": layer.lora_A[_ADAPTER].weight,
        "lora_b": layer.lora_B[_ADAPTER].weight,
    }
    output = layer(leaves["x"])
    return {"output": output, **gradients(output, leaves, grad_output)}


def _layer(weight: Tensor, lora_a: Tensor, lora_b: Tensor, scaling: float, **settings: Any) -> Any:
    """A peft.tuners.lora.Linear; its lora_A and lora_B are modules by adapter name."""
    out_features, in_features = weight.shape
    base = nn.Linear(in_features, out_features, bias=False, device="meta")
    base.weight = nn.Parameter(weight, requires_grad=False)
    model: Any = nn.ModuleDict({"layer": base})
    config = LoraConfig(r=lora_a.shape[0], lora_dropout=0.0, target_modules=["layer"], **settings)
    model = inject_adapter_in_model(config, model, adapter_name=_ADAPTER)
    layer = model["layer"]
    if type(layer) is not Linear:
        raise TypeError(f"peft made a {type(layer).__name__}, not a peft.tuners.lora.Linear")
    found = layer.scaling[_ADAPTER]
    if abs(found - scaling) > math.ulp(scaling):
        raise ValueError(f"peft's scaling is {found!r}, not {scaling!r}")
    layer.lora_A[_ADAPTER].weight = nn.Parameter(lora_a)
    layer.lora_B[_ADAPTER].weight = nn.Parameter(lora_b)
    return layer
