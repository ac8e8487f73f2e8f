"""f, c, q, p1 and p2 of the exact kernel: within proven rounding bounds, and within the corrected
bounds of Lemmas 3.3 to 3.7, F.5 to F.9."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from unittest import mock

import pytest
import torch
from hypothesis import given

from loracle.generation import generate
from loracle.kernels import exact
from loracle.kernels.exact import Intermediates
from loracle.kernels.projection import project
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import machine_model

from .core_cases import a_case, indices, seeds
from .devices import DEVICES
from .lemma_operands import DTYPES, REGIMES, brackets, drawn, dtypes, few, nearby, square_operands
from .lemmas import (
    BALL,
    BRACKETS,
    NAMES,
    Array,
    Bracket,
    Operands,
    Truth,
    arrays,
    evaluated_exactly,
    projected,
    refuted,
    specification,
    specified,
)
from .wrong_intermediates import WRONG


def outside(
    found: Mapping[str, Array], truth: Mapping[str, Enclosure], bounds: Mapping[str, Array]
) -> set[str]:
    """The names of the matrices that provably exceed their bounds somewhere."""
    return {n for n in NAMES if (truth[n].distance(found[n])[0] > bounds[n]).any()}


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
