"""The installed mlx-lm's own LoRA layer, mlx_lm.tuner.lora.LoRALinear, differentiated by MLX."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import torch
from mlx_lm.tuner.lora import LoRALinear
from torch import Tensor

from loracle.adapters.numpy_bridge import to_numpy, to_torch

__all__ = ["lora_linear"]

mx.set_default_device(mx.cpu)


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by mlx-lm, which has (in, r) and (r, out), and takes the scaling as it is."""
    out_features, in_features = weight.shape
    layer = LoRALinear(in_features, out_features, r=lora_a.shape[0], scale=scaling)
    layer.linear.weight = _array(weight)
    if layer.scale != scaling:
        raise ValueError(f"mlx-lm's scale is {layer.scale!r}, not {scaling!r}")

    def forward(x: Any, a: Any, b: Any) -> list[Any]:
        layer.lora_a, layer.lora_b = a.T, b.T
        return [layer(x)]

    leaves = [_array(x), _array(lora_a), _array(lora_b)]
    (output,), grads = mx.vjp(forward, leaves, [_array(grad_output)])
    names = ("output", "grad_x", "grad_lora_a", "grad_lora_b")
    return dict(zip(names, map(_tensor, (output, *grads)), strict=True))


def _array(tensor: Tensor) -> Any:
    # Without its name MLX turns float64 into float32.
    return mx.array(to_numpy(tensor), getattr(mx, str(tensor.dtype).removeprefix("torch.")))


def _tensor(array: Any) -> Tensor:
    # bfloat16 has no buffer that numpy knows; float32 holds all of its values.
    if array.dtype == mx.bfloat16:
        return to_torch(np.array(array.astype(mx.float32))).to(torch.bfloat16)
    return to_torch(np.array(array))
