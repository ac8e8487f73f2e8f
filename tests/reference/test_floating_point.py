"""Formats, rounding to them, and machine models by name."""

from __future__ import annotations

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
    machine_model,
    round_to_format,
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


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_rounds_at_least_as_finely_inside_as_it_stores(machine: str, dtype: str) -> None:
    """And a stored unit covers a rounding in the wider format first."""
    model = machine_model(machine, dtype)
    assert model.accumulate <= model.stored_unit
    assert FORMATS[dtype].unit_roundoff < model.stored_unit < 1.01 * FORMATS[dtype].unit_roundoff


def test_the_block_length_is_read_from_the_name() -> None:
    """f32-accumulate:128."""
    assert machine_model("f32-accumulate:128", "bfloat16").block == 128
    assert machine_model("f32-accumulate", "bfloat16").block is None


@pytest.mark.parametrize(
    ("name", "dtype", "says"),
    [
        ("weird", "float32", "widest, f32-accumulate"),
        ("widest:4", "float32", "unknown machine"),
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
