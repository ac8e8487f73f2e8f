"""Random draws that every generator shares. All arrays are float64, not yet rounded to a dtype."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "LARGE_SCALINGS",
    "SCALINGS",
    "SQUARE_SCALINGS",
    "Raw",
    "Sizes",
    "gaussian",
    "is_sharp",
    "positive",
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


_SHARP = 5


def is_sharp(index: int) -> bool:
    """Whether the designed case of that index is one of those whose bounds are the narrowest: the
    last of every six."""
    return index % 6 == _SHARP


@dataclass(frozen=True)
class Raw:
    """Inputs before rounding to the dtype; scalars are exact in every dtype already."""

    tensors: dict[str, Array]
    scalars: dict[str, float]


def gaussian(generator: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Independent normal entries of standard deviation `scale`."""
    return np.asarray(generator.standard_normal(shape) * scale)


def positive(generator: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Independent entries, uniform between scale / 2 and scale."""
    return np.asarray(generator.uniform(0.5, 1.0, shape) * scale)
