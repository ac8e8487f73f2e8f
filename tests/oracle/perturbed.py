"""A legal kernel with every rounding in the attacker's hand.

`Perturbed` evaluates the specification in float64 by torch, one rounding at a time: every product,
partial sum, exponential and rescaling is multiplied by 1 + delta, |delta| at most what the machine
model allows. All deltas start at zero; the derivative of an output in each of them says which sign
hurts most, and a second evaluation takes every delta at its limit with that sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar
from loracle_reference.floating_point import MachineModel


@dataclass
class Attack:
    """The deltas of one evaluation: recorded with gradients on the first, given on the second."""

    signs: list[torch.Tensor] | None = None
    deltas: list[torch.Tensor] = field(default_factory=list)

    def rounding(self, value: torch.Tensor, limit: torch.Tensor | float) -> torch.Tensor:
        """value * (1 + delta) with |delta| <= limit."""
        if self.signs is None:
            delta = torch.zeros_like(value, requires_grad=True)
            self.deltas.append(delta)
            return value * (1 + delta)
        sign = self.signs[len(self.deltas)]
        self.deltas.append(sign)
        return value * (1 + sign * limit)


class PerturbedMatrix(Matrix):
    """float64 entries on the tape of one attack."""

    def __init__(self, entries: torch.Tensor, arithmetic: Perturbed) -> None:
        self.entries = entries
        self.arithmetic = arithmetic

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.entries.shape
        return rows, columns

    @property
    def T(self) -> PerturbedMatrix:
        """The transpose."""
        return self._new(self.entries.T)

    def __matmul__(self, other: PerturbedMatrix) -> PerturbedMatrix:
        products = self._rounded(self.entries[:, :, None] * other.entries[None, :, :])
        return self._new(self._accumulated(products.unbind(1)))

    def __add__(self, other: PerturbedMatrix) -> PerturbedMatrix:
        return self._new(self._rounded(self.entries + other.entries))

    def __sub__(self, other: PerturbedMatrix) -> PerturbedMatrix:
        return self._new(self._rounded(self.entries - other.entries))

    def __mul__(self, other: PerturbedMatrix) -> PerturbedMatrix:
        return self._new(self._rounded(self.entries * other.entries))

    def scale(self, factor: Scalar) -> PerturbedMatrix:
        # The float argument is rounded to the storage dtype once, then multiplied.
        argument = self._rounded(torch.full((1, 1), float(factor), dtype=torch.float64))
        return self._new(self._rounded(self.entries * argument))

    def row_sum(self) -> PerturbedMatrix:
        return self._new(self._accumulated(self.entries[:, :, None].unbind(1)))

    def exp(self) -> PerturbedMatrix:
        return self._new(self._exponential(self.entries))

    def scale_rows(self, column: PerturbedMatrix) -> PerturbedMatrix:
        return self._new(self._rounded(self.entries * column.entries))

    def divide_rows(self, column: PerturbedMatrix) -> PerturbedMatrix:
        return self._new(self._rounded(self.entries / column.entries))

    def face_splitting(self, other: PerturbedMatrix) -> PerturbedMatrix:
        product = self.entries[:, :, None] * other.entries[:, None, :]
        return self._new(self._rounded(product.reshape(self.shape[0], -1)))

    def reshape(self, rows: int, columns: int) -> PerturbedMatrix:
        return self._new(self.entries.reshape(rows, columns))

    def take_rows(self, indices: Sequence[int]) -> PerturbedMatrix:
        return self._new(self.entries[list(indices)])

    def beside(self, other: PerturbedMatrix) -> PerturbedMatrix:
        return self._new(torch.cat([self.entries, other.entries], dim=1))

    def softmax_rows(self) -> PerturbedMatrix:
        """Online, one key at a time, weights and sum rescaled at every key."""
        scores = self.entries
        largest = scores[:, :1]
        weights = [self._exponential(torch.zeros_like(largest))]
        total = weights[0]
        for key in range(1, scores.shape[1]):
            score = scores[:, key : key + 1]
            grown = torch.maximum(largest, score).detach()
            rescale = self._exponential(self._rounded(largest - grown))
            weight = self._exponential(self._rounded(score - grown))
            weights = [self._rounded(w * rescale) for w in weights] + [weight]
            total = self._rounded(self._rounded(total * rescale) + weight)
            largest = grown
        return self._new(self._rounded(torch.cat(weights, dim=1) / total))

    def _new(self, entries: torch.Tensor) -> PerturbedMatrix:
        return PerturbedMatrix(entries, self.arithmetic)

    def _rounded(self, value: torch.Tensor) -> torch.Tensor:
        unit = self.arithmetic.machine.storage.unit_roundoff
        return self.arithmetic.attack.rounding(value, unit)

    def _accumulated(self, terms: tuple[torch.Tensor, ...]) -> torch.Tensor:
        total = terms[0]
        for term in terms[1:]:
            total = self._rounded(total + term)
        return total

    def _exponential(self, argument: torch.Tensor) -> torch.Tensor:
        machine = self.arithmetic.machine
        limit = machine.exp_error + 2 * machine.storage.unit_roundoff * argument.detach().abs()
        return self.arithmetic.attack.rounding(argument.exp(), limit)


class Perturbed(Arithmetic[PerturbedMatrix]):
    """The arithmetic of one attack on one machine."""

    name = "perturbed"

    def __init__(self, machine: MachineModel, attack: Attack) -> None:
        self.machine = machine
        self.attack = attack

    def matrix(self, entries: Entries) -> PerturbedMatrix:
        """Inputs are exact."""
        return PerturbedMatrix(torch.tensor(np.asarray(entries), dtype=torch.float64), self)


def attacked_error(
    evaluate: Callable[[Perturbed], dict[str, PerturbedMatrix]],
    machine: MachineModel,
    output: str,
    element: tuple[int, int],
    arithmetic: type[Perturbed] | None = None,
) -> npt.NDArray[np.float64]:
    """|computed - exact| of the whole output when every rounding is turned against one element of
    it; the larger of pushing up and pushing down. arithmetic: the kernel's, `Perturbed` if None."""
    make = arithmetic or Perturbed
    recording = Attack()
    target = evaluate(make(machine, recording))[output].entries
    derivatives = torch.autograd.grad(target[element], recording.deltas, allow_unused=True)
    signs = [
        torch.zeros_like(delta) if derivative is None else derivative.sign()
        for delta, derivative in zip(recording.deltas, derivatives, strict=True)
    ]
    exact = target.detach()
    errors = []
    for direction in (1.0, -1.0):
        attack = Attack(signs=[sign * direction for sign in signs])
        with torch.no_grad():
            attacked = evaluate(make(machine, attack))[output].entries
        errors.append((attacked - exact).abs().numpy())
    return errors[0] if errors[0][element] >= errors[1][element] else errors[1]
