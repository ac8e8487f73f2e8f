"""The proven bound on machines beyond IEEE: never exceeded by adversarial sums of a simulated
tensor core, reached within a small factor, and exceeded as soon as one of its rules is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import fsum, inf
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated, strategies_of
from loracle_reference.arithmetic.tensor_core import tensor_core_product
from loracle_reference.floating_point import (
    FORMATS,
    TF32,
    MachineModel,
    TensorCore,
    machine_model,
    round_to_format,
    truncate_to_format,
)

Array = npt.NDArray[np.float64]
Case = tuple[Array, Array]
Kernel = Callable[[Array, Array, MachineModel], Array]

MACHINES = [(m, d) for m in ("ampere", "hopper") for d in ("bfloat16", "float16", "float32")]
TERMS = 96
NEARLY = 1 - 2.0**-7
"""A little less than one, in every dtype."""


def _core(machine: MachineModel) -> TensorCore:
    assert machine.tensor_core is not None
    return machine.tensor_core


def _full_blocks(left: Array, right: Array, machine: MachineModel) -> Array:
    """Sums before they are stored."""
    if machine.storage.name != "float32":
        return tensor_core_product(left, right, _core(machine), machine.storage)
    left, right = truncate_to_format(left, TF32), truncate_to_format(right, TF32)
    return tensor_core_product(left, right, _core(machine), TF32)


def _padded(left: Array, right: Array, machine: MachineModel) -> Array:
    """One product and zeros in every instruction, as where short sums are added up."""
    return _full_blocks(left, right, replace(machine, tensor_core=replace(_core(machine), block=1)))


def _sliced(left: Array, right: Array, machine: MachineModel) -> Array:
    """Three slices of the inner dimension, whose sums are added in float32."""
    slices = (slice(0, 30), slice(30, 61), slice(61, None))
    first, second, third = (_full_blocks(left[:, s], right[s], machine) for s in slices)
    return round_to_format(round_to_format(first + second, "float32") + third, "float32")


KERNELS: tuple[Kernel, ...] = (_full_blocks, _padded, _sliced)


def _with_crumbs(first: tuple[float, float], crumbs: Array) -> Case:
    """One product, then crumbs; these in two factors, since one would be subnormal in float16."""
    left, right = crumbs * 2.0**12, np.full(TERMS, 2.0**-12)
    left[0], right[0] = first
    return left[None], right[:, None]


def crumbs_beside_one(machine: MachineModel) -> Case:
    """Each is cut off when it is aligned, and one a block at the end, when the sum is rounded."""
    core = _core(machine)
    crumbs = np.full(TERMS, NEARLY * 2.0**-core.fraction_bits)
    crumbs[1 :: core.block] = NEARLY * 2.0**-23
    return _with_crumbs((1.0, 1.0), crumbs)


def crumbs_below_a_place(machine: MachineModel) -> Case:
    """Each a little less than the last place of 1."""
    return _with_crumbs((1.0, 1.0), np.full(TERMS, NEARLY * 2.0**-23))


def beside_a_subnormal_operand(machine: MachineModel) -> Case:
    """The smallest number times a large one: its product is small, its exponent is not."""
    form = TF32 if machine.storage.name == "float32" else machine.storage
    large = 2.0 ** min(form.max_exponent, 120)
    aligned_to = form.smallest_normal * large
    crumbs = np.full(TERMS, NEARLY * aligned_to * 2.0 ** -_core(machine).fraction_bits)
    smallest = form.smallest_normal * 2.0 ** (1 - form.precision)
    left, right = _with_crumbs((smallest, large), crumbs)
    left[0, :: _core(machine).block], right[:: _core(machine).block, 0] = smallest, large
    return left, right


def operands_that_tf32_truncates(machine: MachineModel) -> Case:
    """1 + 2^-10 but for one last place; elsewhere the largest number below 2."""
    last = 2.0 ** (1 - machine.storage.precision)
    worst = 1 + 2.0**-10 - last if machine.storage.name == "float32" else 2 - last
    return np.full((1, TERMS), worst), np.full((TERMS, 1), worst)


def _random(machine: MachineModel, spread: float) -> Case:
    generator = np.random.default_rng(int(spread))

    def draw(*shape: int) -> Array:
        scales = 2.0 ** generator.uniform(-spread, spread, shape)
        drawn = generator.standard_normal(shape) * scales
        return round_to_format(drawn, machine.storage.name)

    return draw(20, TERMS), draw(TERMS, 20)


DESIGNED = (
    crumbs_beside_one,
    crumbs_below_a_place,
    beside_a_subnormal_operand,
    operands_that_tf32_truncates,
)


@cache
def _cases(machine: MachineModel) -> tuple[Case, ...]:
    """Designed sums with each sign pattern, and 1200 of random magnitudes."""
    alternating = np.where(np.arange(TERMS) % 2, -1.0, 1.0)
    designed = [design(machine) for design in DESIGNED]
    return (
        *designed,
        *((left * alternating, right) for left, right in designed),
        *(_random(machine, spread) for spread in (0.0, 6.0, 12.0)),
    )


def _errors(computed: Array, left: Array, right: Array) -> Array:
    """|computed - exact|, of products that are exact in float64."""
    errors = [
        abs(fsum([*(row * column), -value]))
        for row, values in zip(left, computed, strict=True)
        for column, value in zip(right.T, values, strict=True)
    ]
    return np.array(errors).reshape(computed.shape)


def _unstored_bound(machine: MachineModel, left: Array, right: Array) -> Array:
    """What the derivation says of the sum before it is stored."""
    exponent = TERMS * machine.accumulate
    growth = (1 + exponent / (1 - exponent)) * (1 + machine.operand_unit) ** 2 - 1
    left, right = np.abs(left), np.abs(right)
    read = left.sum(axis=1, keepdims=True) + right.sum(axis=0, keepdims=True)
    return np.asarray(growth * (left @ right) + machine.operand_loss * read * (1 + growth))


def _largest_ratio(
    machine: MachineModel, kernel: Kernel, cases: tuple[Case, ...], judged_by: MachineModel
) -> float:
    ratios = []
    for left, right in cases:
        error = _errors(kernel(left, right, machine), left, right)
        bound = _unstored_bound(judged_by, left, right)
        ratios.append(float((error / bound).max()))
    return max(ratios)


LEAST_REACHED = {_full_blocks: 0.7, _padded: 0.95, _sliced: 0.7}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("name", "dtype"), MACHINES)
def test_no_sum_exceeds_the_growth_and_the_worst_comes_near(
    name: str, dtype: str, kernel: Kernel
) -> None:
    """Before the sum is stored; catches a growth that is too small, or loose by more than a small
    factor."""
    machine = machine_model(name, dtype)
    reached = _largest_ratio(machine, kernel, _cases(machine), machine)
    assert LEAST_REACHED[kernel] <= reached <= 1


def _changed(**changes: Any) -> Callable[[MachineModel], MachineModel]:
    return lambda machine: replace(machine, **changes)


def _one_loss_an_instruction(machine: MachineModel) -> MachineModel:
    return replace(machine, accumulate=2.0**-23 / _core(machine).block)


def _rounding_to_nearest(machine: MachineModel) -> MachineModel:
    return replace(machine, accumulate=2.0**-24)


_LEFT_OUT = {
    "every product of a block may be cut off": (
        "bfloat16",
        _full_blocks,
        crumbs_beside_one,
        _one_loss_an_instruction,
    ),
    "sums are truncated": ("float16", _padded, crumbs_below_a_place, _rounding_to_nearest),
    "subnormal operands are not normalised": (
        "float16",
        _full_blocks,
        beside_a_subnormal_operand,
        _changed(operand_loss=0.0),
    ),
    "the same in TF32": (
        "float32",
        _full_blocks,
        beside_a_subnormal_operand,
        _changed(operand_loss=0.0, operand_unit=0.0),
    ),
    "operands are truncated": (
        "float32",
        _full_blocks,
        operands_that_tf32_truncates,
        _changed(operand_unit=2.0**-11),
    ),
}


@pytest.mark.parametrize("rule", _LEFT_OUT)
@pytest.mark.parametrize("name", ["ampere", "hopper"])
def test_without_the_rule_the_bound_is_exceeded(name: str, rule: str) -> None:
    """The attack notices each rule of the derivation."""
    dtype, kernel, design, without = _LEFT_OUT[rule]
    machine = machine_model(name, dtype)
    case = (design(machine),)
    assert _largest_ratio(machine, kernel, case, machine) <= 1
    assert _largest_ratio(machine, kernel, case, without(machine)) > 1


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("name", "dtype"), MACHINES)
def test_a_stored_product_stays_within_the_bound_of_the_rounding_arithmetic(
    name: str, dtype: str, kernel: Kernel
) -> None:
    """Also under `tf32`, which takes in the tensor cores' TF32 products."""
    machine = machine_model(name, dtype)
    judging = [machine] + ([machine_model("tf32", dtype)] if dtype == "float32" else [])
    for left, right in _cases(machine):
        stored = round_to_format(kernel(left, right, machine), dtype)
        overflown = ~np.isfinite(stored)
        error = _errors(np.where(overflown, 0.0, stored), left, right)
        for model in judging:
            rounding = Rounding(model)
            product = rounding.matrix(left) @ rounding.matrix(right)
            assert (overflown | (error <= product.error)).all()
            assert not (overflown.any() and product.overflow_free)


BEYOND_IEEE = [
    *MACHINES,
    ("tf32", "float32"),
    ("f16-accumulate", "float16"),
    *(("ftz", dtype) for dtype in FORMATS),
    ("hopper+ftz", "float16"),
    ("tf32+ftz", "float32"),
]


@pytest.mark.parametrize(("name", "dtype"), BEYOND_IEEE)
@given(seed=st.integers(0, 10**6), data=st.data(), near_zero=st.booleans())
def test_legal_evaluations_stay_within_the_bound(
    name: str, dtype: str, seed: int, data: st.DataObject, near_zero: bool
) -> None:
    """Attention's formulas by every strategy of the machine, of ordinary numbers and, for the
    flushes, of some that are near the smallest."""
    machine = machine_model(name, dtype)
    strategy = data.draw(st.sampled_from(strategies_of(machine)))
    generator = np.random.default_rng(seed)
    small = FORMATS[dtype].smallest_normal ** (0.4 if near_zero else 0)
    arrays = [
        round_to_format(generator.standard_normal(shape) * small, dtype)
        for shape in ((4, 20), (5, 20), (4, 5), (20, 20), (4, 1))
    ]

    def expression(q: Any, k: Any, v: Any, w: Any, column: Any) -> Any:
        f = (q @ (w + w.T.scale(0.75)) @ k.T).scale(0.125).softmax_rows()
        p = f * v - f.scale_rows(f.row_dot(v))
        return (p @ k).scale_rows(column) - (q @ w) * q

    float64 = Simulated("float64", STRATEGIES[5])
    exact = float64.array(expression(*(float64.matrix(a) for a in arrays)))
    rounding, simulated = Rounding(machine), Simulated(dtype, strategy, machine)
    bound = expression(*(rounding.matrix(a) for a in arrays))
    with np.errstate(over="ignore", invalid="ignore"):
        legal = simulated.array(expression(*(simulated.matrix(a) for a in arrays)))
    if not bound.overflow_free and not np.isfinite(legal).all():
        return
    scale = float(np.abs(exact).max())
    assert (np.abs(legal - exact) <= bound.error + 1e-13 * scale).all()


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_flushed_operand_needs_a_machine_that_flushes(dtype: str) -> None:
    """A subnormal number times a large one; catches +ftz that changes results alone."""
    form = FORMATS[dtype]
    left, right = np.array([[form.smallest_normal / 2]]), np.array([[2.0 ** (form.max_exponent)]])
    flushing = machine_model("ftz", dtype)
    simulated = Simulated(dtype, STRATEGIES[0], flushing)
    flushed = simulated.array(simulated.matrix(left) @ simulated.matrix(right))[0, 0]
    bounds = {}
    for name in ("widest", "ftz"):
        rounding = Rounding(machine_model(name, dtype))
        bounds[name] = (rounding.matrix(left) @ rounding.matrix(right)).error[0, 0]
    error = abs(flushed - left[0, 0] * right[0, 0])
    assert bounds["widest"] < error <= bounds["ftz"] < inf


def test_sums_in_float16_stagnate_and_are_allowed_to() -> None:
    """2048 + 1 = 2048: a sequential sum of ones, legal on f16-accumulate, proven wrong on a machine
    that accumulates in float32."""
    left, right = np.full((1, 24), 1.0), np.full((24, 1), 1.0)
    left[0, 0] = 2.0**11
    machine = machine_model("f16-accumulate", "float16")
    simulated = Simulated("float16", STRATEGIES[0], machine)
    stagnated = simulated.array(simulated.matrix(left) @ simulated.matrix(right))[0, 0]
    error = 2.0**11 + 23 - stagnated
    assert error == 23
    bounds = []
    for name in ("f16-accumulate", "hopper"):
        rounding = Rounding(machine_model(name, "float16"))
        bounds.append((rounding.matrix(left) @ rounding.matrix(right)).error[0, 0])
    assert bounds[1] < error <= bounds[0]
