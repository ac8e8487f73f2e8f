"""Exact values: rationals, and sympy expressions where symbols or exponentials come in."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.object_matrix import ObjectMatrix
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Scalar, rows_of

__all__ = ["Exact", "ExactMatrix"]

ObjectArray = npt.NDArray[Any]


class ExactMatrix(ObjectMatrix):
    """An object array of Fractions and sympy expressions; nothing is ever rounded."""

    def _like(self, values: ObjectArray) -> ExactMatrix:
        return ExactMatrix(values)

    def _scalar(self, factor: Scalar) -> Any:
        return _exact(factor)

    def _exp(self, value: Any) -> Any:
        if value == 0:
            return Fraction(1)
        return sympy.exp(_as_sympy(value))

    def _divide(self, value: Any, divisor: Any) -> Any:
        if divisor == 0 or getattr(divisor, "is_zero", False):
            raise ZeroDivisionError("division by an entry that is exactly zero")
        return value / divisor


class Exact(Arithmetic[ExactMatrix]):
    """Fractions, and sympy expressions for symbols and for exponentials of anything but 0.

    A symbolic divisor is refused only if sympy knows that it is zero: for any other the result is
    the formal quotient.
    """

    name = "exact"

    def matrix(self, entries: Entries) -> ExactMatrix:
        """Numbers enter as the rationals they are, sympy expressions without floats as themselves.

        Raises ValueError unless the entries are two-dimensional and finite.
        """
        rows = rows_of(entries)
        values = np.empty((len(rows), len(rows[0])), dtype=object)
        for index, row in enumerate(rows):
            values[index] = [_exact(entry) for entry in row]
        return ExactMatrix(values)

    def array(self, matrix: ExactMatrix) -> ObjectArray:
        """A copy of the values, an object array of Fractions and sympy expressions."""
        return matrix.values.copy()


def _exact(value: Scalar) -> Any:
    """A Fraction, or a sympy expression that is no rational; raises TypeError on a sympy float."""
    if isinstance(value, sympy.Expr) and not value.is_Rational:
        if value.has(sympy.Float):
            raise TypeError(f"{value} holds a rounded number; give it as a rational")
        return value
    return as_fraction(value)


def _as_sympy(value: Any) -> Any:
    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    return value
