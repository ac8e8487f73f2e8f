"""The autograd functions of unsloth, from the one file that holds them (unsloth/kernels/fast_lora):
LoRA_W, LoRA_QKV and the LoRA parts of LoRA_MLP.

With `inplace`, which is unsloth's default, a backward writes the gradient of x into x.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from loracle.adapters.bare_packages import load_bare
from loracle.adapters.differentiation import gradients, with_grad
from loracle.adapters.lora_mha import lora_mha_of, sdpa
from loracle.adapters.three_projections import Fused, Projection, lora_linear_of

__all__ = [
    "lora_linear",
    "mlp_down",
    "mlp_down_inplace",
    "mlp_gate_up",
    "mlp_gate_up_inplace",
    "qkv",
    "qkv_inplace",
    "qkv_mha",
    "qkv_mha_inplace",
]

if not torch.cuda.is_available():
    # Without it the package refuses a machine without a GPU; its functions need none.
    os.environ.setdefault("UNSLOTH_ALLOW_CPU", "1")

_file = load_bare("unsloth.kernels.fast_lora", also=("unsloth_zoo",))

Kernel = Callable[..., dict[str, Tensor]]


def lora_linear(
    *,
    x: Tensor,
    weight: Tensor,
    lora_a: Tensor,
    lora_b: Tensor,
    scaling: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """`lora-linear` by LoRA_W, the function of the output projection."""
    leaves = with_grad(x=x, lora_a=lora_a, lora_b=lora_b)
    output = _file.LoRA_W.apply(
        leaves["x"], weight, None, leaves["lora_a"], leaves["lora_b"], scaling
    )
    return {"output": output, **gradients(output, leaves, grad_output)}


def _qkv(inplace: bool) -> Fused:
    def fused(x: Tensor, places: Sequence[Projection]) -> Sequence[Tensor]:
        outputs: Sequence[Tensor] = _file.LoRA_QKV.apply(
            x, *(value for place in places for value in _arguments(place)), inplace
        )
        return outputs

    return fused


def _arguments(place: Projection) -> tuple[object, ...]:
    """A projection, as unsloth wants it; None: not quantised."""
    return place.weight, None, place.lora_a, place.lora_b, place.scaling


qkv = lora_linear_of(
    _qkv(False), "qkv", "`lora-linear` by LoRA_QKV with inplace=False, dealt to q, k and v."
)
qkv_inplace = lora_linear_of(
    _qkv(True), "qkv_inplace", "`lora-linear` by LoRA_QKV with inplace=True, dealt to q, k and v."
)

qkv_mha = lora_mha_of(
    "qkv_mha",
    "`lora-mha` by LoRA_QKV with inplace=False and torch's attention.",
    project=_qkv(False),
    attend=sdpa,
)
qkv_mha_inplace = lora_mha_of(
    "qkv_mha_inplace",
    "`lora-mha` by LoRA_QKV with inplace=True and torch's attention.",
    project=_qkv(True),
    attend=sdpa,
)


def _mlp_down(name: str, inplace: bool, summary: str) -> Kernel:
    """The projection is that of LoRA_MLP's down; gate is the identity, up is not used."""

    def kernel(
        *,
        x: Tensor,
        weight: Tensor,
        lora_a: Tensor,
        lora_b: Tensor,
        scaling: float,
        grad_output: Tensor,
    ) -> dict[str, Tensor]:
        leaves = with_grad(x=x, lora_a=lora_a, lora_b=lora_b)
        identity = _identity(x.shape[-1], lora_a)
        output = _file.LoRA_MLP.apply(
            leaves["x"],
            *_arguments(identity),
            *_arguments(identity),
            *_arguments(Projection(weight, leaves["lora_a"], leaves["lora_b"], scaling)),
            lambda gate, up: gate,
            lambda grad, gate, up: (gate, torch.zeros_like(grad), grad),
            inplace,
        )
        return {"output": output, **gradients(output, leaves, grad_output)}

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = summary
    return kernel


def _mlp_gate_up(name: str, inplace: bool, summary: str) -> Kernel:
    """The rows of the projection are dealt to gate and up, as `three_projections` deals them to
    three places; the activation puts them side by side, and down is the identity."""

    def fused(x: Tensor, places: Sequence[Projection]) -> Sequence[Tensor]:
        gate, up = places[:2]
        width = gate.weight.shape[0]
        output: Tensor = _file.LoRA_MLP.apply(
            x,
            *_arguments(gate),
            *_arguments(up),
            *_arguments(_identity(2 * width, gate.lora_a)),
            lambda e, g: torch.cat((e, g), dim=-1),
            lambda grad, e, g: (torch.cat((e, g), dim=-1), grad[:, width:], grad[:, :width]),
            inplace,
        )
        return output.chunk(2, dim=-1)

    return lora_linear_of(fused, name, summary, places=2)


def _identity(width: int, like: Tensor) -> Projection:
    """A projection that changes nothing: W = I, and adapters of the same rank that are zero."""
    rank = like.shape[0]
    options: Any = {"dtype": like.dtype, "device": like.device}
    return Projection(
        torch.eye(width, **options),
        torch.zeros(rank, width, **options),
        torch.zeros(width, rank, **options),
        1.0,
    )


mlp_down = _mlp_down("mlp_down", False, "`lora-linear` by the down projection of LoRA_MLP.")
mlp_down_inplace = _mlp_down(
    "mlp_down_inplace", True, "`lora-linear` by the down projection of LoRA_MLP, inplace=True."
)
mlp_gate_up = _mlp_gate_up("mlp_gate_up", False, "`lora-linear` by gate and up of LoRA_MLP.")
mlp_gate_up_inplace = _mlp_gate_up(
    "mlp_gate_up_inplace", True, "`lora-linear` by gate and up of LoRA_MLP, inplace=True."
)
