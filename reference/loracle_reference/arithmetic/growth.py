"""By how much a machine's roundings may change a sum, an exponential or a softmax.

Each function takes the unit roundoff it is to charge, because a kernel may round to storage or keep
its intermediates in the accumulators' format. The rules are derived in docs/proven-bounds.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle_reference.floating_point import MachineModel

__all__ = ["exponential_growth", "log_growth", "softmax_growth", "unstored_sum_growth"]

Array = npt.NDArray[np.float64]


def log_growth(delta: float | Array) -> Any:
    """-log(1 - delta), which bounds |log(1 + d)| for |d| <= delta; infinite from 1 on."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(delta) < 1, -np.log1p(-np.minimum(delta, 1.0)), np.inf)


def unstored_sum_growth(machine: MachineModel, terms: int) -> float:
    """gamma of a sum of `terms` products before its result is stored: each product and partial sum
    rounded once in the accumulators' format, and the sums of all blocks but the last one to
    storage. Infinite where nothing can be claimed."""
    block = terms if machine.block is None else min(terms, machine.block)
    stored = math.ceil(terms / block) - 1
    exponent = block * machine.accumulate + stored * machine.stored_unit
    return exponent / (1 - exponent) * (1 + 2.0**-50) if exponent < 1 else math.inf


def exponential_growth(
    machine: MachineModel, unit: float, argument: Array, *, parts: Array
) -> Array:
    """Bound of |log(exp^(x^) / exp(x))| for |x| <= argument: the function's own error, 2u|x|, the
    rounding of x, and that of the two numbers it is the difference of, whose magnitudes sum to
    `parts` and which base 2 multiplies by log2(e)."""
    return np.asarray(
        log_growth(machine.exp_error)
        + log_growth(2 * machine.exp_unit * argument)
        + unit * (argument + parts)
    )


def softmax_growth(machine: MachineModel, unit: float, largest: Array, keys: int) -> Array:
    """A bound of |log(f^ / f)| for given scores of magnitude <= largest, f not yet stored.

    The larger of a quotient with a rescaling at every key, and of the exponential of a score minus
    a log-sum-exp; derived under "Softmax" in docs/proven-bounds.md.
    """
    one = log_growth(unit)
    weight = exponential_growth(machine, unit, 2 * largest, parts=2 * largest)
    summed = math.log1p(unstored_sum_growth(machine, keys)) + one
    total = weight + summed + (keys - 1) * (weight + one)
    quotient = weight + total + (keys - 1) * one + 6 * one
    log_sum = largest + math.log(keys) + total  # |log of the computed sum of exponentials|
    stored = 4 * unit * (log_sum - largest) + 2 * unit * log_sum
    argument = largest + log_sum + stored
    final = exponential_growth(machine, unit, argument, parts=argument)
    return np.asarray(np.maximum(quotient, total + stored + final))
