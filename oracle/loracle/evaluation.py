"""Evaluating a contract's specification on concrete inputs, in any arithmetic."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle_reference.arithmetic.protocol import Arithmetic, Matrix

__all__ = ["bind_sizes", "gradients", "matrices", "output_shapes"]

M = TypeVar("M", bound=Matrix)

_ROWS = ("batch", "length")
"""The axes of rows. Where inputs have only the last one, or one more before them, so have the
outputs; `batch` is then 1, or the product."""


def bind_sizes(contract: Contract, inputs: Inputs) -> dict[str, int]:
    """The number behind each symbol of the contract's shapes; ValueError if the inputs contradict
    it or one another."""
    sizes: dict[str, int] = {}
    for name, symbols in contract.tensors.items():
        shape = inputs.tensors[name].shape
        if symbols[:2] == _ROWS and len(shape) in (2, 4):
            shape = (math.prod(shape[:-2]), *shape[-2:])
        if len(shape) != len(symbols):
            raise ValueError(f"{name} has shape {shape}, {contract.name} has {symbols}")
        for symbol, size in zip(symbols, shape, strict=True):
            if sizes.setdefault(symbol, size) != size:
                raise ValueError(f"{name} has {symbol} = {size}, others {sizes[symbol]}")
    return sizes


def output_shapes(contract: Contract, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shape that each output must have."""
    sizes = bind_sizes(contract, inputs)
    rows_of = [inputs.tensors[n].shape[:-1] for n, s in contract.tensors.items() if s[:2] == _ROWS]
    return {
        name: (*rows_of[0], sizes[shape[-1]])
        if shape[:2] == _ROWS
        else tuple(sizes[symbol] for symbol in shape)
        for name, shape in contract.outputs.items()
    }


def matrices(contract: Contract, inputs: Inputs, arithmetic: Arithmetic[M]) -> dict[str, Any]:
    """The keyword arguments of the specification: batch and length become one axis of rows."""
    tensors = {name: arithmetic.matrix(rows(inputs.tensors[name])) for name in contract.tensors}
    sizes = bind_sizes(contract, inputs)
    return {**tensors, **inputs.scalars, **{symbol: sizes[symbol] for symbol in contract.axes}}


def rows(tensor: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """All axes but the last as one."""
    return tensor.reshape(-1, tensor.shape[-1])


def gradients(contract: Contract, inputs: Inputs, arithmetic: Arithmetic[M]) -> dict[str, M]:
    """Every output of the contract, as matrices of the arithmetic."""
    return contract.gradient(**matrices(contract, inputs, arithmetic))
