"""Random draws that every generator shares. All arrays are float64, not yet rounded to a dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = [
    "LARGE_SCALINGS",
    "SCALINGS",
    "SMALLEST",
    "SQUARE_SCALINGS",
    "Array",
    "Raw",
    "Sizes",
    "different_rows",
    "gaussian",
    "is_sharp",
    "positive",
    "signed_integers",
]

Array = npt.NDArray[np.float64]
Sizes = Mapping[str, int]

SCALINGS = (1.5, 1.25, -0.75)
"""Exact in every dtype, and never 1, 2, 1/2 or 1/r: those would hide a missing, doubled or inverted
scaling."""

SQUARE_SCALINGS = (2.25, 1.5625, -0.5625)
"""The same, and with a root that is exact too: where many cases are averaged, a kernel that applies
the rounded root on two sides would be biased."""

LARGE_SCALINGS = (2.75, -3.25)
"""Beyond what a kernel might clamp to, and exact likewise."""


SMALLEST = (2.0**-18, 2.0**-130, 2.0**-1026)
"""A sixteenth of the smallest normal number of float16, of bfloat16 and float32, of float64. The
reciprocal of a number of this size overflows in its format."""

_SHARP = 5


def is_sharp(index: int) -> bool:
    """Whether the designed case of that index is one of those whose bounds are the narrowest: the
    last of every six."""
    return index % 6 == _SHARP


@dataclass(frozen=True)
class Raw:
    """Inputs before rounding to the dtype; scalars are exact in every dtype already. layouts: see
    `Inputs`."""

    tensors: dict[str, Array]
    scalars: dict[str, float]
    layouts: dict[str, str] = field(default_factory=dict)


def gaussian(generator: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Independent normal entries of standard deviation `scale`."""
    return np.asarray(generator.standard_normal(shape) * scale)


def positive(generator: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Independent entries, uniform between scale / 2 and scale."""
    return np.asarray(generator.uniform(0.5, 1.0, shape) * scale)


def signed_integers(generator: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Independent entries, -3 to 3 without 0, times a scale that is to be a power of two."""
    sizes = generator.integers(1, 4, shape) * (2 * generator.integers(0, 2, shape) - 1)
    return np.asarray(sizes * scale, dtype=np.float64)


def different_rows(generator: np.random.Generator, rows: int, count: int) -> Sequence[int]:
    """`count` different ones of that many rows."""
    return [int(row) for row in generator.permutation(rows)[:count]]
