"""Polynomials that approximate exp on [-R, R], each with a certified relative error.

What Lemma 3.3 needs of p is sup |p(x) exp(-x) - 1| <= delta on [-R, R]: a relative error, for the
softmax divides by sums of exponentials that may be as small as exp(-R). Two families:

Taylor, p = sum_{k <= g} x^k / k!. With h(x) = p(x) exp(-x) - 1 one has h(0) = 0 and
h'(x) = -exp(-x) x^g / g!, so |h| is largest at x = -R:
    sup |h| = int_0^R u^g e^u / g! du = R^(g+1) / (g+1)!  1F1(g+1; g+2; R).
    sup |p - exp| is at x = R:          R^(g+1) / (g+1)!  1F1(1; g+2; R).
Chebyshev, p = I_0(R) + 2 sum_{1 <= k <= g} I_k(R) T_k(x / R), from
exp(R t) = I_0(R) + 2 sum I_k(R) T_k(t). As |T_k| <= 1 on [-1, 1],
    sup |p - exp| <= 2 sum_{k > g} I_k(R) <= 2 I_{g+1}(R) / (1 - R / (2 (g+2)))   if R < 2 (g+2),
by I_{k+1}(R) <= R / (2 (k+1)) I_k(R), which holds term by term in the power series; times exp(R)
this bounds sup |h|. Its coefficients are rounded to binary fractions and the rounding is certified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import flint

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Scalar
from loracle_reference.upper_bounds import as_ball, upper_fraction

__all__ = [
    "ExponentialApproximation",
    "Family",
    "approximate_exponential",
    "chebyshev_approximation",
    "sufficient_degree",
    "taylor_approximation",
]

Family = Literal["taylor", "chebyshev", "minimax"]

Arb = Any
"""flint.arb, which carries no types."""

_TAIL_BITS = 128
"""Bits for sums of positive terms."""

_ROUNDING_SHARE = Fraction(1, 1 << 20)
"""What rounding the coefficients may add, as a share of Chebyshev's truncation error."""


@dataclass(frozen=True)
class ExponentialApproximation:
    """A polynomial sum_k coefficients[k] x^k and its certified errors on [-radius, radius].

    relative_error: upper bound of sup |p(x) exp(-x) - 1|. absolute_error: of sup |p(x) - exp(x)|.
    """

    family: Family
    radius: Fraction
    coefficients: tuple[Fraction, ...]
    relative_error: Fraction
    absolute_error: Fraction

    @property
    def degree(self) -> int:
        """g, the degree."""
        return len(self.coefficients) - 1

    def __call__(self, x: Any) -> Any:
        """p(x) by Horner's rule, exactly for an int or a Fraction."""
        value = self.coefficients[-1] + 0 * x
        for coefficient in reversed(self.coefficients[:-1]):
            value = value * x + coefficient
        return value


def approximate_exponential(radius: Scalar, relative_error: Scalar) -> ExponentialApproximation:
    """The polynomial of the smallest degree with a certified relative error <= relative_error.

    Taylor's wherever it needs no higher degree, for its coefficients are exact. Raises ValueError
    unless radius >= 0 and 0 < relative_error < 1.
    """
    family, degree = sufficient_degree(radius, relative_error)
    return (taylor_approximation if family == "taylor" else chebyshev_approximation)(radius, degree)


def sufficient_degree(radius: Scalar, relative_error: Scalar) -> tuple[Family, int]:
    """The family and degree that `approximate_exponential` takes, found without coefficients.

    For each family the smallest degree whose certified relative error on [-radius, radius] is at
    most relative_error. Both bounds are below 1 only where they decrease in g (Taylor's is at least
    R^(g+1) / (g+1)! >= 1 for g + 1 <= R), so bisection finds it. Raises ValueError unless
    radius >= 0 and 0 < relative_error < 1.
    """
    exact = _checked_radius(radius)
    target = as_fraction(relative_error)
    if not 0 < target < 1:
        raise ValueError(f"the relative error must lie between 0 and 1, got {relative_error}")
    chebyshev = _smallest_degree(lambda g: _chebyshev_relative_error(exact, g) <= target)
    if not _taylor_suffices(exact, chebyshev, target):
        return "chebyshev", chebyshev
    return "taylor", _smallest_degree(lambda g: _taylor_suffices(exact, g, target))


def taylor_approximation(radius: Scalar, degree: int) -> ExponentialApproximation:
    """Taylor's polynomial at 0, whose certified errors are the suprema, rounded up.

    Raises ValueError unless radius >= 0 and degree >= 0.
    """
    exact = _checked_radius(radius)
    _require_degree(degree)
    coefficients = [Fraction(1)]
    for k in range(1, degree + 1):
        coefficients.append(coefficients[-1] / k)
    relative, absolute = _taylor_errors(exact, degree)
    return ExponentialApproximation("taylor", exact, tuple(coefficients), relative, absolute)


def chebyshev_approximation(radius: Scalar, degree: int) -> ExponentialApproximation:
    """Chebyshev's expansion truncated at a degree, with binary coefficients n_k / 2^bits of T_k.

    Raises ValueError unless radius > 0 and degree + 2 > radius / 2 (below, nothing is certified).
    """
    exact = _checked_radius(radius)
    _require_degree(degree)
    tail = _chebyshev_tail(exact, degree)
    if exact == 0 or tail is None:
        raise ValueError(
            f"Chebyshev's expansion needs 0 < radius < 2 (degree + 2), got {radius} and {degree}"
        )
    bits = _coefficient_bits(upper_fraction(tail), degree)
    with flint.ctx.workprec(_precision(exact) + bits):
        ball = as_ball(exact)
        scaled = [
            ball.bessel_i(k) * (2 if k else 1) * flint.arb(2) ** bits for k in range(degree + 1)
        ]
        rounded = [value.mid().floor().unique_fmpz() for value in scaled]
        missed = sum((abs(v - n) for v, n in zip(scaled, rounded, strict=True)), flint.arb(0))
        error = tail + missed / flint.arb(2) ** bits
        absolute, relative = upper_fraction(error), upper_fraction(error * ball.exp())
    expansion = flint.fmpz_poly([0])
    for k, integer in enumerate(rounded):
        expansion += integer * flint.fmpz_poly.chebyshev_t(k)
    unit = Fraction(1, 1 << bits)
    coefficients = tuple(int(expansion[k]) * unit / exact**k for k in range(degree + 1))
    return ExponentialApproximation("chebyshev", exact, coefficients, relative, absolute)


def _taylor_suffices(radius: Fraction, degree: int, target: Fraction) -> bool:
    """Whether Taylor's certified relative error is at most the target.

    1F1(g+1; g+2; R) is the mean of e^u under the density (g+1) u^g / R^(g+1) on [0, R], so at least
    exp of the mean R (g+1) / (g+2) of u (Jensen); that decides most cases at once.
    """
    if radius == 0:
        return True
    with flint.ctx.workprec(_TAIL_BITS):
        logarithm = (
            (degree + 1) * as_ball(radius).log()
            - flint.arb(degree + 2).lgamma()
            + as_ball(radius * (degree + 1) / (degree + 2))
        )
        if logarithm > as_ball(target).log():
            return False
    return _taylor_errors(radius, degree)[0] <= target


def _taylor_errors(radius: Fraction, degree: int) -> tuple[Fraction, Fraction]:
    """Upper bounds of the suprema of the relative and of the absolute error."""
    if radius == 0:
        return Fraction(0), Fraction(0)
    with flint.ctx.workprec(_precision(radius)):
        ball = as_ball(radius)
        power = ball ** (degree + 1) / flint.arb(degree + 2).gamma()
        relative = power * ball.hypgeom_1f1(degree + 1, degree + 2)
        absolute = power * ball.hypgeom_1f1(1, degree + 2)
        return upper_fraction(relative), upper_fraction(absolute)


def _chebyshev_relative_error(radius: Fraction, degree: int) -> Fraction | float:
    """The certified relative error that the rounded expansion has, infinite if there is none."""
    tail = _chebyshev_tail(radius, degree)
    if tail is None:
        return float("inf")
    with flint.ctx.workprec(_TAIL_BITS):
        return upper_fraction(tail * as_ball(radius).exp()) * (1 + _ROUNDING_SHARE)


def _chebyshev_tail(radius: Fraction, degree: int) -> Arb | None:
    """A ball whose upper end bounds 2 sum_{k > g} I_k(R); None if R >= 2 (g + 2)."""
    ratio = radius / (2 * (degree + 2))
    if ratio >= 1:
        return None
    with flint.ctx.workprec(_TAIL_BITS):
        return 2 * as_ball(radius).bessel_i(degree + 1) / as_ball(1 - ratio)


def _coefficient_bits(tail: Fraction, degree: int) -> int:
    """So many that degree + 1 coefficients, each off by at most 2^-bits, stay below the share."""
    return max(1, ((degree + 1) / (tail * _ROUNDING_SHARE) * 2).__ceil__().bit_length())


def _smallest_degree(suffices: Callable[[int], bool]) -> int:
    """The smallest degree that suffices, by doubling and bisection."""
    if suffices(0):
        return 0
    low, high = 0, 1
    while not suffices(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def _precision(radius: Fraction) -> int:
    """Bits enough for sums whose terms exceed their value by exp(2 R)."""
    return _TAIL_BITS + 3 * radius.__ceil__()


def _checked_radius(radius: Scalar) -> Fraction:
    exact = as_fraction(radius)
    if exact < 0:
        raise ValueError(f"the radius must not be negative, got {radius}")
    return exact


def _require_degree(degree: int) -> None:
    if degree < 0:
        raise ValueError(f"the degree must not be negative, got {degree}")
