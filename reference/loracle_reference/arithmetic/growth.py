"""By how much a machine may change an exponential or a softmax, as a relative error's logarithm.

stored says whether every intermediate may be rounded to the storage dtype, or stays as exact as the
accumulators are. The rules are derived under "Softmax" in docs/proven-bounds.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle_reference.floating_point import MachineModel

__all__ = ["exponential_growth", "log_growth", "softmax_growth"]

Array = npt.NDArray[np.float64]


def log_growth(delta: float | Array) -> Any:
    """-log(1 - delta), which bounds |log(1 + d)| for |d| <= delta; infinite from 1 on."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(delta) < 1, -np.log1p(-np.minimum(delta, 1.0)), np.inf)


def _unit(machine: MachineModel, *, stored: bool) -> float:
    return machine.stored_unit if stored else machine.accumulate


def exponential_growth(
    machine: MachineModel, argument: Array, *, parts: Array, stored: bool = True
) -> Array:
    """Bound of |log(exp^(x^) / exp(x))| for |x| <= argument: the function's own error, 2u|x|, the
    rounding of x, and that of the two numbers it is the difference of, whose magnitudes sum to
    `parts` and which base 2 multiplies by log2(e)."""
    return np.asarray(
        log_growth(machine.exp_error)
        + log_growth(2 * machine.exp_unit * argument)
        + _unit(machine, stored=stored) * (argument + parts)
    )


def softmax_growth(
    machine: MachineModel, largest: Array, keys: int, *, stored: bool = True
) -> Array:
    """kappa, a bound of |log(f^ / f)| for given computed scores of magnitude <= largest.

    Quotient: one exponential in the numerator, one in the sum, a rescaling (an exponential, and
    one multiplication each of numerator and sum) at every further key, the sum itself, and a
    division that may be a product with a rounded reciprocal.
    Log-sum-exp: the sum with its rescalings, its logarithm, added to the maximum and stored,
    and the exponential of the difference. A kernel does one or the other.
    """
    unit = _unit(machine, stored=stored)
    one = log_growth(unit)
    weight = exponential_growth(machine, 2 * largest, parts=2 * largest, stored=stored)
    summed = math.log1p(machine.sum_growth(keys, operands=1, stored=stored))
    total = weight + summed + (keys - 1) * (weight + one)
    quotient = weight + total + (keys - 1) * one + 6 * one
    log_sum = largest + math.log(keys) + total  # |log of the computed sum of exponentials|
    rounded = 4 * unit * (log_sum - largest) + 2 * unit * log_sum
    argument = largest + log_sum + rounded
    final = exponential_growth(machine, argument, parts=argument, stored=stored)
    return np.asarray(np.maximum(quotient, total + rounded + final))
