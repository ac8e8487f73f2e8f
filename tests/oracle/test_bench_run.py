"""The run of a benchmark on a machine that is made up: what is asked, what is made of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from loracle.bench.laws import fitted, through
from loracle.bench.messages import (
    Answer,
    EnvironmentOrder,
    Failed,
    MeasureOrder,
    Order,
    ScaleOrder,
    TooLong,
    TooMuchMemory,
    TruthOrder,
    Unsupported,
)
from loracle.bench.result import BenchResult, Row
from loracle.bench.run import run_bench
from loracle.errors import UsageError

from .bench_results import Machine, request


def row(result: BenchResult, method: str, length: int, heads: int = 1) -> Row:
    (found,) = (r for r in result.rows if (r.method, r.length, r.heads) == (method, length, heads))
    return found


def test_every_method_at_every_length_with_its_numbers() -> None:
    result = run_bench(request(), Machine())
    assert [(r.length, r.method) for r in result.rows] == [
        (length, method)
        for length in (1000, 2000, 4000)
        for method in ("almost-linear", "streaming", "eager")
    ]
    found = row(result, "almost-linear", 2000)
    assert found.seconds == 0.2
    assert found.repeats == (pytest.approx(0.3), 0.2)
    assert found.peak_bytes == 2000 * 1024
    assert found.max_error == pytest.approx(0.25)
    assert (found.certificate, found.natural_scale, found.gradient_max) == (0.5, 100.0, 1.0)
    assert (found.rank, found.degree, found.operations) == (495, 4, 10**9)
    assert found.share_of_matmul_rate == pytest.approx(1e9 / 0.2 / 1e11)
    assert (found.within_certificate, found.within_epsilon) == (True, True)
    assert not found.violates
    assert found.truth == "interval"


def test_an_exact_method_is_measured_against_the_scale_of_the_certified_one() -> None:
    result = run_bench(request(), Machine())
    exact = row(result, "streaming", 1000)
    assert exact.max_error == pytest.approx(1e-6, rel=1e-2)
    assert (exact.certificate, exact.natural_scale) == (None, 100.0)
    assert (exact.within_certificate, exact.within_epsilon) == (None, None)
    alone = run_bench(request(methods="streaming"), Machine())
    assert row(alone, "streaming", 1000).natural_scale is None


def test_ratios_are_to_the_fastest_exact_method() -> None:
    seconds = {"almost-linear": 1.0, "streaming": 2.0, "eager": 4.0}
    result = run_bench(request(), Machine(seconds=lambda method, length: seconds[method]))
    ratios = {r.method: (r.ratio, r.fastest_exact) for r in result.rows if r.length == 1000}
    assert ratios == {
        "almost-linear": (0.5, "streaming"),
        "streaming": (1.0, "streaming"),
        "eager": (2.0, "streaming"),
    }


def test_exponents_are_fitted_to_what_was_measured() -> None:
    result = run_bench(request(heads="1,2"), Machine())
    exponents = result.to_dict()["exponents"]
    assert exponents == pytest.approx({"almost-linear": 1.0, "streaming": 2.0, "eager": 2.0})
    assert set(result.to_dict()["exponents_by_heads"]) == {"1", "2"}


def test_a_law_needs_two_lengths() -> None:
    assert fitted({1000: 1.0}) is None
    law = fitted({1000: 1.0, 2000: 8.0, 4000: 64.0})
    assert law is not None
    assert law.exponent == pytest.approx(3)
    assert law(8000) == pytest.approx(512)
    assert through(1000, 3.0)(2000) == pytest.approx(12)


def test_what_would_take_too_long_is_extrapolated_and_marked() -> None:
    """At 4000 the square law from 2000 foresees 4 s; measured before: 0.5 s and 1 s, slope 1."""
    machine = Machine(seconds=lambda method, length: length / 2000)
    result = run_bench(request(limit=3.0), machine)
    long = row(result, "eager", 4000)
    assert long.extrapolated
    assert long.seconds == pytest.approx(2.0)
    assert long.source == (1000, 2000)
    assert (long.peak_bytes, long.max_error, long.repeats) == (None, None, ())
    assert not row(result, "almost-linear", 4000).extrapolated
    assert row(result, "almost-linear", 4000).ratio_extrapolated
    assert not row(result, "almost-linear", 2000).ratio_extrapolated
    assert (4000, "eager") not in {(o.length, o.method) for o in machine.asked(MeasureOrder)}
    assert result.laws[1]["eager"].source == (1000, 2000)


def test_a_child_that_finds_the_first_length_too_long_is_believed() -> None:
    def instead(order: Order) -> Answer | None:
        slow = isinstance(order, MeasureOrder) and order.method == "eager"
        return TooLong(500.0, 100, 5.0) if slow else None

    machine = Machine(instead=instead)
    result = run_bench(request(), machine)
    assert [o.length for o in machine.asked(MeasureOrder) if o.method == "eager"] == [1000]
    assert row(result, "eager", 1000).seconds == pytest.approx(500)
    assert row(result, "eager", 4000).seconds == pytest.approx(8000)
    assert row(result, "eager", 4000).source == (100,)


def test_what_does_not_fit_into_memory_is_skipped() -> None:
    machine = Machine(free_bytes=2**29)
    result = run_bench(request(lengths="1000,5000,8000"), machine)
    assert [(s.method, s.length, s.reason) for s in result.skipped] == [
        ("eager", 5000, "needs about 0.5 GiB, 0.5 GiB are free"),
        ("eager", 8000, "needs about 1.2 GiB, 0.5 GiB are free"),
    ]
    assert [o.length for o in machine.asked(MeasureOrder) if o.method == "eager"] == [1000]


@pytest.mark.parametrize(
    "answer", [TooMuchMemory("no room"), Unsupported("rank 9"), Failed("KeyError: 'x'")]
)
def test_a_method_that_gives_nothing_is_skipped_with_its_reason(
    answer: TooMuchMemory | Unsupported | Failed,
) -> None:
    def instead(order: Order) -> Answer | None:
        certified = isinstance(order, MeasureOrder) and order.method == "almost-linear"
        return answer if certified else None

    result = run_bench(request(lengths="1000"), Machine(instead=instead))
    assert [s.reason for s in result.skipped] == [answer.reason]
    assert [r.method for r in result.rows] == ["streaming", "eager"]


def test_truths_and_factors_are_found_once() -> None:
    machine = Machine()
    result = run_bench(request(lengths="1000,2000,4000", distinct=1000, heads="1,2"), machine)
    once = [(1000, 0), (1000, 1)]
    assert [(o.distinct, o.head) for o in machine.asked(TruthOrder)] == once
    assert [(o.distinct, o.head) for o in machine.asked(ScaleOrder)] == once
    assert machine.asked(TruthOrder)[1].factor == 1.5
    orders = {o.factors for o in machine.asked(MeasureOrder)}
    assert orders == {(0.5,), (0.5, 1.5)}
    repeated = row(result, "almost-linear", 4000, heads=2)
    assert (repeated.distinct, repeated.max_error) == (1000, pytest.approx(1.0))


def test_the_block_that_was_the_fastest_is_kept() -> None:
    machine = Machine()
    run_bench(request(methods="streaming"), machine)
    assert [order.block for order in machine.asked(MeasureOrder)] == [None, 512, 512]


@pytest.mark.parametrize(
    ("error", "certified", "within"),
    [(0.5, 0.4, (False, True)), (0.1, 1.5, (True, False)), (math.nan, 0.5, (False, True))],
)
def test_a_broken_promise_is_a_violation(
    error: float, certified: float, within: tuple[bool, bool]
) -> None:
    result = run_bench(request(lengths="1000"), Machine(error=error, certified=certified))
    (found,) = result.violations
    assert (found.within_certificate, found.within_epsilon) == within
    json.dumps(result.to_dict(), allow_nan=False)
    assert ("almost-linear at 1000: the results are not all finite" in result.notes) == (
        math.isnan(error)
    )


def test_one_bad_output_of_one_head_is_enough() -> None:
    class OneBad(Machine):
        def measured(self, order: MeasureOrder):  # type: ignore[no-untyped-def]
            found = super().measured(order)
            if order.method == "almost-linear":
                found.outputs["grad_b_q"][1, 3, 3] += 1
            return found

    result = run_bench(request(lengths="1000", heads="2"), OneBad())
    found = row(result, "almost-linear", 1000, heads=2)
    assert (found.output, found.head) == ("grad_b_q", 1)
    assert found.max_error == pytest.approx(1.25)
    assert found.within_certificate is False
    outputs = result.to_dict()["rows"][0]["outputs"]
    assert [one["within_certificate"] for one in outputs["grad_b_q"]] == [True, False]
    assert [one["within_certificate"] for one in outputs["grad_a_q"]] == [True, True]


def test_without_a_truth_the_error_is_unknown_and_said_to_be() -> None:
    def instead(order: Order) -> Answer | None:
        return TooLong(700.0, 100, 1.0) if isinstance(order, TruthOrder) else None

    result = run_bench(request(lengths="1000"), Machine(instead=instead))
    found = row(result, "almost-linear", 1000)
    assert (found.max_error, found.within_certificate, found.truth) == (None, None, None)
    assert found.within_epsilon is True
    assert not found.violates
    (note,) = result.notes
    assert note == (
        "no true error of head 0 of 1000 rows: the truth would take about 700 s, more than"
        " --truth-limit 600"
    )


def test_an_interruption_keeps_what_was_measured() -> None:
    def instead(order: Order) -> Answer | None:
        if isinstance(order, MeasureOrder) and (order.length, order.method) == (2000, "eager"):
            raise KeyboardInterrupt
        return None

    result = run_bench(request(), Machine(instead=instead))
    assert result.interrupted
    assert [(r.length, r.method) for r in result.rows] == [
        (1000, "almost-linear"),
        (1000, "streaming"),
        (1000, "eager"),
        (2000, "almost-linear"),
        (2000, "streaming"),
    ]
    assert row(result, "almost-linear", 1000).seconds == 0.1
    # Truths come last.
    assert row(result, "almost-linear", 1000).max_error is None


def test_an_interruption_keeps_the_truths_that_were_found() -> None:
    def instead(order: Order) -> Answer | None:
        if isinstance(order, TruthOrder) and order.distinct == 2000:
            raise KeyboardInterrupt
        return None

    result = run_bench(request(), Machine(instead=instead))
    assert result.interrupted
    assert row(result, "almost-linear", 1000).max_error is not None
    assert row(result, "almost-linear", 2000).max_error is None


def test_a_device_that_is_not_there_is_a_usage_error() -> None:
    def instead(order: Order) -> Answer | None:
        missing = isinstance(order, EnvironmentOrder)
        return Unsupported("torch finds no CUDA device") if missing else None

    with pytest.raises(UsageError, match="cannot measure: torch finds no CUDA device"):
        run_bench(request(), Machine(instead=instead))


def test_progress_goes_from_nothing_to_all() -> None:
    steps: list[tuple[int, int, str]] = []
    run_bench(request(heads="1,2"), Machine(), on_progress=lambda *step: steps.append(step))
    assert [done for done, _, _ in steps] == list(range(31))
    assert {total for _, total, _ in steps} == {31}
    assert steps[3][2] == "1000 tokens: streaming"
    assert steps[-1][2] == "2 x 4000 tokens: truth"


def test_the_row_has_the_fields_that_are_promised() -> None:
    result = run_bench(request(), Machine())
    fields = "method length seconds peak_bytes max_error certificate rank degree natural_scale"
    fields += " gradient_max data extrapolated"
    for found in result.to_dict()["rows"]:
        assert set(fields.split()) <= set(found)
    assert result.to_dict()["command"].startswith("loracle bench --lengths 1000,2000,4000 --dim 8")


def test_the_error_includes_the_radius_of_the_truth() -> None:
    exact = Machine(error=0.0)
    result = run_bench(request(lengths="1000"), exact)
    assert row(result, "almost-linear", 1000).max_error == pytest.approx(1e-9)
    assert np.isfinite(row(result, "almost-linear", 1000).seconds)
    assert replace(result, rows=()).violations == ()
