"""The installed flax's own LoRA layer, flax.nnx.LoRALinear, differentiated by JAX."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from torch import Tensor

from loracle.adapters.numpy_bridge import to_numpy, to_torch

__all__ = ["lora_linear"]

# Without it JAX turns float64 into float32.
jax.config.update("jax_enable_x64", True)


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by nnx.LoRALinear, which has (in, r) and (r, out), and no scaling.

    s B takes the place of B: an order of the products that the contract allows, with its rounding.
    """
    out_features, in_features = weight.shape
    x_, w_, a_, b_, upstream = map(to_numpy, (x, weight, lora_a, lora_b, grad_output))
    layer = nnx.LoRALinear(
        in_features,
        out_features,
        lora_rank=a_.shape[0],
        use_bias=False,
        dtype=w_.dtype,
        param_dtype=w_.dtype,
        lora_dtype=w_.dtype,
        lora_param_dtype=w_.dtype,
        rngs=nnx.Rngs(0),
    )
    layer.kernel = nnx.Param(jax.numpy.asarray(w_.T))
    graph, state = nnx.split(layer)
    factor = np.asarray(scaling, w_.dtype)
    output, (grad_x, grad_a, grad_b) = _differentiated(graph, state, x_, a_, b_, factor, upstream)
    return {
        "output": to_torch(output),
        "grad_x": to_torch(grad_x),
        "grad_lora_a": to_torch(grad_a),
        "grad_lora_b": to_torch(grad_b),
    }


@partial(jax.jit, static_argnums=0)
def _differentiated(
    graph: Any, state: Any, x: Any, a: Any, b: Any, factor: Any, upstream: Any
) -> tuple[Any, tuple[Any, ...]]:
    """The output, and the gradients in x, a (r, in) and b (out, r)."""

    def forward(x: Any, a: Any, b: Any) -> Any:
        layer = nnx.merge(graph, state)
        layer.lora.lora_a = nnx.LoRAParam(a.T)
        layer.lora.lora_b = nnx.LoRAParam((factor * b).T)
        return layer(x)

    output, pull_back = jax.vjp(forward, x, a, b)
    return output, pull_back(upstream)
