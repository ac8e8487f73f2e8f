"""Evaluating a contract's specification on concrete inputs, in any arithmetic."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle_reference.arithmetic.protocol import Arithmetic, Matrix

__all__ = ["bind_sizes", "gradients", "matrices", "output_shapes"]

M = TypeVar("M", bound=Matrix)


def bind_sizes(contract: Contract, inputs: Inputs) -> dict[str, int]:
    """The number behind each symbol of the contract's shapes."""
    return {
        symbol: size
        for name, shape in contract.tensors.items()
        for symbol, size in zip(shape, inputs.tensors[name].shape, strict=True)
    }


def output_shapes(contract: Contract, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shape that each output must have."""
    sizes = bind_sizes(contract, inputs)
    return {name: tuple(sizes[s] for s in shape) for name, shape in contract.outputs.items()}


def matrices(contract: Contract, inputs: Inputs, arithmetic: Arithmetic[M]) -> dict[str, Any]:
    """The keyword arguments of the specification: batch and length become one axis of rows."""
    tensors = {name: arithmetic.matrix(rows(inputs.tensors[name])) for name in contract.tensors}
    return {**tensors, **inputs.scalars}


def rows(tensor: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """All axes but the last as one."""
    return tensor.reshape(-1, tensor.shape[-1])


def gradients(contract: Contract, inputs: Inputs, arithmetic: Arithmetic[M]) -> dict[str, M]:
    """Every output of the contract, as matrices of the arithmetic."""
    return contract.gradient(**matrices(contract, inputs, arithmetic))
