"""Judgements on numbers made by hand, and on any numbers against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle.judgement.bounds import ProvenBound
from loracle.judgement.verdicts import Judgement, judge, judge_spread
from loracle_reference.enclosure import Enclosure


def judged(
    computed: list[float],
    truth: list[float],
    *,
    bound: float | list[float] = 0.25,
    tolerance: float = 0.125,
    radius: float = 0.0,
    overflow_free: bool = True,
    epsilon: float | None = None,
) -> Judgement:
    high = np.array([truth], dtype=np.float64)
    enclosure = Enclosure(high, np.zeros_like(high), np.full_like(high, radius))
    proven = ProvenBound(np.broadcast_to(np.asarray(bound), high.shape) * 1.0, overflow_free)
    return judge(np.array([computed], dtype=np.float64), enclosure, proven, tolerance, epsilon)


def test_exactly_at_bound_and_tolerance_passes() -> None:
    assert judged([1.25], [1.0], tolerance=0.25).verdict == "pass"
    assert judged([1.125], [1.0]).verdict == "pass"
    assert judged([np.nextafter(1.25, 2)], [1.0], tolerance=0.25).verdict == "suspect"


def test_beyond_tolerance_is_suspect_and_beyond_bound_fails() -> None:
    assert judged([1.1875], [1.0]).verdict == "suspect"
    assert judged([1.25 + 1e-12], [1.0]).verdict == "fail"
    assert judged([0.75 - 1e-12], [1.0]).verdict == "fail"
    # The proven bound decides even where the tolerance is wider.
    assert judged([1.5], [1.0], tolerance=1.0).verdict == "fail"


def test_between_bound_and_bound_plus_radius_is_undecided() -> None:
    """Catches a radius counted against the kernel, or not at all."""
    inside = judged([1.2], [1.0], radius=0.01)
    assert (inside.verdict, inside.undecided) == ("suspect", False)
    for computed in (1.2401, 1.25, 1.2599):
        between = judged([computed], [1.0], radius=0.01)
        assert (between.verdict, between.undecided) == ("suspect", True)
    beyond = judged([1.2601], [1.0], radius=0.01)
    assert (beyond.verdict, beyond.undecided) == ("fail", False)


def test_nothing_is_proven_where_nothing_is_known() -> None:
    for computed in (0.0, 1e300):
        assert judged([computed], [1.0], radius=math.inf).verdict != "fail"
        assert judged([computed], [1.0], radius=math.inf).undecided
        assert judged([computed], [1.0], bound=math.inf).verdict != "fail"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite(value: float) -> None:
    """NaN compares false with everything: catches `error > bound` as the only test."""
    proven = judged([1.0, value], [1.0, 1.0])
    assert (proven.verdict, proven.non_finite, proven.element) == ("fail", True, (0, 1))
    assert proven.error == math.inf
    possible = judged([1.0, value], [1.0, 1.0], overflow_free=False)
    assert (possible.verdict, possible.non_finite) == ("suspect", True)
    legal = judged([1.0, value], [1.0, 1.0], overflow_free=False, tolerance=math.inf)
    assert legal.verdict == "no_evidence"
    promised = judged([1.0, value], [1.0, 1.0], overflow_free=False, epsilon=0.5)
    assert promised.verdict == "fail"


def test_zero_truth_counts_against_a_kernel_never_for_it() -> None:
    assert judged([0.0, 0.0], [0.0, 0.0]).verdict == "no_evidence"
    assert judged([0.0, 0.0], [0.0, 0.0], bound=0.0, tolerance=0.0).verdict == "no_evidence"
    assert judged([0.0, 0.3], [0.0, 0.0]).verdict == "fail"
    assert judged([0.0, 5e-324], [0.0, 0.0], bound=0.0, tolerance=0.0).verdict == "fail"
    assert judged([0.0, 0.2], [0.0, 0.0]).verdict == "suspect"


def test_no_evidence_needs_both_bound_and_tolerance_to_reach_the_largest_truth() -> None:
    """Either below it would have caught zeros, so that a pass means something."""
    truth = [0.5, -2.0]
    assert judged(truth, truth, bound=2.0, tolerance=2.0).verdict == "no_evidence"
    assert judged(truth, truth, bound=1.9, tolerance=2.0).verdict == "pass"
    assert judged(truth, truth, bound=2.0, tolerance=1.9).verdict == "pass"
    # Of the bounds the largest counts: a case is evidence if it would be for every element.
    assert judged(truth, truth, bound=[2.0, 0.1], tolerance=2.0).verdict == "no_evidence"
    # The largest truth is at least |mid| - radius, and no more than that is taken for granted.
    assert judged(truth, truth, bound=1.5, tolerance=1.5, radius=0.6).verdict == "no_evidence"
    assert judged([9.0, 0.0], truth, bound=2.0, tolerance=2.0).verdict == "fail"


def test_epsilon_replaces_bound_and_tolerance() -> None:
    """Fail if and only if the error exceeds epsilon by more than the radius; never suspect."""
    for limit in (100.0, 1e-9):

        def promised(computed: float, radius: float = 0.0, limit: float = limit) -> Judgement:
            return judged(
                [computed], [1.0], bound=limit, tolerance=limit, radius=radius, epsilon=0.5
            )

        assert promised(1.5).verdict == "pass"
        assert promised(1.5 + 1e-9).verdict == "fail"
        beyond = promised(1.55, radius=0.1)
        assert (beyond.verdict, beyond.undecided) == ("pass", True)
        assert (beyond.bound, beyond.tolerance) == (0.5, 0.5)
    assert judged([0.1], [0.1], bound=1e-9, tolerance=1e-9, epsilon=0.5).verdict == "no_evidence"


def test_an_epsilon_of_zero_is_kept_by_an_exact_result_alone() -> None:
    """Catches a zero that is taken for none, and a ratio of 0 / 0."""
    exact = judged([1.0, 0.0], [1.0, 0.0], epsilon=0.0)
    assert (exact.verdict, exact.error, exact.error_to_bound) == ("pass", 0.0, 0.0)
    wrong = judged([1.0, 5e-324], [1.0, 0.0], epsilon=0.0)
    assert (wrong.verdict, wrong.element, wrong.error_to_bound) == ("fail", (0, 1), math.inf)
    assert judged([1.0], [1.0], radius=1e-30, epsilon=0.0).undecided


@pytest.mark.parametrize("value", [1.0, 7.0, 0.0, math.inf, math.nan])
def test_an_infinite_epsilon_promises_nothing(value: float) -> None:
    """Neither a fail, whatever else is known of the case, nor ever a pass."""
    assert judged([value], [1.0], epsilon=math.inf).verdict == "no_evidence"


def test_the_worst_element_is_the_one_that_fails() -> None:
    """Not the one with the largest error: that may be allowed by its own bound."""
    judgement = judged([5.0, 1.5], [1.0, 1.0], bound=[10.0, 0.25], tolerance=20.0)
    assert (judgement.verdict, judgement.element) == ("fail", (0, 1))
    assert (judgement.error, judgement.bound) == (0.5, 0.25)
    assert (judgement.truth, judgement.computed) == (1.0, 1.5)
    assert judgement.error_to_bound == pytest.approx(2.0)
    assert judgement.error_to_tolerance == pytest.approx(0.2)
    # Nor is it one of which nothing is claimed.
    unclaimed = judged([5.0, 1.5], [1.0, 1.0], bound=[math.inf, 0.25], tolerance=20.0)
    assert (unclaimed.verdict, unclaimed.element) == ("fail", (0, 1))


def test_the_worst_element_of_a_suspect_has_the_largest_error() -> None:
    judgement = judged([1.2, 1.15], [1.0, 1.0], bound=[2.0, 0.16], tolerance=0.12)
    assert (judgement.verdict, judgement.element) == ("suspect", (0, 0))


values = st.floats(-4, 4).map(lambda v: round(v * 64) / 64)
sizes = st.integers(0, 256).map(lambda n: n / 64)


@given(
    truth=values,
    error=sizes,
    sign=st.sampled_from([1, -1]),
    bound=sizes,
    tolerance=sizes,
    radius=sizes,
)
def test_against_exact_arithmetic(
    truth: float, error: float, sign: int, bound: float, tolerance: float, radius: float
) -> None:
    """On multiples of 1/64, which float64 adds exactly. Ties go to the kernel, or are undecided."""
    judgement = judged(
        [truth + sign * error], [truth], bound=bound, tolerance=tolerance, radius=radius
    )
    far, limit = Fraction(error), Fraction(bound)
    if far > limit + Fraction(radius):
        assert judgement.verdict == "fail"
    elif far > Fraction(tolerance):
        assert judgement.verdict == "suspect"
    elif min(bound, tolerance) >= abs(truth) - radius:
        assert judgement.verdict == "no_evidence"
    else:
        assert judgement.verdict == "pass"
    if radius > 0 and limit - Fraction(radius) < far <= limit + Fraction(radius):
        assert judgement.undecided
    if far > limit + Fraction(radius) or far < limit - Fraction(radius):
        assert not judgement.undecided


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_any_shape_and_its_element(batch: int, rows: int, columns: int) -> None:
    shape = (batch, rows, columns)
    truth = np.ones(shape)
    computed = truth.copy()
    where = (batch - 1, rows // 2, columns - 1)
    computed[where] = 2.0
    enclosure = Enclosure(truth, np.zeros(shape), np.zeros(shape))
    judgement = judge(computed, enclosure, ProvenBound(np.full(shape, 0.5), True), 0.25)
    assert (judgement.verdict, judgement.element) == ("fail", where)


def test_digits_below_float64_count() -> None:
    """high + low is the truth: an error of a third of an ulp of high is seen."""
    one = np.ones((1, 1))
    truth = Enclosure(one, one * 2.0**-60, one * 0)
    assert judge(one, truth, ProvenBound(one * 2.0**-60, True), 1.0).verdict == "pass"
    assert judge(one, truth, ProvenBound(one * 2.0**-61, True), 1.0).verdict == "fail"


def test_spread() -> None:
    """Two runs within a bound of the truth differ by at most twice that."""
    proven = ProvenBound(np.array([0.25, 0.125]), True)
    assert judge_spread(0.0, proven, 0.125) == "pass"
    assert judge_spread(0.25, proven, 0.125) == "pass"
    assert judge_spread(0.26, proven, 0.125) == "suspect"
    assert judge_spread(0.5, proven, 0.125) == "suspect"
    assert judge_spread(0.51, proven, 0.125) == "fail"
    assert judge_spread(0.51, proven, 0.125, (1.0, 1.0)) == "pass"
    assert judge_spread(2.01, proven, 0.125, (1.0, 1.0)) == "fail"
    # Each run has its own promise, or none.
    assert judge_spread(0.1 + 0.7, proven, 0.125, (0.1, 0.7)) == "pass"
    assert judge_spread(0.81, proven, 0.125, (0.1, 0.7)) == "fail"
    assert judge_spread(0.22, proven, 0.125, (0.1, None)) == "pass"
    assert judge_spread(0.23, proven, 0.125, (None, 0.1)) == "suspect"
    assert judge_spread(0.36, proven, 0.125, (0.1, None)) == "fail"
    assert judge_spread(0.0, proven, 0.125, (0.0, 0.0)) == "pass"
    assert judge_spread(5e-324, proven, 0.125, (0.0, 0.0)) == "fail"
    assert judge_spread(1e300, proven, 0.125, (0.0, math.inf)) == "pass"
    boundless = ProvenBound(np.array([math.inf]), False)
    assert judge_spread(1e300, boundless, math.inf) == "pass"
    assert judge_spread(math.inf, boundless, math.inf) == "suspect"
    assert judge_spread(math.inf, proven, math.inf) == "fail"


@pytest.mark.parametrize("value", [np.finfo(np.float64).max, -1.797e308])
@pytest.mark.parametrize("truth", [1.0, 0.0, 1.7e308, -1.7e308])
def test_the_largest_numbers_are_judged(value: float, truth: float) -> None:
    """Their slack overflows, or their difference does: that is no excuse."""
    judgement = judged([1.0, value], [1.0, truth], bound=1e-3)
    assert (judgement.verdict, judgement.non_finite) == ("fail", False)
    assert (judgement.element, judgement.computed) == ((0, 1), value)
    exact = judged([value], [value], bound=1e-3)
    assert (exact.verdict, exact.error) == ("pass", 0.0)


def test_the_low_part_of_the_truth_counts_with_its_sign() -> None:
    high, low = np.array([1.0]), np.array([2.0**-60])
    enclosure = Enclosure(high, low, np.zeros(1))
    judgement = judge(high, enclosure, ProvenBound(np.ones(1), True), tolerance=1.0)
    assert judgement.error == 2.0**-60
    above = Enclosure(np.array([1.0 - 2.0**-53]), np.array([2.0**-53]), np.zeros(1))
    assert judge(high, above, ProvenBound(np.ones(1), True), tolerance=1.0).error == 0.0


@pytest.mark.parametrize("computed", [np.inf, np.nan, -1.7e308])
def test_no_number_raises_where_errors_of_arithmetic_do(computed: float) -> None:
    with np.errstate(all="raise"):
        assert judged([computed], [1.7e308]).verdict == "fail"
        assert judged([1.0, 2.0], [1.0, 1.0], bound=0.0, tolerance=0.0).verdict == "fail"
        assert judged([1.7e308], [1.0], bound=1e-300, tolerance=1e-300).error_to_bound == np.inf


def test_nothing_is_a_share_of_an_infinite_bound() -> None:
    assert judged([1.5], [1.0], bound=np.inf).error_to_bound == 0
    lost = judged([np.inf], [1.0], bound=np.inf, tolerance=np.inf, overflow_free=False)
    assert lost.error_to_tolerance == 0


def test_a_truth_without_radius_leaves_nothing_undecided() -> None:
    assert not judged([1.25], [1.0], bound=0.25, tolerance=0.25).undecided
