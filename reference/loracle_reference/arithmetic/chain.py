"""What the contiguous sub-products of a chain of matrix products can lose and reach.

A kernel may associate X Y Z as (X Y) Z or X (Y Z) and apply a scalar anywhere along the chain. The
relative part of the rounding error is the same for all of these, but two things are not: what a
flush to zero in a sub-product is later multiplied by, and the largest number that appears on the
way. `Chain` bounds both over all contiguous sub-products, from bounds T of the entries of the
factors, without enumerating them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Chain"]

Array = npt.NDArray[np.float64]

_UP = 1 + 2.0**-40
"""Rounds a float64 sum of up to 4000 non-negative terms up; longer ones take `_slack`."""

_SCALAR_FLUSHES = 4
"""A scalar is applied by at most four roundings, as square roots on two sides, each of which may
flush."""


def _slack(terms: int) -> float:
    return max(_UP, 1 + (terms + 8) * 2.0**-52)


def _row_sum(total: Array) -> float:
    return float(total.sum(axis=1).max() * _slack(total.shape[1]))


def _unknown_if_nan(array: Array) -> Array:
    """Infinite where a zero has met an infinity. (Of finite numbers numpy's own takes long.)"""
    if np.isfinite(array).all():
        return array
    return np.nan_to_num(array, nan=np.inf, posinf=np.inf)


def _grown(array: Array, growth: float) -> Array:
    """array * (1 + growth) rounded up, unknown (infinite) where a zero meets an infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _unknown_if_nan(array * ((1 + growth) * _UP))


def _product(left: Array, right: Array) -> Array:
    """left @ right rounded up, unknown (infinite) where a zero meets an infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _unknown_if_nan(left @ right) * _slack(left.shape[-1])


@dataclass(frozen=True)
class Chain:
    """Bounds over the sub-products of one chain X_1 ... X_k of matrices bounded entrywise by T.

    before: per row, the sum over all proper prefixes P (the empty one included) of the row sums of
    P; after: per column, the same for the column sums of proper suffixes.
    leaves, products: what a loss of one in every entry of every single factor, and of every
    sub-product of two or more, adds up to in the result. scalars: how many are applied along the
    chain; reserve: the product of max(1, 1/|s|) over them, by which T understates a factor that a
    scalar has not reached yet. inner: the longest sum; addends: 2 for a sum of two matrices that
    may still be multiplied out.
    bare: a bound of the entries while no scalar below one has been applied; numerators: of the
    entries before a division that the next product may be taken before (those of a softmax).
    peak: the largest bare entry of any contiguous sub-product. suffix_sum, suffix_peak: largest row
    sum and entry of any proper suffix, bare; prefix_sum, prefix_peak: largest column sum and entry
    of any proper prefix (0 for a single factor).
    """

    before: Array
    after: Array
    leaves: Array
    products: Array
    bare: Array
    peak: float
    numerators: Array | None = None
    scalars: int = 0
    reserve: float = 1.0
    inner: int = 1
    addends: int = 1
    suffix_sum: float = 0.0
    suffix_peak: float = 0.0
    prefix_sum: float = 0.0
    prefix_peak: float = 0.0

    @classmethod
    def leaf(cls, total: Array, *, peak: float = 0.0, numerators: Array | None = None) -> Chain:
        """A matrix that every kernel forms: an input, or the result of an entrywise operation.

        peak: the largest number on the way to it. numerators: see the class.
        """
        return cls(
            before=np.ones(total.shape[0]),
            after=np.ones(total.shape[1]),
            leaves=np.ones_like(total),
            products=np.zeros_like(total),
            bare=total,
            peak=max(peak, float(total.max())),
            numerators=numerators,
        )

    @property
    def transposed(self) -> Chain:
        """The chain of the transpose."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            leaves=self.leaves.T,
            products=self.products.T,
            bare=self.bare.T,
            numerators=None if self.numerators is None else self.numerators.T,
            suffix_sum=self.prefix_sum,
            suffix_peak=self.prefix_peak,
            prefix_sum=self.suffix_sum,
            prefix_peak=self.suffix_peak,
        )

    def lost(self, eta: float, growth: float, operand_loss: float = 0.0) -> Array:
        """A bound of what flushes of at most eta take from every entry, and what a product takes
        from each of its operands as it reads it, every factor and every sub-product being one.

        In a sum of n products each product, each partial sum and the addition that a multiplied-out
        sum makes later may flush; every scalar may flush what it is applied to, a factor or a
        sub-product. growth: of the longest sum, which a lost amount may still undergo.
        """
        per_sum = 2 * (self.inner + 1) * (1 + growth)
        per_scalar = _SCALAR_FLUSHES * self.scalars * (1 + growth)
        with np.errstate(over="ignore", invalid="ignore"):
            lost = (per_sum + per_scalar) * self.products + per_scalar * self.leaves
        flushed = _unknown_if_nan(lost) * eta * _UP
        if not operand_loss:
            return flushed
        read = (self.products + self.leaves) * ((1 + growth) * operand_loss)
        return (flushed + read) * _UP

    def taken(self, rows: list[int]) -> Chain:
        """The chain of these rows of the result, which are those of its first factor: what follows
        it is the same. A column sum of a prefix takes a row as often as it is taken."""
        often = max(rows.count(row) for row in set(rows))
        return replace(
            self,
            before=self.before[rows],
            leaves=self.leaves[rows],
            products=self.products[rows],
            bare=self.bare[rows],
            numerators=None if self.numerators is None else self.numerators[rows],
            prefix_sum=self.prefix_sum * often * _UP,
        )

    def beside(self, other: Chain) -> Chain:
        """The chain of [self, other], whose product with [X; Y] is self X + other Y.

        What either loses in a sub-product that reaches into X or Y is added up, and so are the row
        sums of suffixes, which a kernel may have formed side by side if their prefixes are one.
        """
        numerators = None
        if self.numerators is not None or other.numerators is not None:
            numerators = np.hstack([self._undivided, other._undivided])
        return Chain(
            before=(self.before + other.before) * _UP,
            after=np.concatenate([self.after, other.after]),
            leaves=np.hstack([self.leaves, other.leaves]),
            products=np.hstack([self.products, other.products]),
            bare=np.hstack([self.bare, other.bare]),
            peak=max(self.peak, other.peak),
            numerators=numerators,
            scalars=max(self.scalars, other.scalars),
            reserve=max(self.reserve, other.reserve),
            inner=max(self.inner, other.inner),
            addends=max(self.addends, other.addends),
            suffix_sum=(self.suffix_sum + other.suffix_sum) * _UP,
            suffix_peak=max(self.suffix_peak, other.suffix_peak),
            prefix_sum=max(self.prefix_sum, other.prefix_sum),
            prefix_peak=max(self.prefix_peak, other.prefix_peak),
        )

    def times(self, total: Array, other: Chain, other_total: Array, *, growth: float) -> Chain:
        """The chain of self @ other, whose totals are given; growth is that of its sum."""
        left, right = total * self.reserve, other_total * other.reserve
        between = np.outer(self.before, other.after)
        leaves = _product(self.leaves, right) + _product(left, other.leaves)
        products = _product(self.products, right) + _product(left, other.products) + between
        return replace(
            self._peaks_of_product(other, growth),
            before=(self.before + _product(left, other.before)) * _UP,
            after=(other.after + _product(self.after, right)) * _UP,
            leaves=_grown(leaves, growth),
            products=_grown(products, growth),
            scalars=self.scalars + other.scalars,
            reserve=self.reserve * other.reserve * _UP,
            inner=max(total.shape[1], self.inner, other.inner),
            addends=1,
        )

    def _peaks_of_product(self, other: Chain, growth: float) -> Chain:
        left, right = self.bare, other.bare
        product = _grown(_product(left, right), growth)
        undivided = _grown(_product(self._undivided, other._undivided), growth)
        rows, columns = _row_sum(left), _row_sum(right.T)
        right_rows, left_columns = _row_sum(right), _row_sum(left.T)
        whole, other_whole = float(left.max()), float(right.max())
        suffix_into_other = min(self.suffix_sum * other_whole, self.suffix_peak * columns)
        whole_into_prefix = min(rows * other.prefix_peak, whole * other.prefix_sum)
        straddling = (
            float(undivided.max()),
            whole_into_prefix,
            suffix_into_other,
            min(self.suffix_sum * other.prefix_peak, self.suffix_peak * other.prefix_sum),
        )
        up = (1 + growth) * _UP
        return replace(
            self,
            bare=product,
            numerators=None,
            peak=max(self.peak, other.peak, *(peak * up for peak in straddling)),
            suffix_sum=max(right_rows, other.suffix_sum, self.suffix_sum * right_rows) * up,
            suffix_peak=max(other_whole, other.suffix_peak, suffix_into_other) * up,
            prefix_sum=max(left_columns, self.prefix_sum, other.prefix_sum * left_columns) * up,
            prefix_peak=max(whole, self.prefix_peak, whole_into_prefix) * up,
        )

    @property
    def _undivided(self) -> Array:
        return self.bare if self.numerators is None else np.maximum(self.bare, self.numerators)

    def plus(self, other: Chain, total: Array) -> Chain:
        """The chain of a sum, which a kernel may multiply out over the next product."""
        bare = np.maximum((self.bare + other.bare) * _UP, total)
        return Chain(
            before=(self.before + other.before) * _UP,
            after=(self.after + other.after) * _UP,
            leaves=(self.leaves + other.leaves) * _UP,
            products=(self.products + other.products + 1) * _UP,
            bare=bare,
            peak=max(self.peak + other.peak, float(bare.max())) * _UP,
            scalars=self.scalars + other.scalars,
            reserve=max(self.reserve, other.reserve),
            inner=self.inner + other.inner,
            addends=2,
            suffix_sum=(self.suffix_sum + other.suffix_sum) * _UP,
            suffix_peak=(self.suffix_peak + other.suffix_peak) * _UP,
            prefix_sum=(self.prefix_sum + other.prefix_sum) * _UP,
            prefix_peak=(self.prefix_peak + other.prefix_peak) * _UP,
        )

    def scaled(self, magnitude: float) -> Chain:
        """The chain times a scalar, which may be applied before or after anything else."""
        factor = max(1.0, magnitude) * _UP
        return replace(
            self,
            before=self.before * factor,
            after=self.after * factor,
            leaves=self.leaves * factor,
            products=self.products * factor,
            bare=self.bare * factor,
            numerators=None if self.numerators is None else self.numerators * factor,
            peak=self.peak * factor,
            scalars=self.scalars + 1,
            reserve=self.reserve * max(1.0, 1 / magnitude if magnitude else 1.0) * _UP,
            suffix_sum=self.suffix_sum * factor,
            suffix_peak=self.suffix_peak * factor,
            prefix_sum=self.prefix_sum * factor,
            prefix_peak=self.prefix_peak * factor,
        )
