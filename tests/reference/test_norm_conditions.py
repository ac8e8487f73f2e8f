"""The norm condition in numbers."""

from __future__ import annotations

from fractions import Fraction
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.approximate_rank import printed_threshold_counterexample
from loracle_reference.arithmetic import Ball, Exact
from loracle_reference.attention import attention_probabilities
from loracle_reference.low_rank import approximate_probabilities, centred_keys
from loracle_reference.norm_conditions import (
    REGIMES,
    asymptotic_degree,
    key_spread,
    phase_row,
    phase_rows,
    rank_exponent,
    required_degree,
    required_rank,
    score_bound,
)
from loracle_reference.norms import Norms

LENGTHS = (16, 64, 256, 1024, 4096)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_scores_stay_within_the_bound(width: int, rows: int, others: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    queries, keys = (
        Exact().matrix(generator.integers(-6, 7, (n, width)).tolist()) for n in (rows, others)
    )
    bound = score_bound(
        beta=Fraction(-1, 3),
        width=width,
        queries=Norms.of(queries).maximum,
        keys=Norms.of(keys).maximum,
    )
    assert max(abs(score) / 3 for score in (queries @ keys.T).values.ravel()) <= bound


@pytest.mark.parametrize("width", [1, 2, 9])
def test_the_bound_is_attained_and_false_without_the_width(width: int) -> None:
    entries = Exact().matrix([[Fraction(3, 2)] * width])
    score = (entries @ entries.T).values[0, 0]
    known = {"beta": 1, "queries": Fraction(3, 2), "keys": Fraction(3, 2)}
    assert score == score_bound(width=width, **known)
    if width > 1:
        assert score > score_bound(width=1, **known)


def test_only_the_spread_of_the_keys_counts() -> None:
    ball = Ball(200)
    queries = ball.matrix([[1.0, -0.5]])
    keys = ball.matrix([[100.0, 50.5], [101.0, 50.0], [100.5, 51.0]])
    assert key_spread(keys) == Fraction(1, 2)
    assert Norms.of(centred_keys(ball, keys)).maximum == key_spread(keys)
    first, second = (attention_probabilities(queries, k) for k in (keys, centred_keys(ball, keys)))
    assert Norms.of(first - second).maximum < Fraction(1, 2**150)
    f = approximate_probabilities(ball, queries, keys, 1, relative_error=0.01)
    bound = score_bound(beta=1, width=2, queries=1, keys=key_spread(keys))
    assert f.approximation.radius <= bound < Norms.of(keys).maximum


def test_rank_and_degree_are_those_of_the_construction() -> None:
    ball = Ball(200)
    matrix = ball.matrix([[0.75, -0.75], [-0.75, 0.75]])
    f = approximate_probabilities(ball, matrix, matrix, 1, relative_error=1e-4)
    assert f.approximation.degree == required_degree(f.approximation.radius, 1e-4)
    assert f.rank == required_rank(2, f.approximation.radius, 1e-4)


@pytest.mark.parametrize("error", [0.5, 1e-3, 1e-12, 1e-100])
@pytest.mark.parametrize("radius", [0.5, 3, 40, 500])
def test_the_degree_is_of_the_known_order(radius: float, error: float) -> None:
    ratio = required_degree(radius, error) / asymptotic_degree(radius, error)
    assert 0.5 < ratio < 1.6


def test_the_known_order_without_the_relative_error_is_refuted() -> None:
    """log(1 / delta) in place of log(1 / delta) + 2 R, an absolute error taken for a relative one:
    the ratio grows without bound, like sqrt(R)."""
    ratios = [
        required_degree(radius, 0.01) / sqrt(2 * radius * log(100)) for radius in (10, 1000, 100000)
    ]
    assert ratios[1] > 5 * ratios[0]
    assert ratios[2] > 5 * ratios[1]


def test_regimes_go_their_three_ways() -> None:
    """The printed ratio falls in four; only where the needed one falls does the exponent."""
    rows = {regime.label: phase_rows(regime, LENGTHS) for regime in REGIMES}
    for label, series in rows.items():
        printed = [row.printed_ratio for row in series]
        needed = [row.needed_ratio for row in series]
        exponents = [row.exponent for row in series]
        # log k is about the exponent's limit times log L: what is left after it is of order
        # log log L / log L, so the last steps show the way.
        if needed[-1] < needed[0] / 2:
            assert exponents == sorted(exponents, reverse=True), label
            assert exponents[-1] < 0.75 * exponents[0], label
        else:
            assert exponents == sorted(exponents), label
        if needed[-1] > 2 * needed[0]:
            assert exponents[-1] - exponents[-2] > 0.5, label
        elif needed[-1] == pytest.approx(needed[0]):
            assert exponents[-1] - exponents[-2] < 0.02, label
        assert (printed[-1] < printed[0] / 2) == label.startswith(("β = 1,", "β = 1/d,")), label


def test_the_printed_condition_does_not_decide() -> None:
    """One Gamma = o(sqrt(log L)), two values of beta: exponent beyond 1, exponent to zero."""
    first, last = (phase_rows(REGIMES[index], LENGTHS) for index in (1, -1))
    assert [row.printed_ratio for row in first] == [row.printed_ratio for row in last]
    assert all(row.exponent > 1 for row in first)
    assert last[-1].exponent < 0.6
    # The lower bound says the same of every method: the rank is L, the exponent 1.
    instance = printed_threshold_counterexample(10)
    assert rank_exponent(instance.rank_lower_bound, instance.length) == 1


def test_a_row_adds_up() -> None:
    row = phase_row(log2_length=20, width=8, beta=Fraction(1, 2), gamma_squared=2)
    assert row.rank == required_rank(8, 8, Fraction(1, 2**20))
    assert row.exponent == pytest.approx(log(row.rank) / (20 * log(2)))
    assert row.needed_ratio == pytest.approx(8 / (20 * log(2)))
    assert row.printed_ratio == pytest.approx(sqrt(2 / (20 * log(2))))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_exponent(0, 4), "rank >= 1 and length >= 2"),
        (lambda: rank_exponent(1, 1), "rank >= 1 and length >= 2"),
        (lambda: asymptotic_degree(0, 0.5), "radius > 0 and 0 < error < 1"),
        (lambda: asymptotic_degree(float("nan"), 0.5), "radius > 0 and 0 < error < 1"),
        (lambda: asymptotic_degree(float("inf"), 0.5), "radius > 0 and 0 < error < 1"),
        (
            lambda: phase_row(log2_length=0, width=1, beta=1, gamma_squared=1),
            "log2_length >= 1, width >= 1",
        ),
        (lambda: required_rank(0, 1, 0.5), "at least one variable"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
