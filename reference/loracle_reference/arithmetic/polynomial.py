"""Symbolic entries: polynomials over the rationals, exp and division being uninterpreted.

An identity that holds here holds for all entries of its size. Each entry is a polynomial in the
given symbols, in one indeterminate E_i for each exponential exp(s_i) that was formed (s_i itself a
polynomial, so that equal arguments share one indeterminate), and in one indeterminate R_i for each
reciprocal 1/D_i, bound by the relation R_i D_i = 1. Nothing is known of exp but exp(0) = 1, so what
is proved is pure algebra plus, where a derivative is taken, exp' = exp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.object_matrix import ObjectMatrix
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Scalar, rows_of

__all__ = ["Element", "Polynomial", "PolynomialMatrix"]

ObjectArray = npt.NDArray[Any]

Term = Any
"""flint.fmpq_mpoly, which carries no types."""

_EXPONENTIALS = "E"
_RECIPROCALS = "R"


class Element:
    """One polynomial of a ring, which adds, multiplies and divides with numbers and its like.

    A wrapper, because numpy takes flint's own polynomials for sequences.
    """

    __slots__ = ("ring", "term")

    def __init__(self, term: Term, ring: Polynomial) -> None:
        self.term = term
        self.ring = ring

    def __add__(self, other: Any) -> Element:
        return Element(self.term + self.ring.element(other).term, self.ring)

    def __sub__(self, other: Any) -> Element:
        return Element(self.term - self.ring.element(other).term, self.ring)

    def __mul__(self, other: Any) -> Element:
        return Element(self.term * self.ring.element(other).term, self.ring)

    def __truediv__(self, other: Any) -> Element:
        return self * self.ring.reciprocal(self.ring.element(other))

    def __radd__(self, other: Any) -> Element:
        return self.ring.element(other) + self

    def __rsub__(self, other: Any) -> Element:
        return self.ring.element(other) - self

    def __rmul__(self, other: Any) -> Element:
        return self.ring.element(other) * self

    def __rtruediv__(self, other: Any) -> Element:
        return self.ring.element(other) / self

    def __neg__(self) -> Element:
        return Element(-self.term, self.ring)

    def __repr__(self) -> str:
        return str(self.term)


class PolynomialMatrix(ObjectMatrix):
    """An object array of polynomials of one ring."""

    def __init__(self, values: ObjectArray, ring: Polynomial) -> None:
        super().__init__(values)
        self.ring = ring

    def _like(self, values: ObjectArray) -> PolynomialMatrix:
        return PolynomialMatrix(values, self.ring)

    def _scalar(self, factor: Scalar) -> Any:
        return self.ring.element(factor)

    def _exp(self, value: Any) -> Any:
        return self.ring.exponential(value)

    def _divide(self, value: Any, divisor: Any) -> Any:
        return value * self.ring.reciprocal(divisor)

    def _require_compatible(self, other: ObjectMatrix) -> None:
        if isinstance(other, PolynomialMatrix) and other.ring is not self.ring:
            raise TypeError("cannot mix polynomials of two rings")


class Polynomial(Arithmetic[PolynomialMatrix]):
    """The ring Q[symbols, E_1 ..., R_1 ...] with R_i D_i = 1.

    symbols: names of the indeterminates, each an identifier. exponentials, reciprocals: how many
    different ones may be formed; OverflowError beyond. Raises ValueError if a name is no
    identifier, given twice, or that of an exponential or a reciprocal (E_0, R_0 and so on).
    """

    name = "polynomial"

    def __init__(
        self, symbols: Sequence[str], *, exponentials: int = 24, reciprocals: int = 8
    ) -> None:
        # Reciprocals first: in the lexicographic order they lead every relation R_i D_i - 1.
        names = [f"{_RECIPROCALS}_{index}" for index in range(reciprocals)]
        names += [f"{_EXPONENTIALS}_{index}" for index in range(exponentials)]
        if len({*names, *symbols}) != len(names) + len(symbols):
            raise ValueError("every symbol of a ring needs a name of its own, not E_i or R_i")
        wrong = [symbol for symbol in symbols if not symbol.isidentifier()]
        if wrong:
            raise ValueError(f"every symbol of a ring must be an identifier, got {wrong}")
        self._context = flint.fmpq_mpoly_ctx.get([*names, *symbols], "lex")
        generators = self._context.gens()
        self._free_reciprocals = list(generators[:reciprocals])
        self._free_exponentials = list(generators[reciprocals : reciprocals + exponentials])
        self._symbols = dict(zip(symbols, generators[len(names) :], strict=True))
        self._arguments: list[tuple[Term, Term]] = []
        self._divisors: list[tuple[Term, Term, Term]] = []

    def symbol(self, name: str) -> Element:
        """The indeterminate of that name; raises KeyError if there is none."""
        return Element(self._symbols[name], self)

    def element(self, value: Scalar) -> Element:
        """A rational number, or an element of this ring, as an element of the ring.

        Raises TypeError on anything else, so on an element of another ring: its E_0 is another
        exponential, even where flint has one context for both.
        """
        if isinstance(value, Element):
            if value.ring is not self:
                raise TypeError("cannot mix polynomials of two rings")
            return value
        fraction = as_fraction(value)
        constant = flint.fmpq(fraction.numerator, fraction.denominator)
        return Element(self._context.constant(constant), self)

    def matrix(self, entries: Entries) -> PolynomialMatrix:
        """Rationals and elements of this ring; raises ValueError unless two-dimensional."""
        rows = rows_of(entries)
        values = np.empty((len(rows), len(rows[0])), dtype=object)
        for index, row in enumerate(rows):
            values[index] = [self.element(entry) for entry in row]
        return PolynomialMatrix(values, self)

    def exponential(self, exponent: Element) -> Element:
        """exp(exponent): 1 for the zero polynomial, else the indeterminate of that exponent."""
        argument = self.normal_form(exponent)
        if argument == 0:
            return self.element(1)
        for known, indeterminate in self._arguments:
            if known == argument:
                return Element(indeterminate, self)
        if len(self._arguments) == len(self._free_exponentials):
            raise OverflowError(
                f"more than {len(self._free_exponentials)} exponentials were formed"
            )
        indeterminate = self._free_exponentials[len(self._arguments)]
        self._arguments.append((argument, indeterminate))
        return Element(indeterminate, self)

    def reciprocal(self, element: Element) -> Element:
        """1 / element; raises ZeroDivisionError if the element is the zero polynomial."""
        divisor = self.normal_form(element)
        if divisor == 0:
            raise ZeroDivisionError("division by an entry that is exactly zero")
        if divisor.is_constant():
            return Element(self._context.constant(1 / divisor.leading_coefficient()), self)
        for known, indeterminate, _ in self._divisors:
            if known == divisor:
                return Element(indeterminate, self)
        if len(self._divisors) == len(self._free_reciprocals):
            limit = len(self._free_reciprocals)
            raise OverflowError(f"more than {limit} reciprocals were formed")
        indeterminate = self._free_reciprocals[len(self._divisors)]
        self._divisors.append((divisor, indeterminate, indeterminate * divisor - 1))
        return Element(indeterminate, self)

    def normal_form(self, element: Element) -> Term:
        """The remainder of the element under the relations R_i D_i = 1.

        Zero proves that the element is zero wherever no divisor is. The converse holds if the
        leading terms of the relations have no indeterminate in common, as for the sums of
        exponentials of different rows of a softmax (the relations are then a Groebner basis).
        """
        value = self.element(element).term
        while True:
            reduced = value
            for _, _, relation in self._divisors:
                reduced = divmod(reduced, relation)[1]
            if reduced == value:
                return reduced
            value = reduced

    def is_zero(self, matrix: PolynomialMatrix) -> bool:
        """Whether every entry is proved to be zero (see `normal_form` for the converse)."""
        return all(self.normal_form(value) == 0 for value in matrix.values.flat)
