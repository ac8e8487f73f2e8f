"""The largest inner product of two sets of vectors, exactly, without forming all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loracle.bench.messages import FloatArray

__all__ = ["LargestProduct", "largest_product"]

_BLOCK = 1024
"""Rows in a block; a product of two blocks is 8 MiB."""

_SLACK = 1 + 2.0**-40
"""More than rounding takes from a product of norms, or adds to an inner product relative to it."""


@dataclass(frozen=True)
class LargestProduct:
    """value: max |<q_j, k_l>|. pairs: how many of them were formed."""

    value: float
    pairs: int


def largest_product(queries: FloatArray, keys: FloatArray) -> LargestProduct:
    """max_jl |<q_j, k_l>| as it comes out in float64.

    |<q_j, k_l>| <= |q_j| |k_l| (Cauchy and Schwarz). Both sides are visited by falling norm; a pair
    whose norms have a product not above the largest inner product so far is passed over, and with
    it all that come after. For points of spread lengths few pairs are left; for points on a sphere
    nothing is saved. Shapes: (L, d) and (M, d) with L, M, d >= 1; all entries finite.
    """
    queries, query_norms = _by_falling_norm(queries)
    keys, key_norms = _by_falling_norm(keys)
    largest, pairs = 0.0, 0
    for start in range(0, len(queries), _BLOCK):
        rows = queries[start : start + _BLOCK]
        longest = query_norms[start]
        if longest * key_norms[0] <= largest:
            break
        for begin in range(0, len(keys), _BLOCK):
            if longest * key_norms[begin] <= largest:
                break
            # Inside a block, too, only the rows that can still matter.
            near = rows[query_norms[start : start + _BLOCK] * key_norms[begin] > largest]
            columns = keys[begin : begin + _BLOCK]
            far = columns[longest * key_norms[begin : begin + _BLOCK] > largest]
            largest = max(largest, float(np.abs(near @ far.T).max()))
            pairs += len(near) * len(far)
    return LargestProduct(largest, pairs)


def _by_falling_norm(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The points sorted, and upper bounds of their norms whose products bound every inner product
    that rounding can make of them."""
    norms = np.linalg.norm(points, axis=1)
    order = np.argsort(-norms, kind="stable")
    return points[order], norms[order] * _SLACK
