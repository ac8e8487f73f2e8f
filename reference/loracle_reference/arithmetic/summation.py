"""How the entries of one step of an evaluation plan were added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Summation"]

Array = npt.NDArray[np.float64]

_UP = 1 + 2.0**-48


@dataclass(frozen=True)
class Summation:
    """What a kernel that treats the terms of a sum one by one may err by.

    gross: at least the sum of the magnitudes of the terms of an entry, which is |entry| where there
    is one term. terms: how many there are. reach: what a loss of one in every entry of one factor
    of a product adds up to, at least 1. drift: how far two evaluations of the same product may be
    from the exact product of their common operands, where a kernel may evaluate it twice.
    """

    gross: Array
    terms: int
    reach: float
    drift: Array

    @classmethod
    def single(cls, magnitude: Array) -> Summation:
        """Entries of one term each."""
        return cls(magnitude, 1, 1.0, np.zeros_like(magnitude))

    @property
    def transposed(self) -> Summation:
        """That of the transpose."""
        return Summation(self.gross.T, self.terms, self.reach, self.drift.T)

    def stored(self, unit: float) -> Summation:
        """Rounded with the relative error `unit`, and kept: nothing is evaluated twice."""
        gross = self.gross * ((1 + unit) * _UP)
        return Summation(gross, self.terms, self.reach, np.zeros_like(gross))

    def scaled(self, size: float, error: Array) -> Summation:
        """Times a number of that magnitude, with that error; what was kept stays so."""
        drift = (self.drift * size + error) * _UP if self.drift.any() else self.drift
        return Summation(self.gross * (size * _UP), self.terms, self.reach, drift)
