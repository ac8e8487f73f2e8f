"""Norms read from matrices: upper bounds, whatever the entries are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Ball, Double, Exact, Rational
from loracle_reference.norms import Norms, dot_bound
from loracle_reference.upper_bounds import rounded_up, square_root_above

SIZES = st.tuples(
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1)
)


@pytest.mark.parametrize("arithmetic", [Exact(), Rational(), Ball(120)], ids=lambda a: a.name)
def test_norms_of_known_entries(arithmetic: Exact) -> None:
    norms = Norms.of(arithmetic.matrix([[1, -2, 0], [Fraction(1, 2), 3, 5]]))
    assert norms.maximum == 5
    assert norms.column_maxima == [1, 3, 5]
    assert norms.column_sums == [Fraction(3, 2), 5, 5]
    assert norms.row_sum == Fraction(17, 2)
    assert norms.middles == [Fraction(3, 4), Fraction(1, 2), Fraction(5, 2)]
    assert norms.half_spreads == [Fraction(1, 4), Fraction(5, 2), Fraction(5, 2)]
    assert 34 + Fraction(1, 4) <= norms.row_length**2 < 34 + Fraction(1, 4) + Fraction(1, 10**15)


def test_a_ball_counts_with_its_radius() -> None:
    third = Ball(60).matrix([[Fraction(1, 3)]])
    assert Norms.of(third).maximum > Fraction(1, 3)
    assert Norms.of(third).half_spreads[0] > 0
    assert Norms.of(third - third).maximum > 0


@given(SIZES)
def test_products_stay_below_the_bound(sizes: tuple[int, int, int, int]) -> None:
    rows, others, width, seed = sizes
    generator = np.random.default_rng(seed)
    left = generator.standard_normal((rows, width))
    right = generator.standard_normal((others, width)) * 10.0 ** generator.integers(-3, 4, width)
    x, y = (Exact().matrix(array) for array in (left, right))
    largest = max(abs(entry) for entry in (x @ y.T).values.ravel())
    bound = dot_bound(Norms.of(x), Norms.of(y))
    assert largest <= bound <= width * Norms.of(x).maximum * Norms.of(y).maximum


@pytest.mark.parametrize(
    ("left", "right"),
    [([[1, 0], [0, 1]], [[1, 1]]), ([[3, 4]], [[3, 4]]), ([[2, 2]], [[3, 3]])],
)
def test_the_bound_is_attained(left: list[list[int]], right: list[list[int]]) -> None:
    x, y = Exact().matrix(left), Exact().matrix(right)
    largest = max(abs(entry) for entry in (x @ y.T).values.ravel())
    assert dot_bound(Norms.of(x), Norms.of(y)) == largest


@given(st.fractions(0, 10**6), st.integers(3, 64))
def test_rounding_goes_up_and_not_far(value: Fraction, bits: int) -> None:
    assert value <= rounded_up(value, bits) <= value * (1 + Fraction(2, 2**bits))
    root = square_root_above(value)
    assert value <= root**2 <= value * (1 + Fraction(1, 2**50))


def test_an_arithmetic_without_readable_entries_is_named() -> None:
    with pytest.raises(TypeError, match="not from a DoubleMatrix: evaluate in Ball or in Exact"):
        Norms.of(Double().matrix([[1.0]]))


def test_a_ball_that_knows_nothing_is_refused() -> None:
    nothing = Ball(60).matrix([[1.0]]).divide_rows(Ball(60).matrix([[0.0]]))
    with pytest.raises(ValueError, match="evaluate with a higher precision"):
        Norms.of(nothing)


def test_rows_of_two_lengths_are_refused() -> None:
    x, y = (Norms.of(Exact().matrix([[1] * width])) for width in (2, 3))
    with pytest.raises(ValueError, match="numbers of columns must be equal, got 2 and 3"):
        dot_bound(x, y)
