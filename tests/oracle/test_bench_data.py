"""The inputs of a benchmark: the largest score, the same values everywhere, correlation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle.bench import largest_score
from loracle.bench.data import (
    DATA,
    SCALING,
    head_inputs,
    query_factor,
    softmax_scale,
    stacked_inputs,
)
from loracle.bench.largest_score import largest_product
from loracle.bench.messages import Setting

SETTING = Setting(
    dim=8,
    rank=4,
    data="independent",
    max_score=1.0,
    epsilon=1e-2,
    seed=0,
    dtype="float32",
    device="cpu",
)


def drawn(seed: int, rows: int, dim: int, spread: float) -> np.ndarray:
    """Gaussian points whose lengths spread, some of them equal."""
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((rows, dim))
    points *= np.exp(spread * generator.standard_normal((rows, 1)))
    points[rows // 2 :: 3] = points[0]
    return points


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    dim=st.integers(1, 6),
    spread=st.sampled_from([0.0, 0.5, 3.0]),
    block=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_largest_product_is_that_of_brute_force(
    rows: int, columns: int, dim: int, spread: float, block: int, seed: int
) -> None:
    queries, keys = drawn(seed, rows, dim, spread), drawn(seed + 1, columns, dim, spread)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(largest_score, "_BLOCK", block)
        found = largest_product(queries, keys)
    assert found.value == pytest.approx(np.abs(queries @ keys.T).max(), rel=1e-14)
    assert 0 < found.pairs <= rows * columns


def test_the_largest_product_may_be_negative_or_zero() -> None:
    keys = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert largest_product(np.array([[0.5, -3.0]]), keys).value == 6
    assert largest_product(np.zeros((3, 2)), keys).value == 0


def test_the_rounding_of_norms_prunes_nothing_away() -> None:
    """All products of norms equal the largest inner product: one rounding down would lose it."""
    generator = np.random.default_rng(0)
    direction = generator.standard_normal(3)
    points = np.outer(generator.choice([0.1, 1 / 3, 0.7], 1500), direction)
    assert largest_product(points, points).value == np.abs(points @ points.T).max()


def test_few_pairs_are_formed_where_there_are_many() -> None:
    queries, keys = (drawn(seed, 65536, 8, 0.2) for seed in (0, 1))
    found = largest_product(queries, keys)
    assert found.pairs < 65536**2 / 500
    longest = [
        points[np.argsort(-np.linalg.norm(points, axis=1))[:4096]] for points in (queries, keys)
    ]
    assert found.value >= np.abs(longest[0] @ longest[1].T).max() * (1 - 1e-14)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("max_score", [1.0, 3.5])
def test_the_largest_score_is_what_was_asked_for(data: str, max_score: float) -> None:
    setting = replace(SETTING, data=data, max_score=max_score)
    inputs = head_inputs(setting, 300, 1, query_factor(setting, 300, 1))
    queries, keys = (
        inputs[f"x_{m}"] @ (inputs[f"w_{m}"] + SCALING * inputs[f"b_{m}"] @ inputs[f"a_{m}"])
        for m in "qk"
    )
    largest = np.abs(softmax_scale(setting.dim) * queries @ keys.T).max()
    assert largest == pytest.approx(max_score, rel=1e-6)


def test_every_value_is_a_float32_number_and_the_same_each_time() -> None:
    first, second = (head_inputs(SETTING, 50, 0, 0.37) for _ in range(2))
    for name, array in first.items():
        assert (array == array.astype(np.float32)).all()
        assert (array == second[name]).all()


def test_heads_seeds_and_lengths_differ_and_heads_are_stacked() -> None:
    stacked = stacked_inputs(SETTING, 50, (0.5, 0.25))
    for head, factor in enumerate((0.5, 0.25)):
        alone = head_inputs(SETTING, 50, head, factor)
        assert all((stacked[name][head] == alone[name]).all() for name in alone)
    assert stacked["x_q"].shape == (2, 50, 8)
    assert stacked["a_k"].shape == (2, 4, 8)
    assert stacked["b_k"].shape == (2, 8, 4)
    assert (stacked["w_v"][0] != stacked["w_v"][1]).all()
    other = head_inputs(replace(SETTING, seed=1), 50, 0, 0.5)
    assert (other["w_v"] != stacked["w_v"][0]).all()


def test_no_adapter_is_zero() -> None:
    inputs = head_inputs(SETTING, 10, 0)
    assert all((inputs[f"{factor}_{m}"] != 0).all() for factor in "ab" for m in "qkv")


def test_correlated_values_follow_the_keys_and_independent_ones_do_not() -> None:
    found = {}
    for data in DATA:
        inputs = head_inputs(replace(SETTING, data=data), 2000, 0)
        keys, values = (inputs[f"x_{m}"] - inputs[f"x_{m}"].mean(axis=0) for m in "kv")
        found[data] = (keys * values).mean() / (keys.std() * values.std())
    assert found["correlated"] > 0.95
    assert abs(found["independent"]) < 0.05
