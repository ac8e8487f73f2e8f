"""Arbitrary-precision values through mpmath: the second opinion, without any claim of an error."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.object_matrix import ObjectMatrix
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Scalar, rows_of

__all__ = ["Multiprecision", "MultiprecisionMatrix"]

ObjectArray = npt.NDArray[Any]


class MultiprecisionMatrix(ObjectMatrix):
    """Numbers of one mpmath context; each operation is rounded to its precision."""

    def __init__(self, values: ObjectArray, context: Any) -> None:
        super().__init__(values)
        self.context = context

    def _like(self, values: ObjectArray) -> MultiprecisionMatrix:
        return MultiprecisionMatrix(values, self.context)

    def _scalar(self, factor: Scalar) -> Any:
        return _number(self.context, factor)

    def _exp(self, value: Any) -> Any:
        return self.context.exp(value)

    def _divide(self, value: Any, divisor: Any) -> Any:
        return value / divisor

    def _dot(self, left: ObjectArray, right: ObjectArray) -> Any:
        # fdot adds up exactly and rounds once.
        return self.context.fdot(left, right)

    def _require_compatible(self, other: MultiprecisionMatrix) -> None:
        if other.context.prec != self.context.prec:
            raise TypeError(
                f"cannot mix numbers of {self.context.prec} bits with numbers of "
                f"{other.context.prec} bits"
            )


class Multiprecision(Arithmetic[MultiprecisionMatrix]):
    """mpmath numbers of `precision` bits, in a context of their own.

    Raises ValueError if the precision is below 2 bits.
    """

    name = "multiprecision"

    def __init__(self, precision: int = 212) -> None:
        if precision < 2:
            raise ValueError(f"the precision must be at least 2 bits, got {precision}")
        self.context: Any = mpmath.mp.clone()
        self.context.prec = precision

    @property
    def precision(self) -> int:
        """Bits of the significand."""
        return int(self.context.prec)

    def matrix(self, entries: Entries) -> MultiprecisionMatrix:
        """Entries rounded to the precision (float64 numbers are exact from 53 bits on).

        Raises ValueError unless they are two-dimensional and finite.
        """
        rows = [[_number(self.context, entry) for entry in row] for row in rows_of(entries)]
        return MultiprecisionMatrix(np.array(rows, dtype=object), self.context)

    def array(self, matrix: MultiprecisionMatrix) -> ObjectArray:
        """A copy of the values, an object array of mpmath numbers of the matrix's shape."""
        return matrix.values.copy()


def _number(context: Any, value: Scalar) -> Any:
    """The rational rounded to the context's precision."""
    fraction = as_fraction(value)
    return context.mpf(fraction.numerator) / context.mpf(fraction.denominator)
