"""The autograd functions of axolotl, from the one file that holds them (axolotl/kernels/lora):
LoRA_O and LoRA_QKV."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from loracle.adapters.bare_packages import load_bare
from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_mha import lora_mha_of, sdpa
from loracle.adapters.three_projections import Projection, lora_linear_of

__all__ = ["lora_linear", "qkv", "qkv_mha"]

_file = load_bare("axolotl.kernels.lora")


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by LoRA_O, the function of the output projection; no dropout, bias or DoRA."""
    leaves = with_grad(x=x, lora_a=lora_a, lora_b=lora_b)
    place = Projection(weight, leaves["lora_a"], leaves["lora_b"], scaling)
    output = _file.LoRA_O.apply(leaves["x"], None, *_arguments(place))
    return {"output": output, **gradients(output, leaves, grad_output)}


def _fused(x: Tensor, places: Sequence[Projection]) -> Sequence[Tensor]:
    outputs: Sequence[Tensor] = _file.LoRA_QKV.apply(
        x, None, *(value for place in places for value in _arguments(place))
    )
    return outputs


def _arguments(place: Projection) -> tuple[object, ...]:
    """A projection, as axolotl wants it: no bias, not quantised, no bias of the adapter, no
    magnitude."""
    return (
        place.weight,
        None,
        None,
        place.lora_a,
        place.lora_b,
        place.scaling,
        None,
        None,
    )


qkv = lora_linear_of(_fused, "qkv", "`lora-linear` by LoRA_QKV, dealt to q, k and v.")
qkv_mha = lora_mha_of(
    "qkv_mha", "`lora-mha` by LoRA_QKV and torch's attention.", project=_fused, attend=sdpa
)
