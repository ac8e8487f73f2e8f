"""The calibrated tolerance: how far honest kernels stray on the case's own inputs.

Two views of an honest kernel are evaluated against the truth: the ensemble of legal evaluations
(`strategies_of` the machine), whose largest error is the envelope, and Monte Carlo arithmetic,
whose root mean square error sigma measures the random part. The tolerance of an output, for its
largest absolute error, is

    3/2 envelope + t * sigma,    t = sqrt(2 log(2 n / p)),

with n the number of elements judged in a default run and p the false-alarm probability: under the
Gaussian model of the random part, no honest kernel of n elements exceeds it with probability above
p. Where the terms of an output cancel to nothing, the ensemble is exact or nearly so, because each
of its evaluations rounds equal terms equally: there the samples of a kernel that distributes its
sums count too. docs/calibrated-tolerance.md says what is assumed.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.evaluation import gradients, rows
from loracle.judgement.distributed import Distributed
from loracle_reference.arithmetic.simulated import Simulated, strategies_of
from loracle_reference.arithmetic.stochastic import Stochastic
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import MachineModel

__all__ = ["FALSE_ALARM_PROBABILITY", "Null", "calibrate"]

FALSE_ALARM_PROBABILITY = 1e-6
"""Of a default run: the probability that an honest kernel has any suspect finding."""

_ELEMENTS = 100_000
"""At least the number of elements that a default run of any contract judges."""

_SAMPLES = 64
_SOFTMAXES: tuple[Literal["quotient", "log-sum-exp"], ...] = ("quotient", "log-sum-exp")
_SYSTEMATIC = 1.5
"""Times the envelope: of sums that stagnate in 16 bits, other orders were seen to err by up to 1.47
times the largest error of the ensemble (docs/calibrated-tolerance.md)."""

_ALLOWED_BIAS = 0.25
"""In units of roundoff: constants such as log2 e are rounded once, to the same side in all
cases."""

_SIGMA_INFLATION = 1.36
"""sigma is estimated from 64 samples: its 99.9 % confidence limit is 1.36 times the estimate (64
over the 0.1 % quantile of chi squared with 64 degrees of freedom, 34.6, is 1.36 squared)."""

_T = math.sqrt(2 * math.log(2 * _ELEMENTS / (FALSE_ALARM_PROBABILITY / 2)))
"""Half of the false-alarm probability is for single cases, half for the bias test."""


@dataclass(frozen=True)
class Null:
    """What honest kernels do to one output of one case.

    tolerance: absolute, for the largest error; infinite where a legal evaluation overflows, or may.
    systematic: the part of it that is for what every element may have in common.
    biases: per strategy, the relative error along the truth, <error, truth> / <truth, truth>.
    bias_deviation: its standard deviation under Monte Carlo arithmetic. allowed_bias: a bias that
    is left to every kernel, whatever its cause.
    """

    tolerance: float
    biases: npt.NDArray[np.float64]
    bias_deviation: float
    allowed_bias: float = 0.0
    systematic: float = 0.0


def calibrate(
    contract: Contract,
    inputs: Inputs,
    machine: MachineModel,
    truth: dict[str, Enclosure],
) -> dict[str, Null]:
    """The null of every output, from the strategies and the sampled roundings of the machine."""
    dtype = machine.storage.name
    seed = zlib.crc32(b"".join(inputs.tensors[name].tobytes() for name in contract.tensors))
    with np.errstate(over="ignore", invalid="ignore"):
        legal = []
        for strategy in strategies_of(machine):
            simulated = Simulated(dtype, strategy, machine)
            results = gradients(contract, inputs, simulated)
            legal.append({name: simulated.array(matrix) for name, matrix in results.items()})
        stochastic = partial(Stochastic, machine, samples=_SAMPLES, seed=seed)
        # Without a softmax the second would be the first again.
        softmaxes = _SOFTMAXES if contract.softmax else _SOFTMAXES[:1]
        evaluated = [gradients(contract, inputs, stochastic(softmax=one)) for one in softmaxes]
        sampled = {name: [one[name].samples for one in evaluated] for name in truth}
        vanishing = [
            name
            for name, enclosure in truth.items()
            if not enclosure.mid.any() and any(samples.any() for samples in sampled[name])
        ]
        if vanishing:
            apart = gradients(contract, inputs, Distributed(stochastic()))
            for name in vanishing:
                sampled[name].append(apart[name].formed.samples)
        allowed_bias = _ALLOWED_BIAS * machine.storage.unit_roundoff
        nulls = {
            name: _null(
                rows(enclosure.mid),
                np.stack([evaluation[name] for evaluation in legal]),
                np.stack(sampled[name]),
                allowed_bias,
            )
            for name, enclosure in truth.items()
        }
    return {name: _of_format(null, truth[name], machine) for name, null in nulls.items()}


def _of_format(null: Null, truth: Enclosure, machine: MachineModel) -> Null:
    """An honest result that may stray beyond the largest number of the format may be infinite."""
    farthest = float(np.abs(truth.mid).max()) + null.tolerance
    return replace(null, tolerance=math.inf) if farthest > machine.storage.largest else null


def _null(
    truth: npt.NDArray[np.float64],
    legal: npt.NDArray[np.float64],
    sampled: npt.NDArray[np.float64],
    allowed_bias: float,
) -> Null:
    """Shapes: truth (m, n), legal (strategies, m, n), sampled (ways, samples, m, n)."""
    legal_errors, random_errors = legal - truth, sampled - truth
    sigma = float(np.sqrt(np.mean(np.square(random_errors), axis=1)).max()) * _SIGMA_INFLATION
    systematic = _SYSTEMATIC * float(np.abs(legal_errors).max())
    tolerance = systematic + _T * sigma
    norm = float(np.square(truth).sum()) or 1.0
    biases = (legal_errors * truth).sum(axis=(1, 2)) / norm
    random_biases = (random_errors * truth).sum(axis=(2, 3)) / norm
    return Null(
        tolerance if math.isfinite(tolerance) else math.inf,
        biases,
        float(np.sqrt(np.mean(np.square(random_biases), axis=1)).max()) * _SIGMA_INFLATION,
        allowed_bias,
        systematic if math.isfinite(systematic) else math.inf,
    )
