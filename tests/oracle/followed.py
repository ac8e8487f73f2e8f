"""Kernels that follow an evaluation plan: one with real roundings and sums in random orders, one
with every rounding in an attacker's hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.evaluation import matrices
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import round_to_format

from .perturbed import Perturbed, PerturbedMatrix

Array = npt.NDArray[Any]


def outputs_of(plan: str, contract: Contract, inputs: Inputs, arithmetic: Any) -> dict[str, Any]:
    """The outputs of a kernel that follows the plan, in an arithmetic whose matrices have
    `stored`."""
    known = PLANS[contract.name][plan]
    arithmetic.stores_every_result = known.stores_every_result
    outputs = known.formulas(lambda m: m.stored(), **matrices(contract, inputs, arithmetic))
    return {name: matrix.stored() for name, matrix in outputs.items()}


class FollowedMatrix(Matrix):
    """Entries in float32, rounded to storage where the plan says so."""

    def __init__(self, values: Array, arithmetic: Followed) -> None:
        self.values = values
        self.arithmetic = arithmetic

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.values.shape
        return rows, columns

    @property
    def T(self) -> FollowedMatrix:
        """The transpose."""
        return FollowedMatrix(self.values.T, self.arithmetic)

    def stored(self) -> FollowedMatrix:
        rounded = round_to_format(self.values.astype(np.float64), self.arithmetic.dtype)
        return FollowedMatrix(rounded.astype(np.float32), self.arithmetic)

    def __matmul__(self, other: FollowedMatrix) -> FollowedMatrix:
        return self._new(self.arithmetic.summed(self.values[:, :, None] * other.values[None], 1))

    def __add__(self, other: FollowedMatrix) -> FollowedMatrix:
        return self._new(self.values + other.values)

    def __sub__(self, other: FollowedMatrix) -> FollowedMatrix:
        return self._new(self.values - other.values)

    def __mul__(self, other: FollowedMatrix) -> FollowedMatrix:
        return self._new(self.values * other.values)

    def scale(self, factor: Scalar) -> FollowedMatrix:
        result = FollowedMatrix(self.values * np.float32(factor), self.arithmetic)
        kept = np.array_equal(self.stored().values, self.values)
        return result.stored() if kept else result

    def row_sum(self) -> FollowedMatrix:
        return self._new(self.arithmetic.summed(self.values[:, :, None], 1))

    def sum_with(self, *others: FollowedMatrix) -> FollowedMatrix:
        """In a random order, a partial sum stored by the toss of a coin."""
        parts = [self, *others]
        order = self.arithmetic.generator.permutation(len(parts))
        total = parts[order[0]]
        for place in order[1:]:
            total = total.stored() if self.arithmetic.generator.integers(2) else total
            total = total + parts[place]
        return total

    def exp(self) -> FollowedMatrix:
        return self._new(np.exp(self.values))

    def scale_rows(self, column: FollowedMatrix) -> FollowedMatrix:
        return self._new(self.values * column.values)

    def divide_rows(self, column: FollowedMatrix) -> FollowedMatrix:
        return self._new(self.values / column.values)

    def face_splitting(self, other: FollowedMatrix) -> FollowedMatrix:
        product = self.values[:, :, None] * other.values[:, None, :]
        return self._new(product.reshape(self.shape[0], -1))

    def reshape(self, rows: int, columns: int) -> FollowedMatrix:
        return FollowedMatrix(self.values.reshape(rows, columns), self.arithmetic)

    def take_rows(self, indices: Sequence[int]) -> FollowedMatrix:
        return FollowedMatrix(self.values[list(indices)], self.arithmetic)

    def beside(self, other: FollowedMatrix) -> FollowedMatrix:
        return FollowedMatrix(np.hstack([self.values, other.values]), self.arithmetic)

    def softmax_rows(self) -> FollowedMatrix:
        """A quotient, or from a log-sum-exp, by the toss of a coin."""
        shifted = self.values - self.values.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        total = self.arithmetic.summed(weights[:, :, None], 1)
        if self.arithmetic.generator.integers(2):
            return self._new(weights / total)
        return self._new(np.exp(shifted - np.log(total)))

    def _new(self, values: Array) -> FollowedMatrix:
        result = FollowedMatrix(values, self.arithmetic)
        return result.stored() if self.arithmetic.stores_every_result else result


class Followed(Arithmetic[FollowedMatrix]):
    """float32 accumulators, storage in dtype, each sum in an order of its own."""

    name = "followed"
    stores_every_result = False

    def __init__(self, dtype: str, seed: int) -> None:
        self.dtype = dtype
        self.generator = np.random.default_rng(seed)

    def matrix(self, entries: Entries) -> FollowedMatrix:
        """Inputs are exact."""
        return FollowedMatrix(np.asarray(entries, dtype=np.float32), self)

    def summed(self, terms: Array, axis: int) -> Array:
        """Over one axis: in a random order, in blocks of random length."""
        count = terms.shape[axis]
        order = self.generator.permutation(count)
        length = int(self.generator.integers(1, count + 1))
        blocks = []
        for start in range(0, count, length):
            block = [np.take(terms, k, axis) for k in order[start : start + length]]
            blocks.append(_chained(block))
        return _chained(blocks)


def _chained(terms: list[Array]) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


class PlanAttackMatrix(PerturbedMatrix):
    """Rounds as the accumulators do, and to storage where the plan says so."""

    arithmetic: PlanAttack
    kept = False
    """Rounded to storage already."""

    def stored(self) -> PlanAttackMatrix:
        if self.kept or self.arithmetic.machine.accumulates_in_storage:
            return self
        unit = self.arithmetic.machine.storage.unit_roundoff
        result = PlanAttackMatrix(
            self.arithmetic.attack.rounding(self.entries, unit), self.arithmetic
        )
        result.kept = True
        return result

    @property
    def T(self) -> PlanAttackMatrix:
        """The transpose."""
        return self._copied(self.entries.T, kept=self.kept)

    def take_rows(self, indices: Sequence[int]) -> PlanAttackMatrix:
        return self._copied(self.entries[list(indices)], kept=self.kept)

    def beside(self, other: PlanAttackMatrix) -> PlanAttackMatrix:
        entries = torch.cat([self.entries, other.entries], dim=1)
        return self._copied(entries, kept=self.kept and other.kept)

    def sum_with(self, *others: PlanAttackMatrix) -> PlanAttackMatrix:
        """From the last to the first, every partial sum stored."""
        *rest, total = (self, *others)
        for part in reversed(rest):
            total = total.stored() + part
        return total

    def scale(self, factor: Scalar) -> PlanAttackMatrix:
        if factor == 1:
            return self
        storage = self.arithmetic.machine.storage
        argument = torch.full((1, 1), float(factor), dtype=torch.float64)
        if round_to_format(argument.numpy(), storage.name) != float(factor):
            argument = self.arithmetic.attack.rounding(argument, storage.unit_roundoff)
        result = PlanAttackMatrix(self._rounded(self.entries * argument), self.arithmetic)
        return result.stored() if self.kept else result

    def row_dot(self, other: PerturbedMatrix) -> PerturbedMatrix:
        return (self * other).row_sum()

    def _copied(self, entries: torch.Tensor, *, kept: bool) -> PlanAttackMatrix:
        result = PlanAttackMatrix(entries, self.arithmetic)
        result.kept = kept
        return result

    def _new(self, entries: torch.Tensor) -> PlanAttackMatrix:
        result = PlanAttackMatrix(entries, self.arithmetic)
        return result.stored() if self.arithmetic.stores_every_result else result

    def _rounded(self, value: torch.Tensor) -> torch.Tensor:
        return self.arithmetic.attack.rounding(value, self.arithmetic.unit)

    def _exponential(self, argument: torch.Tensor) -> torch.Tensor:
        machine = self.arithmetic.machine
        limit = machine.exp_error + 2 * machine.exp_unit * argument.detach().abs()
        return self.arithmetic.attack.rounding(argument.exp(), limit)


class PlanAttack(Perturbed):
    """The arithmetic of an attacker who keeps to a plan."""

    stores_every_result = False

    @property
    def unit(self) -> float:
        """Of one rounding in the accumulators' format."""
        if self.machine.accumulates_in_storage:
            return self.machine.storage.unit_roundoff
        return self.machine.accumulate

    def matrix(self, entries: Entries) -> PlanAttackMatrix:
        """Inputs are exact."""
        return PlanAttackMatrix(torch.tensor(np.asarray(entries), dtype=torch.float64), self)
