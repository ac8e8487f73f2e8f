"""f, c, q, p1 and p2 of the exact and of the almost-linear kernel: against the reference in balls,
within proven rounding bounds, and within the corrected bounds of Lemmas 3.3 to 3.7, F.5 to F.9."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.evaluation import matrices
from loracle.generation import generate, regimes_of
from loracle.kernels import almost_linear, exact
from loracle.kernels.almost_linear import Gradients, LowRankIntermediates, OutOfReach, gradients
from loracle.kernels.almost_linear.coordinates import Centred, centre
from loracle.kernels.almost_linear.plan import Options
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.solve import Prepared, Solution, solve
from loracle.kernels.almost_linear.statistics import KeyStatistics
from loracle.kernels.exact import Intermediates
from loracle.kernels.projection import project
from loracle_reference.arithmetic import Double
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import machine_model, round_to_format
from loracle_reference.low_rank_gradient import (
    ApproximateGradient,
    low_rank_aloragc_gradient,
    low_rank_lora_attention_gradient,
)
from loracle_reference.monomials import monomial_count

from .core_cases import a_case, indices, seeds
from .lemmas import (
    BALL,
    BRACKETS,
    NAMES,
    UNIT,
    Array,
    Bracket,
    Operands,
    Truth,
    arrays,
    evaluated_exactly,
    evaluated_in_low_rank,
    gamma,
    projected,
    refuted,
    specification,
    specified,
)

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
        ],
    ),
]
REGIMES = regimes_of(CONTRACTS["aloragc"])
IN_REACH = [regime for regime in REGIMES if regime not in ("saturated", "extreme")]
SATURATED = [(BRACKETS[0], 1), (BRACKETS[1], 0), (BRACKETS[2], 0)]
"""Scores of 100: no rank will do. Brackets and indices of cases whose degree is soon found."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MAX_RANK = 3003
"""Of the almost-linear kernel: the factors of p1 have d times as many columns."""

few = settings(max_examples=max(1, settings().max_examples // 4))
"""For what is run in every regime and on every device."""

brackets = st.sampled_from(BRACKETS)
dtypes = st.sampled_from(sorted(DTYPES))
epsilons = st.sampled_from([0.5, 1e-2, 1e-4])
promises = st.sampled_from(["probabilities", "gradient"])


def nearby(bracket: Bracket, dtype: str, regime: str, index: int, seed: int) -> Operands:
    """The operands of a generated case, rounded to the dtype: arrays."""
    inputs = generate(a_case(bracket[0], dtype, regime, index, seed))
    found = specified(bracket, inputs, Double())
    q, k, v, y = (
        round_to_format(Double().array(m), dtype)
        for m in (found.queries, found.keys, found.values, found.y)
    )
    return Operands(q, k, v, y, found.beta)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Operands, str]:
    """Operands of any small sizes, and a dtype that they are exact in. Beyond what makes scores of
    about a given size, queries and keys have a common offset: their norms are no condition."""
    dtype = draw(dtypes)
    queries, keys, width = (draw(st.integers(1, n)) for n in (24, 24, 4))
    generator = np.random.default_rng(draw(seeds))
    size = (draw(st.sampled_from([0.01, 0.3, 1.0, 2.5])) / width) ** 0.5
    offset = draw(st.sampled_from([0.0, 0.5, 2.0]))
    q, k = (generator.uniform(-size, size, (n, width)) + offset for n in (queries, keys))
    v, y = (generator.standard_normal((n, width)) for n in (keys, queries))
    q, k, v, y = (round_to_format(x, dtype) for x in (q, k, v, y))
    return Operands(q, k, v, y, draw(st.sampled_from([1.0, 0.625, -0.5]))), dtype


def outside(
    found: Mapping[str, Array], truth: Mapping[str, Enclosure], bounds: Mapping[str, Array]
) -> set[str]:
    """The names of the matrices that provably exceed their bounds somewhere."""
    return {n for n in NAMES if (truth[n].distance(found[n])[0] > bounds[n]).any()}


# The exact kernel.


def exact_kernel(operands: Operands, dtype: torch.dtype, device: str) -> Intermediates:
    passed = exact.intermediates(**operands.tensors(dtype, device))
    assert all(getattr(passed, n).device.type == device for n in NAMES)
    return passed


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", REGIMES)
@few
@given(bracket=brackets, dtype=dtypes, index=indices, seed=seeds)
def test_exact_intermediates_stay_within_their_proven_bounds(
    regime: str, device: str, bracket: Bracket, dtype: str, index: int, seed: int
) -> None:
    """The bound of any legal evaluation on the machine, from the contract's inputs on."""
    inputs = generate(a_case(bracket[0], dtype, regime, index, seed))
    rounding = Rounding(machine_model("widest", dtype))
    bounds = specification(specified(bracket, inputs, rounding))
    truth = Truth.of(specified(bracket, inputs, BALL)).matrices
    t = projected(bracket, inputs, DTYPES[dtype], device)
    passed = exact.intermediates(t.queries, t.keys, t.values, t.y, t.beta)
    assert not outside(arrays(passed), truth, {n: bounds[n].error for n in NAMES})


@pytest.mark.parametrize("device", DEVICES)
@given(drawn())
def test_the_lemmas_hold_from_the_exact_kernels_f_on(
    device: str, given_: tuple[Operands, str]
) -> None:
    operands, dtype = given_
    evaluated = evaluated_exactly(exact_kernel(operands, DTYPES[dtype], device), operands)
    assert not refuted(evaluated, Truth.of(operands.embedded(BALL)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", REGIMES)
@few
@given(bracket=brackets, dtype=dtypes, index=indices, seed=seeds)
def test_the_lemmas_hold_from_the_exact_kernels_f_on_in_every_regime(
    regime: str, device: str, bracket: Bracket, dtype: str, index: int, seed: int
) -> None:
    operands = nearby(bracket, dtype, regime, index, seed)
    evaluated = evaluated_exactly(exact_kernel(operands, DTYPES[dtype], device), operands)
    assert not refuted(evaluated, Truth.of(operands.embedded(BALL)))


def test_what_is_exposed_is_what_the_exact_kernel_computes() -> None:
    """Wrong intermediates make wrong gradients, and right ones the same, bit for bit."""
    operands = nearby(BRACKETS[1], "float32", "threshold", 0, 1)
    t = operands.tensors(torch.float32, "cpu")
    passed = exact.intermediates(**t)
    p = passed.p1 - passed.p2
    expected = (
        t["beta"] * (p @ t["keys"]),
        t["beta"] * (p.T @ t["queries"]),
        passed.f.T @ passed.c,
    )
    found = exact.attention_gradients(**t)
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))
    wrong = replace(passed, c=passed.c + 1, p2=passed.p2 + 1)
    with mock.patch.object(exact, "intermediates", return_value=wrong):
        others = exact.attention_gradients(**t)
    assert not any(torch.equal(x, y) for x, y in zip(others, expected, strict=True))


# Wrong matrices, in the place of either kernel's.


@dataclass(frozen=True)
class Wrong:
    """make: from right matrices and the operands, in torch. name: the matrix that leaves its proven
    bound. statements: those of the lemmas that object, some of them."""

    make: Callable[[Intermediates, dict[str, Any]], dict[str, Tensor]]
    name: str
    statements: frozenset[str]


def _scores(t: dict[str, Any]) -> Tensor:
    return torch.as_tensor(t["beta"] * (t["queries"] @ t["keys"].T))


WRONG: dict[str, Wrong] = {
    "f not normalised": Wrong(
        lambda m, t: {"f": torch.exp(_scores(t))},
        "f",
        frozenset({"3.3 entrywise", "3.3 norm", "3.3 distance", "3.3 rows"}),
    ),
    "f normalised over the queries": Wrong(
        lambda m, t: {"f": torch.softmax(_scores(t), 0)}, "f", frozenset({"3.3 entrywise"})
    ),
    "beta forgotten": Wrong(
        lambda m, t: {"f": torch.softmax(_scores(t) / t["beta"], 1)},
        "f",
        frozenset({"3.3 entrywise", "3.3 norm", "3.3 distance"}),
    ),
    "f transposed": Wrong(lambda m, t: {"f": m.f.T}, "f", frozenset({"3.3 entrywise"})),
    "c without y": Wrong(
        lambda m, t: {"c": m.c + t["y"]},
        "c",
        frozenset({"3.4 distance", "3.4 norms", "3.4 certified"}),
    ),
    "c with the sign of y": Wrong(
        lambda m, t: {"c": m.c + 2 * t["y"]},
        "c",
        frozenset({"3.4 distance", "3.4 norms", "3.4 certified"}),
    ),
    "q with C3 of another row": Wrong(
        lambda m, t: {"q": m.c @ t["values"].roll(1, 0).T},
        "q",
        frozenset({"3.5 norms", "3.5 certified"}),
    ),
    "q as printed, C3 c^T": Wrong(
        lambda m, t: {"q": m.q.T}, "q", frozenset({"3.5 norms", "3.5 certified"})
    ),
    "p1 with another query's q": Wrong(
        lambda m, t: {"p1": m.f * m.q.roll(1, 0)},
        "p1",
        frozenset({"3.6 distance", "3.6 norms", "3.6 row", "3.6 certified", "3.6 certified row"}),
    ),
    "p2 without f": Wrong(
        lambda m, t: {"p2": m.p1.sum(1, keepdim=True).expand_as(m.f)},
        "p2",
        frozenset({"3.7 distance", "3.7 norms", "3.7 row", "3.7 certified", "3.7 certified row"}),
    ),
    "p2 with the diagonal on the keys": Wrong(
        lambda m, t: {"p2": m.f * m.p1.sum(1)},
        "p2",
        frozenset({"3.7 distance", "3.7 norms", "3.7 row", "3.7 certified", "3.7 certified row"}),
    ),
}


def square_operands() -> Operands:
    """As many queries as keys, so that what is transposed has the right shape."""
    operands = nearby(("lora-attention", "Q"), "float64", "threshold", 2, 5)
    assert operands.queries.shape == operands.keys.shape
    return operands


@pytest.mark.parametrize("name", WRONG)
def test_wrong_exact_intermediates_are_caught(name: str) -> None:
    operands = square_operands()
    t = operands.tensors(torch.float64, "cpu")
    right = exact.intermediates(**t)
    wrong = replace(right, **WRONG[name].make(right, t))
    bounds = specification(operands.embedded(Rounding(machine_model("widest", "float64"))))
    truth = Truth.of(operands.embedded(BALL))
    errors = {n: bounds[n].error for n in NAMES}
    assert outside(arrays(wrong), truth.matrices, errors) == {WRONG[name].name}
    if WRONG[name].name != "f":
        stated = {s for s in WRONG[name].statements if "certified" not in s}
        assert stated <= refuted(evaluated_exactly(wrong, operands), truth)


def test_single_precision_in_a_double_kernel_is_caught() -> None:
    operands = square_operands()
    bounds = specification(operands.embedded(Rounding(machine_model("widest", "float64"))))
    truth = Truth.of(operands.embedded(BALL))
    errors = {n: bounds[n].error for n in NAMES}
    for dtype, names in ((torch.float64, set()), (torch.float32, set(NAMES))):
        passed = exact.intermediates(**operands.tensors(dtype, "cpu"))
        assert outside(arrays(passed), truth.matrices, errors) == names


@pytest.mark.parametrize("dtype", DTYPES)
def test_ks_bracket_with_the_weight_not_transposed_is_caught(dtype: str) -> None:
    """u_K of C_K1 W_K in place of C_K1 W_K^T (equation (B.1))."""
    bracket: Bracket = ("lora-attention", "K")
    inputs = generate(a_case(bracket[0], dtype, "threshold", 0, 0))
    bounds = specification(specified(bracket, inputs, Rounding(machine_model("widest", dtype))))
    truth = Truth.of(specified(bracket, inputs, BALL)).matrices
    errors = {n: bounds[n].error for n in NAMES}
    t = {n: torch.tensor(x, dtype=DTYPES[dtype]) for n, x in inputs.tensors.items()}
    right = projected(bracket, inputs, DTYPES[dtype], "cpu")
    s = inputs.scalars["scaling"]
    queries = project(t["x_q"], t["w_q"], t["b_q"], t["a_q"], s)
    wrong = replace(right, queries=project(queries, t["w_k"], t["b_k"], t["a_k"], s))
    for operands, names in ((right, set()), (wrong, set(NAMES))):
        passed = exact.intermediates(
            operands.queries, operands.keys, operands.values, operands.y, operands.beta
        )
        assert outside(arrays(passed), truth, errors) == names


# The almost-linear kernel.


def declines_in_one_line(error: OutOfReach) -> None:
    """It says what rank or degree would be needed, or that rounding is too much, whatever they
    are."""
    assert "\n" not in str(error)
    assert re.search(
        r"rank \d+|a degree beyond \d+|rounding alone moves scores|leave the range", str(error)
    )


def in_low_rank(
    operands: Operands, dtype: str, device: str, **options: Any
) -> LowRankIntermediates | None:
    """None if it is out of reach and says so."""
    tensors = operands.tensors(DTYPES[dtype], device)
    try:
        low = almost_linear.intermediates(**tensors, max_rank=MAX_RANK, **options)
    except OutOfReach as error:
        declines_in_one_line(error)
        return None
    (length, width), keys = operands.queries.shape, len(operands.keys)
    rank = monomial_count(width, low.degree)
    # Lemmas 3.3, 3.5 to 3.7: the ranks k1, k2 = d, k3 = k1 k2 and k4 = k1.
    assert low.rank == rank if low.plan.polynomial.index_set.full else low.rank < rank
    for number, columns in ((1, low.rank), (2, width), (3, low.rank * width), (4, low.rank)):
        u, v = getattr(low, f"u{number}"), getattr(low, f"v{number}")
        assert u.shape == (length, columns)
        assert v.shape == (keys, columns)
        assert u.device.type == v.device.type == device
    return low


def objections(
    low: LowRankIntermediates, operands: Operands, dense: Intermediates | None = None
) -> set[str]:
    """The statements that the factors, or wrong matrices in their place, refute."""
    truth = Truth.of(operands.embedded(BALL))
    magnitude = np.abs(operands.values)
    return refuted(evaluated_in_low_rank(low, dense or low.dense(), truth, magnitude), truth)


@pytest.mark.parametrize("device", DEVICES)
@given(drawn(), epsilons, promises)
def test_the_lemmas_hold_in_low_rank(
    device: str, given_: tuple[Operands, str], epsilon: float, promise: str
) -> None:
    operands, dtype = given_
    low = in_low_rank(operands, dtype, device, epsilon=epsilon, promise=promise)
    if low is not None:
        eta = 2 * low.delta / (1 - low.delta)
        assert (eta if promise == "probabilities" else low.delta) <= epsilon * (1 + 1e-12)
        assert not objections(low, operands)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", IN_REACH)
@few
@given(bracket=brackets, dtype=dtypes, index=indices, seed=seeds, epsilon=epsilons)
def test_the_lemmas_hold_in_low_rank_in_every_regime(
    regime: str, device: str, bracket: Bracket, dtype: str, index: int, seed: int, epsilon: float
) -> None:
    operands = nearby(bracket, dtype, regime, index, seed)
    low = in_low_rank(operands, dtype, device, epsilon=epsilon)
    if low is not None:
        assert not objections(low, operands)


@pytest.mark.parametrize("regime", IN_REACH)
def test_regimes_in_reach(regime: str) -> None:
    """Enough cases for the tests above to say something."""
    cases = [(bracket, index) for bracket in BRACKETS for index in range(3)]
    reached = [
        in_low_rank(nearby(bracket, "float64", regime, index, 0), "float64", "cpu") is not None
        for bracket, index in cases
    ]
    assert sum(reached) >= len(cases) / 2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("bracket", "index"), SATURATED)
def test_saturated_scores_are_out_of_reach(
    bracket: Bracket, index: int, dtype: str, device: str
) -> None:
    assert in_low_rank(nearby(bracket, dtype, "saturated", index, 0), dtype, device) is None
    inputs = generate(a_case(bracket[0], dtype, "saturated", index))
    assert run_of(bracket[0], inputs, DTYPES[dtype], device) is None


KERNELS: dict[str, Callable[..., Gradients]] = {
    "aloragc": almost_linear.aloragc_gradients,
    "lora-attention": almost_linear.lora_attention_gradients,
}


@dataclass(frozen=True)
class Run:
    """One call of the almost-linear kernel for a contract: what it solved, and how."""

    prepared: Prepared
    solution: Solution


def run_of(
    contract: str, inputs: Inputs, dtype: torch.dtype, device: str, **options: Any
) -> Run | None:
    """None if it is out of reach and says so."""
    solved: list[tuple[Problem, Solution]] = []

    def noted(problem: Problem, asked: Options) -> Solution | None:
        solution = solve(problem, asked)
        assert solution is not None
        solved.append((problem, solution))
        return solution

    tensors = {n: torch.tensor(x, dtype=dtype, device=device) for n, x in inputs.tensors.items()}
    try:
        with mock.patch.object(gradients, "solve", noted):
            KERNELS[contract](**tensors, **inputs.scalars, max_rank=MAX_RANK, **options)
    except OutOfReach as error:
        declines_in_one_line(error)
        return None
    ((problem, solution),) = solved
    centred = centre(problem)
    statistics = KeyStatistics.of(problem, centred)
    return Run(Prepared(problem, centred, statistics, solution.plan), solution)


def cores_agree(run: Run, low: LowRankIntermediates) -> bool:
    """Whether X_Q^T (p1~ - p2~) X_K and X_V^T f~^T c~ are what the kernel has, but for rounding:
    relative to the same products with |U1| |V1|^T for f~ and the values' magnitude."""
    problem, dense, unit = run.prepared.problem, low.dense(), UNIT[low.plan.dtype]
    x_q, x_k, x_v = (p.inputs[0].mT for p in (problem.q, problem.k, problem.v))
    f, c = low.u1.abs() @ low.v1.abs().T, low.c.abs()
    values = problem.v.projected_magnitude(slice(None))[0].mT
    p1 = f * (c @ values.T)
    sizes = p1 + p1.sum(1, keepdim=True) * f
    attended = c + f @ values
    allowed = gamma(8 * (low.rank + len(low.c) + len(low.v1) + 64), unit)
    qk = (x_q.T @ (dense.p1 - dense.p2) @ x_k - run.solution.core_qk[0]).abs()
    v = (x_v.T @ dense.f.T @ dense.c - run.solution.core_v[0]).abs()
    return bool((qk <= allowed * (x_q.abs().T @ sizes @ x_k.abs())).all()) and bool(
        (v <= allowed * (x_v.abs().T @ f.T @ attended)).all()
    )


def objections_to_run(run: Run, bracket: Bracket, inputs: Inputs) -> set[str]:
    """As `objections`, from a contract's inputs on."""
    low = LowRankIntermediates.of(run.prepared)
    truth = Truth.of(specified(bracket, inputs, BALL))
    magnitude = run.prepared.problem.v.projected_magnitude(slice(None))[0].mT.cpu().numpy()
    return refuted(evaluated_in_low_rank(low, low.dense(), truth, magnitude), truth)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", IN_REACH)
@few
@given(
    bracket=brackets,
    dtype=dtypes,
    index=indices,
    seed=seeds,
    epsilon=epsilons,
    promise=promises,
)
def test_a_run_of_the_kernel_has_the_factors_of_the_lemmas(
    regime: str,
    device: str,
    bracket: Bracket,
    dtype: str,
    index: int,
    seed: int,
    epsilon: float,
    promise: str,
) -> None:
    """From a contract's inputs: the lemmas hold for the plan that the kernel chose, for both
    brackets of one and the same f, and the factors make the d x d matrices that it returned."""
    inputs = generate(a_case(bracket[0], dtype, regime, index, seed))
    run = run_of(bracket[0], inputs, DTYPES[dtype], device, epsilon=epsilon, promise=promise)
    if run is not None:
        assert not objections_to_run(run, bracket, inputs)
        assert cores_agree(run, LowRankIntermediates.of(run.prepared))


# What the checks of the almost-linear kernel catch.


def low_rank_of_squares() -> tuple[Operands, LowRankIntermediates]:
    operands = square_operands()
    low = in_low_rank(operands, "float64", "cpu", epsilon=1e-5)
    assert low is not None
    assert low.rank >= low.u2.shape[1]
    assert not objections(low, operands)
    return operands, low


@pytest.mark.parametrize("name", WRONG)
def test_wrong_low_rank_intermediates_are_caught(name: str) -> None:
    operands, low = low_rank_of_squares()
    dense = low.dense()
    wrong = replace(dense, **WRONG[name].make(dense, operands.tensors(torch.float64, "cpu")))
    assert WRONG[name].statements <= objections(low, operands, wrong)


def _linear_terms_doubled(low: LowRankIntermediates) -> LowRankIntermediates:
    linear = torch.tensor(low.plan.polynomial.index_set.exponents.sum(1) == 1)
    return replace(low, u1=torch.where(linear, 2 * low.u1, low.u1))


def _divided_by_another_row(low: LowRankIntermediates) -> LowRankIntermediates:
    # Column 0 is a_0 over the sum of the row.
    sums = 1 / low.u1[:, :1]
    return replace(low, u1=low.u1 * sums / sums.roll(1, 0))


def _values_of_other_keys(low: LowRankIntermediates) -> LowRankIntermediates:
    return replace(low, v2=low.v2.roll(1, 0))


def _delta_understated(low: LowRankIntermediates) -> LowRankIntermediates:
    return replace(low, plan=replace(low.plan, delta=low.plan.delta / 8))


WRONG_FACTORS: dict[str, tuple[Callable[[LowRankIntermediates], LowRankIntermediates], set[str]]]
WRONG_FACTORS = {
    "linear terms doubled": (_linear_terms_doubled, {"3.3 entrywise", "3.3 norm", "3.3 distance"}),
    "divided by another row's sum": (_divided_by_another_row, {"3.3 rows"}),
    "V2 of other keys": (_values_of_other_keys, {"3.5 norms", "3.5 certified"}),
    "delta understated": (_delta_understated, {"3.3 entrywise"}),
}


@pytest.mark.parametrize("name", WRONG_FACTORS)
def test_wrong_factors_are_caught(name: str) -> None:
    operands, low = low_rank_of_squares()
    make, statements = WRONG_FACTORS[name]
    assert statements <= objections(make(low), operands)


def test_column_wise_products_are_caught() -> None:
    """U3 and V3 as the paper's proof prints them: entrywise products of as many columns as both
    have, in place of the row-wise Kronecker product."""
    operands, low = low_rank_of_squares()
    width = low.u2.shape[1]
    p1 = (low.u1[:, :width] * low.u2) @ (low.v1[:, :width] * low.v2).T
    found = objections(low, operands, replace(low.dense(), p1=p1))
    assert {"3.6 norms", "3.6 distance", "3.6 certified", "3.6 certified row"} <= found


def _weights_forgotten(prepared: Prepared) -> Prepared:
    """Queries are shifted and the keys not weighted by exp(<a, k>)."""
    weights = torch.ones_like(prepared.centred.weights)
    return replace(prepared, centred=replace(prepared.centred, weights=weights))


def _y_not_shifted(prepared: Prepared) -> Prepared:
    """The values' mean is taken off the values, and not off y."""

    class Unshifted(Centred):
        def y(self, queries: slice = slice(None)) -> torch.Tensor:
            return self.problem.y[..., queries]

    return replace(prepared, centred=Unshifted(**vars(prepared.centred)))


def _another_polynomial(prepared: Prepared) -> Prepared:
    """Multinomial coefficients forgotten, so that features of degree two and more count double."""
    polynomial = prepared.plan.polynomial
    degrees = polynomial.index_set.exponents.sum(1).tolist()
    index_set = replace(
        polynomial.index_set, weights=tuple(polynomial.coefficients[n] for n in degrees)
    )
    changed = replace(polynomial, index_set=index_set)
    return replace(prepared, plan=replace(prepared.plan, polynomial=changed))


WRONG_KERNELS: dict[str, tuple[Callable[[Prepared], Prepared], set[str]]] = {
    "weights of the keys forgotten": (_weights_forgotten, {"3.3 entrywise"}),
    "y not shifted with the values": (_y_not_shifted, {"3.4 norms", "3.4 certified"}),
    "multinomial coefficients forgotten": (_another_polynomial, {"3.3 entrywise"}),
}


@pytest.mark.parametrize("name", WRONG_KERNELS)
@pytest.mark.parametrize("contract", ["aloragc", "lora-attention"])
def test_wrong_kernels_are_caught(contract: str, name: str) -> None:
    """Through the kernel's own sums: also the d x d matrices are others then."""
    inputs = generate(a_case(contract, "float64", "super-threshold", 3, 0))
    run = run_of(contract, inputs, torch.float64, "cpu")
    assert run is not None
    assert cores_agree(run, LowRankIntermediates.of(run.prepared))
    make, statements = WRONG_KERNELS[name]
    wrong = replace(run, prepared=make(run.prepared))
    assert statements <= objections_to_run(wrong, (contract, "Q"), inputs)
    assert not cores_agree(run, LowRankIntermediates.of(wrong.prepared))


CONSTRUCTIONS: dict[str, Callable[..., ApproximateGradient[Any]]] = {
    "aloragc": low_rank_aloragc_gradient,
    "lora-attention": low_rank_lora_attention_gradient,
}


@pytest.mark.parametrize("regime", ["sub-threshold", "threshold"])
@pytest.mark.parametrize("contract", CONSTRUCTIONS)
def test_outputs_are_those_of_the_reference_construction(contract: str, regime: str) -> None:
    """Theorems 3.1 and B.1: two approximations of one gradient, each with its certificate."""
    inputs = generate(a_case(contract, "float64", regime, 3, 0))
    reference = CONSTRUCTIONS[contract](
        BALL, **matrices(CONTRACTS[contract], inputs, BALL), relative_error=1e-6
    )
    tensors = {n: torch.tensor(x) for n, x in inputs.tensors.items()}
    found = KERNELS[contract](**tensors, **inputs.scalars, epsilon=1e-6)
    assert found.certificate is not None
    for name, matrix in reference.outputs.items():
        distance = BALL.enclosure(matrix).distance(found.outputs[name].numpy())[0]
        allowed = float(found.certificate.errors[name]) + float(reference.errors[name])
        assert (distance <= allowed).all()
        assert allowed < np.abs(found.outputs[name].numpy()).max()


# What is exposed, and how it is asked for.


def test_sixteen_bits_are_taken_in_float32() -> None:
    operands = nearby(BRACKETS[1], "bfloat16", "sub-threshold", 0, 0)
    low = almost_linear.intermediates(**operands.tensors(torch.bfloat16, "cpu"))
    assert low.plan.dtype == torch.float32
    assert low.u1.dtype == torch.float64
    assert not objections(low, operands)


def test_features_may_be_of_another_dtype() -> None:
    operands = nearby(BRACKETS[1], "float32", "threshold", 0, 0)
    tensors = operands.tensors(torch.float32, "cpu")
    low = almost_linear.intermediates(**tensors, features=torch.float64, epsilon=1e-9)
    assert low.plan.dtype == torch.float64
    assert not objections(low, operands)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": torch.ones(4, 3)}, r"keys has shape \(4, 3\) where \(M, d\) with d = 2 is"),
        ({"y": torch.ones(4, 2)}, r"y has shape \(4, 2\) where \(L, d\) with L = 3 is expected"),
        ({"values": torch.ones(0, 2)}, r"values has shape \(0, 2\) where \(M, d\) with M = 4"),
        ({"values": torch.ones(4, 2).double()}, "values is torch.float64 on cpu, queries torch"),
        ({"queries": torch.ones(2, 3, 2)}, "those of one head, not of 2"),
        ({"epsilon": 2.0}, "epsilon must lie between 0 and 1, not 2.0"),
        ({"promise": "f"}, "promise must be one of probabilities, gradient, not 'f'"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    shapes = {"queries": (3, 2), "keys": (4, 2), "values": (4, 2), "y": (3, 2)}
    right: dict[str, Any] = {name: torch.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(UsageError, match=message):
        almost_linear.intermediates(**{**right, "beta": 1.0, **changes})


def test_whole_numbers_are_refused() -> None:
    whole = torch.ones(3, 2, dtype=torch.int64)
    with pytest.raises(UsageError, match=r"must be floating-point tensors, not torch\.int64"):
        almost_linear.intermediates(queries=whole, keys=whole, values=whole, y=whole, beta=1.0)
