"""LoRA projections in plain torch around the Pallas attention that JAX ships for GPUs, in Pallas's
interpreter: forward and backward are the kernels that a GPU would run, on the CPU."""

from __future__ import annotations

import math
from typing import Any

import jax
import torch
from jax.experimental.pallas.ops.gpu.attention import BlockSizes, mha
from torch import Tensor

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.numpy_bridge import to_numpy, to_torch

__all__ = ["lora_attention"]

_MOST_BLOCKS = 4
"""A prime length is one block: the interpreter takes a while for each."""


def lora_attention(
    *,
    x_q: Tensor,
    x_k: Tensor,
    x_v: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    a_q: Tensor,
    b_q: Tensor,
    a_k: Tensor,
    b_k: Tensor,
    a_v: Tensor,
    b_v: Tensor,
    scaling: float,
    beta: float,
    y: Tensor,
) -> dict[str, Tensor]:
    """`lora-attention` with `mha` between the projections; one batch, one head, sm_scale = beta.

    The kernels want lengths that are multiples of their blocks, so the blocks are made to fit: as
    many as the smallest divisor of a length says, from two up, where that is not too many.
    """
    leaves = with_grad(a_q=a_q, b_q=b_q, a_k=a_k, b_k=b_k, a_v=a_v, b_v=b_v)

    def project(x: Tensor, w: Tensor, which: str) -> Tensor:
        return x @ w + scaling * ((x @ leaves[f"b_{which}"]) @ leaves[f"a_{which}"])

    apply: Any = _Attention.apply
    attended = apply(project(x_q, w_q, "q"), project(x_k, w_k, "k"), project(x_v, w_v, "v"), beta)
    return gradients(0.5 * (attended - y).square().sum(), leaves)


class _Attention(torch.autograd.Function):
    """JAX's function, with JAX's gradient, among torch's."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        arrays = [jax.numpy.asarray(to_numpy(t)[None, :, None, :]) for t in (q, k, v)]
        blocks = _blocks(q.shape[0], k.shape[0])

        def forward(q: Any, k: Any, v: Any) -> Any:
            return mha(q, k, v, None, sm_scale=scale, block_sizes=blocks, interpret=True)

        output, ctx.pull_back = jax.vjp(forward, *arrays)
        return to_torch(output)[0, :, 0, :]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        upstream = jax.numpy.asarray(to_numpy(grad_outputs[0])[None, :, None, :])
        grads = (to_torch(grad)[0, :, 0, :] for grad in ctx.pull_back(upstream))
        return (*grads, None)


def _blocks(queries: int, keys: int) -> BlockSizes:
    """Blocks that divide both lengths; the backward wants as many of queries as of keys."""
    of_both = _count(math.gcd(queries, keys))
    of_queries, of_keys = _count(queries), _count(keys)
    return BlockSizes(
        block_q=queries // of_queries,
        block_k=keys // of_keys,
        block_q_dkv=queries // of_queries,
        block_kv_dkv=keys // of_both,
        block_q_dq=queries // of_both,
        block_kv_dq=keys // of_keys,
    )


def _count(length: int) -> int:
    """The number of blocks: the smallest divisor from two up, one if that is too many."""
    return next((n for n in range(2, _MOST_BLOCKS + 1) if length % n == 0), 1)
