"""Proven rounding-error bounds of one declared evaluation plan.

A plan is a straight-line program v_1, ..., v_n, written as formulas over the protocol. A kernel
that follows it computes v^_i = phi_i(v^_parents) + delta_i with |delta_i| <= e_i. With F_i the
output as a function of v_1, ..., v_i, the steps after v_i being exact,

    output^ - output = sum_i [F_i(v^_1, ..., v^_i) - F_i(v^_1, ..., phi_i(v^))]
                     = sum_i <dF_i/dv_i (xi_i), delta_i>

by the mean value theorem. Every matrix carries a box that contains its exact value, every computed
one, and every one in between (computed up to some step and exact from there on), so that xi_i and
all that F_i computes from it lie in the boxes; `adjoint` encloses the derivatives over them, and
nothing is neglected. docs/evaluation-plans.md derives the rules.

Results are in the accumulators' format until `stored` rounds them to the storage dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic import adjoint as derivative
from loracle_reference.arithmetic.adjoint import Pullback
from loracle_reference.arithmetic.growth import exponential_growth, softmax_growth
from loracle_reference.arithmetic.interval import Interval, IntervalMatrix
from loracle_reference.arithmetic.midpoint_radius import Pair
from loracle_reference.arithmetic.protocol import Arithmetic, Entries, Matrix, Scalar
from loracle_reference.arithmetic.shapes import (
    causal_mask,
    require_column,
    require_inner,
    require_reshape,
    require_rows,
    require_same_rows,
    require_same_shape,
)
from loracle_reference.arithmetic.summation import Summation
from loracle_reference.floating_point import MachineModel, round_to_format

__all__ = ["Planned", "PlannedMatrix"]

Array = npt.NDArray[np.float64]

_UP = 1 + 2.0**-48
"""More than the relative rounding error of the short non-negative expressions here."""

_DIVISION_ROUNDINGS = 4
"""A quotient may be the product with a reciprocal of reduced accuracy."""


def _magnitude(box: IntervalMatrix) -> Array:
    """An upper bound of |x| over the box."""
    return np.asarray(np.abs(box.mid) if box.rad is None else (np.abs(box.mid) + box.rad) * _UP)


def _product(left: Array, right: Array) -> Array:
    """left @ right of non-negative matrices, rounded up; unknown where a zero meets an infinity."""
    with np.errstate(invalid="ignore"):
        product = np.nan_to_num(left @ right, nan=np.inf, posinf=np.inf)
    return np.asarray(product * (_UP + left.shape[1] * 2.0**-52))


class PlannedMatrix(Matrix):
    """One step of a plan.

    box: contains every value of the step, its own error included. error: e_i, entrywise. operands:
    what it is computed from, with the maps of the adjoints. in_storage: rounded to the storage
    dtype. sums: how the entries were added up, for kernels that accumulate the terms onto something
    else, apply a scalar to one factor, or evaluate a product twice. reserve: by how much a scalar
    that a kernel applies later may still magnify a loss.
    """

    def __init__(
        self,
        arithmetic: Planned,
        exact_image: IntervalMatrix,
        error: Array,
        operands: Sequence[tuple[PlannedMatrix, Pullback]] = (),
        *,
        in_storage: bool = False,
        sums: Summation | None = None,
        reserve: float = 1.0,
    ) -> None:
        self.arithmetic = arithmetic
        self.machine = arithmetic.machine
        self.index = arithmetic.next_index()
        self.error = np.nan_to_num(error, nan=np.inf, posinf=np.inf)
        self.box = _widened(exact_image, self.error)
        self.operands = tuple(operands)
        self.exact: bool = not self.error.any() and all(operand.exact for operand, _ in operands)
        self.in_storage = in_storage
        self.sums = Summation.single(self.magnitude) if sums is None else sums
        self.reserve: float = max([reserve, *(operand.reserve for operand, _ in operands)])

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.box.shape

    @property
    def magnitude(self) -> Array:
        """An upper bound of |entry| in every evaluation."""
        return _magnitude(self.box)

    @property
    def T(self) -> PlannedMatrix:
        """The transpose, a copy that rounds nothing."""
        return self._copied(self.box.T, (self, derivative.transposed), sums=self.sums.transposed)

    def stored(self) -> PlannedMatrix:
        """Rounded to the storage dtype, unless it is in it already, and read from there."""
        unit, error = 0.0, np.zeros(self.shape)
        if not self.in_storage:
            unit = self.machine.stored_unit
            error = unit * self.magnitude + self._loss
        return PlannedMatrix(
            self.arithmetic,
            self.box,
            error * _UP,
            [(self, _unchanged)],
            in_storage=True,
            sums=self.sums.stored(unit),
        )

    def __matmul__(self, other: PlannedMatrix) -> PlannedMatrix:
        """n products, added up in any order: gamma_n times the sum of their magnitudes."""
        require_inner(self, other)
        terms = self.shape[1]
        left, right = self.magnitude, other.magnitude
        gross = _product(left, right)
        growth = self._sum_growth(terms)
        read = self.machine.operand_loss * max(self.reserve, other.reserve)
        sums = left.sum(axis=1, keepdims=True) + right.sum(axis=0) + terms * read
        with np.errstate(invalid="ignore"):
            lost = 2 * (terms + 1) * max(self._loss, other._loss) + read * sums
            error = growth * gross + (1 + growth) * lost
            gross = gross * ((1 + growth) * _UP)
        return self._result(
            self.box @ other.box,
            error,
            (self, lambda g: derivative.times(g, other.box.T.pair)),
            (other, lambda g: _from_the_left(g, self.box)),
            sums=Summation(gross, terms, max(float(sums.max()) * _UP, 1.0), error * _UP),
        )

    def __add__(self, other: PlannedMatrix) -> PlannedMatrix:
        require_same_shape(self, other)
        return self._sum(self.box + other.box, (self, _unchanged), (other, _unchanged))

    def __sub__(self, other: PlannedMatrix) -> PlannedMatrix:
        require_same_shape(self, other)
        return self._sum(self.box - other.box, (self, _unchanged), (other, derivative.negated))

    def sum_with(self, *others: PlannedMatrix) -> PlannedMatrix:
        """In every order and association, each partial sum stored or not."""
        image = self.box
        for other in others:
            require_same_shape(self, other)
            image = image + other.box
        return self._sum(image, *((part, _unchanged) for part in (self, *others)))

    def __mul__(self, other: PlannedMatrix) -> PlannedMatrix:
        require_same_shape(self, other)
        return self._rounded(
            self.box * other.box,
            1,
            (self, lambda g: derivative.hadamard(g, other.box.pair)),
            (other, lambda g: derivative.hadamard(g, self.box.pair)),
        )

    def scale(self, factor: Scalar) -> PlannedMatrix:
        """The product with a float argument, rounded like the operand: to storage if that is
        stored, which may have happened to one factor of a matrix product instead.

        The argument is rounded to storage first unless it is exact in it. Nothing is claimed for
        one that is not a normal number of the storage format.
        """
        exact = Interval().matrix([[factor]])
        size = float(_magnitude(exact)[0, 0])
        storage = self.machine.storage
        unit = self.machine.stored_unit if self.in_storage else self.machine.accumulate
        if size == 0 or storage.smallest_normal <= size <= storage.largest:
            rounded = round_to_format(exact.mid, storage.name)
            inexact = exact.rad is not None or bool((rounded != exact.mid).any())
            growth = unit + (1 + unit) * (self.machine.stored_unit if inexact else 0.0)
        else:
            growth = np.inf
        reserve = max(1.0, size) * _UP
        lost = self._loss * reserve * (4 * (self.sums.terms + 1) + 2 * self.sums.reach)
        with np.errstate(invalid="ignore"):
            error = growth * size * _UP * self.sums.gross + lost
        return self._result(
            self.box.scale(factor),
            error,
            (self, lambda g: derivative.hadamard(g, exact.pair)),
            in_storage=self.in_storage,
            sums=self.sums.scaled(size, error * _UP),
            reserve=self.reserve * reserve,
        )

    def row_sum(self) -> PlannedMatrix:
        terms = self.shape[1]
        growth = self._sum_growth(terms, operands=1)
        gross = _product(self.magnitude, np.ones((terms, 1)))
        lost = 2 * (terms + 1) * (1 + growth) * self._loss
        with np.errstate(invalid="ignore"):  # zeros whose sum may grow without a bound
            error = growth * gross + lost
        columns = (1, 1, terms)
        return self._result(
            self.box.row_sum(),
            error,
            (self, lambda g: _repeated(g, columns)),
        )

    def exp(self) -> PlannedMatrix:
        image = self.box.exp()
        magnitude = self.magnitude
        with np.errstate(over="ignore", invalid="ignore"):
            growth = exponential_growth(self.machine, magnitude, parts=magnitude, stored=False)
            error = _magnitude(image) * np.expm1(growth) + 2 * self._loss
        return self._result(image, error, (self, lambda g: derivative.hadamard(g, image.pair)))

    def scale_rows(self, column: PlannedMatrix) -> PlannedMatrix:
        require_column(self, column)
        return self._rounded(
            self.box.scale_rows(column.box),
            1,
            (self, lambda g: derivative.hadamard(g, column.box.pair)),
            (column, lambda g: derivative.summed_rows(derivative.hadamard(g, self.box.pair))),
        )

    def divide_rows(self, column: PlannedMatrix) -> PlannedMatrix:
        require_column(self, column)
        image = self.box.divide_rows(column.box)

        def of_column(g: Pair) -> Pair:
            quotients = derivative.hadamard(derivative.divided(g, column.box.pair), image.pair)
            return derivative.negated(derivative.summed_rows(quotients))

        return self._rounded(
            image,
            _DIVISION_ROUNDINGS,
            (self, lambda g: derivative.divided(g, column.box.pair)),
            (column, of_column),
        )

    def face_splitting(self, other: PlannedMatrix) -> PlannedMatrix:
        require_same_rows(self, other)
        image = self.box.face_splitting(other.box)
        return self._rounded(
            image,
            1,
            (self, lambda g: derivative.first_of_face_splitting(g, other.box.pair)),
            (other, lambda g: derivative.second_of_face_splitting(g, self.box.pair)),
        )

    def reshape(self, rows: int, columns: int) -> PlannedMatrix:
        """The same entries in row-major order, a copy that rounds nothing."""
        require_reshape(self, rows, columns)
        shape = self.shape
        return self._copied(
            self.box.reshape(rows, columns),
            (self, lambda g: derivative.reshaped(g, (len(g[0]), *shape))),
        )

    def take_rows(self, indices: Sequence[int]) -> PlannedMatrix:
        """Row i of the result is row indices[i], a copy that rounds nothing."""
        rows = require_rows(self, indices)
        selection = IntervalMatrix(np.eye(self.shape[0])[rows])
        return self._copied(
            self.box.take_rows(rows), (self, lambda g: _from_the_left(g, selection))
        )

    def beside(self, other: PlannedMatrix) -> PlannedMatrix:
        """The columns of self, then those of other, a copy that rounds nothing."""
        require_same_rows(self, other)
        width = self.shape[1]
        return self._copied(
            self.box.beside(other.box),
            (self, lambda g: derivative.columns(g, slice(None, width))),
            (other, lambda g: derivative.columns(g, slice(width, None))),
        )

    def softmax_rows(self) -> PlannedMatrix:
        """One step, however it is computed: in one or two passes, streaming with rescaling at every
        key, or from a log-sum-exp, all of it in the accumulators' format. Of scores that are not
        kept, the sum may have seen other evaluations than the numerators."""
        return self._softmax(self.box.softmax_rows(), np.ones(self.shape, dtype=np.bool_))

    def causal_softmax_rows(self) -> PlannedMatrix:
        """The same over the keys that a query sees; all others are zero in every kernel."""
        return self._softmax(self.box.causal_softmax_rows(), causal_mask(self))

    @property
    def _loss(self) -> float:
        """What one rounding, and the reading of one operand, may take absolutely."""
        return (self.machine.loss + self.machine.operand_loss) * self.reserve

    def _sum_growth(self, terms: int, *, operands: int = 2) -> float:
        """Of results in the accumulators' format."""
        return self.machine.sum_growth(terms, operands=operands, stored=False)

    def _entrywise_growth(self, roundings: int) -> float:
        """Of results in the accumulators' format."""
        return math.expm1(-roundings * math.log1p(-self.machine.accumulate)) * (1 + 2.0**-50)

    def _sum(self, image: IntervalMatrix, *parts: tuple[PlannedMatrix, Pullback]) -> PlannedMatrix:
        """The terms of any part may be accumulated, one by one, onto what there is of the others:
        a term meets at most one addition for each of theirs, and one for each of the parts. Between
        those a partial sum may be stored."""
        terms, further = sum(part.sums.terms for part, _ in parts), len(parts) - 1
        unit = 0.0 if self.machine.accumulates_in_storage else self.machine.stored_unit
        kept = math.expm1((further - 1) * math.log1p(unit))
        lost = 2 * (terms + further - 1) * max(part._loss for part, _ in parts)
        error = np.zeros(self.shape)
        for part, _ in parts:
            added = self._sum_growth(terms - part.sums.terms + further, operands=0)
            growth = added + kept + added * kept
            error = error + growth * (part.sums.gross + lost)
        return self._result(image, error + lost, *parts)

    def _softmax(self, image: IntervalMatrix, seen: npt.NDArray[np.bool_]) -> PlannedMatrix:
        f, keys = np.minimum(_magnitude(image), 1.0), self.shape[1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            largest = np.where(seen, self.magnitude, 0.0).max(axis=1, keepdims=True)
            kappa = softmax_growth(self.machine, largest, keys, stored=False)
            drift = np.where(seen, self.sums.drift, 0.0)
            kappa = kappa + 2 * drift.max(axis=1, keepdims=True)
            error = f * np.expm1(kappa * _UP) + (2 * keys + 4) * self._loss * (1 + keys * f)
        return self._result(
            image,
            np.where(seen, error, 0.0),
            (self, lambda g: derivative.through_softmax(g, image.pair)),
        )

    def _rounded(
        self, image: IntervalMatrix, roundings: int, *operands: tuple[PlannedMatrix, Pullback]
    ) -> PlannedMatrix:
        """An entrywise result."""
        growth = self._entrywise_growth(roundings)
        loss = max(operand._loss for operand, _ in operands)
        with np.errstate(invalid="ignore"):
            error = growth * _magnitude(image) + 2 * roundings * loss
        return self._result(image, error, *operands)

    def _result(
        self,
        image: IntervalMatrix,
        error: Array,
        *operands: tuple[PlannedMatrix, Pullback],
        in_storage: bool | None = None,
        **facts: Any,
    ) -> PlannedMatrix:
        """A result of arithmetic: in the accumulators' format, where that is not storage's."""
        widest = self.machine.accumulates_in_storage
        result = PlannedMatrix(
            self.arithmetic,
            image,
            error * _UP,
            operands,
            in_storage=widest or bool(in_storage),
            **facts,
        )
        return result.stored() if self.arithmetic.stores_every_result else result

    def _copied(
        self, box: IntervalMatrix, *operands: tuple[PlannedMatrix, Pullback], **facts: Any
    ) -> PlannedMatrix:
        """The entries of the operands in other places."""
        stored = all(operand.in_storage for operand, _ in operands)
        return PlannedMatrix(
            self.arithmetic,
            box,
            np.zeros(box.shape),
            operands,
            in_storage=stored,
            **facts,
        )


class Planned(Arithmetic[PlannedMatrix]):
    """The arithmetic of kernels that follow the formulas as they are bracketed, on one machine.

    stores_every_result: every result is rounded to the storage dtype, also where the formulas do
    not say so.
    """

    name = "planned"

    def __init__(self, machine: MachineModel, *, stores_every_result: bool = False) -> None:
        self.machine = machine
        self.stores_every_result = stores_every_result
        self._interval = Interval()
        self._indices = count()

    def matrix(self, entries: Entries) -> PlannedMatrix:
        """Inputs, exact in the storage dtype. Raises ValueError unless two-dimensional and
        finite."""
        box = self._interval.matrix(entries)
        return PlannedMatrix(self, box, np.zeros(box.shape), in_storage=True)

    def bound(self, matrix: PlannedMatrix) -> Array:
        """No kernel that follows the formulas errs by more, entrywise; infinite where nothing is
        claimed. Shape of the matrix.

        The exact and the computed value are both in the box, which is what is left where there are
        too many derivatives.
        """
        if matrix.box.rad is None:
            return np.zeros(matrix.shape)
        return np.minimum(derivative.weighted_error(matrix), 2 * _UP * matrix.box.rad)

    def next_index(self) -> int:
        """The number of the next step."""
        return next(self._indices)


def _widened(box: IntervalMatrix, error: Array) -> IntervalMatrix:
    if not error.any():
        return box
    radius = error if box.rad is None else (box.rad + error) * _UP
    return IntervalMatrix(box.mid.copy(), radius.copy())


def _unchanged(adjoint: Pair) -> Pair:
    return adjoint


def _from_the_left(adjoint: Pair, matrix: IntervalMatrix) -> Pair:
    """matrix^T times every adjoint."""
    return derivative.transposed(derivative.times(derivative.transposed(adjoint), matrix.pair))


def _repeated(adjoint: Pair, columns: tuple[int, int, int]) -> Pair:
    mid, rad = adjoint
    return np.tile(mid, columns), None if rad is None else np.tile(rad, columns)
