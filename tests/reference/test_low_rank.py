"""The low-rank constructions: their certified errors against the exact matrices, in balls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference import low_rank
from loracle_reference.arithmetic import Ball, Exact
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.attention import attention_probabilities, residual
from loracle_reference.gradient import score_gradient
from loracle_reference.low_rank import (
    LowRank,
    LowRankProbabilities,
    approximate_p1,
    approximate_p2,
    approximate_probabilities,
    approximate_q,
    approximate_residual,
    approximate_score_gradient,
    centred_keys,
)
from loracle_reference.norms import Norms

BALL = Ball(400)

WIDEST_RADIUS = {1: 30.0, 2: 8.0, 3: 2.0, 4: 1.0}
"""The score bound up to which the rank C(d+g, g) stays small enough for a test, by width d."""


class Instance:
    """Queries, keys, values, y with scores of about a given size, and the exact matrices."""

    def __init__(self, rows: int, others: int, width: int, radius: float, seed: int) -> None:
        generator = np.random.default_rng(seed)
        size = (radius / width) ** 0.5
        self.beta = Fraction(3, 4)
        self.queries, self.keys, self.values, self.y = (
            BALL.matrix(generator.uniform(-size, size, (n, width)))
            for n in (rows, others, others, rows)
        )
        self.f = attention_probabilities(self.queries, self.keys, self.beta)
        self.c = residual(self.f, self.values, self.y)
        self.q = self.c @ self.values.T
        self.p1 = self.f * self.q
        self.p2 = self.f.scale_rows(self.f.row_dot(self.q))

    def probabilities(self, delta: float) -> LowRankProbabilities[BallMatrix]:
        """Lemma 3.3's factors."""
        return approximate_probabilities(
            BALL, self.queries, self.keys, self.beta, relative_error=delta
        )

    def steps(self, delta: float) -> dict[str, tuple[Any, BallMatrix]]:
        """Every approximation with its target."""
        f = self.probabilities(delta)
        c = approximate_residual(f, self.values, self.y)
        q = approximate_q(c, self.values)
        return {
            "f": (f, self.f),
            "c": (c, self.c),
            "q": (q, self.q),
            "p1": (approximate_p1(f, q), self.p1),
            "p2": (approximate_p2(f, q), self.p2),
            "p": (
                approximate_score_gradient(f, q),
                score_gradient(self.f, self.c, self.values),
            ),
        }


def refuted(approximation: Any, target: BallMatrix) -> bool:
    """Whether the true errors provably exceed a certified one."""
    if not isinstance(approximation, LowRank):
        difference = approximation.matrix - target
        return _smallest(difference) > approximation.error
    difference = approximation.left @ approximation.right.T - target
    sums = [
        sum(max(low, -high, 0) for low, high in zip(lows, highs, strict=True))
        for norms in [Norms.of(difference)]
        for lows, highs in zip(norms.lower, norms.upper, strict=True)
    ]
    return _smallest(difference) > approximation.error or max(sums) > approximation.row_error


def _smallest(difference: BallMatrix) -> Fraction:
    """A lower bound of the max norm."""
    norms = Norms.of(difference)
    return max(
        max(low, -high)
        for lows, highs in zip(norms.lower, norms.upper, strict=True)
        for low, high in zip(lows, highs, strict=True)
    )


def proven(approximation: Any, target: BallMatrix) -> bool:
    """Whether the true errors provably stay within the certified ones."""
    if not isinstance(approximation, LowRank):
        return Norms.of(approximation.matrix - target).maximum <= approximation.error
    norms = Norms.of(approximation.left @ approximation.right.T - target)
    return norms.maximum <= approximation.error and norms.row_sum <= approximation.row_error


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    """Widths 1 to 4, 1 to 8 queries and keys, score bounds from 0.01 up."""
    width = draw(st.integers(1, 4))
    radius = draw(st.sampled_from([0.01, 0.3, 1.0, WIDEST_RADIUS[width]]))
    sizes = st.integers(1, 8)
    return Instance(draw(sizes), draw(sizes), width, radius, draw(st.integers(0, 2**32 - 1)))


@given(instances(), st.sampled_from([0.5, 0.05, 1e-4]))
def test_certified_errors_hold(instance: Instance, delta: float) -> None:
    for name, (approximation, target) in instance.steps(delta).items():
        if instance.keys.shape[0] == 1:
            # f = 1 and p = 0 exactly, with certified errors of 0; balls have a tiny radius.
            assert not refuted(approximation, target), name
        else:
            assert proven(approximation, target), name


@given(instances(), st.sampled_from([0.5, 0.05]))
def test_the_relative_error_of_f_and_its_row_sums(instance: Instance, delta: float) -> None:
    f = instance.probabilities(delta)
    achieved = f.approximation.relative_error
    eta = 2 * achieved / (1 - achieved) + Fraction(1, 2**300)
    exact, approximate = Norms.of(instance.f), Norms.of(f.left @ f.right.T)
    for row in range(instance.f.shape[0]):
        for key in range(instance.f.shape[1]):
            assert approximate.lower[row][key] >= 0
            assert approximate.upper[row][key] <= (1 + eta) * exact.upper[row][key]
            assert approximate.lower[row][key] >= (1 - eta) * exact.lower[row][key]
    ones = BALL.matrix([[1]] * instance.keys.shape[0])
    total = Norms.of(f.left @ (f.right.T @ ones))
    assert all(low <= 1 <= high for (low,), (high,) in zip(total.lower, total.upper, strict=True))


@given(st.integers(0, 2**32 - 1))
def test_exact_rows_sum_to_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    q, k = (Exact().matrix(generator.integers(-3, 4, (n, 2)).tolist()) for n in (2, 3))
    f = approximate_probabilities(Exact(), q, k, Fraction(1, 9), relative_error=0.25)
    assert (f.left @ f.right.T).row_sum().values.tolist() == [[1], [1]]


def test_ranks_are_those_of_the_lemmas() -> None:
    instance = Instance(5, 7, 2, 1.0, 1)
    steps = instance.steps(0.01)
    degree = steps["f"][0].approximation.degree
    k = (degree + 1) * (degree + 2) // 2
    assert steps["f"][0].rank == k
    assert steps["q"][0].rank == 2
    assert steps["p1"][0].rank == 2 * k
    assert steps["p2"][0].rank == k
    assert steps["p"][0].rank == 3 * k


def test_keys_shifted_by_a_common_vector_change_nothing() -> None:
    instance = Instance(4, 5, 2, 1.0, 7)
    shift = BALL.matrix([[5.0, -3.0]]).take_rows([0] * 5)
    moved = instance.keys + shift
    f = attention_probabilities(instance.queries, moved, instance.beta)
    assert Norms.of(f - instance.f).maximum < Fraction(1, 2**300)
    here, there = (
        approximate_probabilities(BALL, instance.queries, k, instance.beta, relative_error=0.01)
        for k in (instance.keys, moved)
    )
    assert here.approximation.degree == there.approximation.degree
    assert proven(there, instance.f)
    plain, centred = Norms.of(moved), Norms.of(centred_keys(BALL, moved))
    assert centred.maximum < plain.maximum
    assert centred.column_maxima == pytest.approx(plain.half_spreads)


# Wrong constructions: each must be refuted by its certificate.


def _without_normalisation(instance: Instance, delta: float) -> tuple[Any, BallMatrix]:
    f = instance.probabilities(delta)
    with mock.patch.object(BallMatrix, "divide_rows", lambda self, column: self):
        wrong = instance.probabilities(delta)
    return replace(f, left=wrong.left), instance.f


def _coefficient_off(instance: Instance, delta: float) -> tuple[Any, BallMatrix]:
    true = low_rank.polynomial_factors

    def wrong(arithmetic: Any, queries: Any, keys: Any, coefficients: list[Fraction]) -> Any:
        changed = [coefficients[0], coefficients[1] * 2, *coefficients[2:]]
        return true(arithmetic, queries, keys, changed)

    with mock.patch.object(low_rank, "polynomial_factors", wrong):
        return instance.probabilities(delta), instance.f


def _diagonal_on_the_wrong_side(instance: Instance, delta: float) -> tuple[Any, BallMatrix]:
    f = instance.steps(delta)["f"][0]
    q = instance.steps(delta)["q"][0]
    p2 = approximate_p2(f, q)
    r = (f.left @ (f.right.T @ q.right)).row_dot(q.left)
    return replace(p2, left=f.left, right=f.right.scale_rows(r)), instance.p2


def _factors_of_q_swapped(instance: Instance, delta: float) -> tuple[Any, BallMatrix]:
    q = instance.steps(delta)["q"][0]
    return replace(q, left=q.right, right=q.left), instance.q


def _column_wise_products(instance: Instance, delta: float) -> tuple[Any, BallMatrix]:
    """Entrywise products of the columns, as many as both have, in place of Kronecker's."""
    f, q = (instance.steps(delta)[name][0] for name in ("f", "q"))
    p1 = approximate_p1(f, q)
    first = range(q.rank)
    return (
        replace(
            p1,
            left=f.left.take_columns(first) * q.left,
            right=f.right.take_columns(first) * q.right,
        ),
        instance.p1,
    )


def _target_forgotten(instance: Instance, delta: float) -> tuple[Any, BallMatrix]:
    f = instance.probabilities(delta)
    return approximate_residual(f, instance.values, instance.y - instance.y), instance.c


WRONG: dict[str, Callable[[Instance, float], tuple[Any, BallMatrix]]] = {
    "normalisation dropped": _without_normalisation,
    "a coefficient off": _coefficient_off,
    "p2 with the diagonal on the keys": _diagonal_on_the_wrong_side,
    "U2 and V2 swapped": _factors_of_q_swapped,
    "column-wise products": _column_wise_products,
    "Y forgotten": _target_forgotten,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_constructions_are_refuted(name: str) -> None:
    instance = Instance(6, 6, 2, 2.0, 11)
    approximation, target = WRONG[name](instance, 1e-3)
    assert refuted(approximation, target)


def test_an_error_without_the_width_is_refuted() -> None:
    """Gamma_Q Gamma_K in place of d Gamma_Q Gamma_K as the bound of the scores."""
    width = 3
    signs = BALL.matrix([[2.0] * width, [-2.0] * width])
    f = attention_probabilities(signs, signs)
    true = low_rank.dot_bound
    assert true(Norms.of(signs), Norms.of(signs)) == 4 * width
    with mock.patch.object(low_rank, "dot_bound", lambda x, y: true(x, y) / width):
        wrong = approximate_probabilities(BALL, signs, signs, 1, relative_error=1e-3)
    assert wrong.approximation.radius < 4 * width
    assert refuted(wrong, f)


def test_a_relative_error_of_one_is_refused() -> None:
    instance = Instance(2, 2, 1, 1.0, 0)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        instance.probabilities(1.0)
