"""The independent path to the truth: multiprecision numbers from the loss by differentiation.

It shares with the path that builds the vectors neither the formulas (the loss alone, no closed
form), nor the arithmetic (mpmath, no balls), nor the way from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.evaluation import bind_sizes, output_shapes, rows
from loracle.vectors.reverse_mode import reverse_gradient
from loracle_reference.arithmetic.multiprecision import Multiprecision

__all__ = ["distances_from_truth", "independent_values"]

Array = npt.NDArray[np.float64]

_PRECISIONS = (256, 1024, 4096)
"""Bits. mpmath claims no error, so that a value which seems to lie outside is computed again with
four times the bits: what cancels in one of them does not in the next."""


def independent_values(
    contract: Contract, inputs: Inputs, arithmetic: Multiprecision
) -> dict[str, npt.NDArray[Any]]:
    """Every output as mpmath numbers, in its shape."""
    arguments = {output: _argument_of(contract, output) for output in contract.outputs}
    point = {name: arithmetic.matrix(rows(inputs.tensors[name])) for name in contract.tensors}
    sizes = bind_sizes(contract, inputs)
    constants = {**inputs.scalars, **{symbol: sizes[symbol] for symbol in contract.axes}}
    gradients = reverse_gradient(contract.loss, point, arguments.values(), constants)
    shapes = output_shapes(contract, inputs)
    return {
        output: arithmetic.array(gradients[name]).reshape(shapes[output])
        for output, name in arguments.items()
    }


def distances_from_truth(
    contract: Contract, inputs: Inputs, truths: Mapping[str, tuple[Array, Array]]
) -> dict[str, tuple[tuple[int, ...], float]]:
    """Of each output whose value is not within (truth, radius) in every entry: the entry that is
    farthest outside, and by how many radii its value is away (infinite for a radius of zero).

    truths: float64 arrays of the shape of the output. Empty if all values are within.
    """
    found: dict[str, tuple[tuple[int, ...], float]] = {}
    for precision in _PRECISIONS:
        arithmetic = Multiprecision(precision)
        values = independent_values(contract, inputs, arithmetic)
        found = {}
        for output, (truth, radius) in truths.items():
            worst = _farthest(arithmetic.context, values[output], truth, radius)
            if worst is not None:
                found[output] = worst
        if not found:
            break
    return found


def _farthest(
    context: Any, values: npt.NDArray[Any], truth: Array, radius: Array
) -> tuple[tuple[int, ...], float] | None:
    worst, index = 1.0, None
    for place, value in np.ndenumerate(values):
        distance = abs(value - context.mpf(float(truth[place])))
        if distance <= float(radius[place]):
            continue
        radii = float(distance / float(radius[place])) if radius[place] > 0 else float("inf")
        if index is None or radii > worst:
            worst, index = radii, tuple(int(i) for i in place)
    return None if index is None else (index, worst)


def _argument_of(contract: Contract, output: str) -> str:
    """The argument by which the loss is differentiated: x for grad_x, grad_output for output."""
    name = output.removeprefix("grad_")
    return name if name in contract.tensors else f"grad_{output}"
