"""Enclosures compare rigorously, against exact rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.enclosure import Enclosure

_LARGEST = float(np.finfo(np.float64).max)
_NUMBERS = st.one_of(
    st.floats(-(2.0**1000), 2.0**1000),
    st.floats(-_LARGEST, _LARGEST),
    st.integers(0, 4).map(lambda n: _LARGEST - n * 2.0**971),
    st.integers(0, 4).map(lambda n: n * 2.0**971 - _LARGEST),
    st.integers(-4, 4).map(lambda n: 1.0 + n * 2.0**-52),
    st.integers(-4, 4).map(lambda n: n * 2.0**-1074),
)
_RADII = st.one_of(
    st.just(0.0),
    st.floats(0, 2.0**1000),
    st.floats(-1074, 100).map(lambda e: 2.0**e),
)


def _make(high: float, low: float, radius: float) -> Enclosure:
    return Enclosure(*(np.array([[x]]) for x in (high, low, radius)))


def _ends(enclosure: Enclosure) -> tuple[Fraction, Fraction]:
    centre = Fraction(enclosure.high[0, 0]) + Fraction(enclosure.low[0, 0])
    radius = Fraction(enclosure.radius[0, 0])
    return centre - radius, centre + radius


@st.composite
def _enclosures(draw: st.DrawFn) -> Enclosure:
    high = draw(_NUMBERS)
    low = high * draw(st.floats(-(2.0**-53), 2.0**-53)) if draw(st.booleans()) else 0.0
    return _make(high, low, draw(_RADII))


@given(first=_enclosures(), second=_enclosures(), nearby=st.booleans(), offset=_RADII)
def test_contains_and_overlaps_are_rigorous(
    first: Enclosure, second: Enclosure, nearby: bool, offset: float
) -> None:
    if nearby:  # a second enclosure at the edge of the first
        edge = min(first.high[0, 0] + first.radius[0, 0], _LARGEST)
        second = _make(edge, 0.0, offset)
    (low, high), (other_low, other_high) = _ends(first), _ends(second)
    if first.contains(second):
        assert low <= other_low
        assert other_high <= high
    if not first.overlaps(second):
        assert high < other_low or other_high < low


@given(enclosure=_enclosures(), value=_NUMBERS)
def test_distance_and_magnitude_are_bounds(enclosure: Enclosure, value: float) -> None:
    low, high = _ends(enclosure)
    lower, upper = (x[0, 0] for x in enclosure.distance(np.array([[value]])))
    exact = Fraction(value)
    assert Fraction(lower) <= max(low - exact, exact - high, 0)
    assert np.isinf(upper) or Fraction(upper) >= max(abs(exact - low), abs(exact - high))
    magnitude = enclosure.magnitude[0, 0]
    assert np.isinf(magnitude) or Fraction(magnitude) >= max(abs(low), abs(high))


def test_comparisons_decide() -> None:
    """They are not only safe: clear cases, exact ones included, are decided."""
    one = _make(1.0, 0.0, 0.5)
    assert one.contains(_make(1.25, 0.0, 0.125))
    assert not one.contains(_make(1.25, 0.0, 0.375))
    assert not one.overlaps(_make(2.0, 0.0, 0.25))
    exact = _make(0.1, 2.0**-60, 0.0)
    assert exact.contains(exact)
    assert not exact.overlaps(_make(0.1, 0.0, 0.0))
    lower, upper = exact.distance(np.array([[0.1]]))
    assert lower[0, 0] == pytest.approx(2.0**-60, rel=1e-12)
    assert upper[0, 0] == pytest.approx(2.0**-60, rel=1e-12)


@pytest.mark.parametrize(
    ("high", "low", "value", "distance"),
    [
        (1.0, 0.0, _LARGEST, _LARGEST),
        (-1.0, 0.0, -1.797e308, 1.797e308),
        (-_LARGEST, 0.0, _LARGEST, _LARGEST),
        (_LARGEST, 0.0, _LARGEST - 2.0**971, 2.0**971),
        (_LARGEST, 0.0, _LARGEST, 0.0),
        # The difference of the leading parts overflows, the distance does not.
        (-1.5 * 2.0**1023, 2.0**1023, 2.0**1023, 1.5 * 2.0**1023),
    ],
)
def test_the_largest_numbers_are_far(
    high: float, low: float, value: float, distance: float
) -> None:
    """The lower bound is as good as float64 has it where the upper one, or all, overflows."""
    enclosure = _make(high, low, 2.0**-20)
    lower, upper = enclosure.distance(np.array([[value]]))
    assert lower[0, 0] == pytest.approx(distance, rel=1e-12)
    assert np.isfinite(lower[0, 0])
    assert upper[0, 0] >= distance
    if abs(high) > 1 and distance < 0.9 * _LARGEST:
        assert upper[0, 0] == pytest.approx(distance, rel=1e-12, abs=1e-5)
    assert enclosure.overlaps(_make(value, 0.0, 1.0)) == (distance == 0)


def test_a_difference_far_below_one_ulp_is_seen() -> None:
    truth = _make(1.0, 2.0**-80, 2.0**-100)
    assert not truth.contains(_make(1.0, 0.0, 0.0))
    assert truth.contains(_make(1.0, 2.0**-80, 2.0**-101))


def test_unknown_contains_everything() -> None:
    known = _make(3.0, 0.0, 1.0)
    for unknown in (_make(0.0, 0.0, np.inf), _make(np.nan, 0.0, 1.0), _make(1.0, 0.0, np.nan)):
        assert unknown.contains(known)
        assert unknown.overlaps(known)
        assert not known.contains(unknown)
        lower, upper = unknown.distance(np.array([[7.0]]))
        assert (lower[0, 0], upper[0, 0]) == (0.0, np.inf)


def test_non_finite_values_are_infinitely_far() -> None:
    lower, upper = _make(3.0, 0.0, 1.0).distance(np.array([[np.nan]]))
    assert (lower[0, 0], upper[0, 0]) == (np.inf, np.inf)


def test_one_entry_outside_is_enough() -> None:
    zeros = np.zeros((2, 2))
    large = Enclosure(zeros, zeros, np.full((2, 2), 1.0))
    centre = np.array([[0.0, 0.0], [0.0, 5.0]])
    assert not large.contains(Enclosure(centre, zeros, zeros))
    assert not large.overlaps(Enclosure(centre, zeros, zeros))


def test_bad_enclosures_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Enclosure(np.zeros((1, 2)), np.zeros((2, 1)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="negative"):
        _make(1.0, 0.0, -1.0)


def test_reshape_and_mid() -> None:
    array = np.arange(6.0).reshape(2, 3)
    enclosure = Enclosure(array, array * 2.0**-60, array).reshape(3, 2)
    assert enclosure.shape == (3, 2)
    np.testing.assert_array_equal(enclosure.mid, array.reshape(3, 2))
