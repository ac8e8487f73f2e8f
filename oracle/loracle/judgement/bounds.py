"""The proven bound of every output of a case: no legal evaluation on the machine errs by more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.evaluation import gradients, output_shapes
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.floating_point import MachineModel

__all__ = ["ProvenBound", "proven_bounds"]


@dataclass(frozen=True)
class ProvenBound:
    """bound: entrywise, absolute, infinite where nothing is claimed. overflow_free: whether a
    non-finite result is proven wrong too."""

    bound: npt.NDArray[np.float64]
    overflow_free: bool


def proven_bounds(
    contract: Contract, inputs: Inputs, machine: MachineModel
) -> dict[str, ProvenBound]:
    """The bounds of all outputs, in their shapes (docs/proven-bounds.md)."""
    shapes = output_shapes(contract, inputs)
    return {
        name: ProvenBound(matrix.error.reshape(shapes[name]), matrix.overflow_free)
        for name, matrix in gradients(contract, inputs, Rounding(machine)).items()
    }
