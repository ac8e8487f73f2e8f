"""The polynomials of least relative error: certified from both sides, and nearly the best."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from math import factorial
from operator import mul
from typing import Any
from unittest import mock

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loracle_reference import minimax
from loracle_reference.exponential_approximation import (
    chebyshev_approximation,
    sufficient_degree,
    taylor_approximation,
)
from loracle_reference.minimax import (
    certified_errors,
    minimax_approximation,
    minimax_degree,
    minimax_lower_bound,
)

from .exponential_samples import sampled_errors

CASES = [
    (Fraction(1, 100), 0),
    (Fraction(1, 3), 5),
    (0.7, 1),
    (1, 4),
    (2.5, 8),
    (4, 12),
    (10, 3),
    (11, 24),
    (30, 40),
]

_true_level = minimax._level

RADII = st.fractions(Fraction(1, 50), 4, max_denominator=64)


@pytest.mark.parametrize(("radius", "degree"), CASES)
def test_certificates_hold_and_are_nearly_attained(radius: Any, degree: int) -> None:
    p = minimax_approximation(radius, degree)
    relative, absolute = sampled_errors(p)
    assert relative <= p.relative_error <= relative * (1 + Fraction(1, 100))
    # The largest relative error is taken at R too, where exp is largest.
    assert absolute <= p.absolute_error <= absolute * (1 + Fraction(1, 100))
    assert (p.family, p.radius, p.degree) == ("minimax", Fraction(radius), degree)
    # Roots found from guesses and roots isolated without any give one certificate.
    isolated = certified_errors(p.coefficients, radius)[0]
    assert abs(isolated / p.relative_error - 1) < Fraction(1, 1 << 18)
    for coefficient in p.coefficients:
        assert coefficient.denominator & (coefficient.denominator - 1) == 0


@given(RADII, st.integers(0, 12))
def test_the_error_is_within_a_thousandth_of_the_best(radius: Fraction, degree: int) -> None:
    p = minimax_approximation(radius, degree)
    lower = minimax_lower_bound(radius, degree)
    assert 0 < lower <= p.relative_error <= lower * (1 + Fraction(1, 1000))
    assert sampled_errors(p, 40)[0] <= p.relative_error


@given(RADII, st.integers(0, 10))
def test_other_families_are_no_better_and_no_polynomial_beats_the_lower_bound(
    radius: Fraction, degree: int
) -> None:
    lower, best = minimax_lower_bound(radius, degree), minimax_approximation(radius, degree)
    others = [taylor_approximation(radius, degree)]
    if radius < 2 * (degree + 2):
        others.append(chebyshev_approximation(radius, degree))
    for other in others:
        assert best.relative_error < other.relative_error
        assert lower <= certified_errors(other.coefficients, radius)[0]
        assert certified_errors(other.coefficients, radius)[0] <= other.relative_error * (
            1 + Fraction(1, 1 << 19)
        )


@given(RADII, st.integers(0, 10))
def test_higher_degrees_and_smaller_radii_do_better(radius: Fraction, degree: int) -> None:
    p = minimax_approximation(radius, degree)
    assert minimax_approximation(radius, degree + 1).relative_error < p.relative_error
    assert minimax_approximation(radius * Fraction(9, 10), degree).relative_error < p.relative_error


@pytest.mark.parametrize("radius", [0.25, 1, 5])
def test_degree_zero(radius: float) -> None:
    """p = 1 / cosh R has the error tanh R."""
    p = minimax_approximation(radius, 0)
    assert float(p.coefficients[0]) == pytest.approx(1 / np.cosh(radius), rel=1e-14)
    assert float(p.relative_error) == pytest.approx(np.tanh(radius), rel=1e-14)


@pytest.mark.parametrize("radius", [0.25, 1, 5])
def test_degree_one(radius: float) -> None:
    """p = a (x + b) with h = -E at both ends, and h = E at x = 1 - b, where p' = p."""
    p = minimax_approximation(radius, 1)
    # Equal at the ends: (R + b) exp(-R) = (b - R) exp(R).
    b = radius / np.tanh(radius)
    end, middle = (radius + b) * np.exp(-radius), np.exp(b - 1)
    slope, level = 2 / (middle + end), (middle - end) / (middle + end)
    assert [float(c) for c in p.coefficients] == pytest.approx([slope * b, slope], rel=1e-2)
    assert level * (1 - 1e-12) <= float(p.relative_error) <= level * (1 + 2.0**-10)


@pytest.mark.parametrize("place", [0, 1, 6, 12])
def test_a_wrong_coefficient_shows_in_the_certificate(place: int) -> None:
    p = minimax_approximation(2, 12)
    coefficients = list(p.coefficients)
    coefficients[place] *= 1 + Fraction(1, 10**4)
    relative, absolute = certified_errors(coefficients, 2)
    assert relative > 2 * p.relative_error
    assert absolute > 2 * p.absolute_error
    # And it is the supremum of the wrong polynomial, not only more than before.
    wrong = type(p)("minimax", p.radius, tuple(coefficients), relative, absolute)
    assert sampled_errors(wrong)[0] <= relative <= sampled_errors(wrong)[0] * Fraction(101, 100)


def _at_the_ends(coefficients: tuple[Fraction, ...], radius: Fraction) -> Fraction:
    return _largest_at([-radius, radius], coefficients)


def _at_extrema_of_chebyshev(coefficients: tuple[Fraction, ...], radius: Fraction) -> Fraction:
    cosines = np.cos(np.pi * np.arange(1, len(coefficients) + 1) / (len(coefficients) + 1))
    return _largest_at([Fraction(c) * radius for c in cosines], coefficients)


def _unweighted(coefficients: tuple[Fraction, ...], radius: Fraction) -> Fraction:
    return certified_errors(coefficients, radius)[0] / Fraction(float(np.exp(float(radius))))


def _largest_at(points: list[Fraction], coefficients: tuple[Fraction, ...]) -> Fraction:
    values = [float(sum(c * x**k for k, c in enumerate(coefficients))) for x in points]
    return max(
        Fraction(abs(v * float(np.exp(-float(x))) - 1)) for v, x in zip(values, points, strict=True)
    )


@pytest.mark.parametrize("wrong", [_at_the_ends, _at_extrema_of_chebyshev, _unweighted])
def test_certificates_that_look_elsewhere_are_refuted(wrong: Callable[..., Fraction]) -> None:
    """1 % is taken from the middle of p, so that |h| is largest inside."""
    p = minimax_approximation(3, 5)
    tampered = (p.coefficients[0] * Fraction(102, 100), *p.coefficients[1:])
    relative, absolute = certified_errors(tampered, 3)
    q = type(p)("minimax", p.radius, tampered, relative, absolute)
    assert wrong(tampered, p.radius) < sampled_errors(q)[0] <= relative


def test_certificates_of_any_polynomial() -> None:
    """No real root of p' - p, a double one, roots outside, floats, and p = 0."""
    for coefficients in (
        [1, 2, Fraction(5, 2)],
        [Fraction(-1, 2), 0, 1, Fraction(1, 3)],
        [3, 1],
        [0.1, 0.7],
        [0],
        [0, 0],
    ):
        relative, absolute = certified_errors(coefficients, Fraction(3, 2))
        exact = tuple(Fraction(c) for c in coefficients)
        p = minimax_approximation(1, 0)
        q = type(p)("minimax", Fraction(3, 2), exact, relative, absolute)
        sampled = sampled_errors(q, 2000)
        assert sampled[0] <= relative <= sampled[0] * (1 + Fraction(1, 1000))
        assert sampled[1] <= absolute


def _one_term_forgotten(points: list[Any]) -> tuple[Any, list[Any]]:
    """The sum of |w_i| exp(x_i) without the term of -R."""
    level, exponentials = _true_level(points)
    weights = (1 / reduce(mul, (x - y for y in points if y is not x)) for x in points)
    terms = [abs(w) * e for w, e in zip(weights, exponentials, strict=True)]
    whole = sum(terms, flint.arb(0))
    return level * whole / (whole - terms[0]), exponentials


def _estimate(points: list[Any]) -> tuple[Any, list[Any]]:
    """2 (R / 2)^n / n!, as for the absolute error, in the place of the levelled error."""
    level, exponentials = _true_level(points)
    n = len(points) - 1
    size = 2 * (points[-1] / 2) ** n / factorial(n)
    return (size if level > 0 else -size), exponentials


@pytest.mark.parametrize("wrong", [_one_term_forgotten, _estimate])
def test_wrong_lower_bounds_are_refuted(wrong: Callable[..., Any]) -> None:
    error = certified_errors(minimax_approximation(3, 6).coefficients, 3)[0]
    assert minimax_lower_bound(3, 6) <= error
    minimax._exchanged.cache_clear()
    try:
        with mock.patch.object(minimax, "_level", wrong):
            assert minimax_lower_bound(3, 6) > error * Fraction(101, 100)
    finally:
        minimax._exchanged.cache_clear()


@settings(max_examples=10)
@given(
    st.fractions(Fraction(1, 16), 12, max_denominator=16),
    st.integers(1, 50).map(lambda bits: Fraction(1, 2**bits)),
)
def test_the_degree_is_the_smallest(radius: Fraction, target: Fraction) -> None:
    degree = minimax_degree(radius, target)
    assert degree is not None
    assert minimax_approximation(radius, degree).relative_error <= target
    if degree:
        assert minimax_approximation(radius, degree - 1).relative_error > target
        assert minimax_degree(radius, target, most=degree - 1) is None
    assert minimax_degree(radius, target, most=degree) == degree
    assert degree <= sufficient_degree(radius, target)[1]


def test_what_the_weight_saves() -> None:
    """Factors up to exp(2 R): at R = 4, a thousandth needs degree 9 instead of 12."""
    assert minimax_degree(4, 1e-3) == 9
    assert sufficient_degree(4, 1e-3) == ("chebyshev", 12)
    assert minimax_degree(30, 1e-9) == 53
    assert sufficient_degree(30, 1e-9) == ("chebyshev", 78)


@pytest.mark.parametrize(
    ("radius", "target", "degree"), [(30, 0.5, 29), (30, 0.9, 26), (9, 0.99, 5)]
)
def test_errors_near_one(radius: int, target: float, degree: int) -> None:
    """Degrees below the radius, where Kepler's equation has no points for all of [-R, R]."""
    assert minimax_degree(radius, target) == degree
    assert minimax_lower_bound(radius, degree - 1) > Fraction(target)


def test_extreme_arguments() -> None:
    assert minimax_degree(1000, 1e-9) is None
    assert minimax_degree(1000, 0.5, most=3) is None
    assert minimax_degree(Fraction(1, 10**30), 1e-9) == 0
    assert 0 < minimax_lower_bound(1000, 0) <= 1
    tiny = minimax_approximation(Fraction(1, 10**30), 6)
    assert 0 < tiny.relative_error < Fraction(1, 10**215)
    for degree in (0, 3):
        trivial = minimax_approximation(0, degree)
        assert (trivial.family, trivial.degree, trivial.relative_error) == ("minimax", degree, 0)
        assert trivial.coefficients == taylor_approximation(0, degree).coefficients
    assert minimax_lower_bound(0, 3) == 0
    assert minimax_degree(0, 0.5) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: minimax_approximation(-1, 2), "radius must not be negative"),
        (lambda: minimax_approximation(1, -1), "degree must not be negative"),
        (lambda: minimax_lower_bound(-1, 2), "radius must not be negative"),
        (lambda: minimax_degree(1, 1), "must lie between 0 and 1"),
        (lambda: minimax_degree(1, 0), "must lie between 0 and 1"),
        (lambda: certified_errors([1], 0), "radius must be positive"),
        (lambda: certified_errors([], 1), "degree must not be negative"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
