"""The oracle's own streaming kernels, in small blocks and in both directions."""

from __future__ import annotations

from typing import Unpack

from loracle.corpus.calls import AloragcCall, LoraAttentionCall, Outputs, kernel
from loracle.kernels import streaming

__all__ = ["aloragc_forward", "aloragc_reverse", "attention_forward", "attention_reverse"]


@kernel
def aloragc_forward(**call: Unpack[AloragcCall]) -> Outputs:
    """Blocks of three queries and keys, first block first."""
    return streaming.aloragc(**call, block_queries=3, block_keys=3)


@kernel
def aloragc_reverse(**call: Unpack[AloragcCall]) -> Outputs:
    """Blocks of five queries and four keys, last block first."""
    return streaming.aloragc(**call, block_queries=5, block_keys=4, reverse=True)


@kernel
def attention_forward(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Blocks of three queries and keys, first block first."""
    return streaming.lora_attention(**call, block_queries=3, block_keys=3)


@kernel
def attention_reverse(**call: Unpack[LoraAttentionCall]) -> Outputs:
    """Blocks of five queries and four keys, last block first."""
    return streaming.lora_attention(**call, block_queries=5, block_keys=4, reverse=True)
