"""The certificate of the almost-linear gradient: never exceeded, never above epsilon, relative to a
natural scale that is not too large, nearly attained; and exceeded as soon as a rule is left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels.almost_linear import (
    Gradients,
    OutOfReach,
    plan,
    polynomial,
    results,
    solve,
    statistics,
)
from loracle.kernels.almost_linear.intermediates import LowRankIntermediates
from loracle.kernels.almost_linear.row_bounds import RowBounds
from loracle.kernels.almost_linear.statistics import KeyStatistics

from .almost_linear_problems import (
    QK_OUTPUTS,
    V_OUTPUTS,
    Instance,
    clusters,
    complaints,
    generated,
    outlier,
    ratios,
)

Array = npt.NDArray[np.float64]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
CONTRACTS = ["aloragc", "lora-attention"]
PROMISES = ["gradient", "probabilities"]


def checked(instance: Instance, *, epsilon: float, **options: Any) -> bool:
    """Whether the accuracy is in reach; fails where a promise of the certificate does not hold."""
    try:
        result = instance.solve(epsilon=epsilon, **options)
    except OutOfReach:
        return False
    assert complaints(result, instance.truth, epsilon) == []
    assert result.certificate is not None
    if options.get("promise", "probabilities") == "probabilities":
        assert result.certificate.probability_error <= epsilon
    return True


# --- On every input that it does not decline ------------------------------------------------------


def _one_row(name: str, factor: float) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name][-1] *= factor

    return change


def _all(name: str, factor: float) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name] *= factor

    return change


def _offset(name: str, size: float) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        width = tensors[name].shape[1]
        tensors[name] += size * torch.linspace(-1, 1.5, width, dtype=torch.float64)

    return change


def _equal_rows(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name][:] = tensors[name][:1].clone()

    return change


def _dependent_columns(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name][:, -1] = tensors[name][:, 0]

    return change


def _no_column(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name][:, -1] = 0

    return change


def _ties(tensors: dict[str, Tensor]) -> None:
    for tensor in tensors.values():
        tensor.mul_(2).round_().div_(2)


def _cancelling(projection: str) -> Callable[[dict[str, Tensor]], None]:
    """W* + s B A is a millionth of its parts."""

    def change(tensors: dict[str, Tensor]) -> None:
        w, a, b = (tensors[f"{n}_{projection}"] for n in "wab")
        rest = 1e-3 * w
        a *= 1e3
        w.copy_(rest - 1.25 * (b @ a))

    return change


STRUCTURES: dict[str, Callable[[dict[str, Tensor]], None]] = {
    "nothing": lambda tensors: None,
    "exact ties": _ties,
    "B of Q is zero": _all("b_q", 0.0),
    "A of V is zero": _all("a_v", 0.0),
    "y is zero": _all("y", 0.0),
    "no values": _all("x_v", 0.0),
    "a coordinate without values": _no_column("w_v"),
    "equal keys": _equal_rows("x_k"),
    "equal queries": _equal_rows("x_q"),
    "rank-deficient keys": _dependent_columns("x_k"),
    "rank-deficient queries": _dependent_columns("w_q"),
    "a query far out": _one_row("x_q", 30.0),
    "a key far out": _one_row("x_k", 30.0),
    "a huge value": _one_row("x_v", 1e6),
    "a huge target": _one_row("y", 1e8),
    "keys far from zero": _offset("x_k", 1e4),
    "queries far from zero": _offset("x_q", 10.0),
    "values far from zero": _offset("x_v", 1e4),
    "cancelling W_Q": _cancelling("q"),
    "cancelling W_K": _cancelling("k"),
    "cancelling W_V": _cancelling("v"),
    "tiny values": _all("x_v", 1e-30),
    "huge values": _all("x_v", 1e15),
    "tiny inputs of Q": _all("x_q", 1e-30),
    "tiny adapters": _all("a_k", 1e-30),
    "huge adapters": _all("b_v", 1e15),
}
"""What changes a float64 problem of contract `lora-attention` in place. float16 holds few of them:
what overflows on the way there is left out."""


def instance_of(sizes: dict[str, int], seed: int, scores: float, structures: list[str]) -> Instance:
    instance = generated("lora-attention", sizes, seed, scores)
    for name in structures:
        STRUCTURES[name](instance.tensors)
    return instance


@given(
    sizes=st.fixed_dictionaries(
        {
            "L": st.integers(1, 12),
            "M": st.integers(1, 12),
            "d": st.integers(1, 4),
            "r": st.integers(1, 3),
        }
    ),
    seed=st.integers(0, 2**32 - 1),
    scores=st.sampled_from([1e-3, 0.1, 0.5, 1.0, 3.0]),
    structures=st.lists(st.sampled_from(sorted(STRUCTURES)), min_size=1, max_size=2, unique=True),
    dtype=st.sampled_from(DTYPES),
    features=st.sampled_from([None, None, torch.float32, torch.float64]),
    epsilon=st.sampled_from([0.3, 0.03, 1e-3, 1e-5, 1e-7, 1e-9]),
    promise=st.sampled_from(PROMISES),
)
@settings(max_examples=max(60, settings().max_examples))
def test_the_certificate_holds(
    sizes: dict[str, int],
    seed: int,
    scores: float,
    structures: list[str],
    dtype: torch.dtype,
    features: torch.dtype | None,
    epsilon: float,
    promise: str,
) -> None:
    """Catches, among others, a bound that is NaN (which nothing is below), errors above epsilon for
    what rounding the outputs adds, and outputs that overflow with a finite certificate."""
    instance = instance_of(sizes, seed, scores, structures).to(dtype)
    if all(bool(t.isfinite().all()) for t in instance.tensors.values()):
        checked(instance, epsilon=epsilon, promise=promise, features=features)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure(structure: str) -> None:
    """That each is met at least once in both wide dtypes, whatever hypothesis draws."""
    sizes = {"L": 5, "M": 7, "d": 2, "r": 1}
    for seed, dtype in enumerate((torch.float64, torch.float32)):
        instance = instance_of(sizes, seed, 0.3, [structure])
        checked(instance.to(dtype), epsilon=0.1, promise="gradient")


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("promise", PROMISES)
def test_within_reach(contract: str, dtype: torch.dtype, promise: str) -> None:
    """Nothing above can fail if everything is declined."""
    for sizes in ({"L": 9, "M": 8, "d": 2, "r": 2}, {"L": 1, "M": 3, "d": 1, "r": 1}):
        instance = generated(contract, sizes, 0, 0.4).to(dtype)
        assert checked(instance, epsilon=0.05, promise=promise)
    assert checked(
        generated(contract, {"L": 9, "M": 8, "d": 2, "r": 2}, 0, 0.4), epsilon=1e-9, promise=promise
    )


@pytest.mark.deep
@given(
    contract=st.sampled_from(CONTRACTS),
    sizes=st.fixed_dictionaries(
        {
            "L": st.integers(1, 150),
            "M": st.integers(1, 150),
            "d": st.integers(1, 6),
            "r": st.integers(1, 3),
        }
    ),
    seed=st.integers(0, 2**32 - 1),
    scores=st.sampled_from([0.01, 0.3, 1.0]),
    dtype=st.sampled_from(DTYPES),
    epsilon=st.sampled_from([0.3, 0.03, 1e-3, 1e-6]),
    promise=st.sampled_from(PROMISES),
)
@settings(max_examples=200)
def test_the_certificate_holds_at_medium_sizes(
    contract: str,
    sizes: dict[str, int],
    seed: int,
    scores: float,
    dtype: torch.dtype,
    epsilon: float,
    promise: str,
) -> None:
    checked(generated(contract, sizes, seed, scores).to(dtype), epsilon=epsilon, promise=promise)


# --- What must be declined ------------------------------------------------------------------------


def test_results_that_overflow_are_declined() -> None:
    """Catches `value.to(dtype)` with a certificate for the value before: infinity is no result."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.1)
    instance.tensors["y"].fill_(5e4)
    instance.tensors["x_v"] += 1e3
    assert checked(instance, epsilon=0.1)
    assert not checked(instance.to(torch.float16), epsilon=0.1)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("radius", [20.0, 40.0, 150.0, 1e4, 1e7, 1e10, 1e14])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scores_far_apart_are_declined_at_once(radius: float, dtype: torch.dtype) -> None:
    """Catches bounds of infinity times zero, which are NaN and pass `not rounding >= allowed`, the
    overflow of a power of the radius, and a search among polynomials of a million digits."""
    queries = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    keys = radius * torch.linspace(-1, 1, 10, dtype=torch.float64)[:, None]
    instance = outlier(1.0, 10).changed(x_q=queries, x_k=keys, y=queries)
    assert not checked(instance.to(dtype), epsilon=0.3, promise="gradient")


def test_the_natural_scale_of_scores_that_are_rounded() -> None:
    """Scores of 1e12 are off by 1e-4, and so are the probabilities and what is natural for them:
    catches a lower bound for the probabilities of the rounded scores."""
    generator = np.random.default_rng(0)
    for _ in range(10):
        instance = generated("aloragc", {"L": 1, "M": 2, "d": 1, "r": 1}, 0, 0.4)
        tensors = instance.tensors
        tensors["c1"][:], tensors["w"][:] = generator.uniform(0.5, 1), generator.uniform(0.5, 1)
        tensors["c2"][:] = 5e12
        tensors["c2"][1] += generator.uniform(-2, 2)
        tensors["c3"].copy_(torch.tensor([[1.0], [0.0]]))
        tensors["y"].zero_()
        checked(instance, epsilon=0.9, promise="gradient")


def test_the_polynomial_covers_the_rounded_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries and keys that float32 rounds up. Catches the radius in float64 with no room."""
    radii = []
    original = plan.choose_polynomial

    def noted(radius: float, *arguments: Any) -> Any:
        radii.append(radius)
        return original(radius, *arguments)

    monkeypatch.setattr(plan, "choose_polynomial", noted)
    up = [1 + 2.0**-24 + 2.0**-40, 1 - 1.5 * 2.0**-24 + 2.0**-40]
    instance = clusters(up[1], 2, 1.0)
    instance.tensors["x_q"] *= up[0]
    for name in ("a_q", "a_k"):
        instance.tensors[name].zero_()
    instance.solve(epsilon=0.3, features=torch.float32)
    rounded = [float(torch.tensor(x, dtype=torch.float32)) for x in up]
    assert radii
    assert min(radii) >= rounded[0] * rounded[1]


@pytest.mark.parametrize("name", ["x_q", "x_k", "x_v", "w_q", "b_k", "a_v", "y"])
@pytest.mark.parametrize("entry", [math.nan, math.inf])
def test_what_is_not_finite_is_declined(name: str, entry: float) -> None:
    """Catches comparisons that a NaN gets through, and errors of torch.linalg."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.3)
    instance.tensors[name][0, 0] = entry
    with pytest.raises(OutOfReach):
        instance.solve(epsilon=0.1)


@pytest.mark.parametrize("exponent", [-300, -160, -100, -80, 80, 100, 160, 300])
@pytest.mark.parametrize(
    "scaled", [("x_v", "y"), ("x_k",), ("x_q",), ("a_q", "a_k", "a_v"), ("y",)]
)
def test_magnitudes_that_float64_squares_do_not_hold(
    exponent: int, scaled: tuple[str, ...]
) -> None:
    """Variances are of the fourth degree in the values: catches bounds that are zero because a
    square underflowed, and Cholesky's failure on such a matrix of second moments."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.1)
    for name in scaled:
        instance.tensors[name].mul_(10.0**exponent)
    # The scores stay what they are.
    for name, weights in (("x_k", ("w_k", "b_k")), ("x_q", ("w_q", "b_q"))):
        if name in scaled:
            for weight in weights:
                instance.tensors[weight].mul_(10.0**-exponent)
    checked(instance, epsilon=0.1, promise="gradient")


def test_a_residual_that_float32_does_not_hold() -> None:
    """Catches a residual that is rounded to the features' dtype as it is. Inputs and outputs are
    float32 numbers, of which c, in the first of the two, has only a few bits left."""
    sizes = {"L": 7, "M": 9, "d": 2, "r": 1}
    narrow = generated("aloragc", sizes, 1, 0.4)
    for name, exponent in {"c1": 110, "c2": 50, "w": -160, "c3": -147, "y": -147}.items():
        narrow.tensors[name].mul_(2.0**exponent)
    narrow.tensors["a"].zero_()
    checked(narrow.to(torch.float32), epsilon=0.1)
    wide = generated("aloragc", sizes, 1, 0.4)
    for name in ("c3", "y"):
        wide.tensors[name].mul_(2.0**-170)
    checked(wide, epsilon=0.1, features=torch.float32)


@pytest.mark.parametrize("features", [torch.float32, torch.float64])
@pytest.mark.parametrize("exponent", [-20, -60, -80, -100, -150, -200])
def test_magnitudes_of_a_coordinate_alone(exponent: int, features: torch.dtype) -> None:
    """Every tensor is of order one, but the values come from its small entries alone. Catches
    limits of the inputs that say nothing of their products."""
    for seed in range(4):
        instance = generated("lora-attention", {"L": 6, "M": 7, "d": 2, "r": 1}, seed, 0.2)
        tensors = instance.tensors
        # A constant, which is gone once the mean is.
        tensors["x_v"][:, 0] = 1.0
        tensors["x_v"][:, 1] *= 10.0**exponent
        tensors["w_v"].copy_(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
        for name in ("a_v", "y"):
            tensors[name].zero_()
        checked(instance, epsilon=0.1, promise="gradient", features=features)


@pytest.mark.parametrize("exponent", [-50, -150, -170, -200])
@pytest.mark.parametrize(
    ("small", "zero"),
    [
        (("w_k", (slice(None), 1)), ("b_k", "a_k")),
        (("x_q", (slice(None), 1)), ()),
        (("w_q", (slice(None), 1)), ("b_q", "b_k")),
    ],
)
def test_maps_of_a_coordinate_alone(
    exponent: int, small: tuple[str, tuple[slice, int]], zero: tuple[str, ...]
) -> None:
    """The same of what an output is multiplied by on its left or right: X_Q B, W_K A^T, Q A^T."""
    for seed in range(2):
        instance = generated("lora-attention", {"L": 6, "M": 7, "d": 2, "r": 1}, seed, 0.2)
        tensors = instance.tensors
        tensors[small[0]][small[1]] *= 10.0**exponent
        # Of the two coordinates the outputs see the small one.
        tensors["a_q"][:, 0], tensors["a_k"][:, 0], tensors["b_q"][0] = 0.0, 0.0, 0.0
        for name in zero:
            tensors[name].zero_()
        checked(instance, epsilon=0.1, promise="gradient")


@pytest.mark.parametrize("features", [None, torch.float64])
def test_float32_inputs_with_values_of_hardly_a_bit(features: torch.dtype | None) -> None:
    """The same in float32, with results that float32 holds: large maps on the way bring them
    back."""
    sizes = {"L": 6, "M": 7, "d": 2, "r": 1}
    for seed in range(6):
        instance = generated("lora-attention", sizes, seed, 0.2)
        tensors = instance.tensors
        for name in ("a_q", "b_q", "a_k", "b_k", "a_v", "b_v", "y", "w_q", "w_v"):
            tensors[name].zero_()
        tensors["x_q"] *= torch.tensor([2.0**-63, 2.0**57])
        tensors["w_q"][0, 0], tensors["b_q"][1, 0] = 2.0**-58, 2.0**57
        tensors["x_k"] *= 2.0**57
        tensors["w_k"] *= 2.0**58
        tensors["x_v"][:, 0] = 1.0
        tensors["x_v"][:, 1] *= 2.0**-147
        tensors["w_v"].copy_(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
        for epsilon in (0.1, 0.01):
            checked(
                instance.to(torch.float32), epsilon=epsilon, promise="gradient", features=features
            )


@pytest.mark.parametrize("scalar", ["beta", "scaling"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 1e-300, 0.0])
def test_scalars_of_any_size(scalar: str, value: float) -> None:
    """Catches errors of torch.linalg, and ranks that are computed for scores of infinity."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.3)
    instance.scalars[scalar] = value
    if math.isfinite(value):
        checked(instance, epsilon=0.1)
        return
    with pytest.raises((OutOfReach, UsageError)):
        instance.solve(epsilon=0.1)


def test_autocast_does_not_reach_the_products() -> None:
    """Catches products in bfloat16 under torch.autocast, of which the certificate knows nothing."""
    instance = generated("lora-attention", {"L": 30, "M": 40, "d": 1, "r": 1}, 1, 0.003)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert checked(instance.to(torch.float32), epsilon=3e-4, promise="gradient")


# --- Heads and blocks -----------------------------------------------------------------------------


def heads_of(instances: list[Instance]) -> dict[str, Tensor]:
    return {
        name: torch.stack([i.tensors[name] for i in instances]) for name in instances[0].tensors
    }


@given(
    seed=st.integers(0, 2**32 - 1),
    scores=st.lists(st.sampled_from([1e-3, 0.03, 0.3, 1.0]), min_size=2, max_size=3),
    sizes=st.lists(st.sampled_from([1e-6, 1.0, 1e5]), min_size=3, max_size=3),
    epsilon=st.sampled_from([0.3, 1e-3]),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_heads_of_different_sizes(
    seed: int, scores: list[float], sizes: list[float], epsilon: float, dtype: torch.dtype
) -> None:
    """Catches a polynomial for the first head alone, scales of columns shared by the heads, and
    certificates that are the mean or the largest of the heads'."""
    heads = []
    for number, (score, size) in enumerate(zip(scores, sizes, strict=False)):
        head = generated("lora-attention", {"L": 6, "M": 7, "d": 2, "r": 1}, seed + number, score)
        head.tensors["x_v"] *= size
        head.tensors["y"] *= size
        heads.append(head.to(dtype))
    batch = Instance(heads_of(heads), heads[0].scalars)
    for at_once in (1, len(heads)):
        try:
            result = batch.solve(epsilon=epsilon, promise="gradient", heads_at_once=at_once)
        except OutOfReach:
            continue
        for number, head in enumerate(heads):
            assert complaints(result, head.truth, epsilon, number) == [], (at_once, number)


def test_the_largest_radius_counts_for_all_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The polynomial of a batch covers every head."""
    small, large = outlier(0.1, 50), outlier(1.9, 50)
    batch = Instance(heads_of([small, large]), small.scalars)

    def said() -> list[str]:
        result = batch.solve(epsilon=0.3, promise="gradient", heads_at_once=2)
        return complaints(result, large.truth, 0.3, 1)

    assert said() == []
    _change(
        monkeypatch,
        solve,
        "centre",
        lambda c: replace(c, radius=c.radius.amin().expand_as(c.radius)),
    )
    assert said() != []


BLOCKS = [(1, 1, 1, 1), (3, 2, 2, 5), (8, 4, 16, 7), (64, 7, 3, 1)]


@pytest.mark.parametrize(("longest", "shortest", "shortest_keys", "means"), BLOCKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_block_boundaries(
    monkeypatch: pytest.MonkeyPatch,
    longest: int,
    shortest: int,
    shortest_keys: int,
    means: int,
    dtype: torch.dtype,
) -> None:
    """Catches blocks that overlap, a last block left out, and features of an earlier block."""
    monkeypatch.setattr(plan, "_LONGEST_BLOCK", longest)
    monkeypatch.setattr(plan, "_SHORTEST_BLOCK", shortest)
    monkeypatch.setattr(plan, "_SHORTEST_KEY_BLOCK", shortest_keys)
    monkeypatch.setattr(statistics, "BLOCK", means)
    for contract in CONTRACTS:
        instance = generated(contract, {"L": 17, "M": 23, "d": 2, "r": 1}, 4, 0.4)
        assert checked(instance.to(dtype), epsilon=0.02, promise="gradient")


def test_blocks_of_features_within_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches rows of the first block of features in the place of those of the second."""
    monkeypatch.setattr(plan, "_FEATURE_BYTES", 1)
    instance = generated("aloragc", {"L": 600, "M": 300, "d": 1, "r": 1}, 5, 0.4)
    assert checked(instance, epsilon=1e-3)


# --- How good it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_natural_scale_is_not_much_too_small(contract: str, seed: int) -> None:
    """Catches a lower bound of nothing: zero is one."""
    instance = generated(contract, {"L": 10, "M": 12, "d": 2, "r": 1}, seed, 0.2)
    result = instance.solve(epsilon=1e-2)
    assert result.certificate is not None
    for name, natural in instance.truth.natural.items():
        assert float(result.certificate.natural_scale[name]) >= 0.3 * natural, name


@dataclass(frozen=True)
class Attained:
    """A problem of which the named outputs' certificates are attained but for a tenth."""

    instance: Instance
    epsilon: float
    outputs: tuple[str, ...]


ATTAINED = {
    "second moments": Attained(outlier(0.03125 * (1 - 2.0**-30), 1000), 0.03, QK_OUTPUTS),
    "residual": Attained(clusters(0.03125 * (1 - 2.0**-30), 10, None), 1e-5, QK_OUTPUTS),
    "values": Attained(clusters(0.03125 * (1 - 2.0**-30), 10, 1e4), 1e-5, V_OUTPUTS),
    "values, and a residual of nothing": Attained(
        clusters(0.03125 * (1 - 2.0**-30), 10, None), 1e-5, V_OUTPUTS
    ),
}


@pytest.mark.parametrize("name", ATTAINED)
def test_the_certificate_is_attained(name: str) -> None:
    """No certificate a tenth smaller would hold: this is what makes the mutants below fail, and
    says that none of the factors is there for safety."""
    case = ATTAINED[name]
    result = case.instance.solve(epsilon=case.epsilon, promise="gradient")
    assert complaints(result, case.instance.truth, case.epsilon) == []
    found = ratios(result, case.instance.truth)
    assert all(found[output] > 0.9 for output in case.outputs), found


# --- The backward form ----------------------------------------------------------------------------


def solved_and_run(instance: Instance, epsilon: float) -> tuple[Gradients, solve.Prepared]:
    """The gradients, and the run that they came from: the last one, if one was not enough."""
    runs = []
    original = solve.Prepared.sums

    def noted(run: solve.Prepared) -> Any:
        runs.append(run)
        return original(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solve.Prepared, "sums", noted)
        result = instance.solve(epsilon=epsilon)
    return result, runs[-1]


@given(
    seed=st.integers(0, 2**32 - 1),
    scores=st.sampled_from([0.01, 0.3, 1.0]),
    epsilon=st.sampled_from([0.5, 0.1, 1e-3]),
    width=st.integers(1, 3),
)
def test_the_outputs_are_those_of_probabilities_close_to_the_exact_ones(
    seed: int, scores: float, epsilon: float, width: int
) -> None:
    """|f~ - f| <= eta f entry by entry, and the closed form with f~ in the place of f gives the
    outputs. Catches rows that are not normalised, and an error that is absolute."""
    instance = generated("lora-attention", {"L": 5, "M": 6, "d": width, "r": 1}, seed, scores)
    try:
        result, run = solved_and_run(instance, epsilon)
    except OutOfReach:
        return
    assert result.certificate is not None
    eta = result.certificate.probability_error
    assert eta <= epsilon
    assert 2 * float(run.plan.delta) / (1 - float(run.plan.delta)) == eta
    f = LowRankIntermediates.of(run).dense().f.numpy()
    exact = instance.truth.probabilities
    far = exact.distance(f)[0]
    assert (far <= (eta + 1e-12) * exact.magnitude).all()
    for name, expected in closed_form(instance, f).items():
        error = np.abs(result.outputs[name].numpy() - expected).max()
        assert error <= 1e-11 * instance.truth.natural[name], name


def test_the_error_of_the_probabilities_is_attained() -> None:
    """eta is 2 delta / (1 - delta) and not delta: catches the error of exp taken for that of f.
    One key's probability is too large, those of nearly all are too small by as much."""
    instance = outlier(0.25 * (1 - 2.0**-30), 1000)
    result, run = solved_and_run(instance, 0.05)
    assert result.certificate is not None
    eta = result.certificate.probability_error
    f = LowRankIntermediates.of(run).dense().f.numpy()
    exact = instance.truth.probabilities
    largest = float((exact.distance(f)[0] / exact.magnitude).max())
    assert 0.4 * eta < largest <= eta + 1e-12


def closed_form(instance: Instance, f: Array) -> dict[str, Array]:
    """The gradients of contract `lora-attention` for any probabilities, in float64."""
    t = {name: tensor.numpy() for name, tensor in instance.tensors.items()}
    scaling, beta = instance.scalars["scaling"], instance.scalars["beta"]
    queries, keys, values = (
        t[f"x_{m}"] @ (t[f"w_{m}"] + scaling * t[f"b_{m}"] @ t[f"a_{m}"]) for m in "qkv"
    )
    c = f @ values - t["y"]
    q = c @ values.T
    p = beta * (f * q - (f * q).sum(1, keepdims=True) * f)
    weights = {
        "q": t["x_q"].T @ p @ keys,
        "k": t["x_k"].T @ p.T @ queries,
        "v": t["x_v"].T @ f.T @ c,
    }
    found = {}
    for m, weight in weights.items():
        found[f"grad_a_{m}"] = scaling * t[f"b_{m}"].T @ weight
        found[f"grad_b_{m}"] = scaling * weight @ t[f"a_{m}"].T
    return found


# --- What every rule is there for -----------------------------------------------------------------


def _change(patch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """What `owner.name` returns is changed."""
    original = getattr(owner, name)

    def changed(*arguments: Any, **options: Any) -> Any:
        return change(original(*arguments, **options))

    patch.setattr(owner, name, staticmethod(changed) if isinstance(owner, type) else changed)


Mutation = Callable[[pytest.MonkeyPatch], None]


def mutation(owner: Any, name: str, change: Callable[[Any], Any]) -> Mutation:
    return lambda patch: _change(patch, owner, name, change)


def rows_with(change: Callable[[RowBounds], RowBounds]) -> Mutation:
    return mutation(RowBounds, "of", change)


def machine_with(**changes: float) -> Mutation:
    return mutation(solve, "make_plan", lambda p: replace(p, machine=replace(p.machine, **changes)))


def one_query(dtype: torch.dtype) -> Instance:
    """Nothing is approximated: all scores are weights of the keys."""
    return generated("lora-attention", {"L": 1, "M": 40, "d": 2, "r": 1}, 3, 0.5).to(dtype)


def cancelling_values() -> Instance:
    """W_V is a millionth of W*_V and of s B_V A_V, and W*_V has no digits to spare."""
    instance = generated("lora-attention", {"L": 1, "M": 5, "d": 2, "r": 1}, 3, 0.5)
    tensors = instance.tensors
    tensors["a_v"] *= 1e9
    tensors["w_v"].copy_(tensors["w_v"] - 1.25 * (tensors["b_v"] @ tensors["a_v"]))
    return instance


def large_scores() -> Instance:
    """One query, and scores of about 1e7 that differ by little: each is off by about 1e-9."""
    instance = generated("lora-attention", {"L": 1, "M": 6, "d": 2, "r": 1}, 3, 0.5)
    instance.tensors["x_k"][:, 0] = 1.0
    instance.tensors["w_k"][0] += 1e7
    return instance


def thin() -> Instance:
    """The second coordinate contributes little to the scores: its monomials are left out."""
    queries = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    keys = torch.tensor([[0.06, 0.0], [-0.06, 0.0], [0.0, 0.02], [0.0, -0.02]])
    values = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    eye, adapter = torch.eye(2), 1e-6 * torch.ones(1, 2)
    tensors = {"x_q": queries, "x_k": keys, "x_v": values, "y": 1e3 * values}
    tensors |= {f"w_{m}": eye for m in "qkv"}
    tensors |= {f"a_{m}": adapter for m in "qkv"} | {f"b_{m}": adapter.mT for m in "qkv"}
    return Instance({n: t.double() for n, t in tensors.items()}, {"scaling": 1.0, "beta": 1.0})


def shifted() -> Instance:
    """Queries around a point far from zero: the keys have different weights."""
    instance = generated("lora-attention", {"L": 5, "M": 6, "d": 2, "r": 1}, 3, 0.3)
    instance.tensors["x_q"] += 3.0
    return instance


@dataclass(frozen=True)
class Mutant:
    """Wrong code, a problem on which it is seen, and what is seen."""

    mutate: Mutation
    instance: Callable[[], Instance]
    options: dict[str, Any]
    seen: str = "times what is certified"


GRADIENT = {"promise": "gradient"}

MUTANTS: dict[str, Mutant] = {
    "the error of exp is underrated": Mutant(
        mutation(solve, "make_plan", lambda p: replace(p, delta=p.delta / 50)),
        lambda: ATTAINED["second moments"].instance,
        {"epsilon": 0.03},
    ),
    "2 sigma(<v, c>) is taken once": Mutant(
        rows_with(lambda rows: replace(rows, approximation=rows.approximation / 2)),
        lambda: ATTAINED["second moments"].instance,
        {"epsilon": 0.03},
    ),
    "P without lambda: the residual is taken for exact": Mutant(
        mutation(KeyStatistics, "of", lambda s: replace(s, variance=0 * s.variance)),
        lambda: ATTAINED["residual"].instance,
        {"epsilon": 1e-5},
    ),
    "second moments without their growth: the keys as if equally likely": Mutant(
        rows_with(lambda rows: replace(rows, growth=0 * rows.growth)),
        lambda: outlier(2.0 * (1 - 2.0**-30), 1000),
        {"epsilon": 0.5},
    ),
    "half the radius: the polynomial is used outside its interval": Mutant(
        mutation(solve, "centre", lambda c: replace(c, radius=c.radius / 2)),
        lambda: ATTAINED["second moments"].instance,
        {"epsilon": 0.03},
    ),
    "the weights that the shift of the queries leaves behind are forgotten": Mutant(
        mutation(solve, "centre", lambda c: replace(c, weights=torch.ones_like(c.weights))),
        shifted,
        {"epsilon": 1e-3, **GRADIENT},
    ),
    "monomials left out are not counted": Mutant(
        mutation(polynomial, "anisotropic_index_set", lambda s: replace(s, dropped=0.0)),
        thin,
        {"epsilon": 0.2},
    ),
    "rounding of float32 features and sums is not counted": Mutant(
        machine_with(sums=0.0, contraction=0.0),
        lambda: one_query(torch.float32),
        {"epsilon": 0.1},
    ),
    "rounding in float64 is not counted": Mutant(
        machine_with(dust=0.0), cancelling_values, {"epsilon": 0.1}
    ),
    "rounding of the scores is not counted": Mutant(
        mutation(solve, "centre", lambda c: replace(c, score_error=0 * c.score_error)),
        large_scores,
        {"epsilon": 1e-2, **GRADIENT},
    ),
    "rounding of the outputs is not counted": Mutant(
        lambda patch: patch.setitem(results.OUTPUT_UNITS, torch.bfloat16, (0.0, 0.0)),
        lambda: one_query(torch.bfloat16),
        {"epsilon": 0.1, "features": torch.float64},
    ),
    "the natural scale from its upper bound": Mutant(
        rows_with(lambda rows: replace(rows, decay=1 + rows.growth)),
        lambda: generated("lora-attention", {"L": 5, "M": 6, "d": 2, "r": 1}, 3, 0.5),
        {"epsilon": 0.1},
        seen="above the true one",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate holds, and does not if the rule is left out: the checks above can fail."""
    mutant = MUTANTS[name]
    instance, epsilon = mutant.instance(), mutant.options["epsilon"]
    assert complaints(instance.solve(**mutant.options), instance.truth, epsilon) == []
    mutant.mutate(monkeypatch)
    said = complaints(instance.solve(**mutant.options), instance.truth, epsilon)
    assert any(mutant.seen in line for line in said), said
