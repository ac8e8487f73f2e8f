"""What the contiguous sub-products of a chain of matrix products can reach.

A kernel may associate X Y Z as (X Y) Z or X (Y Z). The relative part of the rounding error is the
same for both, but two things are not: what a flush to zero in a sub-product is later multiplied by,
and the largest number that appears on the way. `Chain` bounds both over all contiguous
sub-products, from bounds T of the entries of the factors, without enumerating them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Chain"]

Array = npt.NDArray[np.float64]

_UP = 1 + 2.0**-40
"""Rounds a float64 sum of up to 4000 non-negative terms up; longer ones are inflated by
`_slack`."""


def _slack(terms: int) -> float:
    return max(_UP, 1 + (terms + 8) * 2.0**-52)


def _row_sum(total: Array) -> float:
    return float(total.sum(axis=1).max() * _slack(total.shape[1]))


@dataclass(frozen=True)
class Chain:
    """Bounds over the sub-products of one chain X_1 ... X_k of total bound T (entrywise).

    before: per row, the sum over all proper prefixes P (the empty one included) of the row sums of
    P; after: per column, the same for the column sums of proper suffixes: a loss of at most eta in
    each entry of some sub-product of X_1 ... X_k Y_1 ... Y_l that straddles the middle is
    multiplied by at most before(X)_i after(Y)_j. inner: the longest sum inside. peak: the largest
    entry of any contiguous sub-product. suffix_sum, suffix_peak: largest row sum and entry of any
    proper suffix; prefix_sum, prefix_peak: largest column sum and entry of any proper prefix (0
    for a single factor).
    """

    before: Array
    after: Array
    inner: int
    peak: float
    suffix_sum: float = 0.0
    suffix_peak: float = 0.0
    prefix_sum: float = 0.0
    prefix_peak: float = 0.0

    @classmethod
    def leaf(cls, total: Array, *, inner: int = 1, peak: float = 0.0) -> Chain:
        """A matrix that every kernel forms: an input, or the result of an entrywise operation."""
        rows, columns = total.shape
        largest = max(peak, float(total.max()))
        return cls(before=np.ones(rows), after=np.ones(columns), inner=inner, peak=largest)

    @property
    def transposed(self) -> Chain:
        """The chain of the transpose."""
        return Chain(
            before=self.after,
            after=self.before,
            inner=self.inner,
            peak=self.peak,
            suffix_sum=self.prefix_sum,
            suffix_peak=self.prefix_peak,
            prefix_sum=self.suffix_sum,
            prefix_peak=self.suffix_peak,
        )

    def times(self, total: Array, other: Chain, other_total: Array, product: Array) -> Chain:
        """The chain of self @ other, whose totals are `total`, `other_total` and `product`."""
        terms = total.shape[1]
        slack = _slack(terms)
        rows, columns = _row_sum(total), _row_sum(other_total.T)
        inner_rows, inner_columns = _row_sum(other_total), _row_sum(total.T)
        whole, other_whole = float(total.max()), float(other_total.max())
        suffix_into_other = min(self.suffix_sum * other_whole, self.suffix_peak * columns)
        whole_into_prefix = min(rows * other.prefix_peak, whole * other.prefix_sum)
        straddling = (
            float(product.max()),
            whole_into_prefix,
            suffix_into_other,
            min(self.suffix_sum * other.prefix_peak, self.suffix_peak * other.prefix_sum),
        )
        with np.errstate(invalid="ignore", over="ignore"):
            before = self.before + np.nan_to_num(total @ other.before, nan=np.inf) * slack
            after = other.after + np.nan_to_num(self.after @ other_total, nan=np.inf) * slack
        return Chain(
            before=before * _UP,
            after=after * _UP,
            inner=max(terms, self.inner, other.inner),
            peak=max(self.peak, other.peak, *straddling) * _UP,
            suffix_sum=max(inner_rows, other.suffix_sum, self.suffix_sum * inner_rows) * _UP,
            suffix_peak=max(other_whole, other.suffix_peak, suffix_into_other) * _UP,
            prefix_sum=max(inner_columns, self.prefix_sum, other.prefix_sum * inner_columns) * _UP,
            prefix_peak=max(whole, self.prefix_peak, whole_into_prefix) * _UP,
        )

    def plus(self, other: Chain, total: Array) -> Chain:
        """The chain of a sum, which a kernel may distribute over the products it enters."""
        return Chain(
            before=(self.before + other.before) * _UP,
            after=(self.after + other.after) * _UP,
            inner=max(self.inner, other.inner),
            peak=max(self.peak + other.peak, float(total.max())) * _UP,
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
            peak=self.peak * factor,
            suffix_sum=self.suffix_sum * factor,
            suffix_peak=self.suffix_peak * factor,
            prefix_sum=self.prefix_sum * factor,
            prefix_peak=self.prefix_peak * factor,
        )
