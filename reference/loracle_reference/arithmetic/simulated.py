"""Legal evaluations: the formulas in a real low-precision format, in one of many legal orders.

A kernel may sum in any order, keep partial sums in storage or in something wider, associate
products and distribute sums as it likes, and compute the softmax in two passes, online or from a
log-sum-exp. A `Strategy` fixes one such choice; `Simulated` evaluates the specification that way,
every stored number rounded to the storage format. These are the honest kernels that a tolerance
must let pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from loracle_reference.arithmetic.double import Double
from loracle_reference.arithmetic.half_precision import rounded_to_float16
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
from loracle_reference.arithmetic.tensor_core import tensor_core_product
from loracle_reference.floating_point import (
    NUMPY_DTYPES,
    TF32,
    MachineModel,
    machine_model,
    round_to_format,
    truncate_to_format,
)

__all__ = ["STRATEGIES", "Simulated", "SimulatedMatrix", "Strategy", "strategies_of"]

Array = npt.NDArray[Any]

_WIDE: dict[str, Any] = {
    "float64": np.float64,
    "float32": np.float64,
    "float16": np.float32,
    "bfloat16": np.float32,
}
_BLOCK = 4
_LARGE = 64 * 64  # entries from which float16 is faster in float32
_LOG2_E = 1.4426950408889634


@dataclass(frozen=True)
class Strategy:
    """One legal way to evaluate the formulas.

    order: of the terms of a sum kept in storage; "wide" instead sums in the next wider format, and
    "tensor-core" as the machine's own does.
    associate: "formula" takes products as the specification brackets them, "left" and "right"
    chain them. distribute: x (w + s b a) as x w + s (x b) a, that is, unmerged weights. constants:
    "as given", or "rounded": exp(x) as 2^(x log2 e), and of a scalar its root on both ends of the
    chain, as scaled_dot_product_attention does; both rounded to storage, and to the same side in
    every case.
    """

    name: str
    order: Literal["sequential", "reversed", "blocked", "wide", "tensor-core"]
    associate: Literal["formula", "left", "right"]
    distribute: bool
    softmax: Literal["two-pass", "online", "log-sum-exp"]
    constants: Literal["as given", "rounded"] = "as given"


STRATEGIES: tuple[Strategy, ...] = (
    Strategy("sequential", "sequential", "formula", False, "two-pass"),
    Strategy("reversed-online", "reversed", "formula", False, "online"),
    Strategy("sequential-unmerged", "sequential", "left", True, "log-sum-exp"),
    Strategy("blocked-unmerged-right", "blocked", "right", True, "two-pass"),
    Strategy("blocked-left", "blocked", "left", False, "online"),
    Strategy("wide-merged", "wide", "formula", False, "two-pass"),
    Strategy("wide-unmerged", "wide", "left", True, "log-sum-exp"),
    Strategy("wide-right", "wide", "right", False, "online"),
    Strategy("wide-rounded-constants", "wide", "left", False, "two-pass", "rounded"),
)
"""The ensemble of the calibrated tolerance: every order, bracketing and softmax appears."""

_WIDE_STRATEGIES = tuple(s for s in STRATEGIES if s.order == "wide")
_TENSOR_CORE_STRATEGIES = tuple(
    replace(s, name=s.name.replace("wide", "tensor-core"), order="tensor-core")
    for s in _WIDE_STRATEGIES
)


def strategies_of(machine: MachineModel) -> tuple[Strategy, ...]:
    """The ensemble of honest kernels on one machine: all where partial sums may be kept in storage,
    else those that sum more finely, by a tensor core too where it has one."""
    if machine.tensor_core is not None:
        return _WIDE_STRATEGIES + _TENSOR_CORE_STRATEGIES
    return STRATEGIES if machine.accumulates_in_storage else _WIDE_STRATEGIES


@dataclass(frozen=True)
class _Product:
    """A product of stored factors and scalars that is not formed yet."""

    factors: tuple[Array, ...]
    scalars: tuple[float, ...] = ()

    @property
    def T(self) -> _Product:
        return _Product(tuple(factor.T for factor in reversed(self.factors)), self.scalars)

    def times(self, other: _Product) -> _Product:
        return _Product(self.factors + other.factors, self.scalars + other.scalars)


class SimulatedMatrix(Matrix):
    """A sum of products, formed (and rounded) when an entrywise operation or the result needs
    it."""

    def __init__(self, terms: tuple[_Product, ...], arithmetic: Simulated) -> None:
        self._terms = terms
        self.arithmetic = arithmetic

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        first = self._terms[0].factors
        return int(first[0].shape[0]), int(first[-1].shape[1])

    @property
    def T(self) -> SimulatedMatrix:
        """The transpose."""
        return SimulatedMatrix(tuple(term.T for term in self._terms), self.arithmetic)

    @property
    def stored(self) -> Array:
        """The matrix in the storage format."""
        total = self.arithmetic.kept(
            reduce(np.add, (self.arithmetic.form(term) for term in self._terms))
        )
        if len(self._terms) > 1 or self._terms[0].scalars or len(self._terms[0].factors) > 1:
            self._terms = (_Product((total,)),)
        return total

    def __matmul__(self, other: SimulatedMatrix) -> SimulatedMatrix:
        require_inner(self, other)
        strategy = self.arithmetic.strategy
        left = self._terms if strategy.distribute else self._undistributed()
        right = other._terms if strategy.distribute else other._undistributed()
        product = SimulatedMatrix(
            tuple(one.times(two) for one in left for two in right), self.arithmetic
        )
        return product if strategy.associate != "formula" else self._new(product.stored)

    def __add__(self, other: SimulatedMatrix) -> SimulatedMatrix:
        require_same_shape(self, other)
        return self._distributed(other, 1.0) or self._new(self.stored + other.stored)

    def __sub__(self, other: SimulatedMatrix) -> SimulatedMatrix:
        require_same_shape(self, other)
        return self._distributed(other, -1.0) or self._new(self.stored - other.stored)

    def __mul__(self, other: SimulatedMatrix) -> SimulatedMatrix:
        require_same_shape(self, other)
        return self._new(self.stored * other.stored)

    def scale(self, factor: Scalar) -> SimulatedMatrix:
        if self.arithmetic.strategy.associate == "formula":
            return self._new(self.stored * self.arithmetic.cast(float(factor)))
        scaled = tuple(_Product(t.factors, (*t.scalars, float(factor))) for t in self._terms)
        return SimulatedMatrix(scaled, self.arithmetic)

    def row_sum(self) -> SimulatedMatrix:
        return self._new(self.arithmetic.row_sum(self.stored))

    def exp(self) -> SimulatedMatrix:
        return self._new(self.arithmetic.function(np.exp, self.stored))

    def scale_rows(self, column: SimulatedMatrix) -> SimulatedMatrix:
        require_column(self, column)
        return self._new(self.stored * column.stored)

    def divide_rows(self, column: SimulatedMatrix) -> SimulatedMatrix:
        require_column(self, column)
        return self._new(self.stored / column.stored)

    def face_splitting(self, other: SimulatedMatrix) -> SimulatedMatrix:
        require_same_rows(self, other)
        product = self.stored[:, :, None] * other.stored[:, None, :]
        return self._new(product.reshape(self.shape[0], -1))

    def reshape(self, rows: int, columns: int) -> SimulatedMatrix:
        """The stored entries in row-major order."""
        require_reshape(self, rows, columns)
        return self._new(self.stored.reshape(rows, columns))

    def take_rows(self, indices: Sequence[int]) -> SimulatedMatrix:
        """Row i of the result is the stored row indices[i]."""
        return self._new(self.stored[require_rows(self, indices)])

    def beside(self, other: SimulatedMatrix) -> SimulatedMatrix:
        """The stored columns of self, then those of other."""
        require_same_rows(self, other)
        return self._new(np.hstack([self.stored, other.stored]))

    def softmax_rows(self) -> SimulatedMatrix:
        """In two passes, online with rescaling at every key, or from a stored log-sum-exp."""
        if self.arithmetic.strategy.softmax == "online":
            return self._online_softmax()
        exp, scores = self.arithmetic.function, self.stored
        largest = scores.max(axis=1, keepdims=True)
        weights = self._new(exp(np.exp, scores - largest))
        total = weights.row_sum()
        if self.arithmetic.strategy.softmax == "two-pass":
            return weights.divide_rows(total)
        log_sum_exp = largest + exp(np.log, total.stored)
        return self._new(exp(np.exp, scores - log_sum_exp))

    def causal_softmax_rows(self) -> SimulatedMatrix:
        """The same with scores of minus infinity, as kernels mask them: their exponentials are
        exact zeros."""
        scores = self.stored
        hidden = np.asarray(-np.inf, dtype=scores.dtype)
        return self._new(np.where(causal_mask(self), scores, hidden)).softmax_rows()

    def _online_softmax(self) -> SimulatedMatrix:
        """One key at a time; weights and their sum are rescaled whenever the maximum grows."""
        exp, scores = self.arithmetic.function, self.stored
        largest = scores[:, :1]
        weights = np.zeros_like(scores)
        weights[:, :1] = 1
        total = weights[:, :1].copy()
        for key in range(1, scores.shape[1]):
            grown = np.maximum(largest, scores[:, key : key + 1])
            rescale = exp(np.exp, largest - grown)
            weight = exp(np.exp, scores[:, key : key + 1] - grown)
            weights = weights * rescale
            weights[:, key : key + 1] = weight
            total = total * rescale + weight
            largest = grown
        return self._new(weights / total)

    def _new(self, stored: Array) -> SimulatedMatrix:
        kept = self.arithmetic.kept(stored)
        return SimulatedMatrix((_Product((kept,)),), self.arithmetic)

    def _undistributed(self) -> tuple[_Product, ...]:
        return self._terms if len(self._terms) == 1 else (_Product((self.stored,)),)

    def _distributed(self, other: SimulatedMatrix, sign: float) -> SimulatedMatrix | None:
        if not self.arithmetic.strategy.distribute:
            return None
        signed = other._terms
        if sign < 0:
            signed = tuple(_Product((-t.factors[0], *t.factors[1:]), t.scalars) for t in signed)
        return SimulatedMatrix(self._terms + signed, self.arithmetic)


class Simulated(Arithmetic[SimulatedMatrix]):
    """The evaluation of one strategy in one storage format (a key of `FORMATS`), on a machine whose
    tensor core, TF32 operands and flushes to zero are simulated (the widest, which has none)."""

    name = "simulated"

    def __init__(self, dtype: str, strategy: Strategy, machine: MachineModel | None = None) -> None:
        """Raises ValueError, naming what there is, on an unknown dtype."""
        self.machine = machine_model("widest", dtype) if machine is None else machine
        self.storage = NUMPY_DTYPES[dtype]
        self.wide = _WIDE[dtype]
        self.strategy = strategy

    def matrix(self, entries: Entries) -> SimulatedMatrix:
        """Inputs rounded to storage. Raises ValueError unless they form a finite matrix."""
        values = Double().matrix(entries).values.astype(self.storage)
        return SimulatedMatrix((_Product((self.kept(values),)),), self)

    def array(self, matrix: SimulatedMatrix) -> npt.NDArray[np.float64]:
        """The entries, exactly, as float64."""
        return np.asarray(matrix.stored, dtype=np.float64)

    def cast(self, value: float) -> Any:
        """A scalar rounded to storage."""
        return np.asarray(value, dtype=np.float64).astype(self.storage)

    def function(self, function: Callable[[Array], Array], argument: Array) -> Array:
        """An elementary function, evaluated in the wider format and rounded to storage."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            wide = argument.astype(self.wide)
            if function is np.exp and self.strategy.constants == "rounded":
                value = np.asarray(np.exp2(wide * self.cast(_LOG2_E).astype(self.wide)))
            else:
                value = np.asarray(function(wide))
            return value.astype(self.storage)

    def form(self, product: _Product) -> Array:
        """The product of the factors in the order of the strategy, then its scalars."""
        factors, scalars = product.factors, product.scalars
        if self.strategy.constants == "rounded" and len(factors) > 1:
            first, *inner, last = factors
            for scalar in scalars:
                root = self.cast(math.sqrt(abs(scalar)))
                first, last = first * (root if scalar > 0 else -root), last * root
            factors, scalars = (first, *inner, last), ()
        if self.strategy.associate == "right":
            formed = reduce(lambda right, left: self.multiply(left, right), reversed(factors))
        else:
            formed = reduce(self.multiply, factors)
        for scalar in scalars:
            formed = formed * self.cast(scalar)
        return formed

    def kept(self, stored: Array) -> Array:
        """Stored numbers, without the subnormal ones where the machine flushes those."""
        smallest = self.machine.storage.smallest_normal
        if self.machine.operand_loss < smallest:
            return stored
        return np.where(np.abs(stored) < smallest, np.zeros_like(stored), stored)

    def row_sum(self, stored: Array) -> Array:
        """The sum of every row, a column: no matrix product, so that it reads no TF32."""
        ones = np.ones((stored.shape[1], 1), dtype=self.storage)
        if self.strategy.order not in ("wide", "tensor-core"):
            return self.multiply(stored, ones)
        with np.errstate(over="ignore", invalid="ignore"):
            wide = np.asarray(stored.astype(self.wide) @ ones.astype(self.wide))
            return self.kept(wide.astype(self.storage))

    def multiply(self, left: Array, right: Array) -> Array:
        """left @ right with the strategy's order of summation."""
        return self.kept(self._summed(left, right))

    def _summed(self, left: Array, right: Array) -> Array:
        terms = left.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            if self.strategy.order in ("wide", "tensor-core"):
                return self._finely_summed(left, right).astype(self.storage)
            order = list(range(terms))
            if self.strategy.order == "reversed":
                order.reverse()
            length = _BLOCK if self.strategy.order == "blocked" else terms
            blocks = [order[start : start + length] for start in range(0, terms, length)]
            return self._accumulate(left, right, blocks)

    def _finely_summed(self, left: Array, right: Array) -> Array:
        """In the wider format, from operands that are rounded where the machine has TF32; or by its
        tensor core, which truncates them."""
        core, tf32 = self.machine.tensor_core, self.machine.operand_unit > 0
        if self.strategy.order == "tensor-core" and core is not None:
            left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
            if not tf32:
                return tensor_core_product(left, right, core, self.machine.storage)
            left, right = truncate_to_format(left, TF32), truncate_to_format(right, TF32)
            return tensor_core_product(left, right, core, TF32)
        if tf32:
            left, right = round_to_format(left, TF32), round_to_format(right, TF32)
        return np.asarray(left.astype(self.wide) @ right.astype(self.wide))

    def _accumulate(self, left: Array, right: Array, blocks: list[list[int]]) -> Array:
        """The sum of the sums of the blocks, every product and partial sum rounded to storage."""
        rounded: Callable[[Array], Array] = np.asarray
        if self.storage == np.float16 and left.shape[0] * right.shape[1] >= _LARGE:
            left, right = left.astype(np.float32), right.astype(np.float32)
            rounded = rounded_to_float16

        def total(terms: Iterable[Array]) -> Array:
            return reduce(lambda one, two: rounded(one + two), terms)

        products = ((rounded(left[:, k, None] * right[None, k]) for k in block) for block in blocks)
        return total(map(total, products)).astype(self.storage, copy=False)
