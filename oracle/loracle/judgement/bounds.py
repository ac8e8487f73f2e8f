"""The proven bound of every output of a case: no legal evaluation on the machine errs by more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.evaluation import gradients, matrices, output_shapes
from loracle_reference.arithmetic.planned import Planned
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import MachineModel

__all__ = ["ProvenBound", "proven_bounds"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProvenBound:
    """bound: entrywise, absolute, infinite where nothing is claimed. overflow_free: whether a
    non-finite result is proven wrong too. unplanned: where `bound` is that of a declared plan, the
    bound of every legal evaluation, else None."""

    bound: Array
    overflow_free: bool
    unplanned: Array | None = None


def proven_bounds(
    contract: Contract, inputs: Inputs, machine: MachineModel, plan: str | None = None
) -> dict[str, ProvenBound]:
    """The bounds of all outputs, in their shapes (docs/proven-bounds.md), or, for a plan of the
    contract, those of the kernels that follow it (docs/evaluation-plans.md)."""
    shapes = output_shapes(contract, inputs)
    every = {
        name: ProvenBound(matrix.error.reshape(shapes[name]), matrix.overflow_free)
        for name, matrix in gradients(contract, inputs, Rounding(machine)).items()
    }
    if plan is None:
        return every
    planned = _planned_bounds(contract, inputs, machine, plan)
    return {
        # A kernel that follows a plan is a legal evaluation too.
        name: ProvenBound(
            np.minimum(planned[name].reshape(known.bound.shape), known.bound),
            known.overflow_free,
            known.bound,
        )
        for name, known in every.items()
    }


def _planned_bounds(
    contract: Contract, inputs: Inputs, machine: MachineModel, name: str
) -> dict[str, Array]:
    plan = PLANS[contract.name][name]
    arithmetic = Planned(machine, stores_every_result=plan.stores_every_result)
    arguments = matrices(contract, inputs, arithmetic)
    outputs = plan.formulas(lambda matrix: matrix.stored(), **arguments)
    return {output: arithmetic.bound(matrix.stored()) for output, matrix in outputs.items()}
