"""Rational entries at speed, exp being an uninterpreted function with rational values.

What is an identity of pure algebra must hold whatever function stands for exp, as long as equal
arguments have equal values; here it is a pseudo-random positive rational for each argument, exp(0)
being 1. So an identity can be checked without any rounding far beyond the sizes at which symbols
are affordable, and an inequality of pure algebra can be compared exactly. A failure under an
uninterpreted exp refutes the algebra, not the statement: the true exp may still satisfy it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.object_matrix import ObjectMatrix
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Scalar, rows_of

__all__ = ["Rational", "RationalMatrix"]

ObjectArray = npt.NDArray[Any]


class RationalMatrix(ObjectMatrix):
    """An object array of flint rationals; nothing is ever rounded."""

    def _like(self, values: ObjectArray) -> RationalMatrix:
        return RationalMatrix(values)

    def _scalar(self, factor: Scalar) -> Any:
        return _rational(factor)

    def _exp(self, value: Any) -> Any:
        return flint.fmpq(1) if value == 0 else _pseudo_exponential(value)

    def _divide(self, value: Any, divisor: Any) -> Any:
        if divisor == 0:
            raise ZeroDivisionError("division by an entry that is exactly zero")
        return value / divisor


class Rational(Arithmetic[RationalMatrix]):
    """flint's rationals, with an uninterpreted exp."""

    name = "rational"

    def matrix(self, entries: Entries) -> RationalMatrix:
        """Numbers enter as the rationals they are.

        Raises ValueError unless the entries are two-dimensional and finite.
        """
        rows = rows_of(entries)
        values = np.empty((len(rows), len(rows[0])), dtype=object)
        for index, row in enumerate(rows):
            values[index] = [_rational(entry) for entry in row]
        return RationalMatrix(values)


def _rational(value: Scalar) -> Any:
    if isinstance(value, flint.fmpq):
        return value
    fraction = as_fraction(value)
    return flint.fmpq(fraction.numerator, fraction.denominator)


def _pseudo_exponential(value: Any) -> Any:
    """A positive rational that depends on the value alone, the same on every machine."""
    digest = hashlib.sha256(f"{value.p}/{value.q}".encode()).digest()
    return flint.fmpq(1 + int.from_bytes(digest[:2], "big"), 1 + digest[2])
