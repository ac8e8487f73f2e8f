"""The contracts a kernel can promise: argument names, shapes, outputs, and their specification."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from loracle.errors import UsageError, nearest
from loracle_reference.attention import aloragc_loss, lora_attention_loss
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient
from loracle_reference.lora_linear import lora_linear_gradient, lora_linear_pairing
from loracle_reference.lora_mha import lora_mha_gradient, lora_mha_pairing

__all__ = ["CONTRACTS", "Contract", "contract_named", "how_to_take_by_name", "infer_contract"]

Shape = tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """One promise: keyword arguments in, a mapping from output names to tensors out.

    tensors and outputs map names to symbolic shapes; scalars are Python floats, options integers
    and truth values. gradient: the closed form over any arithmetic; its operands are matrices, a
    leading batch axis and the length being one axis. loss: the scalar of which every grad_* output
    is the derivative. axes: symbols whose sizes gradient and loss take by keyword, as their
    operands do not show them. softmax: whether the formulas have one, which kernels evaluate in
    different ways. remarks: what names and shapes do not say, a line each.
    """

    name: str
    tensors: Mapping[str, Shape]
    scalars: tuple[str, ...]
    outputs: Mapping[str, Shape]
    gradient: Callable[..., dict[str, Any]]
    loss: Callable[..., Any]
    options: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    softmax: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """All keyword arguments a kernel receives."""
        return (*self.tensors, *self.scalars, *self.options)


_PROJECTIONS = ("q", "k", "v")

LORA_LINEAR = Contract(
    name="lora-linear",
    tensors={
        "x": ("batch", "length", "in"),
        "weight": ("out", "in"),
        "lora_a": ("r", "in"),
        "lora_b": ("out", "r"),
        "grad_output": ("batch", "length", "out"),
    },
    scalars=("scaling",),
    outputs={
        "output": ("batch", "length", "out"),
        "grad_x": ("batch", "length", "in"),
        "grad_lora_a": ("r", "in"),
        "grad_lora_b": ("out", "r"),
    },
    gradient=lora_linear_gradient,
    loss=lora_linear_pairing,
    softmax=False,
)

ALORAGC = Contract(
    name="aloragc",
    tensors={
        "c1": ("L", "d"),
        "c2": ("M", "d"),
        "c3": ("M", "d"),
        "w": ("d", "d"),
        "a": ("r", "d"),
        "b": ("d", "r"),
        "y": ("L", "d"),
    },
    scalars=(),
    outputs={"grad_a": ("r", "d"), "grad_b": ("d", "r")},
    gradient=aloragc_gradient,
    loss=aloragc_loss,
)

LORA_ATTENTION = Contract(
    name="lora-attention",
    tensors={
        "x_q": ("L", "d"),
        "x_k": ("M", "d"),
        "x_v": ("M", "d"),
        **{f"w_{m}": ("d", "d") for m in _PROJECTIONS},
        **{f"{f}_{m}": s for m in _PROJECTIONS for f, s in (("a", ("r", "d")), ("b", ("d", "r")))},
        "y": ("L", "d"),
    },
    scalars=("scaling", "beta"),
    outputs={
        f"grad_{f}_{m}": s for m in _PROJECTIONS for f, s in (("a", ("r", "d")), ("b", ("d", "r")))
    },
    gradient=lora_attention_gradient,
    loss=lora_attention_loss,
)

_WIDTHS = {"q": "q_width", "k": "kv_width", "v": "kv_width"}
"""num_heads * head_dim and num_kv_heads * head_dim."""

LORA_MHA = Contract(
    name="lora-mha",
    tensors={
        "x": ("batch", "length", "model"),
        **{f"weight_{m}": (width, "model") for m, width in _WIDTHS.items()},
        **{
            f"lora_{f}_{m}": shape
            for m, width in _WIDTHS.items()
            for f, shape in (("a", ("r", "model")), ("b", (width, "r")))
        },
        "grad_output": ("batch", "length", "q_width"),
    },
    scalars=("scaling_q", "scaling_k", "scaling_v", "softmax_scale"),
    outputs={
        "output": ("batch", "length", "q_width"),
        "grad_x": ("batch", "length", "model"),
        **{
            f"grad_lora_{f}_{m}": shape
            for m, width in _WIDTHS.items()
            for f, shape in (("a", ("r", "model")), ("b", (width, "r")))
        },
    },
    gradient=lora_mha_gradient,
    loss=lora_mha_pairing,
    options=("num_heads", "num_kv_heads", "causal"),
    axes=("batch",),
    remarks=(
        "q_width = num_heads * head_dim, kv_width = num_kv_heads * head_dim",
        "num_heads: int; num_kv_heads: int, divides num_heads; causal: bool",
        "query head h reads kv head h // (num_heads / num_kv_heads)",
        "query i sees the keys j <= i if causal, else all",
    ),
)

CONTRACTS: Mapping[str, Contract] = {
    c.name: c for c in (LORA_LINEAR, ALORAGC, LORA_ATTENTION, LORA_MHA)
}
"""The contracts by name."""

_CLOSE = 0.5
"""A kernel that takes this part of a contract's parameters is told which it lacks."""


def contract_named(name: str) -> Contract:
    """The contract called `name`; raises UsageError, naming what there is, if there is none."""
    if name not in CONTRACTS:
        raise UsageError(
            f"unknown contract {name!r}; known: {', '.join(CONTRACTS)}{nearest(name, CONTRACTS)}"
        )
    return CONTRACTS[name]


def infer_contract(kernel: Callable[..., Any]) -> Contract:
    """The contract whose arguments `kernel` takes by name.

    Raises UsageError if its parameter names (a **kwargs names none) fit no contract, with what
    would help: naming it where the kernel takes what it is given or Python cannot tell what it
    takes, else other parameters.
    """
    kinds = _kinds_of_parameters(kernel)
    names = {
        name
        for name, kind in (kinds or {}).items()
        if kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    }
    for contract in CONTRACTS.values():
        if set(contract.parameters) <= names:
            return contract
    found = ", ".join(sorted(names)) or "none named"
    closest = max(CONTRACTS.values(), key=lambda c: _share(c, names))
    if _share(closest, names) >= _CLOSE:
        missing = ", ".join(name for name in closest.parameters if name not in names)
        hint = f"closest is {closest.name}; missing: {missing}"
    elif kinds is None or inspect.Parameter.VAR_KEYWORD in kinds.values():
        hint = f"name it with contract=... or --contract ({', '.join(CONTRACTS)})"
    else:
        positional = inspect.Parameter.POSITIONAL_ONLY
        hint = how_to_take_by_name([name for name, kind in kinds.items() if kind is positional])
    raise UsageError(f"cannot tell the contract from the parameters ({found}): {hint}")


def how_to_take_by_name(positional: Collection[str]) -> str:
    """What to do with a kernel that cannot be called by name; positional: its parameters that are
    given by position alone."""
    if any(name in contract.parameters for contract in CONTRACTS.values() for name in positional):
        return "kernels are called by name: take the '/' out of its signature"
    return (
        "kernels are called by name, with what `loracle contracts` lists: wrap it in a function"
        " that has these parameters"
    )


def _kinds_of_parameters(kernel: Callable[..., Any]) -> dict[str, inspect._ParameterKind] | None:
    """By name; None where Python cannot tell, as of what is written in C."""
    try:
        parameters = inspect.signature(kernel).parameters
    except (TypeError, ValueError):
        return None
    return {name: parameter.kind for name, parameter in parameters.items()}


def _share(contract: Contract, names: set[str]) -> float:
    """The part of the contract's parameters that is among the names, from 0 to 1."""
    return len(names.intersection(contract.parameters)) / len(contract.parameters)
