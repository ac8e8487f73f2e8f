"""The attention layer of a model, an nn.Module with PEFT adapters on its projections, as a
`lora-mha` kernel."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_alpha import alpha_for
from loracle.adapters.lora_mha import Mha
from loracle.adapters.three_projections import Projection
from loracle.errors import UsageError

__all__ = ["Factory", "check_source", "kernel_of_module"]

Factory = Callable[[int, int, int, int], nn.Module]
"""model, num_heads, num_kv_heads, head_dim in, an attention layer of these sizes out."""

Call = Callable[[nn.Module, Tensor, "Tensor | None"], Tensor]
"""The layer, x (batch, length, model) and an additive causal mask (1, 1, length, length) or None
in, the output before the output projection out."""

_ADAPTER = "default"

_PROJECTIONS = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"))
_OUTPUT_PROJECTIONS = ("o_proj", "out_proj")

_ITS_HEADS = ("head_dim", "attention_head_size")
"""A layer has one of them if its sizes can be changed from without."""

_GROUPED = ("num_key_value_groups", "num_key_value_heads", "num_kv_heads")
"""A layer has one of them if heads of queries may share a head of keys."""

_SET = ("scaling", "is_causal")
"""What every case sets."""

_SMALL = (8, 2, 1, 4)
"""Sizes that a factory is tried with."""


def check_source(
    source: object, projections: Sequence[str] | None, output_projection: str | None
) -> None:
    """Raises UsageError if the source can make no kernel; a factory is tried on small sizes, which
    it may refuse."""
    if isinstance(source, nn.Module):
        _resized(source)
        paths = _parts(source, projections, output_projection)
        q, k = (getattr(source.get_submodule(path), "out_features", None) for path in paths[:2])
        if q != k and not _has_any(source, _GROUPED):
            raise UsageError(
                f"{type(source).__name__} shares heads of keys, but has neither of"
                f" {', '.join(_GROUPED)} by which their number could be changed: give a factory"
                " (model, num_heads, num_kv_heads, head_dim)"
            )
        return
    if not callable(source):
        raise UsageError(
            "attention_block takes an nn.Module, or what makes one from (model, num_heads,"
            f" num_kv_heads, head_dim), not a value of type {type(source).__name__}"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            layer = source(*_SMALL)
    except UsageError:
        raise
    except Exception:
        # It may want other sizes, which a case may have; if it fails there too, that is reported.
        return
    _parts(layer, projections, output_projection)


def kernel_of_module(
    source: nn.Module | Factory,
    *,
    projections: Sequence[str] | None = None,
    output_projection: str | None = None,
    call: Call | None = None,
    name: str = "",
) -> Mha:
    """See `loracle.adapters.attention_block`."""
    resized = isinstance(source, nn.Module)
    make = _resized(source) if isinstance(source, nn.Module) else source
    name = name or (type(source).__name__ if resized else getattr(source, "__name__", "factory"))
    call = call or _called

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
        layer = make(x.shape[-1], num_heads, num_kv_heads, weight_q.shape[0] // num_heads)
        paths = _parts(layer, projections, output_projection)
        frozen = {"q": weight_q, "k": weight_k, "v": weight_v}
        scalings = {"q": scaling_q, "k": scaling_k, "v": scaling_v}
        wanted = {
            path: Projection(frozen[m], leaves[f"lora_a_{m}"], leaves[f"lora_b_{m}"], scalings[m])
            for m, path in zip("qkv", paths, strict=True)
        }
        # What a factory makes has the widths of the case, whatever it calls the number of heads.
        width = getattr(layer.get_submodule(paths[1]), "out_features", None)
        fits = not resized and width == len(weight_k)
        if not fits and not _has_any(layer, _GROUPED):
            # It has as many heads of keys as of queries; those that share one get copies of it.
            for path in paths[1:]:
                wanted[path] = _repeated(wanted[path], num_kv_heads, num_heads // num_kv_heads)
        _put(layer, wanted)
        for path in _OUTPUT_PROJECTIONS if output_projection is None else (output_projection,):
            if output_projection is not None or hasattr(layer, path):
                layer.set_submodule(path, nn.Identity(), strict=True)
        for attribute, value in zip(_SET, (softmax_scale, causal), strict=True):
            setattr(layer, attribute, value)
        mask = _causal_mask(x) if causal else None
        output = call(layer, leaves["x"], mask)
        return {"output": output, **gradients(output, leaves, grad_output)}

    lora_mha.__name__ = lora_mha.__qualname__ = name
    lora_mha.__doc__ = f"`lora-mha` by the attention layer {name}."
    return lora_mha


def _parts(
    layer: object, projections: Sequence[str] | None, output_projection: str | None
) -> Sequence[str]:
    """The names of the projections of q, k and v.

    Raises UsageError if they, or the output's, are not there, or what a case sets: what the layer
    does instead is not known.
    """
    kind = type(layer).__name__
    if not isinstance(layer, nn.Module):
        raise UsageError(f"the factory must make an nn.Module, not a value of type {kind}")
    paths = _projections_of(layer) if projections is None else tuple(projections)
    if isinstance(projections, str) or len(paths) != len("qkv"):
        raise UsageError(f"projections= are three names, of q, k and v, not {projections!r}")
    parts = {path for path, _ in layer.named_modules()}
    for path in (*paths, *(() if output_projection is None else (output_projection,))):
        if path not in parts:
            raise UsageError(f"{kind} has no projection {path!r}")
    for attribute in _SET:
        if not hasattr(layer, attribute):
            raise UsageError(
                f"{kind} has no attribute {attribute!r} that the oracle could set, as the attention"
                " layers of transformers have: give a factory of layers that have it"
            )
    return paths


def _projections_of(layer: nn.Module) -> Sequence[str]:
    """The usual names; raises UsageError if the layer has none of them."""
    for paths in _PROJECTIONS:
        if all(hasattr(layer, path) for path in paths):
            return paths
    known = " nor ".join(", ".join(paths) for paths in _PROJECTIONS)
    raise UsageError(f"{type(layer).__name__} has neither {known}: name them by projections=...")


def _has_any(layer: nn.Module, attributes: Sequence[str]) -> bool:
    return any(hasattr(layer, attribute) for attribute in attributes)


def _resized(module: nn.Module) -> Factory:
    """Copies of a layer with other sizes, whose attributes are those that transformers uses.

    Raises UsageError if it has none of them.
    """
    if not _has_any(module, _ITS_HEADS):
        raise UsageError(
            f"{type(module).__name__} has neither of {', '.join(_ITS_HEADS)}, so that its sizes"
            " cannot be changed: give a factory (model, num_heads, num_kv_heads, head_dim)"
        )

    def make(model: int, num_heads: int, num_kv_heads: int, head_dim: int) -> nn.Module:
        layer = copy.deepcopy(module)
        sizes = {
            "head_dim": head_dim,
            "attention_head_size": head_dim,
            "num_heads": num_heads,
            "num_attention_heads": num_heads,
            "num_key_value_heads": num_kv_heads,
            "num_kv_heads": num_kv_heads,
            "num_key_value_groups": num_heads // num_kv_heads,
            "hidden_size": num_heads * head_dim,
            "embed_dim": num_heads * head_dim,
            "all_head_size": num_heads * head_dim,
        }
        for attribute, size in sizes.items():
            if isinstance(getattr(layer, attribute, None), int):
                setattr(layer, attribute, size)
        return layer

    return make


def _repeated(place: Projection, heads: int, times: int) -> Projection:
    """The same with every head's rows `times` times, one after the other."""

    def rows(matrix: Tensor) -> Tensor:
        by_head = matrix.reshape(heads, -1, matrix.shape[-1])
        return by_head.repeat_interleave(times, dim=0).flatten(0, 1)

    return Projection(rows(place.weight), place.lora_a, rows(place.lora_b), place.scaling)


def _put(layer: nn.Module, wanted: Mapping[str, Projection]) -> None:
    """The case's weights and adapters into the layer's projections, by their names.

    A projection that PEFT has adapted keeps its layer of PEFT's, of which the adapter is replaced;
    one that it has not is adapted by PEFT, whose division of lora_alpha by r it then has.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import Linear

    bare = [path for path in wanted if not isinstance(layer.get_submodule(path), Linear)]
    for path in bare:
        place, old = wanted[path], layer.get_submodule(path)
        biased = getattr(old, "bias", None) is not None
        out_features, in_features = place.weight.shape
        layer.set_submodule(path, nn.Linear(in_features, out_features, bias=biased, device="meta"))
    if bare:
        rank = wanted[bare[0]].lora_a.shape[0]
        config = LoraConfig(
            r=rank,
            lora_dropout=0.0,
            target_modules=bare,
            alpha_pattern={path: alpha_for(wanted[path].scaling, rank) for path in bare},
        )
        inject_adapter_in_model(config, layer, adapter_name=_ADAPTER)
    for path, place in wanted.items():
        adapted: Any = layer.get_submodule(path)
        _replace(adapted, place, keep_scaling=path in bare)


def _replace(adapted: Any, place: Projection, *, keep_scaling: bool) -> None:
    """Weight, A, B and scaling of one of PEFT's layers; keep_scaling: it is to have it already.

    Raises UsageError on an adapter that is not LoRA alone.
    """
    (adapter, *more) = adapted.active_adapters
    if more or adapted.merged or adapter in getattr(adapted, "lora_variant", {}):
        raise UsageError(
            "a projection must have one active adapter that is plain LoRA and not merged"
        )
    if not keep_scaling:
        adapted.scaling[adapter] = place.scaling
    if adapted.scaling[adapter] != place.scaling:
        raise ValueError(f"peft's scaling is {adapted.scaling[adapter]!r}, not {place.scaling!r}")
    base = adapted.get_base_layer()
    base.weight = nn.Parameter(place.weight, requires_grad=False)
    if base.bias is not None:
        zeros = place.weight.new_zeros(place.weight.shape[0])
        base.bias = nn.Parameter(zeros, requires_grad=False)
    # No Parameters: the gradients are those of the tensors they are made of.
    for layer, value in ((adapted.lora_A, place.lora_a), (adapted.lora_B, place.lora_b)):
        del layer[adapter].weight
        layer[adapter].weight = value
    adapted.lora_dropout[adapter] = nn.Identity()


def _causal_mask(x: Tensor) -> Tensor:
    """What is added to the scores: the most negative number where the key is later."""
    length = x.shape[1]
    mask = x.new_full((length, length), torch.finfo(x.dtype).min).triu(1)
    return mask[None, None]


def _called(layer: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """As the attention layers of transformers are called; cos = 1 and sin = 0 turn nothing.

    Scaled-dot-product attention gets no mask, as in a model whose inputs are not padded: then it
    goes by `is_causal`. So does a layer that takes no mask.
    """
    arguments: dict[str, Any] = {}
    takes = inspect.signature(layer.forward).parameters
    config: Any = getattr(layer, "config", None)
    head_dim = getattr(layer, "head_dim", None)
    if "position_embeddings" in takes and head_dim is not None:
        ones = x.new_ones(x.shape[0], x.shape[1], head_dim)
        arguments["position_embeddings"] = (ones, torch.zeros_like(ones))
    if getattr(config, "_attn_implementation", None) == "sdpa":
        mask = None
    elif any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
        arguments["attention_mask"] = mask
    if "attention_mask" in takes:
        arguments["attention_mask"] = mask
    result: Any = layer(x, **arguments)
    output: Tensor = result[0] if isinstance(result, tuple) else result
    return output
