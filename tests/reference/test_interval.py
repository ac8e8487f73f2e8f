"""Interval arithmetic: containment of exact results, mutants of its radii, and edge cases."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Interval, midpoint_radius
from loracle_reference.arithmetic.interval import IntervalMatrix

from .interval_checks import (
    adversarial,
    exp_sweep,
    inside,
    sweep,
    violations,
)

_SWEEP_TRIALS = 150


def _split_too_fine(
    values: np.ndarray, scales: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nothing is split off, so that the leading parts do not add up exactly."""
    return values.copy(), np.zeros_like(values)


@given(seed=st.integers(0, 2**32 - 1))
def test_operations_contain_the_exact_result(seed: int) -> None:
    assert sweep(5, seed) == set()


_DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
_RADII = st.floats(0, 2.0**1000)


@given(data=st.data(), rows=st.integers(1, 3), columns=st.integers(1, 4))
def test_operations_on_any_doubles(data: st.DataObject, rows: int, columns: int) -> None:
    def draw(numbers: st.SearchStrategy[float]) -> np.ndarray:
        count = rows * columns
        values = data.draw(st.lists(numbers, min_size=count, max_size=count))
        return np.array(values, dtype=np.float64).reshape(rows, columns)

    left = draw(_DOUBLES), draw(_RADII) if data.draw(st.booleans()) else None
    right = draw(_DOUBLES), draw(_RADII) if data.draw(st.booleans()) else None
    assert violations(left, right) == set()


def test_fixed_sweep() -> None:
    """What the mutants below are held against passes unmutated."""
    assert sweep(_SWEEP_TRIALS, seed=1) == set()
    assert exp_sweep(400, seed=1) == 0


@pytest.mark.deep
def test_wide_sweep() -> None:
    assert sweep(4_000, seed=2) == set()
    assert exp_sweep(40_000, seed=2) == 0


@pytest.mark.parametrize(
    ("constant", "value", "expected"),
    [
        ("UNIT", 0.0, {"add", "sub", "mul", "divide_rows", "matmul", "row_sum", "row_dot"}),
        ("ETA", 0.0, {"mul", "divide_rows", "matmul", "scale by 2^-600"}),
        ("_gamma", lambda length: 0.0, {"matmul"}),
        ("_split", _split_too_fine, {"matmul", "row_sum"}),
    ],
)
def test_mutant_radii_are_caught(
    monkeypatch: pytest.MonkeyPatch,
    constant: str,
    value: float | Callable[[int], float],
    expected: set[str],
) -> None:
    monkeypatch.setattr(midpoint_radius, constant, value)
    assert expected <= sweep(_SWEEP_TRIALS, seed=1)


@pytest.mark.parametrize(("constant", "value"), [("EXP_ERROR", 0.0), ("EXP_FLUSH", 0.0)])
def test_mutant_exponentials_are_caught(
    monkeypatch: pytest.MonkeyPatch, constant: str, value: float
) -> None:
    monkeypatch.setattr(midpoint_radius, constant, value)
    assert exp_sweep(400, seed=1) > 0


def test_mutant_without_inflation_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 + 2^-53 rounds down to 1: a radius added up without inflation is too small."""
    left = np.zeros((1, 1)), np.ones((1, 1))
    right = np.zeros((1, 1)), np.full((1, 1), 2.0**-53)
    assert violations(left, right) == set()
    monkeypatch.setattr(midpoint_radius, "_inflation", lambda operations: 1.0)
    assert {"add", "sub"} <= violations(left, right)


def test_mutant_exponential_of_wide_radius_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """e^r - 1 is not r: the growth of a wide interval must be exponential."""

    def linear(mid: np.ndarray, rad: np.ndarray | None, out: np.ndarray) -> None:
        growth = 0.0 if rad is None else rad
        out[...] = mid * (growth + midpoint_radius.EXP_ERROR) + midpoint_radius.EXP_FLUSH

    monkeypatch.setattr("loracle_reference.arithmetic.interval.exp_radius", linear)
    assert exp_sweep(100, seed=1) > 0


def test_numpy_exp_is_as_good_as_assumed() -> None:
    """At most 4 ulp, or flushed below 2^-1022, in every position of a vector."""
    generator = np.random.default_rng(0)
    points = np.concatenate(
        [generator.uniform(-750, 709.7, 20_001), generator.uniform(-2, 2, 9_999)]
    )
    for values in (points, points[::3], points[:7]):
        worst = 0.0
        with flint.ctx.workprec(128):
            for x, y in zip(values.tolist(), np.exp(values).tolist(), strict=True):
                error = abs(flint.arb(x).exp() - y)
                if not error < 2.0**-1022:
                    worst = max(worst, float(error.abs_upper() / float(np.spacing(y))))
        assert worst <= 4


def test_long_sums_are_contained_and_tight() -> None:
    """5000 terms with leading bits that add up exactly: not 5000 roundings, hardly one."""
    generator = np.random.default_rng(4)
    left, right = generator.standard_normal((2, 2, 5000))
    interval = Interval()
    product = interval.matrix(left) @ interval.matrix(right).T
    exact = [
        [sum(Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)) for y in right]
        for x in left
    ]
    assert inside(product, np.array(exact, dtype=object))
    sizes = np.abs(left) @ np.abs(right.T)
    assert (interval.enclosure(product).radius <= 2.0**-53 * sizes).all()
    sums = interval.matrix(left).row_sum()
    assert inside(sums, np.array([[sum(map(Fraction, row))] for row in left], dtype=object))
    assert (interval.enclosure(sums).radius <= 2.0**-53 * np.abs(left).sum(1)[:, None]).all()


def test_exact_zeros_stay_exact() -> None:
    """An exactly zero factor, B at the start of a fine-tuning, gives an exactly zero product."""
    interval = Interval()
    zeros = interval.matrix(np.zeros((2, 3)))
    some = interval.matrix(np.full((3, 2), 0.1)).exp()
    for product in (zeros @ some, zeros * some.T, zeros.scale(0.1), zeros + zeros, zeros.row_sum()):
        enclosure = interval.enclosure(product)
        assert not enclosure.high.any()
        assert not enclosure.radius.any()


def test_division_by_an_enclosure_of_zero_knows_nothing() -> None:
    interval = Interval()
    column = IntervalMatrix(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [1.0]]))
    quotient = interval.enclosure(interval.matrix(np.ones((3, 2))).divide_rows(column))
    assert np.isinf(quotient.radius[:2]).all()
    assert np.isfinite(quotient.radius[2]).all()


def test_unknown_entries_stay_unknown() -> None:
    """Overflow, and everything computed from it, has an infinite radius and is no NaN."""
    interval = Interval()
    huge = interval.matrix(np.array([[1e308, 1.0]]))
    overflow = huge + huge
    zero = interval.matrix(np.zeros((1, 2)))
    for matrix in (
        overflow,
        overflow * zero,
        overflow - overflow,
        overflow.exp(),
        overflow.scale(0),
    ):
        enclosure = interval.enclosure(matrix)
        assert np.isinf(enclosure.radius[0, 0])
        assert np.isfinite(enclosure.radius[0, 1])
        assert np.isfinite(matrix.mid).all()
    assert np.isinf(interval.enclosure(overflow.row_sum()).radius).all()
    assert np.isinf(interval.enclosure(interval.matrix([[1]]).scale(10**400)).radius).all()


def test_nan_radius_means_unknown() -> None:
    matrix = IntervalMatrix(np.array([[1.0, 2.0]]), np.array([[np.nan, 0.5]]))
    assert Interval().enclosure(matrix).radius.tolist() == [[np.inf, 0.5]]


@pytest.mark.parametrize("scale", [1.0, 700.0, 1e4, 1e300, 1.7e308])
def test_softmax_of_large_scores(scale: float) -> None:
    """Softmax never overflows; where the scores say nothing it is still between 0 and 1."""
    scores = np.array([[1.0, 0.5, -1.0], [0.25, 0.25, 0.25], [-1.0, -0.999, 0.0]]) * scale
    interval = Interval()
    for rad in (None, np.full((3, 3), 0.25), np.full((3, 3), np.inf)):
        matrix = IntervalMatrix(scores.copy(), rad)
        enclosure = interval.enclosure(matrix.softmax_rows())
        assert (enclosure.radius <= 0.5).all()
        with flint.ctx.workprec(200):
            for row, high, radius in zip(scores, enclosure.high, enclosure.radius, strict=True):
                top = flint.arb(float(row.max()))
                exponentials = [(flint.arb(float(x)) - top).exp() for x in row]
                total = sum(exponentials, flint.arb(0))
                for e, h, r in zip(exponentials, high.tolist(), radius.tolist(), strict=True):
                    assert not abs(e / total - h) > r


def test_softmax_contains_perturbed_scores() -> None:
    """Scores anywhere in their intervals, not only at the midpoints."""
    generator = np.random.default_rng(8)
    scores, rad = generator.uniform(-30, 30, (4, 5)), 2.0 ** generator.uniform(-40, 0, (4, 5))
    enclosure = Interval().enclosure(IntervalMatrix(scores.copy(), rad.copy()).softmax_rows())
    for _ in range(50):
        member = scores + rad * generator.choice([-0.999, 0.999], size=rad.shape)
        exact = np.exp(member - member.max(1, keepdims=True))
        exact /= exact.sum(1, keepdims=True)
        assert (np.abs(exact - enclosure.high) <= enclosure.radius + 1e-14).all()
    assert (enclosure.radius <= 0.5).all()


def test_rationals_are_enclosed() -> None:
    interval = Interval()
    third = interval.enclosure(interval.matrix([[Fraction(1, 3), 2, 0.5]]))
    assert abs(Fraction(1, 3) - Fraction(third.high[0, 0])) <= Fraction(third.radius[0, 0])
    assert 0 < third.radius[0, 0] <= 2.0**-54
    assert third.radius[0, 1:].tolist() == [0, 0]


def test_flush_to_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without subnormal numbers has no valid radii (here a smallest number that is
    wrong stands for one)."""
    monkeypatch.setattr("loracle_reference.arithmetic.interval.ETA", 0.0)
    with pytest.raises(RuntimeError, match="subnormal"):
        Interval()


def test_inputs_are_not_changed() -> None:
    """Chunked in-place work must never write into an operand."""
    generator = np.random.default_rng(3)
    mid, rad = adversarial(generator, (3, 4)), np.full((3, 4), 0.5)
    matrix = IntervalMatrix(mid, rad)
    before = matrix.mid.copy(), rad.copy()
    column = matrix.row_sum()
    for result in (
        matrix + matrix,
        matrix - matrix,
        matrix * matrix,
        matrix @ matrix.T,
        matrix.scale(3),
        matrix.exp(),
        matrix.softmax_rows(),
        matrix.scale_rows(column),
        matrix.divide_rows(column),
        matrix.row_dot(matrix),
        matrix.face_splitting(matrix),
    ):
        assert result is not matrix
    np.testing.assert_array_equal(matrix.mid, before[0])
    np.testing.assert_array_equal(matrix.rad, before[1])
