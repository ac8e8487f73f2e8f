"""Matrix products as a tensor core sums them, to the bit, computed exactly in float64.

One instruction takes the accumulator c (float32) and the exact products p_i of a block of operand
pairs. With e_i the sum of the exponents of the two operands of p_i, e_c that of c, and e the
largest of all these, it returns

    RZ_float32( 2^(e - F) ( trunc(2^(F - e) c) + sum_i trunc(2^(F - e) p_i) ) ).

A product is not normalised first: its significand lies in [1, 4). A subnormal operand has the
exponent of the smallest normal number, and a zero that of the smallest normal float32. (The sources
are those of the machine models `ampere` and `hopper`.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loracle_reference.floating_point import (
    FORMATS,
    FloatFormat,
    TensorCore,
    truncate_to_format,
)

__all__ = ["tensor_core_product"]

Array = npt.NDArray[np.float64]

_FLOAT32 = FORMATS["float32"]
_EXPONENT_OF_ZERO = 1 - _FLOAT32.max_exponent


def tensor_core_product(
    left: Array, right: Array, core: TensorCore, operands: FloatFormat
) -> Array:
    """left @ right, float32 numbers as float64; one instruction after another along the inner
    dimension, from an accumulator of zero.

    left (m, k), right (k, n): numbers of the format `operands`, of at most 11 significand bits, so
    that products and sums are exact here. What is not finite comes out as in plain arithmetic.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        plain = left @ right
        left, right = (np.where(np.isfinite(side), side, 0.0) for side in (left, right))
        left_exponents, right_exponents = _exponents(left, operands), _exponents(right, operands)
        total = np.zeros_like(plain)
        for start in range(0, left.shape[1], core.block):
            block = slice(start, start + core.block)
            exponents = left_exponents[:, block, None] + right_exponents[None, block]
            products = left[:, block, None] * right[None, block]
            total = _instruction(total, products, exponents, core.fraction_bits)
        return np.where(np.isfinite(plain), total, plain)


def _instruction(
    accumulator: Array, products: Array, exponents: npt.NDArray[np.int64], fraction_bits: int
) -> Array:
    """Shapes: accumulator (m, n), products and exponents (m, block, n)."""
    largest = np.maximum(exponents.max(axis=1), _exponents(accumulator, _FLOAT32))
    scale = np.ldexp(1.0, fraction_bits - largest)
    whole = np.trunc(products * scale[:, None]).sum(axis=1) + np.trunc(accumulator * scale)
    return truncate_to_format(whole / scale, _FLOAT32)


def _exponents(values: Array, form: FloatFormat) -> npt.NDArray[np.int64]:
    _, exponents = np.frexp(values)
    smallest = 1 - form.max_exponent
    nominal = np.maximum(exponents.astype(np.int64) - 1, smallest)
    return np.where(values == 0, _EXPONENT_OF_ZERO, nominal)
