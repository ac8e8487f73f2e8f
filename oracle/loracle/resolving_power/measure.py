"""The smallest relative error in one output that a default run proves wrong, or finds suspect.

An honest kernel's results in one output are multiplied by 1 + delta and rounded, and the run is
judged as it always is. One of the honest kernels is as exact as can be, the other as coarse. No
kernel is called: what it would return is computed from the references, so that delta can be
searched for. An error counts as found if it is found with either sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from loracle.contracts import Contract
from loracle.evaluation import gradients
from loracle.generation import cases_of, regimes_of
from loracle.judgement.bias import BiasTest
from loracle.judgement.reference import CaseReference, reference_of
from loracle.judgement.verdicts import judge
from loracle_reference.arithmetic.simulated import Simulated, strategies_of
from loracle_reference.floating_point import MachineModel, round_to_format

__all__ = ["KERNELS", "By", "Power", "Run", "resolving_power"]

Array = npt.NDArray[np.float64]
By = Literal["bound", "tolerance", "bias", ""]
Kernel = Callable[[Contract, CaseReference, MachineModel], dict[str, Array]]

_LARGEST = 4.0
"""A larger error is not looked for: 2 is a wrong sign."""

_FINEST = 2.0**-52
"""No smaller delta is looked for: 1 + delta is a float64 number."""

_RATIO = 1.02
"""What is found is at most so many times the smallest delta."""


def exact(contract: Contract, reference: CaseReference, machine: MachineModel) -> dict[str, Array]:
    """Computes exactly, and so far has rounded nothing."""
    return {name: truth.mid for name, truth in reference.truth.items()}


def coarse(contract: Contract, reference: CaseReference, machine: MachineModel) -> dict[str, Array]:
    """The first legal evaluation on the machine: on the widest one, every partial sum is rounded
    to storage."""
    simulated = Simulated(machine.storage.name, strategies_of(machine)[0], machine)
    evaluated = gradients(contract, reference.inputs, simulated)
    return {
        name: simulated.array(evaluated[name]).reshape(truth.shape)
        for name, truth in reference.truth.items()
    }


KERNELS: Mapping[str, Kernel] = {"exact": exact, "coarse": coarse}
"""What honest kernels compute before the factor and a last rounding."""


@dataclass(frozen=True)
class Power:
    """proven, suspect: the smallest delta that is found as such, None if there is none. case: the
    first one that proves it. suspect_by: what finds the smallest one."""

    contract: str
    output: str
    dtype: str
    machine: str
    kernel: str
    proven: float | None
    case: str
    suspect: float | None
    suspect_by: By


class Run:
    """A default run of an honest kernel."""

    def __init__(self, contract: Contract, machine: MachineModel, kernel: str, seed: int) -> None:
        """kernel: a key of `KERNELS`."""
        dtype = machine.storage.name
        cases = cases_of(contract, dtype, seed, regimes_of(contract))
        self.contract, self.machine, self.kernel = contract, machine, kernel
        self.references = [reference_of(case, machine) for case in cases]
        self.honest = [KERNELS[kernel](contract, known, machine) for known in self.references]

    def proven_by(self, output: str, factor: float) -> str:
        """The first case that proves wrong what is `factor` times the honest result, or nothing."""
        for known, computed in self._planted(output, factor):
            null = known.null[output]
            judgement = judge(computed, known.truth[output], known.proven[output], null.tolerance)
            if judgement.verdict == "fail":
                return known.case.key
        return ""

    def suspect_by(self, output: str, factor: float) -> By:
        """What makes it suspect or worse, or nothing."""
        test = BiasTest()
        for known, computed in self._planted(output, factor):
            truth, null = known.truth[output], known.null[output]
            judgement = judge(computed, truth, known.proven[output], null.tolerance)
            if judgement.verdict in ("fail", "suspect"):
                return "bound" if judgement.verdict == "fail" else "tolerance"
            test.add(computed, truth.mid, null)
        return "bias" if test.result() is not None else ""

    def power(self, output: str) -> Power:
        """The smallest errors in this output."""
        start = max(self.machine.storage.unit_roundoff / 64, _FINEST)
        proven = _smallest(lambda d: self._both(self.proven_by, output, d), start)
        suspect = _smallest(lambda d: self._both(self.suspect_by, output, d), start)
        return Power(
            self.contract.name,
            output,
            self.machine.storage.name,
            self.machine.name,
            self.kernel,
            proven,
            "" if proven is None else self.proven_by(output, 1 + proven),
            suspect,
            "" if suspect is None else self.suspect_by(output, 1 + suspect),
        )

    def _planted(self, output: str, factor: float) -> list[tuple[CaseReference, Array]]:
        dtype = self.machine.storage.name
        return [
            (known, round_to_format(honest[output] * factor, dtype))
            for known, honest in zip(self.references, self.honest, strict=True)
        ]

    @staticmethod
    def _both(found: Callable[[str, float], str], output: str, delta: float) -> bool:
        return bool(found(output, 1 + delta) and found(output, 1 - delta))


def resolving_power(
    contract: Contract, machine: MachineModel, *, kernel: str, seed: int = 0
) -> list[Power]:
    """Of every output of the contract, for an error hidden in that honest kernel."""
    run = Run(contract, machine, kernel, seed)
    return [run.power(output) for output in contract.outputs]


def _smallest(found: Callable[[float], bool], start: float) -> float | None:
    """By bisection of the logarithm between `start` and the largest, taking for granted that what
    is found of an error is found of larger ones."""
    if not found(_LARGEST):
        return None
    low, high = start, _LARGEST
    if found(low):
        return low
    while high > low * _RATIO:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
