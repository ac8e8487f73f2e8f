"""Truth lies in every ball, every ball lies in every interval, and a wrong formula in neither."""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Ball, Double, Interval, Multiprecision

from .problems import (
    SPECIFICATIONS,
    WRONG_CASES,
    WRONG_FORMULAS,
    Problem,
    affected,
    make_problem,
    problems,
)

PRECISION = 128


def as_arb(number: Any) -> Any:
    """An mpmath number as an exact ball."""
    sign, mantissa, exponent, _ = number._mpf_
    with flint.ctx.workprec(8 * PRECISION):
        ball = flint.arb(-int(mantissa) if sign else int(mantissa)) * flint.arb(2) ** int(exponent)
    assert ball.is_exact()
    return ball


def outside(ball: Any, values: Any) -> int:
    """How many multiprecision values lie in none of the corresponding balls."""
    pairs = zip(ball.entries, values.ravel(), strict=True)
    return sum(not entry.contains(as_arb(value)) for entry, value in pairs)


@pytest.mark.parametrize("contract", SPECIFICATIONS)
@given(data=st.data())
def test_truth_in_ball_in_interval(contract: str, data: st.DataObject) -> None:
    problem = data.draw(problems(SPECIFICATIONS[contract]))
    ball, interval, precise = Ball(PRECISION), Interval(), Multiprecision(4 * PRECISION)
    balls, intervals = problem.gradient(ball), problem.gradient(interval)
    values = problem.gradient(precise)
    assert balls.keys() == intervals.keys() == values.keys()
    for output, matrix in balls.items():
        assert outside(matrix, precise.array(values[output])) == 0, output
        assert interval.enclosure(intervals[output]).contains(ball.enclosure(matrix)), output


@pytest.mark.parametrize("contract", SPECIFICATIONS)
def test_balls_in_intervals_of_long_sums(contract: str) -> None:
    """Inner sizes of more than one block, on both axes."""
    problem = make_problem(SPECIFICATIONS[contract], {"L": 300, "M": 270, "d": 5, "r": 3}, 0.7, 1)
    ball, interval = Ball(PRECISION), Interval()
    balls, intervals = problem.gradient(ball), problem.gradient(interval)
    for output, matrix in balls.items():
        assert interval.enclosure(intervals[output]).contains(ball.enclosure(matrix)), output


@pytest.mark.parametrize("contract", SPECIFICATIONS)
def test_enclosures_are_tight(contract: str) -> None:
    """Containment alone is met by infinite radii: on ordinary inputs they are small."""
    problem = make_problem(SPECIFICATIONS[contract], {"L": 24, "M": 17, "d": 6, "r": 2}, 1.0, 5)
    ball, interval, double = Ball(PRECISION), Interval(), Double()
    balls, intervals = problem.gradient(ball), problem.gradient(interval)
    for output, plain in problem.gradient(double).items():
        largest = np.abs(double.array(plain)).max()
        assert ball.enclosure(balls[output]).radius.max() <= 2.0**-90 * largest
        assert interval.enclosure(intervals[output]).radius.max() <= 1e-9 * largest


@pytest.mark.parametrize(("wrong", "contract"), WRONG_CASES)
def test_wrong_formula_is_outside(wrong: str, contract: str) -> None:
    problem = make_problem(SPECIFICATIONS[contract], {"L": 5, "M": 5, "d": 3, "r": 2}, 0.5, 11)
    evaluate, _ = WRONG_FORMULAS[wrong]
    ball, interval, precise = Ball(PRECISION), Interval(), Multiprecision(4 * PRECISION)
    balls, intervals = problem.gradient(ball), problem.gradient(interval)
    wrong_values, wrong_balls = evaluate(problem, precise), evaluate(problem, ball)
    for output in affected(wrong, contract):
        assert outside(balls[output], precise.array(wrong_values[output])) > 0
        enclosure = interval.enclosure(intervals[output])
        assert not enclosure.overlaps(ball.enclosure(wrong_balls[output]))


def test_saturated_softmax_is_enclosed() -> None:
    """Scores of many thousands, where exponentials overflow unless they are shifted."""
    problem = make_problem(SPECIFICATIONS["aloragc"], {"L": 6, "M": 9, "d": 4, "r": 2}, 1.0, 3)
    tensors = {**problem.tensors, "c1": problem.tensors["c1"] * 1e4}
    problem = Problem(problem.specification, tensors)
    ball, interval = Ball(PRECISION), Interval()
    balls, intervals = problem.gradient(ball), problem.gradient(interval)
    for output in problem.specification.outputs:
        enclosure = interval.enclosure(intervals[output])
        assert np.isfinite(enclosure.radius).all()
        assert enclosure.contains(ball.enclosure(balls[output]))
