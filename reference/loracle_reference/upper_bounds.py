"""Between exact rationals and Arb's balls, in the direction that keeps a bound a bound."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any

import flint

__all__ = ["as_ball", "lower_fraction", "rounded_up", "square_root_above", "upper_fraction"]

Arb = Any
"""flint.arb, which carries no types."""

_BITS = 64
"""Bits that an upper bound keeps."""


def as_ball(value: Fraction | int) -> Arb:
    """A ball around a rational at flint's current precision."""
    value = Fraction(value)
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def upper_fraction(ball: Arb) -> Fraction:
    """A rational of at most 64 bits that no number of the ball exceeds.

    Raises ValueError if the ball is not finite: nothing is known then.
    """
    if not ball.is_finite():
        raise ValueError(f"nothing is known of {ball}: evaluate with a higher precision")
    with flint.ctx.workprec(_BITS):
        mantissa, exponent = ball.upper().man_exp()
    return int(mantissa) * Fraction(2) ** int(exponent)


def lower_fraction(ball: Arb) -> Fraction:
    """A rational of at most 64 bits that no number of the ball falls below; as `upper_fraction`."""
    return -upper_fraction(-ball)


def rounded_up(value: Fraction, bits: int = _BITS) -> Fraction:
    """A binary fraction of about `bits` bits not below a rational >= 0, near it by 2^(1 - bits)."""
    if value == 0:
        return value
    exponent = value.numerator.bit_length() - value.denominator.bit_length() - bits
    unit = Fraction(2) ** exponent
    return (value / unit).__ceil__() * unit


def square_root_above(value: Fraction) -> Fraction:
    """A rational just above the square root of a rational >= 0."""
    if value == 0:
        return value
    shift = max(0, 2 * _BITS - (value.numerator.bit_length() - value.denominator.bit_length()))
    shift += shift % 2
    scaled = (value * (1 << shift)).__ceil__()
    return Fraction(isqrt(scaled - 1) + 1, 1 << (shift // 2))
