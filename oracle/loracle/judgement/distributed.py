"""Monte Carlo arithmetic of a kernel that distributes its sums: x (w + s b a) as x w + s (x b) a,
and x (f q - f r) as x f q - x f r, each term with roundings of its own.

Where the terms cancel to nothing these roundings are all that there is of the error, and may be
many times those of a difference that was formed first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar
from loracle_reference.arithmetic.shapes import require_same_shape
from loracle_reference.arithmetic.stochastic import Stochastic, StochasticMatrix

__all__ = ["Distributed", "DistributedMatrix"]


class DistributedMatrix(Matrix):
    """A sum that is formed when an entrywise operation or the result needs it."""

    def __init__(self, *terms: StochasticMatrix) -> None:
        self._terms = terms

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._terms[0].shape

    @property
    def T(self) -> DistributedMatrix:
        """The transpose."""
        return DistributedMatrix(*(term.T for term in self._terms))

    @property
    def formed(self) -> StochasticMatrix:
        """The sum, rounded once for each term."""
        self._terms = (reduce(StochasticMatrix.__add__, self._terms),)
        return self._terms[0]

    def __matmul__(self, other: DistributedMatrix) -> DistributedMatrix:
        return DistributedMatrix(*(one @ two for one in self._terms for two in other._terms))

    def __add__(self, other: DistributedMatrix) -> DistributedMatrix:
        require_same_shape(self, other)
        return DistributedMatrix(*self._terms, *other._terms)

    def __sub__(self, other: DistributedMatrix) -> DistributedMatrix:
        require_same_shape(self, other)
        negated = (StochasticMatrix(-term.samples, term.arithmetic) for term in other._terms)
        return DistributedMatrix(*self._terms, *negated)

    def __mul__(self, other: DistributedMatrix) -> DistributedMatrix:
        return DistributedMatrix(self.formed * other.formed)

    def scale(self, factor: Scalar) -> DistributedMatrix:
        return DistributedMatrix(*(term.scale(factor) for term in self._terms))

    def row_sum(self) -> DistributedMatrix:
        return DistributedMatrix(self.formed.row_sum())

    def exp(self) -> DistributedMatrix:
        return DistributedMatrix(self.formed.exp())

    def scale_rows(self, column: DistributedMatrix) -> DistributedMatrix:
        return DistributedMatrix(self.formed.scale_rows(column.formed))

    def divide_rows(self, column: DistributedMatrix) -> DistributedMatrix:
        return DistributedMatrix(self.formed.divide_rows(column.formed))

    def face_splitting(self, other: DistributedMatrix) -> DistributedMatrix:
        return DistributedMatrix(self.formed.face_splitting(other.formed))

    def reshape(self, rows: int, columns: int) -> DistributedMatrix:
        """The same entries in row-major order, term by term."""
        return DistributedMatrix(*(term.reshape(rows, columns) for term in self._terms))

    def take_rows(self, indices: Sequence[int]) -> DistributedMatrix:
        """Row i of the result is row indices[i], term by term."""
        return DistributedMatrix(*(term.take_rows(indices) for term in self._terms))

    def beside(self, other: DistributedMatrix) -> DistributedMatrix:
        """The columns of self, then those of other."""
        return DistributedMatrix(self.formed.beside(other.formed))

    def softmax_rows(self) -> DistributedMatrix:
        return DistributedMatrix(self.formed.softmax_rows())

    def causal_softmax_rows(self) -> DistributedMatrix:
        return DistributedMatrix(self.formed.causal_softmax_rows())


class Distributed(Arithmetic[DistributedMatrix]):
    """Of the same machine and with the same random stream as the arithmetic of its terms."""

    name = "distributed"

    def __init__(self, terms: Stochastic) -> None:
        self._terms = terms

    def matrix(self, entries: Entries) -> DistributedMatrix:
        """Inputs, the same in every sample. Raises ValueError unless they form a finite matrix."""
        return DistributedMatrix(self._terms.matrix(entries))
