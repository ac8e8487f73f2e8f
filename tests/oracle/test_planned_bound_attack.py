"""The bound of an evaluation plan against kernels that follow it.

An attacker who owns the sign of every rounding never exceeds it and reaches most of it; real
roundings in random orders stay below; with one source of errors left out, it is exceeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.evaluation import rows
from loracle.generation import cases_of, generate, regimes_of
from loracle.judgement.bounds import ProvenBound, proven_bounds
from loracle_reference.arithmetic import planned
from loracle_reference.arithmetic.planned import Planned, PlannedMatrix
from loracle_reference.arithmetic.summation import Summation
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import MachineModel, machine_model, round_to_format

from .core_cases import a_case, in_double
from .followed import Followed, PlanAttack, outputs_of
from .perturbed import attacked_error

PLANNED = [(contract, plan) for contract, plans in PLANS.items() for plan in plans]
MACHINES = {"bfloat16": "f32-accumulate", "float16": "f32-accumulate", "float32": "widest"}
"""In float64 the attack's own evaluation, which is in float64 too, errs as much as the kernel."""


def _ratios(
    contract: str,
    plan: str,
    inputs: Inputs,
    model: MachineModel,
    bounds: dict[str, ProvenBound],
    output: str,
) -> tuple[float, float]:
    """The attacked element's error over its bound, and the largest such ratio of all elements."""
    bound = rows(bounds[output].bound)
    row, column = np.unravel_index(int(np.argmax(bound)), bound.shape)
    element = int(row), int(column)
    error = attacked_error(
        lambda a: outputs_of(plan, CONTRACTS[contract], inputs, a),
        model,
        output,
        element,
        PlanAttack,
    )
    # An output that nothing is lost in has no error and no bound.
    ratios = np.divide(error, bound, out=np.zeros_like(error), where=error > 0)
    return float(ratios[element]), float(ratios.max())


@pytest.mark.parametrize(("contract", "plan"), PLANNED)
def test_the_attack_reaches_most_of_the_bound_and_never_exceeds_it(
    contract: str, plan: str
) -> None:
    """Catches a bound that is too small, and one that is loose by more than a third."""
    machine = machine_model("f32-accumulate", "bfloat16")
    best = dict.fromkeys(CONTRACTS[contract].outputs, 0.0)
    for index in range(1 if contract == "lora-attention" else 3):
        inputs = generate(a_case(contract, "bfloat16", "designed", index))
        bounds = proven_bounds(CONTRACTS[contract], inputs, machine, plan)
        for output in best:
            reached, largest = _ratios(contract, plan, inputs, machine, bounds, output)
            assert largest <= 1
            best[output] = max(best[output], reached)
    assert min(best.values()) >= 0.7, best


@settings(max_examples=6)
@given(data=st.data(), seed=st.integers(0, 10**6))
@pytest.mark.parametrize("machine", ["widest", "f32-accumulate:4", "hopper"])
@pytest.mark.parametrize("contract", PLANS)
def test_no_attack_exceeds_the_bound_in_any_regime(
    contract: str, machine: str, data: st.DataObject, seed: int
) -> None:
    """Catches boxes that are too small where scores are large, and derivatives that are wrong where
    something cancels."""
    small = [r for r in regimes_of(CONTRACTS[contract]) if r not in ("ragged", "typical", "long")]
    regime = data.draw(st.sampled_from(small))
    plan = data.draw(st.sampled_from(sorted(PLANS[contract])))
    output = data.draw(st.sampled_from(sorted(CONTRACTS[contract].outputs)))
    dtype = data.draw(st.sampled_from(sorted(MACHINES)))
    case = cases_of(CONTRACTS[contract], dtype, seed, [regime], 1)[0]
    inputs, model = generate(case), machine_model(machine, dtype)
    bounds = proven_bounds(CONTRACTS[contract], inputs, model, plan)
    _, largest = _ratios(contract, plan, inputs, model, bounds, output)
    assert largest <= 1


@pytest.mark.parametrize("dtype", MACHINES)
@pytest.mark.parametrize(("contract", "plan"), PLANNED)
def test_real_roundings_in_any_order_stay_within_the_bound(
    contract: str, plan: str, dtype: str
) -> None:
    larger = {"lora-linear": "typical", "lora-mha": "averaging"}.get(contract, "threshold")
    for regime in ("designed", larger):
        inputs = generate(a_case(contract, dtype, regime, 1))
        truth = in_double(CONTRACTS[contract], inputs)
        bounds = proven_bounds(
            CONTRACTS[contract], inputs, machine_model(MACHINES[dtype], dtype), plan
        )
        for seed in range(4):
            computed = outputs_of(plan, CONTRACTS[contract], inputs, Followed(dtype, seed))
            for output, matrix in computed.items():
                error = np.abs(matrix.values.astype(np.float64) - rows(truth[output]))
                assert (error <= rows(bounds[output].bound)).all(), (regime, output)


def test_subnormal_results_of_float16_stay_within_the_bound() -> None:
    """Products near 2^-20 are stored with an absolute error; catches a loss that is not counted."""
    inputs = generate(a_case("lora-linear", "float16", "typical"))
    tiny = {n: round_to_format(v * 2.0**-9, "float16") for n, v in inputs.tensors.items()}
    small = Inputs(tiny, inputs.scalars)
    truth = in_double(CONTRACTS["lora-linear"], small)
    machine = machine_model("f32-accumulate", "float16")
    lossless = replace(machine, loss=0.0)
    for model, holds in ((machine, True), (lossless, False)):
        within = []
        bounds = proven_bounds(CONTRACTS["lora-linear"], small, model, "unmerged")
        computed = outputs_of("unmerged", CONTRACTS["lora-linear"], small, Followed("float16", 0))
        for output, matrix in computed.items():
            error = np.abs(matrix.values.astype(np.float64) - rows(truth[output]))
            within.append((error <= rows(bounds[output].bound)).all())
        assert all(within) is holds


def _normal(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return round_to_format(drawn * scale, "bfloat16")


LEFT, RIGHT = _normal(0, 2, 16), _normal(1, 16, 2)


def _product(a: Any) -> Any:
    return a.matrix(LEFT) @ a.matrix(RIGHT)


def _scaled_factor(a: Any) -> Any:
    return (a.matrix(LEFT).scale(0.75).stored() @ a.matrix(RIGHT)).stored()


def _scaled_product(a: Any) -> Any:
    return _product(a).stored().scale(0.75)


def _then_cancelled(product: Any, a: Any) -> Any:
    """Times two equal columns, which are subtracted from each other later."""
    return product @ a.matrix(np.array([[1.0], [-1.0]]))


def _scaled_before(a: Any) -> Any:
    wide = a.matrix(LEFT[:, :2]).scale(0.75) @ a.matrix(RIGHT[:2, [0, 0]])
    return _then_cancelled(wide.stored().scale(1), a)


def _scaled_after(a: Any) -> Any:
    wide = a.matrix(LEFT[:, :2]) @ a.matrix(RIGHT[:2, [0, 0]])
    return _then_cancelled(wide.stored().scale(0.75), a)


def _added(a: Any) -> Any:
    return a.matrix(_normal(4, 2, 2, scale=16)) + _product(a)


def _accumulated(a: Any) -> Any:
    """The addend first, then one product after the other."""
    total = a.matrix(_normal(4, 2, 2, scale=16))
    for k in range(16):
        total = total + a.matrix(LEFT[:, k : k + 1]) @ a.matrix(RIGHT[k : k + 1])
    return total


def _scores(a: Any) -> Any:
    """4 and -4, each the difference of two products of about 128."""
    return a.matrix(np.array([[1.0, 1.0]])) @ a.matrix(np.array([[128.0, 128.0], [-124.0, -132.0]]))


def _probabilities(a: Any) -> Any:
    return _scores(a).softmax_rows()


def _probabilities_of_two_evaluations(a: Any) -> Any:
    return _scores(a).exp().divide_rows(_scores(a).exp().row_sum())


def _three(a: Any) -> list[Any]:
    return [a.matrix(_normal(seed, 2, 2)) for seed in (8, 9, 10)]


def _three_added(a: Any) -> Any:
    one, two, three = _three(a)
    return one + (two + three).stored()


def _twice_stored(a: Any) -> Any:
    x, y, z = (a.matrix(_normal(seed, 2, 2)) for seed in (5, 6, 7))
    return ((x * y).stored() * z).stored()


def _forgetting(self: PlannedMatrix, other: PlannedMatrix) -> PlannedMatrix:
    """A product whose terms are not remembered."""
    product = _MATMUL(self, other)
    product.sums = Summation.single(product.magnitude)
    return product


_MATMUL, _SCALE = PlannedMatrix.__matmul__, PlannedMatrix.scale

Patch = tuple[Any, str, Any]
Expression = Callable[[Any], Any]

LEFT_OUT: dict[str, tuple[str, Patch, Expression, Expression]] = {
    "results are rounded to storage": (
        "f32-accumulate",
        (PlannedMatrix, "stored", lambda self: self),
        lambda a: _product(a).stored(),
        lambda a: _product(a).stored(),
    ),
    "sums round": (
        "widest",
        (PlannedMatrix, "_sum_growth", lambda self, terms, operands=2: 0.0),
        _product,
        _product,
    ),
    "entrywise operations round": (
        "widest",
        (PlannedMatrix, "_entrywise_growth", lambda self, roundings: 0.0),
        _twice_stored,
        _twice_stored,
    ),
    "a softmax has errors of its own": (
        "widest",
        (planned, "softmax_growth", lambda machine, largest, keys, stored: 0 * largest),
        lambda a: a.matrix(_normal(3, 2, 5)).softmax_rows(),
        lambda a: a.matrix(_normal(3, 2, 5)).softmax_rows(),
    ),
    "a float argument is rounded": (
        "f32-accumulate",
        (planned, "round_to_format", lambda values, dtype: values),
        lambda a: a.matrix(LEFT).scale(0.7),
        lambda a: a.matrix(LEFT).scale(0.7),
    ),
    "a scalar may be applied to a factor": (
        "f32-accumulate",
        (PlannedMatrix, "__matmul__", _forgetting),
        _scaled_product,
        _scaled_factor,
    ),
    "a scalar may be applied later": (
        "f32-accumulate",
        (PlannedMatrix, "scale", lambda self, s: self if s == 1 else _SCALE(self, s)),
        _scaled_before,
        _scaled_after,
    ),
    "terms are accumulated onto an addend": (
        "widest",
        (PlannedMatrix, "__matmul__", _forgetting),
        _added,
        _accumulated,
    ),
    "a partial sum is stored": (
        "f32-accumulate",
        (PlannedMatrix, "sum_with", lambda self, two, three: self + two + three),
        lambda a: _three(a)[0].sum_with(*_three(a)[1:]),
        _three_added,
    ),
    "scores are evaluated twice": (
        "widest",
        (PlannedMatrix, "__matmul__", _forgetting),
        _probabilities,
        _probabilities_of_two_evaluations,
    ),
    "values stray from the exact ones": (
        "f32-accumulate",
        (planned, "_widened", lambda box, error: box),
        _twice_stored,
        _twice_stored,
    ),
}
"""Machine, what is taken out of the bound, the plan, and the kernel that needs it."""


@pytest.mark.parametrize("rule", LEFT_OUT)
def test_a_bound_without_the_rule_is_exceeded(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack is strong enough to notice each rule of the derivation."""
    name, patch, plan, kernel = LEFT_OUT[rule]
    machine = machine_model(name, "bfloat16")
    exact = attacked_error(lambda a: {"x": plan(a)}, machine, "x", (0, 0), PlanAttack)
    rows, columns = exact.shape

    def exceeded() -> bool:
        arithmetic = Planned(machine)
        bound = arithmetic.bound(plan(arithmetic))
        errors = (
            attacked_error(lambda a: {"x": kernel(a)}, machine, "x", (i, j), PlanAttack)[i, j]
            / bound[i, j]
            for i in range(rows)
            for j in range(columns)
        )
        return any(ratio > 1 for ratio in errors)

    assert not exceeded()
    monkeypatch.setattr(*patch)
    assert exceeded()
