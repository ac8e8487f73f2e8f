"""LoRA projections in plain torch around the installed torch's flex_attention, not compiled."""

from __future__ import annotations

from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from loracle.adapters.lora_mha import lora_mha_of, plain_projections

__all__ = ["lora_mha"]


def _attend(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor:
    length = q.shape[2]
    mask = create_block_mask(_not_later, None, None, length, length, q.device) if causal else None
    if not q.is_cuda:
        # There it has a forward alone, and refuses inputs that ask for a gradient.
        q, k, v = q.detach(), k.detach(), v.detach()
    attended = flex_attention(
        q, k, v, block_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )
    assert isinstance(attended, Tensor)
    return attended


def _not_later(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return key <= query


lora_mha = lora_mha_of(
    "lora_mha",
    "`lora-mha` by flex_attention, the output alone on the CPU.",
    project=plain_projections,
    attend=_attend,
)
