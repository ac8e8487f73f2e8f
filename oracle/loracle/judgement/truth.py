"""The truth of a case: rigorous enclosures of every output, reached on two independent paths.

The first path evaluates the closed form in ball arithmetic (in interval arithmetic where the case
is long and the dtype coarse). The second differentiates the loss itself, by dual numbers through
the forward pass alone, along one random direction of all adapters at once: the derivative must
enclose the same number as the inner product of the first path's gradients with that direction. A
wrong term, sign, factor or transpose in the closed form moves the inner product by far more than
any radius.
"""

from __future__ import annotations

import zlib

import numpy as np

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.evaluation import bind_sizes, gradients, matrices, output_shapes, rows
from loracle_reference.arithmetic.ball import Ball
from loracle_reference.arithmetic.interval import Interval
from loracle_reference.differentiation import directional_derivative
from loracle_reference.enclosure import Enclosure

__all__ = ["DEFAULT_PRECISION", "SpecificationError", "check_against_loss", "enclose"]

DEFAULT_PRECISION = 160
"""Bits of the ball path; raised until the radius decides (`loracle.judgement.verdicts`)."""

_LONG = 128 * 128
"""Entries of the score matrix from which the interval path serves dtypes coarser than float64."""


class SpecificationError(AssertionError):
    """The two paths to the truth disagree: a defect of loracle, never of the kernel."""


def enclose(
    contract: Contract, inputs: Inputs, dtype: str, *, precision: int = DEFAULT_PRECISION
) -> dict[str, Enclosure]:
    """Enclosures of the outputs, in their shapes, for the inputs as they are (already rounded).

    Raises SpecificationError if the derivative of the loss contradicts the closed form.
    """
    if _score_entries(contract, inputs) > _LONG and dtype != "float64":
        interval = Interval()
        enclosed = {
            n: interval.enclosure(m) for n, m in gradients(contract, inputs, interval).items()
        }
    else:
        ball = Ball(precision)
        enclosed = {n: ball.enclosure(m) for n, m in gradients(contract, inputs, ball).items()}
    shapes = output_shapes(contract, inputs)
    enclosures = {name: enclosed[name].reshape(*shapes[name]) for name in shapes}
    check_against_loss(contract, inputs, enclosures)
    return enclosures


def check_against_loss(
    contract: Contract, inputs: Inputs, enclosures: dict[str, Enclosure]
) -> None:
    """Raises SpecificationError unless <gradients, D> and the derivative of the loss along D
    overlap.

    D is a random direction with entries +-1 in every tensor that an output is the derivative in.
    """
    generator = np.random.default_rng(zlib.crc32(contract.name.encode()))
    interval = Interval()
    point = matrices(contract, inputs, interval)
    scalars = {name: point.pop(name) for name in set(point) - set(contract.tensors)}
    direction, expected, radius = {}, 0.0, 0.0
    for output, enclosure in enclosures.items():
        name = _argument_of(contract, output)
        signs = np.asarray(generator.integers(2, size=enclosure.high.shape) * 2.0 - 1, np.float64)
        direction[name] = interval.matrix(rows(signs))
        expected += float((signs * enclosure.mid).sum())
        size = np.abs(enclosure.mid).sum() * (signs.size + 2) * 2.0**-52
        radius += float(enclosure.radius.sum() + size) * (1 + 2.0**-40)
    derivative = interval.enclosure(
        directional_derivative(contract.loss, point, direction, scalars)
    )
    difference = abs(float(derivative.mid[0, 0]) - expected)
    allowed = float(derivative.radius[0, 0]) + radius + 2.0**-50 * abs(expected)
    if difference > allowed:
        raise SpecificationError(
            f"{contract.name}: the derivative of the loss along a random direction differs from"
            f" the closed form by {difference:.3g}, more than the radius {allowed:.3g}; this is"
            " a defect of loracle: please report it with the case"
        )


def _argument_of(contract: Contract, output: str) -> str:
    """The argument in which the derivative of the loss is this output: x for grad_x, and, the loss
    being <grad_output, output>, grad_output for output."""
    name = output.removeprefix("grad_")
    return name if name in contract.tensors else f"grad_{output}"


def _score_entries(contract: Contract, inputs: Inputs) -> int:
    sizes = bind_sizes(contract, inputs)
    return sizes.get("L", 0) * sizes.get("M", 0)
