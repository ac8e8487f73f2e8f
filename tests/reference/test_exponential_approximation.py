"""The polynomials for exp: their certificates against dense samples and against balls."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import flint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.exponential_approximation import (
    ExponentialApproximation,
    approximate_exponential,
    chebyshev_approximation,
    sufficient_degree,
    taylor_approximation,
)

from .exponential_samples import sampled_errors

RADII = [Fraction(1, 100), Fraction(1, 3), 1.0, 4, 11, 30]
TARGETS = [0.5, 1e-2, 1e-6, 1e-15]


def enclosed_relative_error(p: ExponentialApproximation, parts: int) -> Fraction:
    """An upper bound of sup |p exp(-x) - 1| that knows nothing of Taylor or of Chebyshev.

    On each part, with midpoint m and half width w: |h(m + s)| <= |h(m)| + w sup |h'|, and
    h' = (p' - p) exp(-x) at s is bounded by the sum of its Taylor coefficients in s.
    """
    with flint.ctx.workprec(300):
        polynomial = flint.fmpq_poly(
            [flint.fmpq(c.numerator, c.denominator) for c in p.coefficients]
        )
        slope = polynomial.derivative() - polynomial
        worst = flint.arb(0)
        w = flint.fmpq(p.radius.numerator, p.radius.denominator * parts)
        for part in range(parts):
            m = w * (2 * part + 1 - parts)
            shifted = slope(flint.fmpq_poly([m, 1]))
            reach = sum((abs(c) * w**k for k, c in enumerate(shifted.coeffs())), flint.fmpq(0))
            weight = flint.arb(-m).exp()
            here = abs(flint.arb(polynomial(m)) * weight - 1)
            worst = worst.max(here + flint.arb(w * reach) * weight * flint.arb(w).exp())
        upper = worst.abs_upper()
        mantissa, exponent = upper.man_exp()
    return int(mantissa) * Fraction(2) ** int(exponent)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("radius", RADII)
def test_certificates_hold_and_are_nearly_attained(radius: float, target: float) -> None:
    p = approximate_exponential(radius, target)
    relative, absolute = sampled_errors(p)
    assert relative <= p.relative_error <= Fraction(target)
    assert absolute <= p.absolute_error
    assert p.relative_error <= 2 * relative
    assert p.absolute_error <= Fraction(11, 10) * absolute
    assert (p.family, p.degree) == sufficient_degree(radius, target)


@pytest.mark.parametrize("degree", [3, 8])
@pytest.mark.parametrize("radius", [Fraction(1, 2), 2, 5])
def test_an_enclosure_that_knows_no_family_confirms_the_certificates(
    radius: Fraction, degree: int
) -> None:
    for make in (taylor_approximation, chebyshev_approximation):
        p = make(radius, degree)
        assert enclosed_relative_error(p, 8000) <= p.relative_error * 2


@given(
    st.fractions(Fraction(1, 50), 30, max_denominator=64),
    st.integers(1, 60).map(lambda bits: Fraction(1, 2**bits)),
)
def test_no_smaller_degree_is_certified(radius: Fraction, target: Fraction) -> None:
    family, degree = sufficient_degree(radius, target)
    assert approximate_exponential(radius, target).relative_error <= target
    if degree:
        assert taylor_approximation(radius, degree - 1).relative_error > target
        # Where nothing is certified, or within the share that the search leaves to rounding.
        if radius < 2 * (degree + 1):
            less = chebyshev_approximation(radius, degree - 1)
            assert less.relative_error * (1 + Fraction(1, 2**19)) > target
    if family == "chebyshev":
        assert taylor_approximation(radius, degree).relative_error > target


@pytest.mark.parametrize("make", [taylor_approximation, chebyshev_approximation])
@pytest.mark.parametrize("place", [0, 3, 12])
def test_a_wrong_coefficient_is_refuted(make: object, place: int) -> None:
    p = make(2, 12)  # type: ignore[operator]
    coefficients = list(p.coefficients)
    coefficients[place] *= 1 + Fraction(1, 10**4)
    wrong = replace(p, coefficients=tuple(coefficients))
    assert sampled_errors(p)[0] <= p.relative_error
    assert sampled_errors(wrong)[0] > wrong.relative_error


def test_the_tail_without_the_weight_is_refuted() -> None:
    """Chebyshev's uniform error taken for the relative one, as if exp(-x) were 1."""
    p = chebyshev_approximation(6, 20)
    assert sampled_errors(p)[0] > p.absolute_error


def test_taylor_certificates_are_the_suprema() -> None:
    p = taylor_approximation(2, 3)
    at_minus_two = abs(p(Fraction(-2)))
    with flint.ctx.workprec(200):
        exact = abs(flint.arb(flint.fmpq(-1, 3)) * flint.arb(2).exp() - 1)
        certified = flint.arb(flint.fmpq(p.relative_error.numerator, p.relative_error.denominator))
        assert at_minus_two == Fraction(1, 3)
        assert abs(certified - exact) < flint.arb(2) ** -55


def test_trivial_radius() -> None:
    p = approximate_exponential(0, 0.25)
    assert (p.family, p.coefficients, p.relative_error) == ("taylor", (1,), 0)


def test_degrees_of_huge_radii_are_found() -> None:
    """Known growth: degree / R tends to the root of sqrt(x^2+1) - x asinh(x) + 1, about 2.233."""
    family, degree = sufficient_degree(100_000, 1e-9)
    assert family == "chebyshev"
    assert 2.2 < degree / 100_000 < 2.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: approximate_exponential(-1, 0.5), "radius must not be negative"),
        (lambda: approximate_exponential(1, 1), "must lie between 0 and 1"),
        (lambda: approximate_exponential(1, 0), "must lie between 0 and 1"),
        (lambda: taylor_approximation(1, -1), "degree must not be negative"),
        (lambda: chebyshev_approximation(10, 2), "needs 0 < radius < 2"),
        (lambda: chebyshev_approximation(0, 2), "needs 0 < radius < 2"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
