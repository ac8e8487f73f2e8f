"""The simulated tensor core against hand-made sums and against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import floor, inf

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic.tensor_core import tensor_core_product
from loracle_reference.floating_point import (
    FORMATS,
    TF32,
    FloatFormat,
    TensorCore,
    machine_model,
    round_to_format,
    truncate_to_format,
)

Array = npt.NDArray[np.float64]

HOPPER, AMPERE = TensorCore(16, 25), TensorCore(8, 24)
BFLOAT16, FLOAT16 = FORMATS["bfloat16"], FORMATS["float16"]


def sum_of(terms: list[float], core: TensorCore, operands: FloatFormat = BFLOAT16) -> float:
    """The terms, as products with one."""
    row = np.array([terms])
    return float(tensor_core_product(row, np.ones((len(terms), 1)), core, operands)[0, 0])


@pytest.mark.parametrize(("core", "bits"), [(HOPPER, 25), (AMPERE, 24)])
def test_within_a_block_the_fraction_bits_are_kept_and_no_more(core: TensorCore, bits: int) -> None:
    """1 + 2^-bits - 1, in any order; catches a block that is summed one by one."""
    for small, expected in ((2.0**-bits, 2.0**-bits), (2.0 ** -(bits + 1), 0.0)):
        for terms in ([1.0, small, -1.0], [small, 1.0, -1.0], [-1.0, 1.0, small]):
            assert sum_of(terms, core) == expected


def test_between_blocks_the_sum_is_truncated_to_float32() -> None:
    """1 + 0.75 ulp, then -1 in the next block: rounding to nearest would give one ulp."""
    small = 1.5 * 2.0**-24
    for sign in (1.0, -1.0):
        terms = [sign, sign * small, *[0.0] * 14, -sign]
        assert sum_of(terms, HOPPER) == 0
        assert sum_of(terms, TensorCore(32, 25)) == sign * small


def test_a_product_is_aligned_by_the_exponents_of_its_operands() -> None:
    """1.5 * 1.5 = 2.25 counts as 2^0, so that 2^-25 is kept beside it."""
    left, right = np.array([[1.5, 2.0**-25, -1.5]]), np.array([[1.5], [1.0], [1.5]])
    assert tensor_core_product(left, right, HOPPER, BFLOAT16)[0, 0] == 2.0**-25
    assert sum_of([2.0, 2.0**-25, -2.0], HOPPER) == 0


def test_a_subnormal_operand_counts_as_the_smallest_normal_one() -> None:
    """2^-24 * 2^15 = 2^-9 in float16 has the exponent -14 + 15, so that 2^-25 is lost beside it."""
    left = np.array([[2.0**-24, 2.0**-13, -(2.0**-24)]])
    right = np.array([[2.0**15], [2.0**-12], [2.0**15]])
    assert tensor_core_product(left, right, HOPPER, FLOAT16)[0, 0] == 0
    left[:, ::2] *= 2.0**10
    right[::2] *= 2.0**-10
    assert tensor_core_product(left, right, HOPPER, FLOAT16)[0, 0] == 2.0**-25


def test_what_is_not_finite_stays_so() -> None:
    """An infinity, a NaN, and a sum beyond float32, beside a finite row."""
    left = np.array([[inf, 1.0], [np.nan, 1.0], [2.0**127, 2.0**127], [1.0, 1.0]])
    product = tensor_core_product(left, np.ones((2, 1)), HOPPER, BFLOAT16)[:, 0]
    assert product[0] == product[2] == inf
    assert np.isnan(product[1])
    assert product[3] == 2


def _exactly(left: Array, right: Array, core: TensorCore, operands: FloatFormat) -> float:
    """One entry, in rational arithmetic, by the definition."""

    def exponent(value: float, form: FloatFormat) -> int:
        if value == 0:
            return -126
        return max(int(np.frexp(value)[1]) - 1, 1 - form.max_exponent)

    def cut(value: Fraction, spacing: Fraction) -> Fraction:
        return spacing * (floor(abs(value) / spacing) * (1 if value > 0 else -1))

    total = Fraction(0)
    for start in range(0, len(left), core.block):
        pairs = list(zip(left[start:][: core.block], right[start:][: core.block], strict=True))
        exponents = [exponent(a, operands) + exponent(b, operands) for a, b in pairs]
        largest = max(*exponents, exponent(float(total), FORMATS["float32"]))
        terms = [total, *(Fraction(float(a)) * Fraction(float(b)) for a, b in pairs)]
        exact = sum(cut(term, Fraction(2) ** (largest - core.fraction_bits)) for term in terms)
        spacing = max(exponent(float(exact), FORMATS["float32"]), -126) - 23
        total = cut(Fraction(exact), Fraction(2) ** spacing)
    return float(total)


@given(
    seed=st.integers(0, 10**6),
    machine=st.sampled_from(["ampere", "hopper"]),
    dtype=st.sampled_from(["bfloat16", "float16", "float32"]),
    spread=st.sampled_from([0.0, 4.0, 12.0]),
)
def test_it_is_the_definition(seed: int, machine: str, dtype: str, spread: float) -> None:
    """Entry by entry in fractions; magnitudes over 2^(+-spread), subnormal operands in float16."""
    core = machine_model(machine, dtype).tensor_core
    assert core is not None
    generator = np.random.default_rng(seed)
    form = TF32 if dtype == "float32" else FORMATS[dtype]

    def draw(*shape: int) -> Array:
        scales = 2.0 ** generator.uniform(-spread, spread, shape)
        values = round_to_format(generator.standard_normal(shape) * scales, dtype)
        return truncate_to_format(values, form) * (generator.random(shape) > 0.1)

    left, right = draw(2, 37), draw(37, 2)
    product = tensor_core_product(left, right, core, form)
    for i in range(2):
        for j in range(2):
            assert product[i, j] == _exactly(left[i], right[:, j], core, form)
