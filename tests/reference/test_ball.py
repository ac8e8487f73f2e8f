"""Balls: precision of their own, rigorous enclosures, robust softmax."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Ball, Exact

from .interval_checks import BINARY, UNARY, adversarial


def _contains(ball: object, value: Fraction) -> bool:
    with flint.ctx.workprec(1 << 16):
        return bool(ball.contains(flint.arb(flint.fmpq(value.numerator, value.denominator))))  # type: ignore[attr-defined]


@given(seed=st.integers(0, 2**32 - 1))
def test_operations_contain_the_exact_result(seed: int) -> None:
    generator = np.random.default_rng(seed)
    shape = int(generator.integers(1, 4)), int(generator.integers(1, 5))
    operands = [adversarial(generator, shape) for _ in range(2)]
    for name, operation in {**UNARY, **BINARY}.items():
        some = operands[:1] if name in UNARY else operands
        try:
            true = operation(*map(Exact().matrix, some))
        except ZeroDivisionError:
            continue
        for precision in (24, 128):
            ball = Ball(precision)
            result = operation(*map(ball.matrix, some))
            enclosure = ball.enclosure(result)
            for entry, value, high, low, radius in zip(
                result.entries,
                Exact().array(true).ravel(),
                enclosure.high.ravel(),
                enclosure.low.ravel(),
                enclosure.radius.ravel(),
                strict=True,
            ):
                assert _contains(entry, value), name
                if np.isfinite(radius):
                    assert abs(value - Fraction(high) - Fraction(low)) <= Fraction(radius), name


def test_the_global_precision_is_neither_used_nor_changed() -> None:
    third = Fraction(1, 3)
    flint.ctx.prec, before = 20, flint.ctx.prec
    try:
        ball = Ball(200)
        matrix = ball.matrix([[third, 0.1]])
        results = [
            matrix,
            matrix @ matrix.T,
            matrix + matrix,
            matrix - matrix.scale(third),
            matrix * matrix,
            matrix.scale(third),
            matrix.row_sum(),
            matrix.exp(),
            matrix.scale_rows(matrix.row_sum()),
            matrix.divide_rows(matrix.row_sum()),
            matrix.face_splitting(matrix),
            matrix.softmax_rows(),
        ]
        assert flint.ctx.prec == 20
    finally:
        flint.ctx.prec = before
    for result in results:
        enclosure = ball.enclosure(result)
        assert (enclosure.radius <= 2.0**-100 * np.abs(enclosure.high)).all()
        assert all(entry.rel_accuracy_bits() > 185 for entry in result.entries)


def test_floats_enter_exactly_at_any_precision() -> None:
    ball = Ball(10)
    for entries in (np.array([[0.1, 2.0**-1074, 1.7e308]]), [[0.1, 2.0**-1074, 1.7e308]]):
        enclosure = ball.enclosure(ball.matrix(entries))
        assert enclosure.high.tolist() == [[0.1, 2.0**-1074, 1.7e308]]
        assert not enclosure.low.any()
        assert not enclosure.radius.any()


def test_enclosure_is_finer_than_float64() -> None:
    ball = Ball(128)
    third = ball.enclosure(ball.matrix([[Fraction(1, 3)]]))
    error = abs(Fraction(1, 3) - Fraction(third.high[0, 0]) - Fraction(third.low[0, 0]))
    assert error <= Fraction(third.radius[0, 0])
    assert 0 < third.radius[0, 0] < 2.0**-104


def test_enclosure_beyond_the_range_of_float64() -> None:
    ball = Ball(64)
    enclosure = ball.enclosure(ball.matrix([[1000, -1000]]).exp())
    assert enclosure.radius[0, 0] == np.inf
    assert 0 < enclosure.radius[0, 1] <= 2.0**-1073


def test_division_by_zero_knows_nothing() -> None:
    ball = Ball()
    quotient = ball.matrix([[1, 2]]).divide_rows(ball.matrix([[0]]))
    assert np.isinf(ball.enclosure(quotient).radius).all()


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e15, 1e300])
def test_softmax_of_large_scores(scale: float) -> None:
    ball = Ball(128)
    softmax = ball.matrix(np.array([[1.0, 0.5, -1.0], [0.25, 0.25, 0.25]]) * scale).softmax_rows()
    enclosure = ball.enclosure(softmax)
    assert (enclosure.radius < 1e-30).all()
    np.testing.assert_allclose(enclosure.mid[1], 1 / 3, rtol=1e-15)
    total = enclosure.mid.sum(axis=1)
    np.testing.assert_allclose(total, 1.0, rtol=1e-15)


def test_precisions_do_not_mix() -> None:
    first, second = Ball(64).matrix([[1]]), Ball(128).matrix([[1]])
    with pytest.raises(TypeError, match="64 bits with balls of 128"):
        first + second
    with pytest.raises(ValueError, match="at least 2 bits"):
        Ball(1)
