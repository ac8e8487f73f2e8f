"""Gradients derived from the loss by dual numbers: the second path to every gradient.

Nothing here knows a closed form. A dual number x + x' e with e^2 = 0 carries a value and a
directional derivative; the loss, evaluated on dual matrices, differentiates itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar

__all__ = ["Dual", "directional_derivative", "gradient_from_loss"]

M = TypeVar("M", bound=Matrix)


class Dual(Matrix, Generic[M]):
    """value + tangent * e with e^2 = 0; both of one shape and one arithmetic.

    softmax_rows, row_dot are those of the protocol: compositions of the rules below.
    """

    def __init__(self, value: M, tangent: M) -> None:
        if value.shape != tangent.shape:
            raise ValueError(
                f"value and tangent must have one shape, got {value.shape} and {tangent.shape}"
            )
        self.value = value
        self.tangent = tangent

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.value.shape

    @property
    def T(self) -> Dual[M]:
        """The transpose."""
        return Dual(self.value.T, self.tangent.T)

    def __matmul__(self, other: Dual[M]) -> Dual[M]:
        tangent = self.tangent @ other.value + self.value @ other.tangent
        return Dual(self.value @ other.value, tangent)

    def __add__(self, other: Dual[M]) -> Dual[M]:
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __sub__(self, other: Dual[M]) -> Dual[M]:
        return Dual(self.value - other.value, self.tangent - other.tangent)

    def __mul__(self, other: Dual[M]) -> Dual[M]:
        tangent = self.tangent * other.value + self.value * other.tangent
        return Dual(self.value * other.value, tangent)

    def scale(self, factor: Scalar) -> Dual[M]:
        """factor * self, the factor being constant."""
        return Dual(self.value.scale(factor), self.tangent.scale(factor))

    def row_sum(self) -> Dual[M]:
        """The column of row sums."""
        return Dual(self.value.row_sum(), self.tangent.row_sum())

    def exp(self) -> Dual[M]:
        """exp(x)' = exp(x) x'."""
        exponential = self.value.exp()
        return Dual(exponential, exponential * self.tangent)

    def scale_rows(self, column: Dual[M]) -> Dual[M]:
        """diag(column) @ self."""
        tangent = self.tangent.scale_rows(column.value) + self.value.scale_rows(column.tangent)
        return Dual(self.value.scale_rows(column.value), tangent)

    def divide_rows(self, column: Dual[M]) -> Dual[M]:
        """(x / s)' = (x' - (x / s) s') / s."""
        quotient = self.value.divide_rows(column.value)
        change = self.tangent - quotient.scale_rows(column.tangent)
        return Dual(quotient, change.divide_rows(column.value))

    def face_splitting(self, other: Dual[M]) -> Dual[M]:
        """The row-wise Kronecker product."""
        left = self.tangent.face_splitting(other.value)
        right = self.value.face_splitting(other.tangent)
        return Dual(self.value.face_splitting(other.value), left + right)

    def reshape(self, rows: int, columns: int) -> Dual[M]:
        """The same entries in row-major order; linear, as are the next two."""
        return Dual(self.value.reshape(rows, columns), self.tangent.reshape(rows, columns))

    def take_rows(self, indices: Sequence[int]) -> Dual[M]:
        """Row i of the result is row indices[i]."""
        return Dual(self.value.take_rows(indices), self.tangent.take_rows(indices))

    def beside(self, other: Dual[M]) -> Dual[M]:
        """The columns of self, then those of other."""
        return Dual(self.value.beside(other.value), self.tangent.beside(other.tangent))


def directional_derivative(
    loss: Callable[..., Any],
    point: Mapping[str, M],
    direction: Mapping[str, M],
    constants: Mapping[str, Any],
) -> M:
    """d/dt loss(point + t * direction) at t = 0, of shape (1, 1).

    loss is called with keyword arguments: dual matrices for the names of `point`, and the
    exact scalars `constants` as they are. direction holds tangents for some of those names; the
    others do not move. Raises ValueError on a name in direction that point lacks.
    """
    unknown = sorted(set(direction) - set(point))
    if unknown:
        raise ValueError(f"no such argument to differentiate by: {', '.join(unknown)}")
    duals = {
        name: Dual(value, direction[name] if name in direction else value.scale(0))
        for name, value in point.items()
    }
    derivative: M = loss(**duals, **constants).tangent
    return derivative


def gradient_from_loss(
    loss: Callable[..., Any],
    point: Mapping[str, Entries],
    with_respect_to: Iterable[str],
    scalars: Mapping[str, Scalar],
    arithmetic: Arithmetic[M],
) -> dict[str, M]:
    """The gradient of the loss in each named argument, a matrix of that argument's shape.

    One directional derivative per entry, along the matrix e_i e_j^T; the gradient is put together
    as the sum of e_i (derivative) e_j^T, in which every product is by 0 or 1.
    Raises ValueError on a name that point lacks.
    """
    matrices = {name: arithmetic.matrix(entries) for name, entries in point.items()}
    gradients = {}
    for name in with_respect_to:
        if name not in matrices:
            raise ValueError(f"no such argument to differentiate by: {name}")
        rows, columns = matrices[name].shape
        gradient = matrices[name].scale(0)
        for i in range(rows):
            left = arithmetic.matrix([[int(i == k)] for k in range(rows)])
            for j in range(columns):
                right = arithmetic.matrix([[int(j == k) for k in range(columns)]])
                slope = directional_derivative(loss, matrices, {name: left @ right}, scalars)
                gradient = gradient + left @ slope @ right
        gradients[name] = gradient
    return gradients
