"""Legal evaluations do what their strategy says, and differ from each other where they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loracle_reference.arithmetic.double import Double
from loracle_reference.arithmetic.simulated import (
    STRATEGIES,
    Simulated,
    Strategy,
    strategies_of,
)
from loracle_reference.attention import adapted_weight, attention_probabilities
from loracle_reference.floating_point import (
    FORMATS,
    NUMPY_DTYPES,
    machine_model,
    round_to_format,
)

BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}


def _with(**changes: Any) -> Strategy:
    return replace(BY_NAME["sequential"], name="test", **changes)


def _product(strategy: Strategy, left: Any, right: Any, dtype: str = "bfloat16") -> float:
    simulated = Simulated(dtype, strategy)
    product = simulated.matrix(left) @ simulated.matrix(right)
    return float(simulated.array(product)[0, 0])


def test_the_order_of_a_sum_is_that_of_the_strategy() -> None:
    """256 + 1 + 1 in bfloat16 (spacing 2): sequentially both ones are lost, reversed they are
    not."""
    row, ones = [[256.0, 1.0, 1.0]], np.ones((3, 1))
    assert _product(_with(order="sequential"), row, ones) == 256
    assert _product(_with(order="reversed"), row, ones) == 258
    assert _product(_with(order="wide"), row, ones) == 258


def test_blocks_are_summed_first() -> None:
    """Four terms a block: 256 + 0 + 0 + 0, then 1 + 1 + 0 + 0 = 2, then 258."""
    row = [[256.0, 0, 0, 0, 1.0, 1.0, 0, 0]]
    assert _product(_with(order="blocked"), row, np.ones((8, 1))) == 258
    assert _product(_with(order="sequential"), row, np.ones((8, 1))) == 256


def test_stagnation_of_long_sums_is_simulated() -> None:
    """600 ones in bfloat16 storage stop at 256."""
    ones = np.ones((1, 600))
    assert _product(_with(), ones, ones.T) == 256
    assert _product(_with(order="wide"), ones, ones.T) == 600


@pytest.mark.parametrize("associate", ["left", "right"])
def test_products_are_associated_as_the_strategy_says(associate: str) -> None:
    """In float16 one association of a huge and a tiny factor overflows and the other does not."""
    simulated = Simulated("float16", _with(associate=associate))
    big, tiny = simulated.matrix([[512.0]]), simulated.matrix([[2.0**-10]])
    left = simulated.array(big @ big @ tiny)[0, 0]
    assert np.isinf(left) == (associate == "left")


def test_distributing_keeps_the_update_that_merging_rounds_away() -> None:
    """W + B A with B A far below u W: merged, bfloat16 drops it; unmerged it survives."""
    w, b, a, x = [[1.0]], [[2.0**-6]], [[2.0**-6]], [[1.0]]
    results = {}
    for distribute in (False, True):
        simulated = Simulated("bfloat16", _with(distribute=distribute, associate="left"))
        weight = adapted_weight(*(simulated.matrix(m) for m in (w, b, a)), 1.0)
        # W + B A - W: merged, the first sum rounds the update away; x W - x W + x B A keeps it.
        weight = simulated.matrix([[-1.0]]) + weight if distribute else weight - simulated.matrix(w)
        results[distribute] = float(simulated.array(simulated.matrix(x) @ weight)[0, 0])
    assert results == {False: 0.0, True: 2.0**-12}


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_every_strategy_evaluates_the_specification(strategy: Strategy, dtype: str) -> None:
    """Within a few hundred units of roundoff of the double value; catches a wrong online
    softmax."""
    generator = np.random.default_rng(1)
    queries, keys = (round_to_format(generator.standard_normal((5, 4)), dtype) for _ in range(2))
    double, simulated = Double(), Simulated(dtype, strategy)
    exact = double.array(attention_probabilities(double.matrix(queries), double.matrix(keys), 0.5))
    legal = attention_probabilities(simulated.matrix(queries), simulated.matrix(keys), 0.5)
    unit = (
        float(np.finfo(np.float64).eps)
        if dtype == "float64"
        else {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}[dtype]
    )
    np.testing.assert_allclose(simulated.array(legal), exact, atol=30 * unit)
    assert (simulated.array(legal) != exact).any() or dtype == "float64"


def test_the_ensemble_has_every_order_bracketing_and_softmax() -> None:
    """What the tolerance's documentation says of it."""
    assert {s.order for s in STRATEGIES} == {"sequential", "reversed", "blocked", "wide"}
    assert {s.associate for s in STRATEGIES} == {"formula", "left", "right"}
    assert {s.softmax for s in STRATEGIES} == {"two-pass", "online", "log-sum-exp"}
    assert {s.distribute for s in STRATEGIES} == {True, False}
    assert len({s.name for s in STRATEGIES}) == len(STRATEGIES)


def test_an_unknown_dtype_is_refused() -> None:
    """One line, ValueError."""
    with pytest.raises(ValueError, match="known: float64"):
        Simulated("float8", STRATEGIES[0])


def test_a_machine_has_the_strategies_that_it_is_capable_of() -> None:
    """All where sums are kept in storage; none of those where they are not; a tensor core's own."""
    orders = {
        machine: {s.order for s in strategies_of(machine_model(machine, dtype))}
        for machine, dtype in (
            ("widest", "bfloat16"),
            ("f16-accumulate", "float16"),
            ("f32-accumulate", "bfloat16"),
            ("hopper", "bfloat16"),
            ("tf32", "float32"),
        )
    }
    everything = {s.order for s in STRATEGIES}
    assert orders == {
        "widest": everything,
        "f16-accumulate": everything,
        "f32-accumulate": {"wide"},
        "hopper": {"wide", "tensor-core"},
        "tf32": {"wide", "tensor-core"},
    }


def test_operands_are_rounded_or_truncated_where_the_machine_has_tf32() -> None:
    """1 + 0.75 * 2^-10, times one; a row sum is no product, and keeps it."""
    machine = machine_model("hopper", "float32")
    value = 1 + 0.75 * 2.0**-10
    expected = {"wide": 1 + 2.0**-10, "tensor-core": 1.0}
    for strategy in strategies_of(machine):
        simulated = Simulated("float32", strategy, machine)
        matrix = simulated.matrix([[value]])
        assert simulated.array(matrix @ simulated.matrix([[1.0]])) == expected[strategy.order]
        assert simulated.array(matrix.row_sum()) == value


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_a_machine_that_flushes_has_no_subnormal_numbers(dtype: str) -> None:
    """Neither as inputs, nor as results of products, scalings and entrywise operations."""
    smallest = FORMATS[dtype].smallest_normal
    for name, kept in (("widest", True), ("widest+ftz", False)):
        simulated = Simulated(dtype, BY_NAME["sequential"], machine_model(name, dtype))
        tiny, half = simulated.matrix([[smallest]]), simulated.matrix([[0.5]])
        results = (simulated.matrix([[smallest / 2]]), tiny @ half, tiny * half, tiny.scale(0.5))
        for result in results:
            assert simulated.array(result)[0, 0] == (smallest / 2 if kept else 0)
