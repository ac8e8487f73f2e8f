"""The polynomials of least relative error for exp on [-R, R], certified from above and from below.

Lemma 3.3 takes the degree from sup |p(x) exp(-x) - 1|. Taylor's and Chebyshev's polynomials have
small *absolute* errors, and pay a factor up to exp(R) for the weight exp(-x); here the weighted
error itself is made (nearly) smallest, so that fewer monomials do.

From below (de la Vallee Poussin). For x_0 < ... < x_n in [-R, R], n = g + 1, let w_i be
1 / prod_{j != i} (x_i - x_j). Every p of degree g has sum_i w_i p(x_i) = 0 (a divided difference of
order g + 1). With p(x_i) = exp(x_i) (1 + h_i) and |h_i| <= m,
    |sum_i w_i exp(x_i)| = |sum_i w_i exp(x_i) h_i| <= m sum_i |w_i| exp(x_i),
so no p of degree g has a smaller relative error than the quotient of the two sums, the *levelled
error* E of the points. As the w_i alternate, the p with h_i = (-1)^i E or its negative exists.

Exchange (Remez). For that p, h = p exp(-x) - 1 changes its sign g + 1 times, so h', that is
(p' - p) exp(-x), has all g roots of p' - p in between: h is extreme at these and at -R and R and
nowhere else, and they are the next points. E grows with every exchange, quadratically to its limit.
The first points: Re(z^n exp(R / z)) on |z| = 1 is exp(x) cos(n t - R sin t) for x = R cos t, and a
polynomial of degree n in x up to tiny terms, so p - exp is nearly a multiple of it. It is extreme
near n t - R sin t = i pi (Kepler's equation), as long as R < n, and E is about
2 (R / 2)^n / n! exp(-R^2 / (4 n)). Where R >= n, E is near 1 or soon will be; there |p exp(-x)|
lives on the leftmost 2 n of the interval, so the first points are those of that part, and R.

From above. No matter how p was found, |h| is largest at -R, at R or at a real root of p' - p. The
roots are isolated, and h is enclosed at them and at the ends in balls. The suprema follow:
    sup |p - exp| <= exp(R) sup |h|,
with equality where |h| is largest at R, as it is (nearly) for the p of least relative error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import flint
import numpy as np

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Scalar
from loracle_reference.exponential_approximation import (
    ExponentialApproximation,
    taylor_approximation,
)
from loracle_reference.upper_bounds import as_ball, lower_fraction, upper_fraction

__all__ = ["certified_errors", "minimax_approximation", "minimax_degree", "minimax_lower_bound"]

Arb = Any
"""flint.arb, which carries no types."""

_SHARP_BITS = 20
"""A certified error exceeds the supremum by a share of less than 2^-20 of it."""

_LEVEL = Fraction(1, 1 << 10)
"""The exchange ends when the largest error exceeds the levelled one by no more than this share."""

_MOST_EXCHANGES = 40
"""Far more than it takes; what is returned is certified either way."""

_COEFFICIENT_BITS = 64
"""Rounding the coefficients changes the error by a share of 2^-64 of it."""

_GUARD_BITS = 192
"""Beyond the bits that cancel: coefficients in the error's own 64 bits, and slack."""

_KEPLER_STEPS = 40
"""For points that any other start of the exchange could replace."""

_ROOT_STEPS = 20
"""From good guesses three or four are enough."""

_ECCENTRICITY = 0.98
"""r / n of the first points is at most this: from 1 on Kepler's equation has several solutions."""


@dataclass(frozen=True)
class _Levelled:
    """Outcome of the exchange: coefficients, a lower bound for every polynomial of the degree, and
    the certified errors of this one."""

    coefficients: tuple[Fraction, ...]
    lower: Fraction
    relative_error: Fraction
    absolute_error: Fraction


def minimax_approximation(radius: Scalar, degree: int) -> ExponentialApproximation:
    """A polynomial whose relative error exceeds the smallest possible by a share of at most 2^-10.

    Its coefficients are binary fractions, its errors certified; up to degree 12 that takes some
    milliseconds. At radius 0, where many are exact, it is Taylor's, to which it tends. Raises
    ValueError unless radius >= 0 and degree >= 0.
    """
    exact = _checked(radius, degree)
    if exact == 0:
        return replace(taylor_approximation(exact, degree), family="minimax")
    found = _exchanged(exact, degree)
    return ExponentialApproximation(
        "minimax", exact, found.coefficients, found.relative_error, found.absolute_error
    )


def minimax_lower_bound(radius: Scalar, degree: int) -> Fraction:
    """A number below which sup |p(x) exp(-x) - 1| on [-R, R] is for no p of this degree.

    Certified: the levelled error of the exchange's last points, in balls, rounded down. Raises
    ValueError unless radius >= 0 and degree >= 0.
    """
    exact = _checked(radius, degree)
    return Fraction(0) if exact == 0 else _exchanged(exact, degree).lower


def minimax_degree(radius: Scalar, relative_error: Scalar, *, most: int = 200) -> int | None:
    """The smallest degree for which `minimax_approximation` certifies this relative error.

    None if that is beyond `most`. Degrees are excluded by the levelled error of the first points,
    which takes no exchange; only one or two are certified. Raises ValueError unless radius >= 0,
    0 < relative_error < 1 and most >= 0.
    """
    exact = _checked(radius, most)
    target = as_fraction(relative_error)
    if not 0 < target < 1:
        raise ValueError(f"the relative error must lie between 0 and 1, got {relative_error}")
    if exact == 0:
        return 0
    degree = _estimated_degree(exact, target, most)
    # The smallest errors do not grow with the degree: if all of one degree fail, so do all below.
    while degree > 0 and not _excluded(exact, degree - 1, target):
        degree -= 1
    while degree <= most:
        excluded = _excluded(exact, degree, target)
        if not excluded and _exchanged(exact, degree).relative_error <= target:
            return degree
        degree += 1
    return None


def certified_errors(coefficients: Sequence[Scalar], radius: Scalar) -> tuple[Fraction, Fraction]:
    """Upper bounds of sup |p(x) exp(-x) - 1| and of sup |p(x) - exp(x)| on [-R, R].

    For any polynomial p = sum_k coefficients[k] x^k with exact coefficients. The first exceeds the
    supremum by at most a share of 2^-20 of it (and 2^-63); the second is exp(R) times the first.
    Raises ValueError unless radius > 0 and there is a coefficient.
    """
    exact = _checked(radius, len(coefficients) - 1)
    if exact == 0:
        raise ValueError("the radius must be positive to certify errors on [-radius, radius]")
    polynomial = _polynomial([as_fraction(c) for c in coefficients])
    _, largest = _extrema(polynomial, exact, _GUARD_BITS + 3 * exact.__ceil__())
    return _bounds(largest, exact)


@lru_cache(maxsize=256)
def _exchanged(radius: Fraction, degree: int) -> _Levelled:
    """The exchange, until the largest error is level."""
    bits = _working_bits(radius, degree)
    points = _first_points(radius, degree, bits)
    for _ in range(_MOST_EXCHANGES):
        level, coefficients = _levelled_polynomial(points, radius, bits)
        roots, largest = _extrema(_polynomial(coefficients), radius, bits, points[1:-1])
        lower = lower_fraction(abs(level))
        relative, absolute = _bounds(largest, radius)
        with flint.ctx.workprec(bits):
            end = as_ball(radius)
            inside = sorted(root.mid() for root in roots if abs(root) < end)
            points = [-end, *inside, end]
        if relative <= lower * (1 + _LEVEL) or len(inside) != degree:
            break
    return _Levelled(coefficients, lower, relative, absolute)


def _excluded(radius: Fraction, degree: int, target: Fraction) -> bool:
    """Whether the first points' levelled error shows that no polynomial of the degree will do."""
    bits = _working_bits(radius, degree)
    with flint.ctx.workprec(bits):
        level, _ = _level(_first_points(radius, degree, bits))
        return bool(abs(level) > as_ball(target))


def _levelled_polynomial(
    points: list[Arb], radius: Fraction, bits: int
) -> tuple[Arb, tuple[Fraction, ...]]:
    """The levelled error with its sign, and the rounded coefficients of the p that attains it.

    The unit of the coefficient of x^k is at most 2^-b R^-k, so that rounding all of them changes h
    by no more than (g + 1) 2^-b exp(R).
    """
    with flint.ctx.workprec(bits):
        level, exponentials = _level(points)
        values = [e * (1 + (-1) ** i * level) for i, e in enumerate(exponentials)]
        exact = flint.arb_poly.interpolate(points[:-1], values[:-1]).coeffs()
        spread = len(points) * as_ball(radius).exp() / abs(level)
        places = _COEFFICIENT_BITS + _exponent(spread)
        growth = _exponent(as_ball(radius))
        coefficients = []
        for k, coefficient in enumerate(exact):
            shift = flint.arb(2) ** (places + k * growth)
            integer: Any = (coefficient * shift).mid().floor().unique_fmpz()
            coefficients.append(int(integer) * Fraction(2) ** -(places + k * growth))
    return level, tuple(coefficients)


def _exponent(ball: Arb) -> int:
    """An integer e with x <= 2^e for every x of a positive ball."""
    mantissa, exponent = ball.upper().man_exp()
    return int(exponent) + int(mantissa).bit_length()


def _level(points: list[Arb]) -> tuple[Arb, list[Arb]]:
    """The levelled error of the points, as a solution of sum_i w_i exp(x_i) (1 + (-1)^i E) = 0,
    and the exp(x_i)."""
    exponentials = [x.exp() for x in points]
    terms = []
    for i, (x, exponential) in enumerate(zip(points, exponentials, strict=True)):
        product = flint.arb(1)
        for j, other in enumerate(points):
            if j != i:
                product *= x - other
        terms.append(exponential / product)
    alternating = sum((-term if i % 2 else term for i, term in enumerate(terms)), flint.arb(0))
    return -sum(terms, flint.arb(0)) / alternating, exponentials


def _extrema(
    polynomial: Any, radius: Fraction, bits: int, guesses: Sequence[Arb] = ()
) -> tuple[list[Arb], Arb]:
    """The real roots of p' - p that may lie in (-R, R), and the largest |h| there and at the ends.

    A root that is not separated from an end may lie outside; it makes the second ball no smaller.
    The precision grows until that ball is sharp. It does: |h(R)| and |h(-R)| are not zero, since
    exp of a rational number other than 0 is irrational.
    """
    slope = polynomial.derivative() - polynomial
    while True:
        with flint.ctx.workprec(bits):
            end, p = as_ball(radius), flint.arb_poly(polynomial)
            real = _near_roots(slope, guesses, end, bits // 2) or _real_roots(slope)
            roots = [root for root in real if not abs(root) > end]
            largest = flint.arb(0)
            for x in (-end, *roots, end):
                largest = largest.max(abs(p(x) * (-x).exp() - 1))
            if largest.rel_accuracy_bits() > _SHARP_BITS:
                return roots, largest
        bits *= 2


def _near_roots(polynomial: Any, guesses: Sequence[Arb], end: Arb, places: int) -> list[Arb]:
    """All roots to within R 2^-places, found from guesses by the method of Ehrlich and Aberth.

    That is Newton's method for p / prod_{j != i} (x - z_j) at the i-th of the approximations z.
    Certified by as many changes of sign in disjoint intervals as the degree; [] if that fails.
    """
    if len(guesses) != polynomial.degree():
        return []
    value = flint.arb_poly(polynomial)
    slope = value.derivative()
    width = end.mid() * flint.arb(2) ** -places
    roots = [guess.mid() for guess in guesses]
    for _ in range(_ROOT_STEPS):
        largest = flint.arb(0)
        for i, root in enumerate(roots):
            newton = (value(root) / slope(root)).mid()
            others = sum((1 / (root - z) for z in roots[:i] + roots[i + 1 :]), flint.arb(0))
            step = newton / (1 - newton * others)
            roots[i] = (root - step).mid()
            largest = largest.max(abs(step.mid()))
        if not largest > width:
            break
    ends = [(root - width, root + width) for root in sorted(roots)]
    change = all(bool(value(low) * value(high) < 0) for low, high in ends)
    disjoint = all(bool(one[1] < two[0]) for one, two in pairwise(ends))
    return [low.union(high) for low, high in ends] if change and disjoint else []


def _real_roots(polynomial: Any) -> list[Arb]:
    """All real roots of a polynomial, isolated at the current precision."""
    if polynomial.degree() < 1:
        return []
    # The imaginary part of a real root is exactly zero.
    found = polynomial.numer().complex_roots()
    return [root.real for root, _ in found if root.imag.contains(0)]


def _bounds(largest: Arb, radius: Fraction) -> tuple[Fraction, Fraction]:
    """Upper bounds of sup |h| and of sup |p - exp| from a ball around sup |h|."""
    with flint.ctx.workprec(_GUARD_BITS):
        return upper_fraction(largest), upper_fraction(largest * as_ball(radius).exp())


def _first_points(radius: Fraction, degree: int, bits: int) -> list[Arb]:
    """r - R + r cos t with n t - r sin t = i pi, increasing, and R. Here r = R if that is below n.

    Newton's method decreases to the solution from t = pi, where n t - r sin t, convex on [0, pi],
    is not below i pi.
    """
    n = degree + 1
    eccentricity = min(float(radius / n), _ECCENTRICITY)
    anomaly = math.pi * np.arange(n, 0, -1) / n
    t = np.full(n, math.pi)
    for _ in range(_KEPLER_STEPS):
        excess = t - eccentricity * np.sin(t) - anomaly
        t -= excess / (1 - eccentricity * np.cos(t))
    cosines = [-1.0, *np.cos(t[1:]).tolist()]
    with flint.ctx.workprec(bits):
        reach = min(radius, n * as_fraction(_ECCENTRICITY))
        middle = as_ball(reach - radius)
        return [*(middle + as_ball(reach) * cosine for cosine in cosines), as_ball(radius)]


def _estimated_degree(radius: Fraction, target: Fraction, most: int) -> int:
    """The degree that the estimate of E asks for, or `most`."""
    wanted = _log2(target)
    return next((g for g in range(most) if _log2_estimate(radius, g) <= wanted), most)


def _log2_estimate(radius: Fraction, degree: int) -> float:
    """log2 of 2 (R / 2)^n / n! exp(-R^2 / (4 n)), about the smallest relative error, if R < n.

    At Kepler's points sum_i w_i exp(x_i) is about exp(-R^2 / (4 n)) / n!, for their mean is
    -R^2 / (2 n) and their variance R^2 / 2, which a divided difference divides by n. The other sum
    is about 2^(n-1) / R^n. For R >= n, 0: the error is near 1, or soon will be.
    """
    n = degree + 1
    if radius >= n:
        return 0.0
    logarithm = math.lgamma(n + 1) + float(radius**2 / (4 * n))
    return 1 + n * (_log2(radius) - 1) - logarithm / math.log(2)


def _working_bits(radius: Fraction, degree: int) -> int:
    """For sums that cancel to the error, and for powers of x that cancel to Chebyshev's
    polynomials and to exp(-R)."""
    cancelled = max(0, -math.floor(_log2_estimate(radius, degree)))
    return _GUARD_BITS + 2 * cancelled + 4 * degree + 6 * radius.__ceil__()


def _log2(value: Fraction) -> float:
    return math.log2(value.numerator) - math.log2(value.denominator)


def _polynomial(coefficients: Sequence[Fraction]) -> Any:
    return flint.fmpq_poly([flint.fmpq(c.numerator, c.denominator) for c in coefficients])


def _checked(radius: Scalar, degree: int) -> Fraction:
    exact = as_fraction(radius)
    if exact < 0:
        raise ValueError(f"the radius must not be negative, got {radius}")
    if degree < 0:
        raise ValueError(f"the degree must not be negative, got {degree}")
    return exact
