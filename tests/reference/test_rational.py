"""Rationals: exact, and exp a function of its argument and of nothing else."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic.exact import Exact
from loracle_reference.arithmetic.rational import Rational
from loracle_reference.attention import aloragc_loss
from loracle_reference.differentiation import gradient_from_loss
from loracle_reference.gradient import aloragc_gradient

FRACTIONS = st.fractions(min_value=-50, max_value=50, max_denominator=60)


@given(st.lists(st.lists(FRACTIONS, min_size=2, max_size=2), min_size=1, max_size=3))
def test_products_and_quotients_are_those_of_fractions(rows: list[list[Fraction]]) -> None:
    mine, theirs = Rational().matrix(rows), Exact().matrix(rows)
    squares = mine @ mine.T, theirs @ theirs.T
    for left, right in zip(squares[0].values.flat, squares[1].values.flat, strict=True):
        assert Fraction(int(left.p), int(left.q)) == right
    with pytest.raises(ZeroDivisionError):
        mine.divide_rows(Rational().matrix([[0]] * len(rows)))


def test_exp_is_a_function_and_positive() -> None:
    values = Rational().matrix([[Fraction(1, 3), Fraction(2, 6), 0, -7, 5]]).exp().values[0]
    assert values[0] == values[1]
    assert values[2] == 1
    assert len({str(value) for value in values}) == 4
    assert all(value > 0 for value in values)


def test_the_gradient_holds_under_any_function_for_exp_and_a_wrong_one_does_not() -> None:
    draw = np.random.default_rng(5)
    shapes = {
        "c1": (4, 3),
        "c2": (5, 3),
        "c3": (5, 3),
        "w": (3, 3),
        "a": (2, 3),
        "b": (3, 2),
        "y": (4, 3),
    }
    point = {name: draw.integers(-9, 9, shape).tolist() for name, shape in shapes.items()}
    truth = gradient_from_loss(aloragc_loss, point, ["a"], {}, Rational())["a"]
    closed = aloragc_gradient(**{n: Rational().matrix(rows) for n, rows in point.items()})
    assert (truth.values == closed["grad_a"].values).all()
    assert (truth.values != closed["grad_a"].scale(2).values).any()


def test_what_is_no_rational_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Rational().matrix([[float("nan")]])
    with pytest.raises(TypeError):
        Rational().matrix([["1"]])
