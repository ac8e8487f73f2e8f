"""Numbers as they are stored: exactly, and the same on every processor."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from loracle.errors import UsageError

__all__ = [
    "TOLERANCE_BITS",
    "as_float64",
    "bound_bits",
    "decoded_scalar",
    "encoded_scalar",
    "in_storage",
    "rounded_up",
    "storage_dtype",
]

Array = npt.NDArray[np.float64]

TOLERANCE_BITS = 10
"""Significant bits of a tolerance, which is rounded up to them: its last digits depend on the order
in which a processor's BLAS adds up, and a file should not."""


def bound_bits(dtype: str) -> int:
    """The same of a bound. In float64 the BLAS moves it by up to two thousandths: its own rounding
    is of the size of what it bounds."""
    return 8 if dtype == "float64" else 20


def encoded_scalar(value: Any) -> str | int | bool:
    """A float as hexadecimal text, exactly; whole numbers and truth values as they are."""
    return value.hex() if isinstance(value, float) else value


def decoded_scalar(value: str | int | bool) -> Any:
    """The inverse; raises ValueError on a text that is no hexadecimal float."""
    return float.fromhex(value) if isinstance(value, str) else value


def storage_dtype(dtype: str) -> np.dtype[Any]:
    """The numpy dtype behind the name; bfloat16 is that of ml_dtypes."""
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def in_storage(values: Array, dtype: str) -> npt.NDArray[Any]:
    """The values in the dtype, in which they are exact; raises ValueError if they are not."""
    with np.errstate(over="ignore"):
        stored = values.astype(storage_dtype(dtype))
    if not np.array_equal(stored.astype(np.float64), values):
        raise ValueError(f"values that are not exact in {dtype}")
    return np.ascontiguousarray(stored)


def as_float64(result: Any) -> Array:
    """A kernel's result (a torch tensor, or anything that numpy makes an array of) as float64,
    exactly for the dtypes of vectors. Raises UsageError if it is not one of real numbers."""
    if hasattr(result, "detach"):
        result = result.detach().to("cpu").double().numpy()
    try:
        return np.asarray(result).astype(np.float64, casting="unsafe")
    except (TypeError, ValueError):
        raise UsageError(
            f"a result must be an array of numbers, not {type(result).__name__}"
        ) from None


def rounded_up(values: Array, bits: int) -> Array:
    """The least numbers of so many significant bits that are not smaller; infinity stays."""
    significand, exponent = np.frexp(values)
    with np.errstate(over="ignore"):
        up = np.ldexp(np.ceil(np.ldexp(significand, bits)), exponent - bits)
    # Among subnormal numbers there are fewer bits than that, and ldexp rounds to nearest.
    return np.asarray(np.maximum(up, values))
