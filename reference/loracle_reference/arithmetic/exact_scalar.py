"""Exact scalars as fractions: what an entry or a factor is before any rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.protocol import Entries, Scalar

__all__ = ["as_float_array", "as_fraction", "nearest_float"]


def as_fraction(value: Scalar) -> Fraction:
    """The rational number that `value` is, a float being the binary number it is.

    Raises ValueError if it is infinite or NaN, TypeError if it is not a rational number.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if getattr(value, "is_Rational", False):
        return Fraction(int(value.p), int(value.q))
    if not isinstance(value, int | float | Fraction):
        raise TypeError(f"expected an exact number (int, float or Fraction), got {value!r}")
    try:
        return Fraction(value)
    except (OverflowError, ValueError):
        raise ValueError(f"a matrix entry or a factor must be finite, got {value!r}") from None


def nearest_float(value: Fraction) -> float:
    """The fraction rounded to float64, infinite where it is too large."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def as_float_array(entries: Entries) -> npt.NDArray[np.float64] | None:
    """A fresh float64 array if every entry is exactly one by its type, else None.

    Raises ValueError unless the entries are two-dimensional, with no empty side, and finite.
    """
    if not isinstance(entries, np.ndarray) or entries.dtype.kind not in "fb":
        return None
    if entries.dtype.kind == "f" and entries.dtype.itemsize > 8:
        return None
    if entries.ndim != 2 or 0 in entries.shape:
        raise ValueError(
            f"a matrix needs two dimensions and at least one row and column, got {entries.shape}"
        )
    array = np.array(entries, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        raise ValueError("the entries of a matrix must be finite")
    return array
