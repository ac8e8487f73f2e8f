"""What is certified of one case: truth and radius, bound, tolerance, mistakes that it reveals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS, Contract
from loracle.generation import generate
from loracle.judgement.bounds import proven_bounds
from loracle.judgement.calibration import calibrate
from loracle.judgement.truth import DEFAULT_PRECISION, enclose
from loracle.vectors.mistakes import Revealed, revealed
from loracle.vectors.numbers import TOLERANCE_BITS, bound_bits, rounded_up
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import MachineModel

__all__ = [
    "Certified",
    "Limits",
    "certified_case",
    "certified_truth",
    "limits_of",
    "narrow_radii",
    "reveals",
]

Array = npt.NDArray[np.float64]

_HIGHEST_PRECISION = 64 * DEFAULT_PRECISION

_INEXACT = 1 + 2.0**-50
"""A judge may evaluate |result - truth| and bound + radius in float64: a few roundings."""

_NOTHING = 2.0**-150
"""Of the largest truth of an output: a radius that no dtype sees."""


@dataclass(frozen=True)
class Limits:
    """bound: entrywise. tolerance: for the largest error, calibrated and not proven; None where
    none is given. overflow_free: whether a result that is not finite is proven wrong too."""

    bound: Array
    tolerance: float | None
    overflow_free: bool


@dataclass(frozen=True)
class Certified:
    """One output: |exact value - truth| <= radius, entrywise, and what a result is held to."""

    truth: Array
    radius: Array
    limits: Limits
    reveals: Revealed


def certified_case(case: Case, machine: MachineModel) -> tuple[Inputs, dict[str, Certified]]:
    """The inputs of the case, and all that is certified of its outputs."""
    contract, inputs = CONTRACTS[case.contract], generate(case)
    truths = certified_truth(contract, inputs)
    limits = limits_of(contract, inputs, machine, truths)
    return inputs, {
        output: Certified(
            truth,
            radius,
            limits[output],
            reveals(contract, inputs, output, case.dtype, truth, radius, limits[output]),
        )
        for output, (truth, radius) in truths.items()
    }


def certified_truth(contract: Contract, inputs: Inputs) -> dict[str, tuple[Array, Array]]:
    """Truth and radius of every output by the ball path, in as many bits as it takes for the radius
    to be narrow; what cannot be told from zero is zero."""
    precision = DEFAULT_PRECISION
    while True:
        enclosed = enclose(contract, inputs, "float64", precision=precision)
        truths = {output: _in_float64(enclosure) for output, enclosure in enclosed.items()}
        if (
            all(narrow.all() for narrow in narrow_radii(truths).values())
            or precision >= _HIGHEST_PRECISION
        ):
            return truths
        precision *= 2


def narrow_radii(
    truths: Mapping[str, tuple[Array, Array]],
) -> dict[str, npt.NDArray[np.bool_]]:
    """Per output, where the radius is that of a value rounded to float64, or nothing beside the
    largest truth: that of the output or, where it is zero, of all outputs."""
    largest = {output: float(np.abs(truth).max()) for output, (truth, _) in truths.items()}
    of_all = max(largest.values())
    narrow = {}
    for output, (truth, radius) in truths.items():
        nothing = max(_NOTHING * (largest[output] or of_all), 2.0**-1074)
        narrow[output] = np.asarray(radius <= np.maximum(2.0**-52 * np.abs(truth), nothing))
    return narrow


def limits_of(
    contract: Contract,
    inputs: Inputs,
    machine: MachineModel,
    truths: Mapping[str, tuple[Array, Array]],
) -> dict[str, Limits]:
    """The proven bounds, with room for the roundings of the judge, and the tolerances, both rounded
    up.

    There is no tolerance in float64: it is measured in the processor's own arithmetic, and differs
    from one to the next.
    """
    proven = proven_bounds(contract, inputs, machine)
    tolerances: dict[str, float | None] = dict.fromkeys(contract.outputs)
    if machine.storage.name != "float64":
        enclosures = {
            output: Enclosure(truth, np.zeros_like(truth), radius)
            for output, (truth, radius) in truths.items()
        }
        for output, null in calibrate(contract, inputs, machine, enclosures).items():
            tolerances[output] = float(rounded_up(np.array(null.tolerance), TOLERANCE_BITS))
    limits, bits = {}, bound_bits(machine.storage.name)
    for output, (_, radius) in truths.items():
        with np.errstate(over="ignore"):
            bound = proven[output].bound * _INEXACT + radius * (_INEXACT - 1)
        limits[output] = Limits(
            rounded_up(bound, bits), tolerances[output], proven[output].overflow_free
        )
    return limits


def reveals(
    contract: Contract,
    inputs: Inputs,
    output: str,
    dtype: str,
    truth: Array,
    radius: Array,
    limits: Limits,
) -> Revealed:
    """The known mistakes that this output of this case reveals."""
    tolerance = np.inf if limits.tolerance is None else limits.tolerance
    return revealed(
        contract,
        inputs,
        output,
        dtype,
        truth,
        bound=limits.bound + radius,
        tolerance=tolerance,
        overflow_free=limits.overflow_free,
    )


def _in_float64(enclosure: Enclosure) -> tuple[Array, Array]:
    """The midpoint rounded to float64, and a radius around that, rounded up."""
    truth = enclosure.mid
    rest = np.abs((enclosure.high - truth) + enclosure.low)
    undecided = np.abs(truth) <= enclosure.radius
    rest = np.where(undecided, np.abs(truth), rest)
    total = rest + enclosure.radius
    # Two sums and a product, each rounded once; exact zeros stay what they are.
    radius = np.where(total > 0, np.nextafter(total * (1 + 2.0**-51), np.inf), 0.0)
    return np.where(undecided, 0.0, truth), radius
