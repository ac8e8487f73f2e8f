"""Matrices that are only sizes: evaluating the specification in them counts its operations.

A size is an integer or a polynomial in positive integer symbols, so that one evaluation gives the
number of operations for all sizes at once. Every operation is counted as its definition reads: a
sum of n terms is n - 1 additions, a factor of one is a factor. Moving data costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import sympy

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar, rows_of
from loracle_reference.arithmetic.shapes import (
    ShapeError,
    require_column,
    require_inner,
    require_rows,
    require_same_rows,
    require_same_shape,
)

__all__ = ["Counting", "CountingMatrix", "Operations", "Size"]

Size = Any
"""An int, or a sympy polynomial in symbols that are declared positive and integer."""


@dataclass(frozen=True)
class Operations:
    """Numbers of scalar operations, each a Size; additions include subtractions."""

    multiplications: Size = 0
    additions: Size = 0
    divisions: Size = 0
    exponentials: Size = 0
    product_multiplications: Size = 0
    """Those of the multiplications that matrix products do."""

    @property
    def total(self) -> Size:
        """All operations together."""
        return _canonical(
            self.multiplications + self.additions + self.divisions + self.exponentials
        )

    @property
    def flops(self) -> Size:
        """2 n m p for each product of (n, m) with (m, p), and nothing else: torch's convention."""
        return _canonical(2 * self.product_multiplications)

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            **{f.name: _canonical(getattr(self, f.name) + getattr(other, f.name)) for f in _FIELDS}
        )

    def times(self, count: Size) -> Operations:
        """The same operations `count` times."""
        return Operations(**{f.name: _canonical(getattr(self, f.name) * count) for f in _FIELDS})

    def substitute(self, values: Mapping[Any, Size]) -> Operations:
        """The operations with sizes in the place of symbols."""
        return Operations(**{f.name: _substituted(getattr(self, f.name), values) for f in _FIELDS})

    def degree(self, symbol: Any) -> int:
        """The degree of the total in one symbol; 0 if there are no operations at all."""
        return _degree(self.total, symbol)


_FIELDS = fields(Operations)


class CountingMatrix(Matrix):
    """A matrix of which only the sizes are known; made by `Counting`."""

    def __init__(self, rows: Size, columns: Size, counting: Counting) -> None:
        self._shape = (rows, columns)
        self._counting = counting

    @property
    def shape(self) -> tuple[Any, Any]:
        """(rows, columns), each a Size."""
        return self._shape

    @property
    def T(self) -> CountingMatrix:
        """The transpose."""
        rows, columns = self.shape
        return CountingMatrix(columns, rows, self._counting)

    def __matmul__(self, other: CountingMatrix) -> CountingMatrix:
        """n m p multiplications and n (m - 1) p additions."""
        require_inner(self, other)
        (n, m), p = self.shape, other.shape[1]
        return self._formed(
            n,
            p,
            Operations(
                multiplications=n * m * p,
                additions=n * (m - 1) * p,
                product_multiplications=n * m * p,
            ),
            other,
        )

    def __add__(self, other: CountingMatrix) -> CountingMatrix:
        require_same_shape(self, other)
        return self._entrywise("additions", other)

    def __sub__(self, other: CountingMatrix) -> CountingMatrix:
        require_same_shape(self, other)
        return self._entrywise("additions", other)

    def __mul__(self, other: CountingMatrix) -> CountingMatrix:
        require_same_shape(self, other)
        return self._entrywise("multiplications", other)

    def scale(self, factor: Scalar) -> CountingMatrix:
        """One multiplication for each entry, whatever the factor."""
        return self._entrywise("multiplications")

    def row_sum(self) -> CountingMatrix:
        """n (m - 1) additions."""
        n, m = self.shape
        return self._formed(n, 1, Operations(additions=n * (m - 1)))

    def exp(self) -> CountingMatrix:
        """One exponential for each entry."""
        return self._entrywise("exponentials")

    def scale_rows(self, column: CountingMatrix) -> CountingMatrix:
        """One multiplication for each entry."""
        require_column(self, column)
        return self._entrywise("multiplications", column)

    def divide_rows(self, column: CountingMatrix) -> CountingMatrix:
        """One division for each entry."""
        require_column(self, column)
        return self._entrywise("divisions", column)

    def face_splitting(self, other: CountingMatrix) -> CountingMatrix:
        """One multiplication for each entry of the result."""
        require_same_rows(self, other)
        (n, p), q = self.shape, other.shape[1]
        return self._formed(n, p * q, Operations(multiplications=n * p * q), other)

    def reshape(self, rows: Size, columns: Size) -> CountingMatrix:
        """The same entries in row-major order; raises ShapeError unless there are as many."""
        here = _canonical(self.shape[0] * self.shape[1])
        message = (
            f"cannot reshape {self.shape} to ({rows}, {columns}): both sizes must be positive "
            f"and their product {here}"
        )
        try:
            rows, columns = _size(rows), _size(columns)
        except ValueError:
            raise ShapeError(message) from None
        if _canonical(rows * columns) != here:
            raise ShapeError(message)
        return CountingMatrix(rows, columns, self._counting)

    def take_rows(self, indices: Sequence[int]) -> CountingMatrix:
        """The rows of these indices; raises IndexError unless each is certainly in range.

        Where the number of rows is no int, only row 0 is.
        """
        rows, columns = self.shape
        if isinstance(rows, int):
            indices = require_rows(self, indices)
        elif set(indices) != {0}:
            raise IndexError(f"only row 0 is certainly a row of {self.shape}, got {list(indices)}")
        return self._formed(len(indices), columns, Operations())

    def some_columns(self, count: Size) -> CountingMatrix:
        """`count` columns of this matrix, no matter which, repeats allowed."""
        return self._formed(self.shape[0], _size(count), Operations())

    def beside(self, other: CountingMatrix) -> CountingMatrix:
        """[self, other]."""
        require_same_rows(self, other)
        rows, columns = self.shape
        return self._formed(rows, columns + other.shape[1], Operations(), other)

    def _entrywise(self, kind: str, *others: CountingMatrix) -> CountingMatrix:
        rows, columns = self.shape
        return self._formed(rows, columns, Operations(**{kind: rows * columns}), *others)

    def _formed(
        self, rows: Size, columns: Size, operations: Operations, *others: CountingMatrix
    ) -> CountingMatrix:
        """The result of an operation, which is entered in the tally that all operands share."""
        if any(other._counting is not self._counting for other in others):
            raise TypeError("cannot mix matrices of two tallies")
        rows, columns = _canonical(rows), _canonical(columns)
        self._counting._enter(operations, rows * columns)
        return CountingMatrix(rows, columns, self._counting)


class Counting(Arithmetic[CountingMatrix]):
    """A tally, and the matrices whose operations are entered in it.

    An intermediate that the evaluated code keeps in a variable is counted once, as it is computed
    once.
    """

    name = "counting"

    def __init__(self) -> None:
        self._operations = Operations()
        self._formed_sizes: set[Size] = set()
        self._repetitions: Size = 1

    @property
    def operations(self) -> Operations:
        """All operations so far."""
        return self._operations

    @property
    def formed_sizes(self) -> frozenset[Size]:
        """Rows times columns of every matrix formed so far; neither operands nor their views."""
        return frozenset(self._formed_sizes)

    def formed_degree(self, symbol: Any) -> int:
        """The largest degree in one symbol of the number of entries of a matrix formed so far."""
        return max((_degree(size, symbol) for size in self._formed_sizes), default=0)

    def largest_formed(self, values: Mapping[Any, int]) -> int:
        """The entries of the largest matrix formed so far, with integers for all symbols.

        Raises ValueError if nothing was formed, or if a symbol has no value.
        """
        if not self._formed_sizes:
            raise ValueError("no matrix was formed yet")
        sizes = [_substituted(size, values) for size in self._formed_sizes]
        unknown = {str(s) for size in sizes for s in sympy.sympify(size).free_symbols}
        if unknown:
            raise ValueError(f"no value for {', '.join(sorted(unknown))}")
        return max(int(size) for size in sizes)

    def symbol_matrix(self, rows: Size, columns: Size) -> CountingMatrix:
        """An operand of these sizes; raises ValueError unless they can be sizes."""
        return CountingMatrix(_size(rows), _size(columns), self)

    def matrix(self, entries: Entries) -> CountingMatrix:
        """An operand of the entries' sizes.

        Raises ValueError unless the entries are two-dimensional and finite.
        """
        rows = rows_of(entries)
        for row in rows:
            for entry in row:
                if not isinstance(entry, sympy.Expr):
                    as_fraction(entry)
        return CountingMatrix(len(rows), len(rows[0]), self)

    @contextmanager
    def repeated(self, count: Size) -> Iterator[None]:
        """Enters every operation of the block `count` times.

        Raises ValueError unless `count`, an int or a Size, can be at least 0.
        """
        try:
            count = _size(count + 1) - 1
        except ValueError:
            raise ValueError(f"a block is repeated an integer >= 0 of times, got {count}") from None
        before = self._repetitions
        self._repetitions = _canonical(before * count)
        try:
            yield
        finally:
            self._repetitions = before

    def sum_over(self, count: Size, term: Callable[[int], CountingMatrix]) -> CountingMatrix:
        """term(0) + ... + term(count - 1), each term costing what term(0) costs.

        Raises ValueError unless there can be at least one term.
        """
        with self.repeated(_size(count)):
            first = term(0)
        with self.repeated(count - 1):
            return first + first

    def _enter(self, operations: Operations, size: Size) -> None:
        self._operations += operations.times(self._repetitions)
        self._formed_sizes.add(_canonical(size))


def _canonical(value: Size) -> Size:
    """One form for each polynomial, so that equality decides equality: an int where it is one."""
    if isinstance(value, int):
        return value
    expanded = sympy.expand(value)
    return int(expanded) if expanded.is_Integer else expanded


def _size(value: Size) -> Size:
    """The canonical form of a size; raises ValueError if it cannot be one."""
    if not isinstance(value, int | sympy.Expr):
        raise ValueError(f"a size must be an int or a sympy expression, got {value!r}")
    expression = sympy.sympify(value)
    undeclared = [s for s in expression.free_symbols if not (s.is_integer and s.is_positive)]
    if undeclared:
        names = ", ".join(sorted(map(str, undeclared)))
        raise ValueError(f"declare the symbols of a size positive and integer: {names}")
    rounded = expression.has(sympy.Float)
    if rounded or expression.is_integer is False or expression.is_positive is False:
        raise ValueError(f"a size must be a positive integer, got {value}")
    return _canonical(expression)


def _substituted(value: Size, values: Mapping[Any, Size]) -> Size:
    return _canonical(sympy.sympify(value).subs(dict(values), simultaneous=True))


def _degree(value: Size, symbol: Any) -> int:
    return 0 if value == 0 else int(sympy.Poly(value, symbol).degree())
