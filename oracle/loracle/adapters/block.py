"""The attention layer of the user's own model as a kernel. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["attention_block"]


def attention_block(
    source: nn.Module | Callable[[int, int, int, int], nn.Module],
    *,
    projections: Sequence[str] | None = None,
    output_projection: str | None = None,
    call: Callable[[nn.Module, Tensor, Tensor | None], Tensor] | None = None,
    name: str = "",
) -> Callable[..., dict[str, Tensor]]:
    """A kernel for `lora-mha` that is an attention layer with PEFT's adapters on q, k and v.

    source: a layer, of which copies get the sizes of a case by the attributes that transformers
    uses (head_dim, num_key_value_groups, ...); or what makes a layer from the sizes (model,
    num_heads, num_kv_heads, head_dim). Projections that PEFT has adapted stay PEFT's layers, with
    the case's weights and adapters in them; others are adapted by PEFT first. Biases become zero,
    the attributes `scaling` and `is_causal` what the case wants, dropout of the adapters nothing,
    and the output projection the identity; the layer is otherwise as it was, in training mode if it
    was. projections: the names of the three in the layer, told from it if None. output_projection:
    that of the output's. call: the layer, x (batch, length, model) and an additive causal mask (or
    None) in, the output out; if None it is called as transformers calls it, at positions that turn
    nothing (cos = 1, sin = 0).

    A factory is tried here on a small layer. Needs torch and peft. Raises UsageError if the layer's
    sizes cannot be changed, or if it lacks the projections, `scaling` or `is_causal`.
    """
    from loracle.adapters.module_attention import check_source, kernel_of_module

    check_source(source, projections, output_projection)
    return kernel_of_module(
        source, projections=projections, output_projection=output_projection, call=call, name=name
    )
