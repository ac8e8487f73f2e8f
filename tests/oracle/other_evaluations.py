"""Honest evaluations that are not in the ensemble from which the tolerance is made: sums in
pairwise order, the exponential as a power of two, and torch's own operations and orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from loracle.adapters import autograd
from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients, output_shapes
from loracle.kernels import exact, mha, streaming
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar
from loracle_reference.floating_point import NUMPY_DTYPES

Array = npt.NDArray[np.float64]
Stored = npt.NDArray[Any]

_LOG2_E = 1.4426950408889634


def _pairwise(terms: Stored) -> Stored:
    """The sum over the first axis, halves first, every partial sum in storage."""
    count = terms.shape[0]
    if count == 1:
        return np.asarray(terms[0])
    middle = count // 2
    return np.asarray(_pairwise(terms[:middle]) + _pairwise(terms[middle:]))


class PairwiseMatrix(Matrix):
    """A matrix in a storage format, as a numpy array."""

    def __init__(self, values: Stored) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"PairwiseMatrix({self.shape})"

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.values.shape
        return rows, columns

    @property
    def T(self) -> PairwiseMatrix:
        return PairwiseMatrix(self.values.T)

    def __matmul__(self, other: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(_pairwise(self.values.T[:, :, None] * other.values[:, None, :]))

    def __add__(self, other: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(self.values + other.values)

    def __sub__(self, other: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(self.values - other.values)

    def __mul__(self, other: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(self.values * other.values)

    def scale(self, factor: Scalar) -> PairwiseMatrix:
        return PairwiseMatrix(self.values * np.asarray(float(factor)).astype(self.values.dtype))

    def row_sum(self) -> PairwiseMatrix:
        return PairwiseMatrix(_pairwise(self.values.T)[:, None])

    def exp(self) -> PairwiseMatrix:
        power = self.values * np.asarray(_LOG2_E).astype(self.values.dtype)
        return PairwiseMatrix(np.exp2(power.astype(np.float64)).astype(self.values.dtype))

    def scale_rows(self, column: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(self.values * column.values)

    def divide_rows(self, column: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(self.values / column.values)

    def face_splitting(self, other: PairwiseMatrix) -> PairwiseMatrix:
        product = self.values[:, :, None] * other.values[:, None, :]
        return PairwiseMatrix(product.reshape(self.shape[0], -1))

    def reshape(self, rows: int, columns: int) -> PairwiseMatrix:
        return PairwiseMatrix(self.values.reshape(rows, columns))

    def take_rows(self, indices: Sequence[int]) -> PairwiseMatrix:
        return PairwiseMatrix(self.values[list(indices)])

    def beside(self, other: PairwiseMatrix) -> PairwiseMatrix:
        return PairwiseMatrix(np.hstack([self.values, other.values]))

    def softmax_rows(self) -> PairwiseMatrix:
        shifted = PairwiseMatrix(self.values - self.values.max(axis=1, keepdims=True)).exp()
        return shifted.divide_rows(shifted.row_sum())


class Pairwise(Arithmetic[PairwiseMatrix]):
    """The arithmetic of one storage format."""

    name = "pairwise"

    def __init__(self, dtype: str) -> None:
        self._storage = NUMPY_DTYPES[dtype]

    def matrix(self, entries: Entries) -> PairwiseMatrix:
        return PairwiseMatrix(np.asarray(entries, dtype=np.float64).astype(self._storage))


def pairwise(case: Case, inputs: Inputs) -> dict[str, Array]:
    """The outputs from pairwise sums, exactly, as float64."""
    contract = CONTRACTS[case.contract]
    results, shapes = gradients(contract, inputs, Pairwise(case.dtype)), output_shapes
    return {
        name: results[name].values.astype(np.float64).reshape(shape)
        for name, shape in shapes(contract, inputs).items()
    }


def in_torch(kernel: Callable[..., Any], case: Case, inputs: Inputs) -> dict[str, Array]:
    """The outputs of a torch kernel, exactly, as float64."""
    dtype = getattr(torch, case.dtype)
    tensors = {name: torch.tensor(value, dtype=dtype) for name, value in inputs.tensors.items()}
    results = kernel(**tensors, **inputs.scalars)
    return {name: value.detach().double().numpy() for name, value in results.items()}


def honest_evaluations(case: Case, inputs: Inputs) -> dict[str, dict[str, Array]]:
    """All of them by name."""
    name = case.contract.replace("-", "_")
    evaluations = {
        "pairwise": pairwise(case, inputs),
        "autograd": in_torch(getattr(autograd, name), case, inputs),
    }
    if case.contract == "lora-mha":
        evaluations["exact"] = in_torch(mha.lora_mha, case, inputs)
    elif case.contract != "lora-linear":
        for module in (exact, streaming):
            kernel = getattr(module, name)
            evaluations[module.__name__.rpartition(".")[2]] = in_torch(kernel, case, inputs)
    return evaluations
