"""Monte Carlo arithmetic: its spread is that of real roundings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated, strategies_of
from loracle_reference.arithmetic.stochastic import Stochastic
from loracle_reference.attention import attention_probabilities
from loracle_reference.floating_point import machine_model, round_to_format

WIDEST = machine_model("widest", "float32")


def test_a_seed_gives_the_same_samples_and_another_gives_others() -> None:
    """Tolerances must replay."""

    def sample(seed: int) -> np.ndarray:
        stochastic = Stochastic(WIDEST, samples=4, seed=seed)
        matrix = stochastic.matrix(np.full((3, 3), 1.1))
        return (matrix @ matrix).samples

    np.testing.assert_array_equal(sample(1), sample(1))
    assert (sample(1) != sample(2)).any()


@pytest.mark.parametrize("terms", [4, 32, 128])
@pytest.mark.parametrize("coherent", [True, False])
def test_the_spread_of_a_sum_is_that_of_sequential_float32_sums(terms: int, coherent: bool) -> None:
    """Between half and twice (three times where terms share a sign, whose partial sums the model
    only approximates); catches a variance that is linear where it should be quadratic, or forgets
    n."""
    generator = np.random.default_rng(0)
    left = generator.standard_normal((64, terms))
    right = generator.standard_normal((terms, 64))
    if coherent:
        left, right = np.abs(left), np.abs(right)
    left, right = round_to_format(left, "float32"), round_to_format(right, "float32")
    simulated = Simulated("float32", STRATEGIES[0])
    real = simulated.array(simulated.matrix(left) @ simulated.matrix(right)) - left @ right
    stochastic = Stochastic(WIDEST, samples=8)
    sampled = (stochastic.matrix(left) @ stochastic.matrix(right)).samples - left @ right
    ratio = float(np.sqrt(np.mean(sampled**2) / np.mean(real**2)))
    assert 0.5 < ratio < (3 if coherent else 2)


@pytest.mark.parametrize("softmax", ["quotient", "log-sum-exp"])
def test_probabilities_sum_to_one_only_by_quotient(softmax: Any) -> None:
    """From a log-sum-exp the whole row shares one error: the row sum misses 1 by much more."""
    generator = np.random.default_rng(2)
    queries = generator.standard_normal((6, 4)) * 8
    keys = generator.standard_normal((7, 4)) * 8
    stochastic = Stochastic(WIDEST, samples=16, softmax=softmax)
    f = attention_probabilities(stochastic.matrix(queries), stochastic.matrix(keys))
    miss = float(np.abs(f.samples.sum(axis=2) - 1).max())
    assert (miss > 2e-6) == (softmax == "log-sum-exp")


def test_there_must_be_a_sample() -> None:
    """One line, ValueError."""
    with pytest.raises(ValueError, match="at least one sample"):
        Stochastic(WIDEST, samples=0)


@pytest.mark.parametrize(
    ("machine", "dtype"),
    [("f32-accumulate", "bfloat16"), ("hopper", "float16"), ("tf32", "float32")],
)
def test_the_spread_of_a_stored_product_is_that_of_a_simulated_one(
    machine: str, dtype: str
) -> None:
    """Sums of 32 products that accumulate in float32: what spreads is storing them, and in TF32
    reading the operands. Between half and twice; catches noise of the accumulation alone, which
    would be a hundredth in 16 bits."""
    generator = np.random.default_rng(1)
    left, right = (
        round_to_format(generator.standard_normal(shape), dtype) for shape in ((64, 32), (32, 64))
    )
    model = machine_model(machine, dtype)
    wide = strategies_of(model)[0]
    assert wide.order == "wide"
    simulated = Simulated(dtype, wide, model)
    real = simulated.array(simulated.matrix(left) @ simulated.matrix(right)) - left @ right
    stochastic = Stochastic(model, samples=8)
    sampled = (stochastic.matrix(left) @ stochastic.matrix(right)).samples - left @ right
    ratio = float(np.sqrt(np.mean(sampled**2) / np.mean(real**2)))
    assert 0.5 < ratio < 2


@pytest.mark.parametrize("coherent", [True, False])
def test_a_sum_kept_in_float32_is_rounded_when_it_is_stored(coherent: bool) -> None:
    """Its spread is that of the one rounding to storage, whatever cancels in the sum: catches sums
    that are as exact as float32, and roundings of the terms."""
    generator = np.random.default_rng(3)
    left, right = generator.standard_normal((32, 16)), generator.standard_normal((16, 32))
    if coherent:
        left, right = np.abs(left), np.abs(right)
    left, right = round_to_format(left, "bfloat16"), round_to_format(right, "bfloat16")
    wide = Simulated("bfloat16", STRATEGIES[5])
    real = wide.array(wide.matrix(left) @ wide.matrix(right)) - left @ right
    stochastic = Stochastic(machine_model("f32-accumulate", "bfloat16"), samples=8)
    sampled = (stochastic.matrix(left) @ stochastic.matrix(right)).samples - left @ right
    assert 0.7 < float(np.sqrt(np.mean(sampled**2) / np.mean(real**2))) < 2


def test_near_zero_a_rounding_loses_half_a_subnormal_number() -> None:
    """Catches relative roundings alone, by which subnormal results would be nearly exact; and noise
    on zeros, which every machine keeps."""
    machine = machine_model("widest", "float16")
    entries = np.array([[0.0, machine.loss, 1.0]])
    samples = Stochastic(machine, samples=400, seed=1).matrix(entries).scale(1).samples[:, 0]
    assert not samples[:, 0].any()
    spread = np.sqrt(np.mean(np.square(samples - entries), axis=0))
    assert spread[1] == pytest.approx(machine.loss / 3**0.5, rel=0.1)
    assert spread[2] == pytest.approx(machine.storage.unit_roundoff / 3**0.5, rel=0.1)
