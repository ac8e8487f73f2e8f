"""The rounding arithmetic's own roundings: upwards, against rational numbers, and quiet where a
number overflows."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from loracle_reference.arithmetic.growth import softmax_growth
from loracle_reference.arithmetic.interval import IntervalMatrix
from loracle_reference.arithmetic.rounding import Rounding, RoundingMatrix, _product, _times, _up
from loracle_reference.floating_point import FORMATS, machine_model

PLAIN = replace(machine_model("widest", "bfloat16"), loss=0.0)
UNIT = PLAIN.stored_unit


def entry(seed: int) -> RoundingMatrix:
    """One number with a scale above its enclosure, and an error."""
    middle, radius, more, error = np.random.default_rng(seed).uniform(0.5, 2.0, (4, 1, 1))
    truth = IntervalMatrix(middle, radius / 64)
    return RoundingMatrix(truth, middle + radius / 64 + more, error / 16, PLAIN)


def exactly(array: np.ndarray) -> Fraction:
    """Its only entry."""
    return Fraction(float(array[0, 0]))


def same(found: np.ndarray, expected: list[list[float]]) -> None:
    """But for what is rounded up."""
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_exponential_without_limit_is_no_warning() -> None:
    """Be it that of an infinite error or of one that is merely large."""
    one = Rounding(machine_model("widest", "float32")).matrix(np.ones((2, 2)))
    one.error = np.array([[800.0, np.inf], [0.0, 1.0]])
    assert np.array_equal(np.isinf(one.exp().error), [[True, True], [False, False]])


def test_division_by_what_may_be_zero_or_may_be_computed_as_zero() -> None:
    """Infinite errors, of zeros too, and no warning."""
    a = Rounding(PLAIN).matrix([[0.0, 1.0, 1.0]] * 3)
    a.error = np.array([[0.0, 0.0, 0.5]] * 3)
    column = Rounding(PLAIN).matrix([[0.0], [1.0], [1.0]])
    column.error = np.array([[0.0], [1.0], [2.0]])
    found = a.divide_rows(column)
    assert np.isposinf(found.error).all()
    assert np.isposinf(found.natural_scale[0]).all()
    np.testing.assert_allclose(found.natural_scale[1:], [[0.0, 1.0, 1.0]] * 2)


def test_a_softmax_of_scores_without_limit_is_no_warning() -> None:
    """Nothing is claimed of a probability; what a query does not see is zero all the same."""
    one = Rounding(PLAIN).matrix([[0.0, 0.0], [0.0, -1.0]])
    one.error = np.array([[np.inf, 1.0], [800.0, 0.0]])
    assert np.isposinf(one.softmax_rows().error).all()
    zero = Rounding(PLAIN).matrix([[0.0, -1e6]])
    zero.error = np.array([[np.inf, np.inf]])
    masked = Rounding(PLAIN).matrix([[0.0, 1.0], [0.0, 1.0]])
    masked.error = np.array([[0.0, np.inf], [0.0, 0.0]])
    assert np.isposinf(zero.softmax_rows().error[0, 0])
    assert masked.causal_softmax_rows().error[0, 1] == 0


def test_an_overflow_in_a_softmax_is_no_warning() -> None:
    """Of an error that is finite, times the number of keys."""
    one = Rounding(machine_model("widest", "float64")).matrix([[9.0, 0.0, 0.0, 0.0]])
    one.error = np.full((1, 4), 354.8)
    found = one.softmax_rows()
    assert np.isfinite(found.error).all()
    assert found.chain.numerators is not None
    assert np.isposinf(found.chain.numerators[0, 0])


def test_the_exponent_of_a_softmax_is_rounded_up() -> None:
    """By 24 and 9 units of 2^-52 of what is about 20, before it is one; kappa has that many
    operations."""
    one = Rounding(machine_model("widest", "float64")).matrix([[1.0, 2.0]])
    one.error = np.full((1, 2), 10.0)
    f = np.array([[1 / (1 + math.e), math.e / (1 + math.e)]])
    kappa = softmax_growth(one.machine, np.array([[12.0]]), 2)
    found = one.softmax_rows().error / (f * np.expm1(20 + kappa)) - 1
    assert (found > 500 * 2.0**-52).all()
    assert (found < 2000 * 2.0**-52).all()


@pytest.mark.parametrize("terms", [0, 1, 4, 100])
def test_rounding_up(terms: int) -> None:
    """1 + (n + 8) 2^-52, as the derivation assumes."""
    assert _up(np.array([1.0]), terms)[0] == 1 + (terms + 8) * 2.0**-52
    assert _up(np.array([1.0]))[0] == _up(np.array([1.0]), 1)[0]
    if terms:
        ones = np.ones((1, terms))
        expected = terms * (1 + (terms + 8) * 2.0**-52)
        assert _product(ones, ones.T)[0, 0] == expected
        beside = np.vstack([ones, np.full_like(ones, np.inf)])
        assert np.array_equal(_product(beside, ones.T), [[expected], [np.inf]])


@pytest.mark.parametrize("seed", range(20))
def test_sums_of_products_are_rounded_up(seed: int) -> None:
    """Against rational numbers; and by no more than the rounding up says."""
    draw = np.random.default_rng(seed)
    left, right = draw.uniform(0, 1, (2, 40)) ** 8, draw.uniform(0, 1, (40, 2)) ** 8
    found, single = _product(left, right), _times(left, right.T)
    for i, j in np.ndindex(2, 2):
        pairs = zip(left[i], right[:, j], strict=True)
        exact = sum((Fraction(float(x)) * Fraction(float(y)) for x, y in pairs), Fraction(0))
        assert exact <= Fraction(float(found[i, j])) <= exact * (1 + Fraction(100, 2**52))
    for i, j in np.ndindex(2, 40):
        exact = Fraction(float(left[i, j])) * Fraction(float(right[j, i]))
        assert exact <= Fraction(float(single[i, j])) <= exact * (1 + Fraction(10, 2**52))


def test_an_exact_zero_stays_one_whatever_it_multiplies() -> None:
    """And what is not zero becomes infinite, from infinities and from an overflow; quietly."""
    left, right = np.array([[0.0, 2.0], [3.0, 0.0]]), np.array([[np.inf, 1.0], [0.5, 4.0]])
    same(_product(left, right), [[1.0, 8.0], [np.inf, 3.0]])
    same(_product(right, left), [[3.0, np.inf], [12.0, 1.0]])
    same(_times(left, right), [[0.0, 2.0], [1.5, 0.0]])
    same(_times(right, right), [[np.inf, 1.0], [0.25, 16.0]])
    same(_times(np.array([[1e200, 2.0]]), np.array([[1e200, 2.0]])), [[np.inf, 4.0]])
    three = np.array([[0.0, 1.0, 2.0]]) @ np.ones((3, 3))
    same(
        _product(np.array([[0.0, 1.0, 1.0]]), np.vstack([three * np.inf, three, three])),
        [[6.0] * 3],
    )


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("roundings", [1, 2, 4])
def test_roundings_in_a_row(dtype: str, roundings: int) -> None:
    """(1 - u)^-r - 1 rounded up, in float64 too, where little is left of it beside 1."""
    machine = machine_model("widest", dtype)
    one = Rounding(machine).matrix([[1.0]])
    exact = 1 / (1 - Fraction(machine.stored_unit)) ** roundings - 1
    found = Fraction(one._entrywise_growth(roundings))
    assert exact <= found <= exact + Fraction(2, 2**50)


def within(found: np.ndarray, exact: Fraction, above: Fraction = Fraction(1, 2**40)) -> bool:
    """Not below, and but little above."""
    return exact <= exactly(found) <= exact * (1 + above)


@pytest.mark.parametrize("seed", range(10))
def test_the_rules_themselves_are_rounded_up(seed: int) -> None:
    """Of single entries, without losses: catches an inflation that became a deflation, which no
    comparison of floating-point numbers sees."""
    a, b = entry(seed), entry(seed + 1)
    na, ea, nb, eb = (exactly(x) for one in (a, b) for x in (one.natural_scale, one.relative))
    u, factor = Fraction(UNIT), Fraction(0.7)
    ta, tb, once = na + ea, nb + eb, 1 / (1 - u)
    spread = ea * tb + na * eb
    expected = {
        "product": (a @ b, na * nb, spread + u / (1 - u) * ta * tb),
        "row_dot": (a.row_dot(b), na * nb, spread + u / (1 - u) * ta * tb),
        "sum": (a + b, na + nb, ea + eb + 2 * u / (1 - 2 * u) * (ta + tb)),
        "entrywise": (a * b, na * nb, spread + (once - 1) * ta * tb),
        "rows": (a.scale_rows(b), na * nb, spread + (once - 1) * ta * tb),
        "row_sum": (a.row_sum(), na, ea + u / (1 - u) * ta),
        "scaled": (a.scale(0.7), na * factor, (ea + (once**4 - 1) * ta) * factor),
    }
    for name, (found, natural, error) in expected.items():
        assert within(found.natural_scale, natural), name
        assert within(found.relative, error), name
        assert within(found.error, error), name


@pytest.mark.parametrize("left", [None, 2.0**-44])
def test_a_quotient_is_rounded_up(left: float | None) -> None:
    """The divisor's smallest magnitudes are rounded down for it, which counts where its error
    leaves but little of it; then little is known of the quotient."""
    for seed in range(20):
        a, c = entry(seed), entry(seed + 1)
        radius = c.truth.pair[1]
        assert radius is not None
        if left is not None:
            c.error = (np.abs(c.truth.mid) - radius) * (1 - left)
        na, ea, ec = exactly(a.natural_scale), exactly(a.error), exactly(c.error)
        smallest = exactly(c.truth.mid) - exactly(radius)
        natural = na / smallest
        spread = (ea + natural * ec) / (smallest - ec)
        error = (natural + spread) / (1 - Fraction(UNIT)) ** 4 - natural
        found = a.divide_rows(c)
        assert within(found.natural_scale, natural)
        assert within(found.error, error, Fraction(1, 2**40 if left is None else 2**4))
