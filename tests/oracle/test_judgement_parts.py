"""Promises, further runs, and the bounds of plans, piece by piece."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients, matrices, output_shapes
from loracle.generation import generate
from loracle.judgement.bounds import ProvenBound, proven_bounds
from loracle.judgement.calibration import Null
from loracle.judgement.further_runs import difference, shows_nan
from loracle.judgement.promises import Promise, promise_in_force
from loracle.judgement.reference import CaseReference
from loracle.observation import Condition, FurtherRun, Problem
from loracle_reference.arithmetic.planned import Planned
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import machine_model

from .core_cases import a_case


def test_the_smaller_promise_is_in_force() -> None:
    """Catches one that wins whatever the other says, and a promise of nothing where there is
    none."""
    assert promise_in_force(None, None) is None
    assert promise_in_force(0.5, None) == Promise("certificate", 0.5)
    assert promise_in_force(None, 0.25) == Promise("epsilon", 0.25)
    assert promise_in_force(0.5, 0.25) == Promise("epsilon", 0.25)
    assert promise_in_force(0.125, 0.25) == Promise("certificate", 0.125)
    assert promise_in_force(0.0, math.inf) == Promise("certificate", 0.0)
    assert promise_in_force(math.inf, 0.0) == Promise("epsilon", 0.0)


def known(bound: float, tolerance: float) -> CaseReference:
    """What a difference of two runs is judged by: twice the bound, or twice the tolerance."""
    proven = {
        "output": ProvenBound(np.full((1, 2), bound), overflow_free=True),
        "grad_x": ProvenBound(np.zeros((1, 2)), overflow_free=True),
    }
    null = {"output": Null(tolerance, np.zeros(1), 0.1), "grad_x": Null(0.0, np.zeros(1), 0.1)}
    return cast(CaseReference, SimpleNamespace(proven=proven, null=null))


def run(spread: float, condition: Condition | None = None, value: float = 1.0) -> FurtherRun:
    values = {"output": np.array([[1.0, value]]), "grad_x": np.ones((1, 2))}
    return FurtherRun(condition, "with HOW", values, {"output": spread})


def test_equal_calls_that_differ() -> None:
    one, half = Promise("epsilon", 1.0), Promise("certificate", 0.5)
    nothing = (None, None)
    text = "two runs on the same inputs differ by {} in output"
    assert difference(run(0.5), "output", known(4.0, 0.25), nothing) is None
    assert difference(run(8.0), "output", known(4.0, 4.0), nothing) is None
    suspect = difference(run(0.75), "output", known(4.0, 0.25), nothing)
    assert suspect == ("suspect", Problem("nondeterministic", "output", text.format("0.75")))
    failed = difference(run(8.25), "output", known(4.0, 0.25), nothing)
    assert failed == ("fail", Problem("nondeterministic", "output", text.format("8.25")))
    # What is promised, of either run or of both, replaces its bound and its tolerance.
    promised = text.format("2.12") + ", more than what was promised of both allows"
    for promises, limit in (((one, one), 2.0), ((one, half), 1.5), ((half, one), 1.5)):
        assert difference(run(limit), "output", known(0.0, 0.0), promises) is None
        beyond = difference(run(2.125), "output", known(9.0, 9.0), promises)
        assert beyond == ("fail", Problem("nondeterministic", "output", promised))
    for promises in ((one, None), (None, one)):
        assert difference(run(2.0), "output", known(1.0, 1.0), promises) is None
        beyond = difference(run(2.125), "output", known(1.0, 1.0), promises)
        assert beyond == ("fail", Problem("nondeterministic", "output", promised))
    # Suspect, with a promise of one run: nothing promised is broken.
    suspect = difference(run(2.125), "output", known(9.0, 1.0), (None, one))
    assert suspect == ("suspect", Problem("nondeterministic", "output", text.format("2.12")))
    # An output that the run says nothing of is the same.
    assert difference(run(9.0), "grad_x", known(0.0, 0.0), nothing) is None


MEANING: dict[Condition, str] = {
    "uninitialised-memory": "it depends on memory that the kernel has not written",
    "stale-cache": "the kernel keeps what belongs to the values before",
    "second-backward": "the first one changes what the graph has saved",
}


@pytest.mark.parametrize("condition", MEANING)
def test_what_a_difference_under_a_condition_means(condition: Condition) -> None:
    nothing, text = (None, None), f"with HOW: {MEANING[condition]}"
    found = difference(run(2.125, condition), "output", known(1.0, 0.5), nothing)
    assert found == ("fail", Problem(condition, "output", f"output differs by 2.12 {text}"))
    found = difference(run(1.5, condition), "output", known(1.0, 0.5), nothing)
    assert found == ("suspect", Problem(condition, "output", f"output differs by 1.5 {text}"))
    assert difference(run(1.0, condition), "output", known(1.0, 0.5), nothing) is None
    for value in (math.nan, math.inf):
        found = difference(run(math.inf, condition, value), "output", known(1.0, 1.0), nothing)
        assert found == ("fail", Problem(condition, "output", f"output is not finite {text}"))


def test_nan_that_fresh_memory_was_filled_with() -> None:
    """Only under that condition, only NaN, and only in that output."""
    filled: Condition = "uninitialised-memory"
    assert shows_nan(run(math.inf, filled, math.nan), "output")
    assert not shows_nan(run(math.inf, filled, math.nan), "grad_x")
    assert not shows_nan(run(math.inf, filled, math.nan), "grad_lora_a")
    assert not shows_nan(run(math.inf, filled, math.inf), "output")
    assert not shows_nan(run(0.0, filled), "output")
    for other in (None, "stale-cache", "second-backward"):
        assert not shows_nan(run(math.inf, cast(Any, other), math.nan), "output")


PLANNED = [(contract, plan) for contract in PLANS for plan in PLANS[contract]]


@pytest.mark.parametrize(("contract", "plan"), PLANNED)
def test_the_bound_of_a_plan_is_the_smaller_of_two_proven_ones(contract: str, plan: str) -> None:
    """A kernel that follows a plan is a legal evaluation too; what it stores counts."""
    case = a_case(contract, "bfloat16", "tiny", 3)
    known, inputs, machine = (
        CONTRACTS[contract],
        generate(case),
        machine_model("widest", "bfloat16"),
    )
    every = gradients(known, inputs, Rounding(machine))
    arithmetic = Planned(machine, stores_every_result=PLANS[contract][plan].stores_every_result)
    stored = PLANS[contract][plan].formulas(
        lambda matrix: matrix.stored(), **matrices(known, inputs, arithmetic)
    )
    found, plain = (
        proven_bounds(known, inputs, machine, plan),
        proven_bounds(known, inputs, machine),
    )
    for output, shape in output_shapes(known, inputs).items():
        of_plan = arithmetic.bound(stored[output].stored()).reshape(shape)
        of_every = every[output].error.reshape(shape)
        unplanned = found[output].unplanned
        assert unplanned is not None
        assert np.array_equal(unplanned, of_every)
        assert np.array_equal(plain[output].bound, of_every)
        assert plain[output].unplanned is None
        assert np.array_equal(found[output].bound, np.minimum(of_plan, of_every))
        assert found[output].overflow_free is plain[output].overflow_free is True
    assert any((found[o].bound < plain[o].bound).any() for o in found)
