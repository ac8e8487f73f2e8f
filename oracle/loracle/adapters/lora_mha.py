"""`lora-mha` put together: projections, a package's or plain torch's, around an attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.three_projections import Fused, Projection

__all__ = ["Attention", "Mha", "lora_mha_of", "plain_projections", "sdpa"]

Mha = Callable[..., dict[str, Tensor]]

Attention = Callable[[Tensor, Tensor, Tensor, bool, float], Tensor]
"""q (batch, num_heads, length, head_dim), k and v (batch, num_kv_heads, length, head_dim), causal,
softmax_scale in, what q has out."""


def lora_mha_of(
    name: str,
    summary: str,
    *,
    project: Fused,
    attend: Attention,
) -> Mha:
    """A `lora-mha` kernel: three projections by `project`, their heads attended by `attend`."""

    def lora_mha(
        *,
        x: Tensor,
        weight_q: Tensor,
        weight_k: Tensor,
        weight_v: Tensor,
        lora_a_q: Tensor,
        lora_b_q: Tensor,
        lora_a_k: Tensor,
        lora_b_k: Tensor,
        lora_a_v: Tensor,
        lora_b_v: Tensor,
        scaling_q: float,
        scaling_k: float,
        scaling_v: float,
        num_heads: int,
        num_kv_heads: int,
        causal: bool,
        softmax_scale: float,
        grad_output: Tensor,
    ) -> dict[str, Tensor]:
        leaves = with_grad(
            x=x,
            lora_a_q=lora_a_q,
            lora_b_q=lora_b_q,
            lora_a_k=lora_a_k,
            lora_b_k=lora_b_k,
            lora_a_v=lora_a_v,
            lora_b_v=lora_b_v,
        )
        frozen = {"q": weight_q, "k": weight_k, "v": weight_v}
        scalings = {"q": scaling_q, "k": scaling_k, "v": scaling_v}
        places = [
            Projection(frozen[m], leaves[f"lora_a_{m}"], leaves[f"lora_b_{m}"], scalings[m])
            for m in "qkv"
        ]
        q, k, v = project(leaves["x"], places)
        attended = attend(
            _heads(q, num_heads),
            _heads(k, num_kv_heads),
            _heads(v, num_kv_heads),
            causal,
            softmax_scale,
        )
        output = attended.transpose(1, 2).flatten(2)
        if not output.requires_grad:
            return {"output": output}
        return {"output": output, **gradients(output, leaves, grad_output)}

    lora_mha.__name__ = lora_mha.__qualname__ = name
    lora_mha.__doc__ = summary
    return lora_mha


def plain_projections(x: Tensor, places: Sequence[Projection]) -> Sequence[Tensor]:
    """x W^T + s (x A^T) B^T, as models compute it."""
    return [x @ p.weight.T + p.scaling * (x @ p.lora_a.T @ p.lora_b.T) for p in places]


def sdpa(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor:
    """torch's scaled_dot_product_attention, by the backend that torch chooses."""
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )


def _heads(projected: Tensor, heads: int) -> Tensor:
    """(batch, length, heads * head_dim) to (batch, heads, length, head_dim), as models do."""
    return projected.reshape(*projected.shape[:2], heads, -1).transpose(1, 2)
