"""The attention layers of models as kernels: those of transformers, with PEFT's adapters, and the
user's own."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import loracle
from loracle.adapters import attention_block
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError

from .test_adapters import call, inputs, truth_of

MHA = CONTRACTS["lora-mha"]


class Attention(nn.Module):
    """A user's own: grouped heads, causal or not, no library."""

    def __init__(self, model: int, num_heads: int, num_kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, num_kv_heads, head_dim
        self.scaling, self.is_causal = head_dim**-0.5, True
        self.q_proj = nn.Linear(model, num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(model, num_kv_heads * head_dim, bias=True)
        self.v_proj = nn.Linear(model, num_kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(num_heads * head_dim, model)

    def shared(self, heads: Tensor) -> Tensor:
        """Query head h reads head h // (num_heads / num_kv_heads)."""
        return heads.repeat_interleave(self.num_heads // self.num_kv_heads, dim=1)

    def forward(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        def heads(projected: Tensor) -> Tensor:
            return projected.reshape(*x.shape[:2], -1, self.head_dim).transpose(1, 2)

        q, k, v = heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x))
        scores = self.scaling * q @ self.shared(k).transpose(2, 3)
        if attention_mask is not None:
            scores = scores + attention_mask
        attended = torch.softmax(scores, dim=-1) @ self.shared(v)
        output: Tensor = self.o_proj(attended.transpose(1, 2).flatten(2))
        return output


class Interleaved(Attention):
    """Query head h reads head h % num_kv_heads."""

    def shared(self, heads: Tensor) -> Tensor:
        return heads.repeat(1, self.num_heads // self.num_kv_heads, 1, 1)


class PrivatelyGrouped(nn.Module):
    """Grouped heads under names of its own; views with fixed numbers of heads, so that weights of
    any other width are a crash."""

    def __init__(self, model: int, num_heads: int, num_kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self._h, self._kv, self.head_dim = num_heads, num_kv_heads, head_dim
        self.scaling, self.is_causal = head_dim**-0.5, True
        self.q_proj = nn.Linear(model, num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(model, num_kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(model, num_kv_heads * head_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q = self.q_proj(x).view(batch, length, self._h, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, self._kv, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self._kv, self.head_dim).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=self.is_causal, scale=self.scaling, enable_gqa=True
        )
        return attended.transpose(1, 2).flatten(2)


def agrees(kernel: Any, index: int) -> bool:
    given = inputs(MHA, index)
    truth, found = truth_of(MHA, given), call(kernel, given, "float64")
    assert set(found) == set(truth)
    return all(torch.allclose(found[n], truth[n], rtol=1e-10, atol=1e-12) for n in truth)


@pytest.mark.parametrize("index", range(4))
def test_a_factory_and_a_module_of_the_users_own(index: int) -> None:
    assert agrees(attention_block(Attention), index)
    layer = Attention(12, 4, 2, 3)
    assert agrees(attention_block(layer), index)
    assert layer.q_proj.weight.shape == (12, 12), "the module itself stays as it is"


@pytest.mark.parametrize("index", range(4))
def test_a_grouped_layer_is_told_by_the_width_of_its_keys(index: int) -> None:
    assert agrees(attention_block(PrivatelyGrouped), index)


def test_some_case_has_shared_heads() -> None:
    scalars = [inputs(MHA, index).scalars for index in range(4)]
    assert any(s["num_heads"] > s["num_kv_heads"] for s in scalars)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_module_that_peft_has_adapted_keeps_its_layers(implementation: str) -> None:
    from peft import LoraConfig, inject_adapter_in_model
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaAttention

    config = LlamaConfig(hidden_size=24, num_attention_heads=6, num_key_value_heads=2)
    config._attn_implementation = implementation
    layer = LlamaAttention(config, layer_idx=0)
    names = ["q_proj", "k_proj", "v_proj"]
    settings = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.5, target_modules=names)
    inject_adapter_in_model(settings, layer)
    kernel = attention_block(layer)
    assert kernel.__name__ == "LlamaAttention"
    if implementation == "sdpa":
        assert all(agrees(kernel, index) for index in range(4))
    else:
        # Its softmax is in float32 whatever it is given.
        given = inputs(MHA, 1)
        truth, found = truth_of(MHA, given), call(kernel, given, "float64")
        assert all(torch.allclose(found[n], truth[n], atol=1e-5) for n in truth)


def test_a_wrong_head_map_in_a_users_module_is_found_and_named() -> None:
    assert agrees(attention_block(Interleaved), 2), "one head of keys hides it"
    report = loracle.validate(
        attention_block(Interleaved), "lora-mha", "float64", regimes=["typical"], cases=2
    )
    assert report.verdict == "fail"
    named = {d.hypothesis for finding in report.findings for d in finding.diagnosis}
    assert "wrong-head-map" in named
    assert report.kernel.endswith("Interleaved")


def test_a_call_and_names_of_ones_own() -> None:
    class Renamed(Attention):
        def __init__(self, *sizes: int) -> None:
            super().__init__(*sizes)
            self.a, self.b, self.c, self.out = self.q_proj, self.k_proj, self.v_proj, self.o_proj
            del self.q_proj, self.k_proj, self.v_proj, self.o_proj

        def forward(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
            for name, own in zip("qkvo", (self.a, self.b, self.c, self.out), strict=True):
                object.__setattr__(self, f"{name}_proj", own)
            return super().forward(x, attention_mask)

    seen: list[bool] = []

    def called(layer: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
        seen.append(mask is None)
        output: Tensor = layer(x, mask)
        return output

    kernel = attention_block(
        Renamed, projections=("a", "b", "c"), output_projection="out", call=called, name="mine"
    )
    assert kernel.__name__ == "mine"
    assert agrees(kernel, 1)
    assert agrees(kernel, 3)
    assert seen == [True, False]


def test_what_cannot_be_judged_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="Linear has neither of head_dim"):
        attention_block(nn.Linear(2, 2))

    class Nameless(nn.Module):
        def __init__(self, *sizes: int) -> None:
            super().__init__()

    with pytest.raises(UsageError, match="Nameless has neither q_proj, k_proj, v_proj nor query"):
        attention_block(Nameless)
    with pytest.raises(UsageError, match=r"shares heads of keys.*give a factory"):
        attention_block(PrivatelyGrouped(12, 4, 2, 3))
    with pytest.raises(UsageError, match="not a value of type int"):
        attention_block(cast(Any, 3))
    with pytest.raises(UsageError, match=r"make an nn.Module, not a value of type int"):
        attention_block(cast(Any, lambda *sizes: 3))
    with pytest.raises(UsageError, match=r"three names.*'q_proj'"):
        attention_block(Attention, projections="q_proj")
    with pytest.raises(UsageError, match="Attention has no projection 'a'"):
        attention_block(Attention, projections=("a", "b", "c"))
    with pytest.raises(UsageError, match="Attention has no projection 'out'"):
        attention_block(Attention, output_projection="out")


@pytest.mark.parametrize("attribute", ["scaling", "is_causal"])
def test_a_layer_without_what_every_case_sets_is_refused(attribute: str) -> None:
    class Lacking(Attention):
        def __init__(self, *sizes: int) -> None:
            super().__init__(*sizes)
            delattr(self, attribute)

    with pytest.raises(UsageError, match=f"no attribute '{attribute}'"):
        attention_block(Lacking)
    with pytest.raises(UsageError, match=f"no attribute '{attribute}'"):
        attention_block(Lacking(12, 4, 2, 3))


def test_a_factory_may_refuse_the_sizes_it_is_tried_with() -> None:
    def picky(model: int, num_heads: int, num_kv_heads: int, head_dim: int) -> nn.Module:
        if (model, num_heads, num_kv_heads, head_dim) == (8, 2, 1, 4):
            raise ValueError("not these")
        return Attention(model, num_heads, num_kv_heads, head_dim)

    assert agrees(attention_block(picky), 1)


def test_adapters_that_are_not_lora_alone_are_refused() -> None:
    from peft import LoraConfig, inject_adapter_in_model

    layer = Attention(12, 4, 2, 3)
    names = ["q_proj", "k_proj", "v_proj"]
    inject_adapter_in_model(LoraConfig(r=2, use_dora=True, target_modules=names), layer)
    with pytest.raises(UsageError, match="plain LoRA"):
        call(attention_block(layer), inputs(MHA, 1), "float64")
