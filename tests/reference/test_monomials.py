"""Monomial features: polynomials of Q K^T as products of thin matrices, exactly."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Exact
from loracle_reference.monomials import (
    monomial_count,
    monomial_exponents,
    monomial_features,
    polynomial_factors,
    raised_monomials,
)

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))


@given(st.integers(1, 4), st.integers(0, 6))
def test_every_monomial_comes_once(variables: int, degree: int) -> None:
    exponents = monomial_exponents(variables, degree)
    assert len(exponents) == len(set(exponents)) == monomial_count(variables, degree)
    assert all(len(mu) == variables and sum(mu) <= degree for mu in exponents)
    assert sorted(map(sum, exponents)) == [sum(mu) for mu in exponents]


@given(SIZES, st.integers(0, 2**32 - 1))
def test_features_are_the_monomials(sizes: tuple[int, int, int, int], seed: int) -> None:
    rows, _, variables, degree = sizes
    points = np.random.default_rng(seed).integers(-5, 6, (rows, variables)).tolist()
    features = monomial_features(Exact(), Exact().matrix(points), degree)
    assert features.values.tolist() == [
        [
            prod(x**e for x, e in zip(row, mu, strict=True))
            for mu in monomial_exponents(variables, degree)
        ]
        for row in points
    ]


@given(SIZES, st.integers(0, 2**32 - 1))
def test_raised_monomials_are_products_with_a_variable(
    sizes: tuple[int, int, int, int], seed: int
) -> None:
    rows, _, variables, degree = sizes
    exact = Exact()
    entries = np.random.default_rng(seed).integers(2, 9, (rows, variables)).tolist()
    points = exact.matrix(entries)
    low, high = (monomial_features(exact, points, g) for g in (degree, degree + 1))
    raised = raised_monomials(variables, degree)
    assert len(raised) == variables
    for i, places in enumerate(raised):
        column = points.take_columns([i])
        assert (high.take_columns(places).values == low.scale_rows(column).values).all()
        # The places of another variable are the wrong ones.
        if variables > 1:
            wrong = raised[(i + 1) % variables]
            assert wrong != places
    # The monomials of lower degree come first, which the order of degrees promises.
    assert (high.take_columns(range(low.shape[1])).values == low.values).all()


def _entrywise(scores: np.ndarray, coefficients: list[Fraction]) -> np.ndarray:
    return sum(a * scores**k for k, a in enumerate(coefficients))  # type: ignore[return-value]


@given(SIZES, st.integers(0, 2**32 - 1))
def test_the_product_of_the_factors_is_the_polynomial(
    sizes: tuple[int, int, int, int], seed: int
) -> None:
    rows, others, variables, degree = sizes
    generator = np.random.default_rng(seed)
    q, k = (
        Exact().matrix(generator.integers(-5, 6, (n, variables)).tolist()) for n in (rows, others)
    )
    coefficients = [Fraction(int(a), 7) for a in generator.integers(-9, 10, degree + 1)]
    left, right = polynomial_factors(Exact(), q, k, coefficients)
    assert left.shape[1] == right.shape[1] == monomial_count(variables, degree)
    assert ((left @ right.T).values == _entrywise((q @ k.T).values, coefficients)).all()


def test_weights_without_the_multinomial_are_refuted() -> None:
    q, k = Exact().matrix([[1, 2]]), Exact().matrix([[3, 5]])
    features = [monomial_features(Exact(), points, 2) for points in (q, k)]
    ones = _entrywise((q @ k.T).values, [Fraction(1)] * 3)
    assert ((features[0] @ features[1].T).values != ones).all()


def test_bad_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="at least one variable and a degree >= 0, got 0 and 2"):
        monomial_count(0, 2)
    for listed in (monomial_exponents, raised_monomials):
        with pytest.raises(ValueError, match="got 2 and -1"):
            listed(2, -1)
    two, three = (Exact().matrix([[1] * width]) for width in (2, 3))
    with pytest.raises(ValueError, match=r"columns must be equal, got \(1, 2\) and \(1, 3\)"):
        polynomial_factors(Exact(), two, three, [1])
    with pytest.raises(ValueError, match="at least one coefficient"):
        polynomial_factors(Exact(), two, two, [])
