"""The exact methods that the almost-linear kernel is compared with, all heads at once.

Shapes throughout are those of `lora-attention` with a leading axis of H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from loracle.adapters.differentiation import gradients, with_grad
from loracle.kernels import streaming

__all__ = ["eager", "sdpa", "streamed"]

_ADAPTERS = tuple(f"{factor}_{m}" for m in "qkv" for factor in "ab")

_PREFIX, _SUFFIX = "ScaledDotProduct", "Backward0"
"""What torch calls the backward of its fused kernels, around the name of the backend."""


def eager(tensors: Mapping[str, Tensor], scaling: float, beta: float) -> dict[str, Tensor]:
    """softmax(beta Q K^T) V with the L x L matrix in memory, differentiated by autograd."""
    leaves, (queries, keys, values) = _projected(tensors, scaling)
    attended = torch.softmax(beta * (queries @ keys.mT), dim=-1) @ values
    return gradients(0.5 * (attended - tensors["y"]).square().sum(), leaves)


def sdpa(
    tensors: Mapping[str, Tensor],
    scaling: float,
    beta: float,
    attention_dtype: torch.dtype | None = None,
) -> tuple[dict[str, Tensor], str]:
    """The same by `scaled_dot_product_attention`; also the backend that torch took.

    attention_dtype: what queries, keys and values are rounded to, as autocast does; None for the
    dtype of the inputs, in which everything else is computed anyway.
    """
    leaves, projected = _projected(tensors, scaling)
    dtype = attention_dtype or tensors["y"].dtype
    queries, keys, values = (tensor[None].to(dtype) for tensor in projected)
    attended = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, scale=beta)
    backend = _backend(attended)
    difference = attended[0].to(tensors["y"].dtype) - tensors["y"]
    return gradients(0.5 * difference.square().sum(), leaves), backend


def streamed(
    tensors: Mapping[str, Tensor], scaling: float, beta: float, block: int
) -> dict[str, Tensor]:
    """`loracle.kernels.streaming`, head after head, in blocks of `block` queries and keys."""
    heads = []
    for head in range(len(tensors["y"])):
        call: dict[str, Any] = {name: tensor[head] for name, tensor in tensors.items()}
        call |= {"block_queries": block, "block_keys": block}
        heads.append(streaming.lora_attention(**call, scaling=scaling, beta=beta))
    return {name: torch.stack([head[name] for head in heads]) for name in heads[0]}


def _projected(
    tensors: Mapping[str, Tensor], scaling: float
) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """The adapters as leaves, and Q, K, V = X W + s (X B) A, as models compute them."""
    leaves = with_grad(**{name: tensors[name] for name in _ADAPTERS})

    def project(m: str) -> Tensor:
        x = tensors[f"x_{m}"]
        return x @ tensors[f"w_{m}"] + scaling * ((x @ leaves[f"b_{m}"]) @ leaves[f"a_{m}"])

    return leaves, (project("q"), project("k"), project("v"))


def _backend(attended: Tensor) -> str:
    """The backend by the name of its backward, such as FlashAttentionForCpu; else `math`, which is
    made of ordinary operations."""
    assert attended.grad_fn is not None
    name = attended.grad_fn.name()
    fused = name.startswith(_PREFIX)
    return name.removeprefix(_PREFIX).removesuffix(_SUFFIX) if fused else "math"
