"""The formats that a kernel may have put in place of the dtype, TF32 among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loracle_reference.floating_point import FORMATS, round_to_format

__all__ = ["PRECISIONS", "coarser_than", "cut_to_tf32", "rounded"]

PRECISIONS = {**{name: form.precision for name, form in FORMATS.items()}, "tf32": 11}
"""Bits of the significand, the hidden one included. TF32 has the range of float32."""

_SAID = ("float32", "tf32", "float16", "bfloat16")


def coarser_than(dtype: str) -> tuple[str, ...]:
    """The formats with fewer bits than the dtype, finest first."""
    return tuple(name for name in _SAID if PRECISIONS[name] < PRECISIONS[dtype])


def rounded(values: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """To nearest, ties to even, in a format of this module."""
    return _to_tf32(values, np.rint) if name == "tf32" else round_to_format(values, name)


def cut_to_tf32(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Toward zero, as where a tensor core leaves the lower bits of float32 unread."""
    return _to_tf32(values, np.trunc)


def _to_tf32(values: npt.NDArray[np.float64], to_integer: np.ufunc) -> npt.NDArray[np.float64]:
    _, exponent = np.frexp(values)
    spacing = exponent - PRECISIONS["tf32"]
    return np.asarray(np.ldexp(to_integer(np.ldexp(values, -spacing)), spacing))
