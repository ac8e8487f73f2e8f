"""Errors of polynomials for exp at many points, from mpmath: what certificates are held to."""

from __future__ import annotations

from fractions import Fraction

import mpmath

from loracle_reference.exponential_approximation import ExponentialApproximation


def sampled_errors(p: ExponentialApproximation, samples: int = 400) -> tuple[Fraction, Fraction]:
    """Lower bounds of the relative and the absolute error, rounded down: exp is taken in 400 bits,
    the points are those where Chebyshev's polynomials are extreme."""
    relative, absolute = mpmath.mpf(0), mpmath.mpf(0)
    with mpmath.workprec(400):
        for step in range(samples + 1):
            cosine = Fraction(float(mpmath.cos(mpmath.pi * step / samples)))
            x = max(min(cosine, Fraction(1)), Fraction(-1)) * p.radius
            value, argument = (mpmath.mpf(v.numerator) / v.denominator for v in (p(x), x))
            relative = max(relative, abs(value * mpmath.exp(-argument) - 1))
            absolute = max(absolute, abs(value - mpmath.exp(argument)))
        shrink = 1 - mpmath.mpf(2) ** -300
        return tuple(Fraction(*_ratio(error * shrink)) for error in (relative, absolute))  # type: ignore[return-value]


def _ratio(value: mpmath.mpf) -> tuple[int, int]:
    sign, mantissa, exponent, _ = value._mpf_
    numerator = int(-mantissa if sign else mantissa)
    return (numerator << exponent, 1) if exponent >= 0 else (numerator, 1 << -exponent)
