"""Index sets of the almost-linear kernel: which monomials, with which weights, how they are built
and what those left out may amount to."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loracle.kernels.almost_linear.features import FeatureBlock
from loracle.kernels.almost_linear.monomials import (
    IndexSet,
    anisotropic_index_set,
    full_index_set,
)
from loracle_reference.arithmetic import Rational
from loracle_reference.monomials import monomial_count, monomial_exponents, polynomial_factors

Array = npt.NDArray[np.float64]

TAYLOR = [1 / math.factorial(n) for n in range(12)]
widths, degrees = st.integers(1, 4), st.integers(0, 6)
spreads_of_four = st.lists(
    st.sampled_from([0.0, 1e-8, 0.03, 0.2, 0.5, 1.0, 2.0]), min_size=4, max_size=4
)
budgets = st.sampled_from([0.0, 1e-12, 1e-6, 1e-3, 0.1, 1.0])


def monomials(index_set: IndexSet) -> list[tuple[int, ...]]:
    return [tuple(row) for row in index_set.exponents.tolist()]


def powers(points: Array, index_set: IndexSet) -> Array:
    """x^mu, from the definition. Shapes: points (n, d), result (n, k)."""
    result: Array = np.prod(points[:, None, :] ** index_set.exponents[None], axis=2)
    return result


def features(points: Array, index_set: IndexSet) -> Array:
    """x^mu, as the kernel builds them, out of memory that holds something else."""
    columns = torch.from_numpy(np.ascontiguousarray(points.T))[None]
    block = FeatureBlock(index_set, len(points) + 3, dtype=columns.dtype, like=columns)
    block.fill(torch.full((1, points.shape[1], len(points) + 3), 7.0, dtype=torch.float64))
    return block.fill(columns)[0].T.numpy()


@given(width=widths, degree=degrees)
def test_a_full_set_holds_every_monomial_once(width: int, degree: int) -> None:
    """Catches a monomial that comes twice, once for each order of its variables."""
    index_set = full_index_set(width, TAYLOR[: degree + 1])
    assert sorted(monomials(index_set)) == sorted(monomial_exponents(width, degree))
    assert index_set.rank == monomial_count(width, degree)
    assert index_set.full
    assert index_set.degree == degree
    assert index_set.dropped == 0


@given(width=widths, degree=degrees, seed=st.integers(0, 2**32 - 1))
def test_weights_are_multinomials_times_coefficients(width: int, degree: int, seed: int) -> None:
    """Catches weights of 1 / mu! with the degree's factorial forgotten, and those of another
    order. `polynomial_factors` weighs one query's ones: what is left of its features is w."""
    coefficients = np.random.default_rng(seed).uniform(-2, 2, degree + 1).tolist()
    index_set = full_index_set(width, coefficients)
    ones = Rational().matrix(np.ones((1, width)))
    left, _ = polynomial_factors(Rational(), ones, ones, [Fraction(a) for a in coefficients])
    entries = [Fraction(int(w.p), int(w.q)) for w in left.values[0]]
    expected = dict(zip(monomial_exponents(width, degree), entries, strict=True))
    for mu, weight in zip(monomials(index_set), index_set.weights, strict=True):
        assert weight == pytest.approx(float(expected[mu]), rel=1e-14, abs=0)


@given(width=widths, degree=degrees, spreads=spreads_of_four, budget=budgets)
def test_every_feature_is_its_monomial(
    width: int, degree: int, spreads: list[float], budget: float
) -> None:
    """In whole numbers, exactly. Catches a parent that is left out (its place holds another
    monomial), steps across several last variables, and parents numbered in the full set."""
    coefficients = TAYLOR[: degree + 1]
    points = np.array(list(product([-2.0, 3.0], repeat=width)))
    for index_set in (
        full_index_set(width, coefficients),
        anisotropic_index_set(np.array(spreads[:width]), coefficients, budget),
    ):
        assert (features(points, index_set) == powers(points, index_set)).all()


@given(width=widths, degree=degrees, spreads=spreads_of_four, budget=budgets)
def test_an_anisotropic_set_is_closed_downwards(
    width: int, degree: int, spreads: list[float], budget: float
) -> None:
    """With every monomial its divisors, hence the constant. Catches monomials left out by their
    own size alone: x may be smaller than x^2."""
    index_set = anisotropic_index_set(np.array(spreads[:width]), TAYLOR[: degree + 1], budget)
    kept = set(monomials(index_set))
    assert len(kept) == index_set.rank
    for mu in kept:
        for variable in range(width):
            if mu[variable]:
                assert (*mu[:variable], mu[variable] - 1, *mu[variable + 1 :]) in kept
    assert (0,) * width in kept


@given(
    width=widths,
    degree=degrees,
    spreads=spreads_of_four,
    budget=budgets,
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_left_out_is_bounded(
    width: int, degree: int, spreads: list[float], budget: float, seed: int
) -> None:
    """For queries and keys within the spreads, and first of all at the corners. Catches tail sums
    of the squares, bounds of the largest monomial left out in the place of the sum, spreads of the
    queries alone, and signs that cancel in the bound."""
    generator = np.random.default_rng(seed)
    coefficients = [a * generator.choice([-1.0, 1.0]) for a in TAYLOR[: degree + 1]]
    limits = np.array(spreads[:width])
    index_set = anisotropic_index_set(limits, coefficients, budget)
    everything = full_index_set(width, coefficients)
    assert index_set.rank <= everything.rank
    assert index_set.dropped <= budget
    # The two sides need not be of one size.
    sides = generator.uniform(0.1, 10, width)
    corners = np.array(list(product([-1.0, 1.0], repeat=width)))
    inner = generator.uniform(-1, 1, (20, width))
    queries = np.concatenate([corners, inner]) * sides
    keys = np.concatenate([corners, inner[::-1]]) * limits / sides
    sums = [
        (powers(queries, s) * np.array(s.weights)) @ powers(keys, s).T
        for s in (everything, index_set)
    ]
    rounding = 1e-13 * (np.abs(powers(queries, everything)) @ np.abs(powers(keys, everything)).T)
    assert (np.abs(sums[0] - sums[1]) <= index_set.dropped + rounding).all()


@pytest.mark.parametrize("degree", [1, 3, 6])
def test_the_bound_of_what_is_left_out_is_attained(degree: int) -> None:
    """Positive coefficients, all coordinates at their limits: catches a bound with room to spare,
    which would keep more monomials than it takes."""
    limits = np.array([0.8, 0.05, 0.001])
    index_set = anisotropic_index_set(limits, TAYLOR[: degree + 1], 0.01)
    everything = full_index_set(3, TAYLOR[: degree + 1])
    assert 1 < index_set.rank < everything.rank
    whole, kept = (
        float((powers(limits[None], s) * np.array(s.weights)).sum())
        for s in (everything, index_set)
    )
    assert whole - kept == pytest.approx(index_set.dropped, rel=1e-6)


def test_no_monomial_more_could_have_gone() -> None:
    """The next one, in the order of the largest multiple, exceeds the budget."""
    limits, coefficients = np.array([0.7, 0.2]), TAYLOR[:5]
    ranks = [
        anisotropic_index_set(limits, coefficients, budget).rank
        for budget in (0.0, 1e-9, 1e-6, 1e-3, 1e-2, 1e-1, 1.0)
    ]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] == monomial_count(2, 4)
    index_set = anisotropic_index_set(limits, coefficients, 1e-2)
    fewer = anisotropic_index_set(limits, coefficients, np.nextafter(index_set.dropped, 0))
    assert fewer.rank == index_set.rank + 1


def test_a_coordinate_of_nothing_costs_nothing() -> None:
    """Its monomials go for a budget of zero; the constant stays for any."""
    index_set = anisotropic_index_set(np.array([0.5, 0.0]), TAYLOR[:6], 0.0)
    assert monomials(index_set) == [(n, 0) for n in range(6)]
    assert not index_set.full
    assert index_set.dropped == 0
    assert monomials(anisotropic_index_set(np.zeros(3), TAYLOR[:4], 10.0)) == [(0, 0, 0)]
    assert monomials(anisotropic_index_set(np.ones(2), TAYLOR[:4], 1e9)) == [(0, 0)]


def test_equal_parts_go_multiples_first() -> None:
    """At spread 1 with equal coefficients x and x^2 count the same. Catches an order among equals
    that takes the monomial before its multiple."""
    for budget in (0.5, 1.5, 2.5, 3.5):
        index_set = anisotropic_index_set(np.ones(1), [1.0] * 5, budget)
        assert monomials(index_set) == [(n,) for n in range(index_set.rank)]
        assert index_set.rank == 5 - math.floor(budget)
