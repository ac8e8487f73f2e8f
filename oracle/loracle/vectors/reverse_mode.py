"""All derivatives of a loss at once, by going backwards through its steps, in any arithmetic.

Nothing here knows a closed form: a traced matrix remembers the step that it came from, and each
step of the protocol has the rule that carries an adjoint from its result to its operands. Where
`loracle_reference.differentiation` takes one evaluation of the loss for every entry, this takes a
few for all of them, so that multiprecision can follow cases of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Generic, TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = ["Traced", "reverse_gradient"]

M = TypeVar("M", bound=Matrix)

_clock = count()


class Traced(Matrix, Generic[M]):
    """A value and, for each operand of the step that made it, the map from the adjoint of the
    result to that of the operand.

    softmax_rows, row_dot, take_columns are those of the protocol: compositions of the rules below.
    """

    def __init__(
        self, value: M, operands: Sequence[tuple[Traced[M], Callable[[M], M]]] = ()
    ) -> None:
        self.value = value
        self.operands = operands
        self.index = next(_clock)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.value.shape

    @property
    def T(self) -> Traced[M]:
        """The transpose."""
        return Traced(self.value.T, [(self, lambda g: g.T)])

    def __matmul__(self, other: Traced[M]) -> Traced[M]:
        left, right = self.value, other.value
        rules = [(self, lambda g: g @ right.T), (other, lambda g: left.T @ g)]
        return Traced(left @ right, rules)

    def __add__(self, other: Traced[M]) -> Traced[M]:
        return Traced(self.value + other.value, [(self, lambda g: g), (other, lambda g: g)])

    def __sub__(self, other: Traced[M]) -> Traced[M]:
        rules = [(self, lambda g: g), (other, lambda g: g.scale(-1))]
        return Traced(self.value - other.value, rules)

    def __mul__(self, other: Traced[M]) -> Traced[M]:
        left, right = self.value, other.value
        return Traced(left * right, [(self, lambda g: g * right), (other, lambda g: g * left)])

    def scale(self, factor: Scalar) -> Traced[M]:
        """factor * self, the factor being constant."""
        return Traced(self.value.scale(factor), [(self, lambda g: g.scale(factor))])

    def row_sum(self) -> Traced[M]:
        """The adjoint of a sum is that of each of its terms."""
        columns = [0] * self.shape[1]
        return Traced(self.value.row_sum(), [(self, lambda g: g.take_columns(columns))])

    def exp(self) -> Traced[M]:
        """exp(x)' = exp(x) x'."""
        exponential = self.value.exp()
        return Traced(exponential, [(self, lambda g: g * exponential)])

    def scale_rows(self, column: Traced[M]) -> Traced[M]:
        """diag(column) @ self."""
        left, right = column.value, self.value
        rules = [(self, lambda g: g.scale_rows(left)), (column, lambda g: g.row_dot(right))]
        return Traced(right.scale_rows(left), rules)

    def divide_rows(self, column: Traced[M]) -> Traced[M]:
        """(x / s)' = (x' - (x / s) s') / s."""
        divisor = column.value
        quotient = self.value.divide_rows(divisor)
        rules = [
            (self, lambda g: g.divide_rows(divisor)),
            (column, lambda g: g.row_dot(quotient).divide_rows(divisor).scale(-1)),
        ]
        return Traced(quotient, rules)

    def face_splitting(self, other: Traced[M]) -> Traced[M]:
        """Entry (j, i q + k) of the result is self[j, i] other[j, k]."""
        (rows, p), q = self.shape, other.shape[1]
        left, right = self.value, other.value
        firsts = [i for i in range(p) for _ in range(q)]
        seconds = [k for _ in range(p) for k in range(q)]
        second_first = [i * q + k for k in range(q) for i in range(p)]

        def of_first(g: M) -> M:
            products = g * right.take_columns(seconds)
            return products.reshape(rows * p, q).row_sum().reshape(rows, p)

        def of_second(g: M) -> M:
            products = (g * left.take_columns(firsts)).take_columns(second_first)
            return products.reshape(rows * q, p).row_sum().reshape(rows, q)

        return Traced(left.face_splitting(right), [(self, of_first), (other, of_second)])

    def reshape(self, rows: int, columns: int) -> Traced[M]:
        """The same entries in row-major order."""
        shape = self.shape
        return Traced(self.value.reshape(rows, columns), [(self, lambda g: g.reshape(*shape))])

    def take_rows(self, indices: Sequence[int]) -> Traced[M]:
        """The adjoint of a row is the sum of those of its copies."""
        rows, chosen = self.shape[0], list(indices)
        return Traced(
            self.value.take_rows(chosen), [(self, lambda g: _copies_summed(g, chosen, rows))]
        )

    def beside(self, other: Traced[M]) -> Traced[M]:
        """The columns of self, then those of other."""
        split, width = self.shape[1], self.shape[1] + other.shape[1]
        rules = [
            (self, lambda g: g.take_columns(range(split))),
            (other, lambda g: g.take_columns(range(split, width))),
        ]
        return Traced(self.value.beside(other.value), rules)


def _copies_summed(adjoint: M, chosen: Sequence[int], rows: int) -> M:
    """Row i of the result is the sum of the rows k of the adjoint with chosen[k] = i."""
    nothing = adjoint.take_rows([0]).scale(0)
    padded = adjoint.T.beside(nothing.T).T
    places: list[list[int]] = [[] for _ in range(rows)]
    for place, row in enumerate(chosen):
        places[row].append(place)
    total = padded.take_rows([len(chosen)] * rows)
    for turn in range(max(map(len, places))):
        total = total + padded.take_rows(
            [of_row[turn] if turn < len(of_row) else len(chosen) for of_row in places]
        )
    return total


def reverse_gradient(
    loss: Callable[..., Any],
    point: Mapping[str, M],
    with_respect_to: Iterable[str],
    constants: Mapping[str, Any],
) -> dict[str, M]:
    """The gradient of the loss, of shape (1, 1), in each named argument, of that argument's shape.

    loss is called with keyword arguments: traced matrices for the names of `point`, and
    `constants` as they are. An argument that the loss does not use has a gradient of zeros.
    Raises ValueError on a name that point lacks.
    """
    names = tuple(with_respect_to)
    unknown = sorted(set(names) - set(point))
    if unknown:
        raise ValueError(f"no such argument to differentiate by: {', '.join(unknown)}")
    leaves: dict[str, Traced[M]] = {name: Traced(value) for name, value in point.items()}
    result: Traced[M] = loss(**leaves, **constants)
    adjoints: dict[int, M] = {result.index: result.value.scale(0).exp()}
    for step in _steps(result):
        adjoint = adjoints[step.index]
        for operand, rule in step.operands:
            part = rule(adjoint)
            known = adjoints.get(operand.index)
            adjoints[operand.index] = part if known is None else known + part
    zeros = {name: leaves[name].value.scale(0) for name in names}
    return {name: adjoints.get(leaves[name].index, zeros[name]) for name in names}


def _steps(result: Traced[M]) -> list[Traced[M]]:
    """All that the result was made from, later steps first."""
    found = {result.index: result}
    waiting = [result]
    while waiting:
        for operand, _ in waiting.pop().operands:
            if operand.index not in found:
                found[operand.index] = operand
                waiting.append(operand)
    return [found[index] for index in sorted(found, reverse=True)]
