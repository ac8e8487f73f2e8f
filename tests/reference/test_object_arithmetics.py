"""The exact and the multiprecision arithmetic."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

from loracle_reference.arithmetic import Ball, Exact, Multiprecision
from loracle_reference.attention import attention_probabilities


def test_floats_are_exact_rationals() -> None:
    exact = Exact()
    matrix = exact.matrix(np.array([[0.1, 0.5]])) @ exact.matrix([[3], [Fraction(1, 3)]])
    assert exact.array(matrix)[0, 0] == 3 * Fraction(0.1) + Fraction(1, 6)


def test_exponentials_stay_symbolic() -> None:
    exact = Exact()
    values = exact.array(exact.matrix([[0, 1, Fraction(1, 2)]]).exp())[0]
    assert values[0] == 1
    assert isinstance(values[0], Fraction)
    assert values[1] == sympy.E
    assert values[2] == sympy.exp(sympy.Rational(1, 2))


def test_symbolic_softmax() -> None:
    """Definition 3.4 on two keys: the logistic function of the difference."""
    x, y = sympy.symbols("x y", real=True)
    exact = Exact()
    f = exact.array(attention_probabilities(exact.matrix([[1]]), exact.matrix([[x], [y]])))[0]
    assert sympy.simplify(f[0] + f[1]) == 1
    assert sympy.simplify(f[0] - 1 / (1 + sympy.exp(y - x))) == 0


def test_exact_zero_divisors_are_refused() -> None:
    x = sympy.Symbol("x")
    exact = Exact()
    one = exact.matrix([[1]])
    for zero in (exact.matrix([[0]]), exact.matrix([[x]]) - exact.matrix([[x]])):
        with pytest.raises(ZeroDivisionError, match="exactly zero"):
            one.divide_rows(zero)
    assert exact.array(one.divide_rows(exact.matrix([[x]])))[0, 0] == 1 / x


def test_rounded_symbols_are_refused() -> None:
    with pytest.raises(TypeError, match="rounded number"):
        Exact().matrix([[sympy.Symbol("x") * sympy.Float(0.1)]])
    with pytest.raises(TypeError, match="exact number"):
        Exact().matrix([["1"]])


def test_multiprecision_has_its_own_context() -> None:
    before = mpmath.mp.prec
    first, second = Multiprecision(300), Multiprecision(60)
    third = first.array(first.matrix([[Fraction(1, 3)]]).exp())[0, 0]
    assert mpmath.mp.prec == before
    assert (first.precision, second.precision) == (300, 60)
    coarse = second.array(second.matrix([[Fraction(1, 3)]]).exp())[0, 0]
    assert 0 < abs(first.context.mpf(coarse) - third) < 2.0**-58
    with pytest.raises(TypeError, match="300 bits with numbers of 60"):
        first.matrix([[1]]) + second.matrix([[1]])
    with pytest.raises(ValueError, match="at least 2 bits"):
        Multiprecision(1)


def test_multiprecision_agrees_with_balls() -> None:
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, 3, 4))
    precise, ball = Multiprecision(200), Ball(200)
    value = (precise.matrix(left) @ precise.matrix(right).T).softmax_rows()
    enclosure = ball.enclosure((ball.matrix(left) @ ball.matrix(right).T).softmax_rows())
    high = precise.array(value).astype(float)
    low = (precise.array(value) - high).astype(float)
    error = (high - enclosure.high) + (low - enclosure.low)
    assert (np.abs(error) <= 2.0**-100 * enclosure.high).all()
