"""The operations of interval arithmetic on arrays of midpoints and radii, each with its derivation.

Rounding modes are never switched: with u = 2^-53 and eta = 2^-1074, a sum rounded to nearest errs
by at most u |fl(a + b)|, a product or quotient by eta / 2 more, and these terms are added to the
radius, which is itself a short non-negative expression, inflated by more than its own relative
error.
`interval` says what is assumed of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ETA",
    "FloatArray",
    "Pair",
    "add",
    "allocate",
    "divide",
    "exp_radius",
    "hadamard",
    "normalised",
    "product",
    "row_chunks",
    "row_sum",
    "softmax",
]

FloatArray = npt.NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray | None]
"""Midpoints and radii of one shape; no radii means that the midpoints are the exact values."""

UNIT = 2.0**-53
"""u, the relative error of one rounding to nearest."""
ETA = 2.0**-1074
"""The smallest positive number; half of it is lost at most when a product underflows."""
EXP_ERROR = 10 * UNIT
"""4 ulp of the computed exponential are at most 8u of it; the rest pays for 1/(1 - 8u)."""
EXP_FLUSH = 2.0**-1022
"""What an exponential may lose to a flush to zero, absolutely."""
BLOCK = 256
"""Longest sum left to BLAS: gamma of a longer one is that of a block and the number of blocks."""
CHUNK = 1 << 15
"""Entries handled at a time by entrywise operations, so that the temporaries stay in the cache."""


def _inflation(operations: int) -> float:
    """A factor that makes a non-negative expression, evaluated with at most `operations` roundings
    on the way to any of its terms, at least its exact value (underflow apart)."""
    return 1.0 + 4.0 * (operations + 2) * UNIT


def normalised(mid: FloatArray, rad: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    """Give every entry with an infinite midpoint, or anything NaN, an infinite radius.

    A finite sum proves that all entries are finite, in one pass without temporaries.
    """
    with np.errstate(all="ignore"):
        if not np.isfinite(mid.sum()):
            unknown = ~np.isfinite(mid)
            if unknown.any():
                rad = np.zeros(mid.shape) if rad is None else rad
                mid[unknown] = 0.0
                rad[unknown] = np.inf
        if rad is not None and np.isnan(rad.sum()):
            rad[np.isnan(rad)] = np.inf
    return mid, rad


def allocate(shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Uninitialised midpoints and radii, side by side: one large allocation may get huge pages,
    and page faults are a large part of the cost of all that is entrywise."""
    mid, rad = np.empty((2, *shape))
    return mid, rad


def row_chunks(shape: tuple[int, int]) -> Iterator[slice]:
    """Slices of whole rows with about CHUNK entries each."""
    rows, columns = shape
    step = max(1, CHUNK // columns)
    return (slice(start, start + step) for start in range(0, rows, step))


def _blocks(length: int) -> Iterator[slice]:
    """Slices of at most BLOCK indices."""
    return (slice(start, start + BLOCK) for start in range(0, length, BLOCK))


def _gamma(length: int) -> float:
    """gamma of a sum of `length` terms in blocks, rounded up; infinite where it says nothing.

    The terms of a block pass BLOCK roundings at most (one for the product), the blocks one each.
    """
    terms = min(length, BLOCK) + -(-length // BLOCK)
    error = terms * UNIT
    return error / (1 - error) * _inflation(3) if error < 0.25 else np.inf


def product(left: Pair, right: Pair) -> tuple[FloatArray, FloatArray]:
    """The matrix product, inner sums in blocks.

    rad >= |A| (rB + gamma |B|) + rA (|B| + rB) + n eta. A radius or gamma term may itself underflow
    before it is multiplied by a large number, so eta is added to the factor, not to the product.
    """
    (left_mid, left_rad), (right_mid, right_rad) = left, right
    inner = left_mid.shape[1]
    mid, rad = allocate((left_mid.shape[0], right_mid.shape[1]))
    growth = _gamma(inner)
    with np.errstate(all="ignore"):
        for number, block in enumerate(_blocks(inner)):
            a, b = left_mid[:, block], right_mid[block]
            _accumulate(mid, a, b, first=number == 0)
            size_a, size_b = np.abs(a), np.abs(b)
            rad_a = None if left_rad is None else left_rad[:, block]
            rad_b = None if right_rad is None else right_rad[block]
            if rad_a is None or (rad_b is not None and size_b.size <= size_a.size):
                _accumulate(rad, size_a, _widened(size_b, rad_b, growth), first=number == 0)
                if rad_a is not None:
                    rad += rad_a @ (size_b if rad_b is None else size_b + rad_b)
            else:
                _accumulate(rad, _widened(size_a, rad_a, growth), size_b, first=number == 0)
                if rad_b is not None:
                    rad += (size_a + rad_a) @ rad_b
        rad += 4 * inner * ETA
        rad *= _inflation(2 * inner + 8)
        # A row of exact zeros on the left, or a column of them on the right, gives exact zeros.
        rad[_zero_lines(left, axis=1)] = 0.0
        rad[:, _zero_lines(right, axis=0)] = 0.0
    return mid, rad


def _accumulate(total: FloatArray, left: FloatArray, right: FloatArray, *, first: bool) -> None:
    """total := left @ right, or total += left @ right if it is not the first."""
    if first:
        np.matmul(left, right, out=total)
    else:
        total += left @ right


def _widened(size: FloatArray, rad: FloatArray | None, growth: float) -> FloatArray:
    """rad + growth * size + eta."""
    wide: FloatArray = size * growth
    if rad is not None:
        wide += rad
    wide += ETA
    return wide


def _zero_lines(matrix: Pair, axis: int) -> npt.NDArray[np.bool_]:
    """Which rows (axis 1) or columns (axis 0) are exactly zero."""
    mid, rad = matrix
    zero: Any = ~mid.any(axis=axis)
    if rad is not None and zero.any():
        zero &= ~rad.any(axis=axis)
    return np.asarray(zero)


def add(operation: np.ufunc, left: Pair, right: Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the entrywise sum or difference (np.add or np.subtract) of two pairs of one shape.

    rad >= ra + rb + u |mid|; 2u instead of u, because that product may underflow where the sum,
    which has no error of underflow, still has one of rounding.
    """
    (a, rad_a), (b, rad_b) = left, right
    operation(a, b, out=mid)
    np.abs(mid, out=rad)
    rad *= 2 * UNIT
    for operand in (rad_a, rad_b):
        if operand is not None:
            rad += operand
    rad *= _inflation(3)


def row_sum(pair: Pair) -> tuple[FloatArray, FloatArray]:
    """The columns of the midpoints and radii of the row sums, in blocks of BLOCK columns.

    rad >= the sum of the radii + gamma times the sum of |mid|; eta for the underflow of the latter.
    """
    values, radii = pair
    columns = values.shape[1]
    mid, size, rad = (np.zeros((values.shape[0], 1)) for _ in range(3))
    for block in _blocks(columns):
        part = values[:, block]
        mid += part.sum(axis=1, keepdims=True)
        size += np.abs(part).sum(axis=1, keepdims=True)
        if radii is not None:
            rad += radii[:, block].sum(axis=1, keepdims=True)
    if columns > 1:
        rad += _gamma(columns) * size + np.minimum(size, ETA)
    rad *= _inflation(columns + 4)
    return mid, rad


def hadamard(left: Pair, right: Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the entrywise product of two pairs that broadcast.

    rad >= |a| rb + ra (|b| + rb) + u |mid|, and 4 eta for what these products and the midpoint lose
    to underflow, unless a factor is exactly zero.
    """
    (a, rad_a), (b, rad_b) = left, right
    np.multiply(a, b, out=mid)
    np.abs(mid, out=rad)
    rad *= 2 * UNIT
    size_a, size_b = np.abs(a), np.abs(b)
    if rad_b is not None:
        rad += size_a * rad_b
        size_b += rad_b
    if rad_a is not None:
        rad += rad_a * size_b
        size_a += rad_a
    # eta if neither factor is zero: no other positive number is smaller.
    rad += 4 * np.minimum(np.minimum(size_a, ETA), size_b)
    rad *= _inflation(6)


def exp_radius(exponentials: FloatArray, rad: FloatArray | None, out: FloatArray) -> None:
    """out := a radius for the computed exponentials of midpoints with radius rad.

    |e^x - e^m| <= e^m g with g = e^r - 1, and e^m is within EXP_ERROR and EXP_FLUSH of its computed
    value e, so e (EXP_ERROR + (1 + EXP_ERROR) g) + EXP_FLUSH (1 + g) covers both.
    """
    if rad is None:
        np.multiply(exponentials, EXP_ERROR, out=out)
        out += EXP_FLUSH
    else:
        growth = rad + rad * rad  # at least e^r - 1 for r <= 1
        wide = rad > 1.0
        if wide.any():
            growth[wide] = np.exp(rad[wide])
        growth *= _inflation(8)
        np.multiply(growth, 1 + 2 * EXP_ERROR, out=out)
        out += EXP_ERROR
        out *= exponentials
        growth += 1.0
        growth *= EXP_FLUSH
        out += growth
    out *= _inflation(6)


def divide(left: Pair, right: Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the entrywise quotient of two pairs that broadcast.

    |x / s - X / S| <= (rx + |X / S| rs) / (|S| - rs), then u |mid| + eta / 2 for the division.
    """
    (a, rad_a), (b, rad_b) = left, right
    np.divide(a, b, out=mid)
    size = np.abs(mid)
    np.multiply(size, 2 * UNIT, out=rad)
    lost = 4 * np.minimum(np.abs(a) if rad_a is None else np.abs(a) + rad_a, ETA)
    rad += lost
    lower = np.abs(b)
    if rad_b is not None:
        lower = (lower - rad_b) * (1 - 4 * UNIT)
        # The quotient X / S itself is at most |mid| (1 + 2u) + eta.
        size *= _inflation(1)
        size += lost
        size *= rad_b
    if rad_a is not None:
        size = size + rad_a if rad_b is not None else rad_a
    if rad_a is not None or rad_b is not None:
        rad += (size + lost) / lower
    rad *= _inflation(8)
    # Negated, so that a NaN counts as a divisor of which nothing is known.
    rad[np.broadcast_to(~(lower > 0), rad.shape)] = np.inf


def softmax(scores: Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the softmax of each row of scores, shifted by the row's largest midpoint.

    The exact softmax does not change under any shift, so only the rounding of the subtraction is
    added to the radii. Where they say less than that, a probability is in [0, 1].
    """
    values, radii = scores
    shifted = values - values.max(axis=1, keepdims=True)
    spread = np.abs(shifted)
    spread *= 2 * UNIT
    if radii is not None:
        spread += radii
    spread *= _inflation(3)
    np.exp(shifted, out=shifted)
    deviation = np.empty_like(shifted)
    exp_radius(shifted, spread, deviation)
    exponentials = normalised(shifted, deviation)
    divide(exponentials, normalised(*row_sum(exponentials)), mid, rad)
    vague = ~(rad <= 0.5)
    if vague.any():
        mid[vague] = 0.5
        rad[vague] = 0.5
