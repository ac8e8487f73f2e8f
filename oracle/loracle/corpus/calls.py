"""The arguments of each contract as types, so that a kernel of the corpus can be one line."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypedDict, TypeVar, get_args, get_type_hints

from torch import Tensor

__all__ = [
    "AloragcCall",
    "LoraAttentionCall",
    "LoraLinearCall",
    "LoraMhaCall",
    "Outputs",
    "kernel",
    "only",
]

Outputs = dict[str, Tensor]


class LoraLinearCall(TypedDict):
    """x (batch, length, in), weight (out, in), lora_a (r, in), lora_b (out, r), grad_output
    (batch, length, out)."""

    x: Tensor
    weight: Tensor
    lora_a: Tensor
    lora_b: Tensor
    scaling: float
    grad_output: Tensor


class AloragcCall(TypedDict):
    """c1, y (L, d); c2, c3 (M, d); w (d, d); a (r, d); b (d, r)."""

    c1: Tensor
    c2: Tensor
    c3: Tensor
    w: Tensor
    a: Tensor
    b: Tensor
    y: Tensor


class LoraAttentionCall(TypedDict):
    """x_q, y (L, d); x_k, x_v (M, d); w_* (d, d); a_* (r, d); b_* (d, r)."""

    x_q: Tensor
    x_k: Tensor
    x_v: Tensor
    w_q: Tensor
    w_k: Tensor
    w_v: Tensor
    a_q: Tensor
    b_q: Tensor
    a_k: Tensor
    b_k: Tensor
    a_v: Tensor
    b_v: Tensor
    scaling: float
    beta: float
    y: Tensor


class LoraMhaCall(TypedDict):
    """x (batch, length, model); weight_q (num_heads * head_dim, model); weight_k, weight_v
    (num_kv_heads * head_dim, model); lora_a_* (r, model); lora_b_* (rows of the weight, r);
    grad_output (batch, length, num_heads * head_dim)."""

    x: Tensor
    weight_q: Tensor
    weight_k: Tensor
    weight_v: Tensor
    lora_a_q: Tensor
    lora_b_q: Tensor
    lora_a_k: Tensor
    lora_b_k: Tensor
    lora_a_v: Tensor
    lora_b_v: Tensor
    scaling_q: float
    scaling_k: float
    scaling_v: float
    num_heads: int
    num_kv_heads: int
    causal: bool
    softmax_scale: float
    grad_output: Tensor


Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Give a function of `**call: Unpack[SomeCall]` the signature that names the arguments, from
    which the oracle infers the contract."""
    (call,) = get_args(get_type_hints(function)["call"])
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in get_type_hints(call)]
    function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return function


def only(outputs: Outputs, *names: str) -> Outputs:
    """The named ones of the outputs."""
    return {name: outputs[name] for name in names}
