"""Monte Carlo arithmetic: float64 samples with a random relative perturbation at every operation.

Each matrix holds a stack of samples. One rounding multiplies by 1 + u xi with xi uniform on [-1, 1]
(variance u^2 / 3); near zero it adds xi times what a rounding may take absolutely. A sum of
products takes its n products and n - 1 partial sums rounded to storage
together, as one normal variable of the variance that their independent roundings have: with terms
t_k and sum S it is u^2/3 (sum t_k^2 + (n/2) sum t_k^2 + (n/3) S^2), partial sums being a random
walk of the terms beside a drift to S. A sum kept in more than storage is rounded when it is stored.
(D. Parker, Monte Carlo Arithmetic, 1997; used here for typical errors only, never for a proof.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.double import Double
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar
from loracle_reference.arithmetic.shapes import (
    causal_mask,
    require_column,
    require_inner,
    require_reshape,
    require_rows,
    require_same_rows,
    require_same_shape,
)
from loracle_reference.floating_point import MachineModel

__all__ = ["Stochastic", "StochasticMatrix"]

Array = npt.NDArray[np.float64]


class StochasticMatrix(Matrix):
    """Samples of one matrix, an array of shape (samples, rows, columns)."""

    def __init__(self, samples: Array, arithmetic: Stochastic) -> None:
        self.samples = samples
        self.arithmetic = arithmetic

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return int(self.samples.shape[1]), int(self.samples.shape[2])

    @property
    def T(self) -> StochasticMatrix:
        """The transpose."""
        return StochasticMatrix(self.samples.transpose(0, 2, 1), self.arithmetic)

    def __matmul__(self, other: StochasticMatrix) -> StochasticMatrix:
        require_inner(self, other)
        left, right = self._read(), other._read()
        value = left @ right
        squares = np.square(left) @ np.square(right)
        return self._summed(value, squares, self.shape[1])

    def __add__(self, other: StochasticMatrix) -> StochasticMatrix:
        require_same_shape(self, other)
        return self._rounded(self.samples + other.samples)

    def __sub__(self, other: StochasticMatrix) -> StochasticMatrix:
        require_same_shape(self, other)
        return self._rounded(self.samples - other.samples)

    def __mul__(self, other: StochasticMatrix) -> StochasticMatrix:
        require_same_shape(self, other)
        return self._rounded(self.samples * other.samples)

    def scale(self, factor: Scalar) -> StochasticMatrix:
        return self._rounded(self.samples * float(factor))

    def row_sum(self) -> StochasticMatrix:
        value = self.samples.sum(axis=2, keepdims=True)
        squares = np.square(self.samples).sum(axis=2, keepdims=True)
        return self._summed(value, squares, self.shape[1])

    def exp(self) -> StochasticMatrix:
        with np.errstate(over="ignore"):
            return self._exponential(self.samples)

    def scale_rows(self, column: StochasticMatrix) -> StochasticMatrix:
        require_column(self, column)
        return self._rounded(self.samples * column.samples)

    def divide_rows(self, column: StochasticMatrix) -> StochasticMatrix:
        require_column(self, column)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._rounded(self.samples / column.samples)

    def face_splitting(self, other: StochasticMatrix) -> StochasticMatrix:
        require_same_rows(self, other)
        product = self.samples[:, :, :, None] * other.samples[:, :, None, :]
        return self._rounded(product.reshape(*self.samples.shape[:2], -1))

    def reshape(self, rows: int, columns: int) -> StochasticMatrix:
        """The same entries in row-major order, sample by sample."""
        require_reshape(self, rows, columns)
        samples = self.samples.reshape(self.samples.shape[0], rows, columns)
        return StochasticMatrix(samples, self.arithmetic)

    def take_rows(self, indices: Sequence[int]) -> StochasticMatrix:
        """Row i of the result is row indices[i], in every sample."""
        return StochasticMatrix(self.samples[:, require_rows(self, indices)], self.arithmetic)

    def beside(self, other: StochasticMatrix) -> StochasticMatrix:
        """The columns of self, then those of other, sample by sample."""
        require_same_rows(self, other)
        samples = np.concatenate([self.samples, other.samples], axis=2)
        return StochasticMatrix(samples, self.arithmetic)

    def softmax_rows(self) -> StochasticMatrix:
        """By quotient, with the row maximum subtracted, or from a stored log-sum-exp, whose
        rounding every key of the row shares."""
        return self._softmax(np.ones(self.shape, dtype=np.bool_))

    def causal_softmax_rows(self) -> StochasticMatrix:
        """The same over the keys up to the query."""
        return self._softmax(causal_mask(self))

    def _softmax(self, seen: npt.NDArray[np.bool_]) -> StochasticMatrix:
        """Of the keys that a query sees; the others are zero, and nothing is rounded there."""
        largest = np.where(seen, self.samples, -np.inf).max(axis=2, keepdims=True)
        shifted = self._rounded(np.where(seen, self.samples - largest, 0.0))
        exponentials = shifted._exponential(shifted.samples)._only(seen)
        total = exponentials.row_sum()
        if self.arithmetic.softmax == "quotient":
            return exponentials.divide_rows(total)
        log_sum_exp = self._rounded(largest + self._rounded(np.log(total.samples)).samples)
        difference = np.where(seen, self.samples - log_sum_exp.samples, 0.0)
        return self._exponential(self._rounded(difference).samples)._only(seen)

    def _only(self, seen: npt.NDArray[np.bool_]) -> StochasticMatrix:
        return StochasticMatrix(np.where(seen, self.samples, 0.0), self.arithmetic)

    def _exponential(self, argument: Array) -> StochasticMatrix:
        machine = self.arithmetic.machine
        relative = machine.exp_error + 2 * machine.exp_unit * np.abs(argument)
        value = np.exp(argument + relative * self.arithmetic.uniform(argument.shape))
        return self._rounded(value)

    def _rounded(self, value: Array) -> StochasticMatrix:
        unit = self.arithmetic.machine.storage.unit_roundoff
        noise = 1 + unit * self.arithmetic.uniform(value.shape)
        return self._near_zero(value * noise)

    def _read(self) -> Array:
        """The samples as operands of a matrix product: truncating or rounding those spreads them
        over an interval of the width of operand_unit. (Its middle is biased; legal evaluations
        have that part.)"""
        unit = self.arithmetic.machine.operand_unit / 2
        if not unit:
            return self.samples
        return self.samples * (1 + unit * self.arithmetic.uniform(self.samples.shape))

    def _summed(self, value: Array, squares: Array, terms: int) -> StochasticMatrix:
        """Where sums are kept in more than storage, what is stored of each block of them is rounded
        besides."""
        machine = self.arithmetic.machine
        unit, storage = machine.accumulate, machine.storage.unit_roundoff
        variance = ((1 + terms / 2) * squares + terms / 3 * np.square(value)) * unit**2
        if unit < storage:
            stored = math.ceil(terms / (machine.block or terms))
            roundings = (stored - 1) / 2 * squares + max(1.0, stored / 3) * np.square(value)
            variance = variance + roundings * storage**2
        noise = self.arithmetic.normal(value.shape) * np.sqrt(variance / 3)
        return self._near_zero(value + noise)

    def _near_zero(self, rounded: Array) -> StochasticMatrix:
        """With the absolute part of a rounding where it is the larger one; zeros are exact."""
        machine = self.arithmetic.machine
        small = (rounded != 0) & (np.abs(rounded) < machine.loss / machine.storage.unit_roundoff)
        if small.any():
            lost = machine.loss * self.arithmetic.uniform(rounded.shape)
            rounded = np.where(small, rounded + lost, rounded)
        return StochasticMatrix(rounded, self.arithmetic)


class Stochastic(Arithmetic[StochasticMatrix]):
    """The stochastic arithmetic of one machine model, with its own seeded random stream."""

    name = "stochastic"

    def __init__(
        self,
        machine: MachineModel,
        *,
        samples: int = 32,
        seed: int = 0,
        softmax: Literal["quotient", "log-sum-exp"] = "quotient",
    ) -> None:
        """Raises ValueError unless there is at least one sample."""
        if samples < 1:
            raise ValueError("at least one sample is needed")
        self.machine = machine
        self.samples = samples
        self.softmax = softmax
        self._generator = np.random.default_rng(seed)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Uniform on [-1, 1]."""
        return self._generator.random(shape) * 2 - 1

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Standard normal."""
        return self._generator.standard_normal(shape)

    def matrix(self, entries: Entries) -> StochasticMatrix:
        """Inputs, the same in every sample. Raises ValueError unless they form a finite matrix."""
        values = Double().matrix(entries).values
        return StochasticMatrix(np.broadcast_to(values, (self.samples, *values.shape)), self)
