"""Formats, rounding to them, and machine models by name."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.floating_point import (
    FORMATS,
    MACHINES,
    NUMPY_DTYPES,
    TF32,
    TensorCore,
    machine_dtypes,
    machine_model,
    round_to_format,
    truncate_to_format,
)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_format_agrees_with_the_dtype_of_its_name(dtype: str) -> None:
    """u, the smallest normal and the largest number, against what the dtype itself says."""
    info = ml_dtypes.finfo(NUMPY_DTYPES[dtype])
    assert FORMATS[dtype].unit_roundoff == float(info.eps) / 2
    assert FORMATS[dtype].smallest_normal == float(info.smallest_normal)
    assert FORMATS[dtype].largest == float(info.max)


@given(value=st.floats(-6e4, 6e4), dtype=st.sampled_from(tuple(FORMATS)))
def test_rounding_is_to_nearest(value: float, dtype: str) -> None:
    """|round(x) - x| <= max(u |x|, half the smallest subnormal); and a second rounding changes
    nothing. Catches truncation and double rounding through float32."""
    rounded = float(round_to_format(value, dtype))
    form = FORMATS[dtype]
    half_subnormal = Fraction(form.smallest_normal) * Fraction(form.unit_roundoff)
    distance = abs(Fraction(rounded) - Fraction(value))
    assert distance <= max(abs(Fraction(value)) * Fraction(form.unit_roundoff), half_subnormal)
    assert float(round_to_format(rounded, dtype)) == rounded


def test_ties_go_to_even_and_overflow_to_infinity() -> None:
    """1 + u and 1 + 3u in bfloat16; beyond the largest float16."""
    u = FORMATS["bfloat16"].unit_roundoff
    np.testing.assert_array_equal(round_to_format([1 + u, 1 + 3 * u], "bfloat16"), [1.0, 1 + 4 * u])
    assert np.isinf(round_to_format([7e4], "float16")).all()


def test_one_rounding_is_to_the_dtype_itself() -> None:
    """1 + u + 2^-30 rounds up in bfloat16; through float32 it would first become a tie, and go
    down."""
    value = 1 + FORMATS["bfloat16"].unit_roundoff + 2.0**-30
    assert float(round_to_format(value, "bfloat16")) > 1


MODELS = [(machine, dtype) for machine in MACHINES for dtype in machine_dtypes(machine)]


@pytest.mark.parametrize(("machine", "dtype"), MODELS)
def test_a_machine_rounds_at_least_as_finely_inside_as_it_stores(machine: str, dtype: str) -> None:
    """And a stored unit covers a rounding in the wider format first. Only a tensor core, which
    truncates, adds float32 numbers up less exactly than it stores them."""
    model = machine_model(machine, dtype)
    truncating = model.tensor_core is not None and dtype == "float32"
    assert (model.accumulate > model.stored_unit) == truncating
    assert FORMATS[dtype].unit_roundoff < model.stored_unit < 1.01 * FORMATS[dtype].unit_roundoff


@pytest.mark.parametrize(("machine", "dtype"), MODELS)
def test_a_machine_says_what_it_is_and_where_its_numbers_come_from(
    machine: str, dtype: str
) -> None:
    """With the address of a publication where they were measured."""
    model = machine_model(machine, dtype)
    assert model.name == machine
    assert model.storage is FORMATS[dtype]
    assert model.description
    assert ("https://" in model.source) == (machine not in ("widest", "f32-accumulate"))


@pytest.mark.parametrize(
    ("machine", "dtype", "block", "bits"),
    [
        ("ampere", "bfloat16", 8, 24),
        ("ampere", "float16", 8, 24),
        ("ampere", "float32", 4, 24),
        ("hopper", "bfloat16", 16, 25),
        ("hopper", "float16", 16, 25),
        ("hopper", "float32", 8, 25),
    ],
)
def test_the_tensor_cores_are_those_that_were_measured(
    machine: str, dtype: str, block: int, bits: int
) -> None:
    assert machine_model(machine, dtype).tensor_core == TensorCore(block, bits)


def test_the_growth_of_a_sum_counts_every_product_and_the_operands_that_are_read() -> None:
    """On TF32: n 2^-23 + 2^-24 for the sum, 2 * 2^-10 for the operands, to one part in a
    thousand."""
    model = machine_model("tf32", "float32")
    summed = 100 * 2.0**-23 + 2.0**-24
    for operands in (0, 1, 2):
        expected = summed + operands * 2.0**-10
        assert model.sum_growth(100, operands=operands) == pytest.approx(expected, rel=1e-3)
    assert model.sum_growth(100) == model.sum_growth(100, operands=2)
    assert math.isinf(model.sum_growth(2**23))


def test_blocks_are_stored_once_each() -> None:
    """Of 100 products, 7 blocks of 16."""
    model = machine_model("f32-accumulate:16", "bfloat16")
    exponent = 16 * model.accumulate + 7 * model.stored_unit
    assert model.sum_growth(100) == pytest.approx(exponent / (1 - exponent), rel=1e-12)


@pytest.mark.parametrize("dtype", FORMATS)
def test_ftz_flushes_operands_and_results_and_changes_nothing_else(dtype: str) -> None:
    """ftz alone is widest+ftz; in float16 widest alone keeps subnormal numbers."""
    smallest = FORMATS[dtype].smallest_normal
    plain, flushing = machine_model("widest", dtype), machine_model("widest+ftz", dtype)
    assert flushing.loss == flushing.operand_loss == smallest
    assert plain.operand_loss == 0
    assert (plain.loss < smallest) == (dtype == "float16")
    assert replace(machine_model("ftz", dtype), name="widest+ftz") == flushing
    same = {"loss": plain.loss, "operand_loss": 0.0, "description": plain.description}
    assert replace(flushing, name="widest", **same) == plain


def test_ftz_goes_with_every_name() -> None:
    """A block length included."""
    model = machine_model("f32-accumulate:64+ftz", "bfloat16")
    assert (model.name, model.block) == ("f32-accumulate:64+ftz", 64)
    assert machine_model("hopper+ftz", "float16").loss == 2.0**-14


@given(value=st.floats(-1e30, 1e30))
def test_truncation_is_toward_zero(value: float) -> None:
    """To ten fraction bits: the same sign, less than one place below, and a fixed point."""
    truncated = float(truncate_to_format(value, TF32))
    assert abs(truncated) <= abs(value)
    assert abs(value) - abs(truncated) <= max(2.0**-10 * abs(value), 2.0**-136)
    assert float(truncate_to_format(truncated, TF32)) == truncated
    assert float(round_to_format(truncated, TF32)) == truncated


def test_the_block_length_is_read_from_the_name() -> None:
    """f32-accumulate:128."""
    assert machine_model("f32-accumulate:128", "bfloat16").block == 128
    assert machine_model("f32-accumulate", "bfloat16").block is None


@pytest.mark.parametrize(
    ("name", "dtype", "says"),
    [
        ("weird", "float32", "widest, f32-accumulate"),
        ("widest:4", "float32", "unknown machine"),
        ("hopper:16", "bfloat16", "unknown machine"),
        ("weird+ftz", "float32", r"unknown machine 'weird\+ftz'.* ftz alone"),
        ("hopper", "float64", "'hopper' is made for float32, bfloat16, float16, not for float64"),
        ("tf32", "bfloat16", "'tf32' is made for float32, not for bfloat16"),
        ("f16-accumulate+ftz", "float32", "is made for float16, not for float32"),
        ("f32-accumulate:0", "float32", "at least 1"),
        ("f32-accumulate:x", "float32", "at least 1"),
        ("widest", "float8", "float64, float32, bfloat16, float16"),
    ],
)
def test_an_unknown_machine_or_dtype_is_named_with_what_there_is(
    name: str, dtype: str, says: str
) -> None:
    """One line, ValueError."""
    with pytest.raises(ValueError, match=says):
        machine_model(name, dtype)


def test_rounding_to_an_unknown_dtype_is_refused() -> None:
    """One line, ValueError."""
    with pytest.raises(ValueError, match="known: float64"):
        round_to_format([1.0], "float8")
