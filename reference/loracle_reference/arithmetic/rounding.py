"""Proven rounding-error bounds: every entry a triple (truth, natural scale N, error E).

For a kernel's computed intermediate x^ of an exact x, under a machine model:

    |x| <= N and |x^ - x| <= E,

where N is the closed form evaluated with absolute values. With T = N + E a product obeys

    T = T1 T2 (1 + gamma_n),   that is   E = E1 N2 + N1 E2 + E1 E2 + gamma_n (N + E1 N2 + N1 E2 +
    E1 E2),

and never uses a computed magnitude, so that T of a chain of products is the same for every
association, and the bound holds for every order of summation and for sums distributed over
products. What a flush to zero loses is absolute and therefore does depend on the association;
`Chain` carries what a loss in any contiguous sub-product is multiplied by, so that the bound
covers them all. The derivation, rule by rule, is docs/proven-bounds.md.

All float64 work here is on non-negative numbers and rounded up by `_up`, so that the bound itself
does not suffer from rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.chain import Chain
from loracle_reference.arithmetic.double import Double
from loracle_reference.arithmetic.growth import exponential_growth, softmax_growth
from loracle_reference.arithmetic.interval import Interval, IntervalMatrix
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
from loracle_reference.floating_point import MachineModel

__all__ = ["Rounding", "RoundingMatrix"]

Array = npt.NDArray[np.float64]

_SCALAR_ROUNDINGS = 4
"""A float argument is rounded to the storage dtype once and multiplied once; a kernel may instead
multiply two operands by its square root (as scaled_dot_product_attention does), which is twice
that."""


def _up(array: Array, terms: int = 1) -> Array:
    """At least the exact value of a non-negative expression of `terms` terms evaluated in
    float64."""
    return np.asarray(array * (1.0 + (terms + 8) * 2.0**-52), dtype=np.float64)


def _product(left: Array, right: Array) -> Array:
    """left @ right rounded up, with 0 * inf = 0: an exact zero stays one, whatever it
    multiplies."""
    if np.isfinite(left).all() and np.isfinite(right).all():
        return _up(left @ right, left.shape[1])
    with np.errstate(invalid="ignore"):
        terms = left[:, :, None] * right[None, :, :]
    return _up(np.nan_to_num(terms, nan=0.0, posinf=np.inf).sum(axis=1), left.shape[1])


def _times(left: Array, right: Array) -> Array:
    """left * right rounded up, with 0 * inf = 0."""
    with np.errstate(invalid="ignore"):
        product = left * right
    if np.isfinite(product).all():
        return _up(product)
    return _up(np.nan_to_num(product, nan=0.0, posinf=np.inf))


class RoundingMatrix(Matrix):
    """Natural scale and error bound of a kernel's version of one matrix.

    relative: the part of E that comes from relative errors (see the module docstring); what
    flushes to zero lose along the chain is kept in `chain` until the matrix is used entry by entry.
    error: E where it is known already, else made of the two.
    """

    def __init__(
        self,
        truth: IntervalMatrix,
        natural_scale: Array,
        relative: Array,
        machine: MachineModel,
        chain: Chain | None = None,
        error: Array | None = None,
    ) -> None:
        self.truth = truth
        self.natural_scale = natural_scale
        self.relative = relative
        self.machine = machine
        self.chain = Chain.leaf(natural_scale + relative) if chain is None else chain
        if error is None:
            growth = self._sum_growth(self.chain.inner)
            error = _up(relative + self.chain.lost(machine.loss, growth, machine.operand_loss))
        self.error = error

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.natural_scale.shape
        return rows, columns

    @property
    def total(self) -> Array:
        """T = N + E, a bound of every computed version."""
        return self.natural_scale + self.error

    @property
    def overflow_free(self) -> bool:
        """Whether no legal evaluation can overflow: every contiguous sub-product of T on the way
        here stays below a quarter of the largest number."""
        return self.chain.peak < self.machine.storage.largest / 4

    @property
    def T(self) -> RoundingMatrix:
        """The transpose."""
        return RoundingMatrix(
            self.truth.T,
            self.natural_scale.T,
            self.relative.T,
            self.machine,
            self.chain.transposed,
            self.error.T,
        )

    def __matmul__(self, other: RoundingMatrix) -> RoundingMatrix:
        """The sum over the inner dimension, and once more as many terms for each operand that is a
        sum: multiplied out, its second product may be accumulated onto its first."""
        require_inner(self, other)
        growth = self._sum_growth(self.shape[1] * (self.chain.addends + other.chain.addends - 1))
        natural = _product(self.natural_scale, other.natural_scale)
        spread = _product(self.relative, other.total) + _product(self.natural_scale, other.relative)
        grown = _times(np.full_like(natural, growth), _product(self.total, other.total))
        chain = self.chain.times(self.total, other.chain, other.total, growth=growth)
        truth = self.truth @ other.truth
        return RoundingMatrix(truth, natural, _up(spread + grown), self.machine, chain)

    def __add__(self, other: RoundingMatrix) -> RoundingMatrix:
        require_same_shape(self, other)
        return self._sum(other, self.truth + other.truth)

    def __sub__(self, other: RoundingMatrix) -> RoundingMatrix:
        require_same_shape(self, other)
        return self._sum(other, self.truth - other.truth)

    def __mul__(self, other: RoundingMatrix) -> RoundingMatrix:
        require_same_shape(self, other)
        natural = _times(self.natural_scale, other.natural_scale)
        spread = _times(self.error, other.total) + _times(self.natural_scale, other.error)
        return self._formed(self.truth * other.truth, natural, spread, other, roundings=1)

    def scale(self, factor: Scalar) -> RoundingMatrix:
        """Nothing is claimed for a factor that is not a normal number of the storage format: its
        own rounding has no relative error then."""
        magnitude = float(abs(factor)) * (1 + 2.0**-52)
        storage = self.machine.storage
        natural = _up(self.natural_scale * magnitude)
        if magnitude != 0 and not storage.smallest_normal < magnitude < storage.largest:
            relative = np.full_like(natural, np.inf)
        else:
            growth = self._entrywise_growth(_SCALAR_ROUNDINGS)
            relative = _up((self.relative + growth * self.total) * magnitude)
        chain = self.chain.scaled(magnitude)
        return RoundingMatrix(self.truth.scale(factor), natural, relative, self.machine, chain)

    def row_sum(self) -> RoundingMatrix:
        ones = np.ones((self.shape[1], 1))
        growth = self._sum_growth(self.shape[1], operands=1)
        natural, spread = _product(self.natural_scale, ones), _product(self.error, ones)
        lost = 2 * (self.shape[1] + 1) * self.machine.loss * (1 + growth)
        error = _up(spread + _times(np.full_like(natural, growth), natural + spread) + lost, 4)
        chain = Chain.leaf(natural + error, peak=self.shape[1] * self.chain.peak)
        return RoundingMatrix(self.truth.row_sum(), natural, error, self.machine, chain)

    def row_dot(self, other: RoundingMatrix) -> RoundingMatrix:
        """<self[j], other[j]>: the diagonal of the product self @ other.T, with its rule.

        It may be associated into `other`: <f_j, c_j C3^T> is also <(f C3)_j, c_j>.
        """
        require_same_shape(self, other)
        ones = np.ones((self.shape[1], 1))
        growth = self._sum_growth(self.shape[1] * (self.chain.addends + other.chain.addends - 1))
        natural = _product(_times(self.natural_scale, other.natural_scale), ones)
        spread = _times(self.relative, other.total) + _times(self.natural_scale, other.relative)
        total = _product(_times(self.total, other.total), ones)
        relative = _product(spread, ones) + _times(np.full_like(total, growth), total)
        chain = self.chain.times(self.total, other.chain.transposed, other.total.T, growth=growth)
        growth = self._sum_growth(chain.inner)
        lost = chain.lost(self.machine.loss, growth, self.machine.operand_loss)
        error = _up(relative + np.diagonal(lost)[:, None], 4)
        leaf = Chain.leaf(natural + error, peak=chain.peak)
        return RoundingMatrix(self.truth.row_dot(other.truth), natural, error, self.machine, leaf)

    def exp(self) -> RoundingMatrix:
        truth = self.truth.exp()
        natural = Interval().enclosure(truth).magnitude
        with np.errstate(over="ignore"):
            argument = Interval().enclosure(self.truth).magnitude + self.error
            growth = np.expm1(
                self.error + exponential_growth(self.machine, argument, parts=argument)
            )
        return self._formed(truth, natural, _times(natural, growth), self, roundings=1)

    def scale_rows(self, column: RoundingMatrix) -> RoundingMatrix:
        """diag(column) @ self, a chain like any other: column may be multiplied further left
        first."""
        require_column(self, column)
        growth = self._entrywise_growth(1)
        natural = _times(self.natural_scale, column.natural_scale)
        spread = _times(column.relative, self.total) + _times(column.natural_scale, self.relative)
        relative = _up(spread + growth * _times(column.total, self.total))
        diagonal = np.diagflat(column.total)
        # As a matrix diag(r) has r's losses on its diagonal, and as many columns as rows.
        left = replace(
            column.chain,
            after=np.ones(self.shape[0]),
            leaves=np.diagflat(column.chain.leaves),
            products=np.diagflat(column.chain.products),
            bare=np.diagflat(column.chain.bare),
        )
        chain = left.times(diagonal, self.chain, self.total, growth=growth)
        truth = self.truth.scale_rows(column.truth)
        return RoundingMatrix(truth, natural, relative, self.machine, chain)

    def divide_rows(self, column: RoundingMatrix) -> RoundingMatrix:
        """|x^/c^ - x/c| <= E_x / |c^| + (|x| / |c|) E_c / |c^|, with the smallest |c| and |c^|."""
        require_column(self, column)
        enclosure = Interval().enclosure(column.truth)
        exact = np.maximum(np.abs(enclosure.mid) - enclosure.radius, 0.0) * (1 - 2.0**-50)
        computed = np.maximum(exact - column.error, 0.0) * (1 - 2.0**-50)
        with np.errstate(divide="ignore", invalid="ignore"):
            natural = np.nan_to_num(_up(self.natural_scale / exact), nan=np.inf, posinf=np.inf)
            spread = self.error / computed + natural * (column.error / computed)
            spread = np.nan_to_num(_up(spread), nan=np.inf, posinf=np.inf)
        truth = self.truth.divide_rows(column.truth)
        return self._formed(truth, natural, spread, column, roundings=4)

    def face_splitting(self, other: RoundingMatrix) -> RoundingMatrix:
        require_same_rows(self, other)
        (rows, left), right = self.shape, other.shape[1]

        def split(first: Array, second: Array) -> Array:
            return _times(first[:, :, None], second[:, None, :]).reshape(rows, left * right)

        natural = split(self.natural_scale, other.natural_scale)
        spread = split(self.error, other.total) + split(self.natural_scale, other.error)
        truth = self.truth.face_splitting(other.truth)
        return self._formed(truth, natural, spread, other, roundings=1)

    def reshape(self, rows: int, columns: int) -> RoundingMatrix:
        """The same entries in row-major order, with their bounds.

        Every kernel forms a matrix before it moves its entries so, and the result is a leaf: all of
        `error`, what flushes take along the chain included, is relative error from here on. No
        product, sum or division may be reassociated across the copy, because the entries of a
        sub-product stand in other places, or nowhere, afterwards. The peak on the way is kept.
        """
        require_reshape(self, rows, columns)
        natural = self.natural_scale.reshape(rows, columns)
        error = self.error.reshape(rows, columns)
        leaf = Chain.leaf(natural + error, peak=self.chain.peak)
        truth = self.truth.reshape(rows, columns)
        return RoundingMatrix(truth, natural, error, self.machine, leaf)

    def take_rows(self, indices: Sequence[int]) -> RoundingMatrix:
        """Row i of the result is row indices[i], with its bounds. (X Y)[rows] is X[rows] Y, however
        it is associated, so that the chain goes on; a copy rounds nothing."""
        rows = require_rows(self, indices)
        return RoundingMatrix(
            self.truth.take_rows(rows),
            self.natural_scale[rows],
            self.relative[rows],
            self.machine,
            self.chain.taken(rows),
        )

    def beside(self, other: RoundingMatrix) -> RoundingMatrix:
        """The columns of self, then those of other, with their bounds. [X, Y] [V; W] is X V + Y W,
        each of which a kernel may associate as it likes, so that the chains go on."""
        require_same_rows(self, other)
        return RoundingMatrix(
            self.truth.beside(other.truth),
            np.hstack([self.natural_scale, other.natural_scale]),
            np.hstack([self.relative, other.relative]),
            self.machine,
            self.chain.beside(other.chain),
        )

    def softmax_rows(self) -> RoundingMatrix:
        """Softmax however it is computed: in one or two passes, streaming with rescaling at every
        key, or from a stored log-sum-exp, in base e or 2 (docs/proven-bounds.md, "Softmax").

        With |s^_l - s_l| <= e_l the probabilities of the computed scores differ from f by at most
        the factor R_l = exp(e_l) sum_m f_m exp(e_m); kappa is what computing them adds.
        """
        return self._softmax(self.truth.softmax_rows(), np.ones(self.shape, dtype=np.bool_))

    def causal_softmax_rows(self) -> RoundingMatrix:
        """The same over the keys that a query sees; what it does not see is zero in every kernel,
        as exp of minus infinity is. The sums have as many terms as without a mask."""
        return self._softmax(self.truth.causal_softmax_rows(), causal_mask(self))

    def _softmax(self, truth: IntervalMatrix, seen: npt.NDArray[np.bool_]) -> RoundingMatrix:
        f = np.minimum(Interval().enclosure(truth).magnitude, 1.0)
        keys = self.shape[1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scores = Interval().enclosure(self.truth).magnitude + self.error
            scores = np.where(seen, scores, 0.0)
            largest = scores.max(axis=1, keepdims=True)
            weights = _product(_times(f, np.exp(self.error)), np.ones((keys, 1)))
            log_r = _up(self.error + np.maximum(np.log(weights), 0.0))
            kappa = self._softmax_growth(largest, keys)
            growth = np.nan_to_num(np.expm1(_up(log_r + kappa, 16)), nan=np.inf, posinf=np.inf)
        lost = (2 * keys + 4) * self.machine.loss * (1 + keys * f)
        error = np.where(seen, _up(_times(f, growth) + lost), 0.0)
        # A kernel that divides last multiplies the numerators instead: at most 1, and M times f.
        with np.errstate(over="ignore"):
            numerators = np.minimum(1.0, keys * f) + keys * error
        chain = Chain.leaf(f + error, peak=self.chain.peak, numerators=numerators)
        return RoundingMatrix(truth, f, error, self.machine, chain)

    def _formed(
        self,
        truth: IntervalMatrix,
        natural: Array,
        spread: Array,
        other: RoundingMatrix,
        *,
        roundings: int,
    ) -> RoundingMatrix:
        """A result that every kernel forms entry by entry from this and `other`, rounded to storage
        `roundings` times, each of which may flush it."""
        growth = self._entrywise_growth(roundings)
        lost = 2 * roundings * self.machine.loss * (1 + growth)
        error = _up(spread + growth * (natural + spread) + lost, 4)
        chain = Chain.leaf(natural + error, peak=max(self.chain.peak, other.chain.peak))
        return RoundingMatrix(truth, natural, error, self.machine, chain)

    def _softmax_growth(self, largest: Array, keys: int) -> Array:
        """kappa; see `softmax_growth`."""
        return softmax_growth(self.machine, largest, keys)

    def _sum_growth(self, terms: int, *, operands: int = 2) -> float:
        """gamma of a sum of `terms` products; see `MachineModel.sum_growth`."""
        return self.machine.sum_growth(terms, operands=operands)

    def _entrywise_growth(self, roundings: int) -> float:
        """The relative error of `roundings` roundings to storage."""
        return float((1 - self.machine.stored_unit) ** -roundings * (1 + 2.0**-50) - 1)

    def _sum(self, other: RoundingMatrix, truth: IntervalMatrix) -> RoundingMatrix:
        """Either operand's terms may be accumulated onto the other, one by one."""
        natural = _up(self.natural_scale + other.natural_scale)
        relative = self.relative + other.relative
        for one, accumulated in ((self, other), (other, self)):
            growth = self._sum_growth(accumulated.chain.inner + 1, operands=0)
            growth = max(growth, self._entrywise_growth(2))
            relative = relative + _times(np.full_like(natural, growth), one.total)
        chain = self.chain.plus(other.chain, natural + _up(relative, 4))
        return RoundingMatrix(truth, natural, _up(relative, 4), self.machine, chain)


class Rounding(Arithmetic[RoundingMatrix]):
    """The rounding arithmetic of one machine model."""

    name = "rounding"

    def __init__(self, machine: MachineModel) -> None:
        self.machine = machine
        self._interval = Interval()

    def matrix(self, entries: Entries) -> RoundingMatrix:
        """Inputs, exact in the storage dtype: N = |x|, E = 0. Raises ValueError unless
        two-dimensional and finite."""
        values = Double().matrix(entries).values
        magnitude = np.abs(values)
        return RoundingMatrix(
            self._interval.matrix(values), magnitude, np.zeros_like(magnitude), self.machine
        )
