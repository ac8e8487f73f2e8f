"""float16 arithmetic on large arrays, bit for bit numpy's, in float32.

numpy converts float16 entry by entry, without vector instructions. One operation in float16 is the
operation in float32 and a rounding, and that rounding is a few float32 operations:
(x + m) - m with m = 1.5 * 2^(e + 13) for 2^e <= |x| < 2^(e+1), since the spacing of float32 around
m, 2^(e - 10), is that of float16 around x.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["rounded_to_float16"]

Array = npt.NDArray[np.float32]

_EXPONENT_BITS = np.int32(0x7F800000)
_SMALLEST_NORMAL = np.float32(2.0**-14).view(np.int32)
_BEYOND = np.float32(2.0**16).view(np.int32)
_LARGEST = np.float32(65504)


def rounded_to_float16(values: Array) -> Array:
    """Each value rounded to the nearest float16, ties to even, as float32; overflow is infinite.

    Shape and signs (of zeros too) are kept.
    """
    bits = np.bitwise_and(values.view(np.int32), _EXPONENT_BITS)
    # Below the smallest normal number the spacing stays; from 2^16 on everything overflows.
    np.clip(bits, _SMALLEST_NORMAL, _BEYOND, out=bits)
    shift = bits.view(np.float32)
    shift *= np.float32(1.5 * 2**13)
    rounded: Array = values + shift
    rounded -= shift
    np.copysign(rounded, values, out=rounded)
    overflows = np.abs(rounded, out=shift) > _LARGEST
    if overflows.any():
        rounded[overflows] = np.copysign(np.float32(np.inf), values[overflows])
    return rounded
