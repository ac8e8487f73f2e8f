"""The errors of an exponential and of a softmax, as docs/proven-bounds.md writes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loracle_reference.arithmetic.growth import exponential_growth, log_growth, softmax_growth
from loracle_reference.floating_point import MachineModel, machine_model

MACHINES = [
    machine_model(*names)
    for names in (("widest", "float32"), ("f32-accumulate", "bfloat16"), ("tf32", "float32"))
]


def ell(delta: float) -> float:
    """-log(1 - delta)."""
    return -math.log1p(-delta) if delta < 1 else math.inf


def g(machine: MachineModel, x: float, parts: float, unit: float) -> float:
    """Of one exponential: its own error, what a rounded factor makes of x, and the roundings of x
    and of what it is the difference of."""
    return ell(machine.exp_error) + ell(2 * machine.exp_unit * x) + unit * (x + parts)


def softmaxes(
    machine: MachineModel, largest: float, keys: int, *, stored: bool
) -> tuple[float, float]:
    """kappa of a quotient, and of a log-sum-exp."""
    unit = machine.stored_unit if stored else machine.accumulate
    w = g(machine, 2 * largest, 2 * largest, unit)
    gamma = machine.sum_growth(keys, operands=1, stored=stored)
    total = w + math.log1p(gamma) + (keys - 1) * (w + ell(unit))
    quotient = w + total + (keys - 1) * ell(unit) + 6 * ell(unit)
    log_sum = largest + math.log(keys) + total
    rounded = 4 * unit * (log_sum - largest) + 2 * unit * log_sum
    x = largest + log_sum + rounded
    return quotient, total + rounded + g(machine, x, x, unit)


def test_the_logarithm_of_a_relative_error() -> None:
    """Of its worse sign; without limit from one on, quietly."""
    assert np.allclose(log_growth(np.array([0.0, 0.5, 0.875])), [0, math.log(2), math.log(8)])
    assert np.array_equal(log_growth(np.array([1.0, 1.5, np.inf])), [np.inf] * 3)
    assert log_growth(2.0**-60) == 2.0**-60


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_an_exponential(machine: MachineModel, stored: bool) -> None:
    unit = machine.stored_unit if stored else machine.accumulate
    x, parts = np.array([[0.0, 1.5, 30.0]]), np.array([[0.5, 2.0, 70.0]])
    found = exponential_growth(machine, x, parts=parts, stored=stored)
    expected = [g(machine, *pair, unit) for pair in zip(x[0], parts[0], strict=True)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    if stored:
        assert np.array_equal(found, exponential_growth(machine, x, parts=parts))


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_a_softmax(machine: MachineModel, stored: bool) -> None:
    """The worse of the two, of which each is the worse one somewhere."""
    worse = set()
    largest = np.array([[0.0, 0.25, 3.0, 100.0]])
    for keys in (1, 2, 5, 60):
        found = softmax_growth(machine, largest, keys, stored=stored)
        for one, kappa in zip(largest[0], found[0], strict=True):
            both = softmaxes(machine, one, keys, stored=stored)
            assert kappa == pytest.approx(max(both), rel=1e-12)
            worse.add(both[1] > both[0])
        if stored:
            assert np.array_equal(found, softmax_growth(machine, largest, keys))
    assert worse == {True, False}
