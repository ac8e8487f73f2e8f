"""The attention layers of transformers' models, built from configurations, with PEFT's adapters on
their projections: a `lora-mha` kernel for each model and implementation of the attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from loracle.adapters.lora_mha import Mha
from loracle.adapters.module_attention import kernel_of_module

__all__ = [
    "bert_eager",
    "bert_sdpa",
    "llama_eager",
    "llama_sdpa",
    "mistral_eager",
    "mistral_sdpa",
    "opt_eager",
    "opt_sdpa",
    "qwen2_eager",
    "qwen2_sdpa",
]


def _llama(model: int, heads: int, kv_heads: int, head_dim: int) -> tuple[nn.Module, Any]:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaAttention

    config = LlamaConfig(**_grouped(heads, kv_heads, head_dim))
    return LlamaAttention(config, layer_idx=0), config


def _mistral(model: int, heads: int, kv_heads: int, head_dim: int) -> tuple[nn.Module, Any]:
    from transformers import MistralConfig
    from transformers.models.mistral.modeling_mistral import MistralAttention

    config = MistralConfig(**_grouped(heads, kv_heads, head_dim), sliding_window=None)
    return MistralAttention(config, layer_idx=0), config


def _qwen2(model: int, heads: int, kv_heads: int, head_dim: int) -> tuple[nn.Module, Any]:
    from transformers import Qwen2Config
    from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

    config = Qwen2Config(**_grouped(heads, kv_heads, head_dim))
    config.head_dim = 2 * head_dim
    return Qwen2Attention(config, layer_idx=0), config


def _opt(model: int, heads: int, kv_heads: int, head_dim: int) -> tuple[nn.Module, Any]:
    from transformers import OPTConfig
    from transformers.models.opt.modeling_opt import OPTAttention

    width = heads * head_dim
    config = OPTConfig(hidden_size=width, num_attention_heads=heads, attention_dropout=0.0)
    return OPTAttention(config, layer_idx=0), config


def _bert(model: int, heads: int, kv_heads: int, head_dim: int) -> tuple[nn.Module, Any]:
    from transformers import BertConfig
    from transformers.models.bert import modeling_bert

    width = heads * head_dim
    config = BertConfig(
        hidden_size=width, num_attention_heads=heads, attention_probs_dropout_prob=0.0
    )
    make: Any = modeling_bert.BertSelfAttention
    return make(config), config


def _grouped(heads: int, kv_heads: int, head_dim: int) -> dict[str, Any]:
    # hidden_size is that of projections which the case's own replace, and must suit the heads.
    # A configuration with rotary embeddings wants an even head_dim: `_kernel` sets the layer's.
    return {
        "hidden_size": 2 * heads * head_dim,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 2 * head_dim,
    }


def _kernel(
    name: str,
    build: Callable[[int, int, int, int], tuple[nn.Module, Any]],
    *,
    implementation: str,
) -> Mha:
    def make(model: int, heads: int, kv_heads: int, head_dim: int) -> nn.Module:
        made: tuple[Any, Any] = build(model, heads, kv_heads, head_dim)
        layer, config = made
        config._attn_implementation = implementation
        if hasattr(layer, "head_dim"):
            layer.head_dim = head_dim
        attention: nn.Module = layer
        return attention

    return kernel_of_module(make, name=name)


llama_sdpa = _kernel("llama_sdpa", _llama, implementation="sdpa")
llama_eager = _kernel("llama_eager", _llama, implementation="eager")
mistral_sdpa = _kernel("mistral_sdpa", _mistral, implementation="sdpa")
mistral_eager = _kernel("mistral_eager", _mistral, implementation="eager")
qwen2_sdpa = _kernel("qwen2_sdpa", _qwen2, implementation="sdpa")
qwen2_eager = _kernel("qwen2_eager", _qwen2, implementation="eager")
opt_sdpa = _kernel("opt_sdpa", _opt, implementation="sdpa")
opt_eager = _kernel("opt_eager", _opt, implementation="eager")
bert_sdpa = _kernel("bert_sdpa", _bert, implementation="sdpa")
bert_eager = _kernel("bert_eager", _bert, implementation="eager")
