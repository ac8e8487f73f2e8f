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
    """The matrix product: rad >= |A| rB + rA (|B| + rB) + the rounding errors of the midpoints.

    n eta is what each of the products may lose to underflow.
    """
    (left_mid, left_rad), (right_mid, right_rad) = left, right
    inner = left_mid.shape[1]
    mid, rad = allocate((left_mid.shape[0], right_mid.shape[1]))
    with np.errstate(all="ignore"):
        scales = _scales(left_mid, right_mid)
        if scales is None:
            _plain_product(left_mid, right_mid, mid, rad)
        else:
            _split_product(left_mid, right_mid, scales, mid, rad)
        for block in _blocks(inner):
            if right_rad is not None:
                rad += np.abs(left_mid[:, block]) @ right_rad[block]
            if left_rad is not None:
                size = np.abs(right_mid[block])
                if right_rad is not None:
                    size += right_rad[block]
                rad += left_rad[:, block] @ size
        rad += 4 * inner * ETA
        rad *= _inflation(2 * inner + 8)
        # A row of exact zeros on the left, or a column of them on the right, gives exact zeros.
        rad[_zero_lines(left, axis=1)] = 0.0
        rad[:, _zero_lines(right, axis=0)] = 0.0
    return mid, rad


def _plain_product(a: FloatArray, b: FloatArray, mid: FloatArray, rad: FloatArray) -> None:
    """mid := a @ b and rad >= gamma |a| |b|.

    gamma |b| may underflow before it is multiplied by a large number, so eta is added to it.
    """
    growth = _gamma(a.shape[1])
    for number, block in enumerate(_blocks(a.shape[1])):
        _accumulate(mid, a[:, block], b[block], first=number == 0)
        wide = np.abs(b[block])
        wide *= growth
        wide += ETA
        _accumulate(rad, np.abs(a[:, block]), wide, first=number == 0)


_Scales = tuple[FloatArray, FloatArray, int]
_EXPONENTS = 900
"""Scales beyond 2^+-900 are left to the plain product: nothing of a split one may overflow or
underflow."""


def _scales(a: FloatArray, b: FloatArray) -> _Scales | None:
    """Powers of two above the rows of a and the columns of b (0 above zeros), and how many leading
    bits below them a product of n terms adds up exactly; None where they are out of range."""
    bits = (53 - (a.shape[1] - 1).bit_length()) // 2
    columns = np.maximum(a.max(axis=1, keepdims=True), -a.min(axis=1, keepdims=True))
    rows = np.maximum(b.max(axis=0, keepdims=True), -b.min(axis=0, keepdims=True))
    scales = []
    lowest = -2 * bits
    for tops in (columns, rows):
        exponents = np.frexp(tops)[1]
        some = exponents[tops > 0]
        if some.size:
            if max(some.max(), -some.min()) > _EXPONENTS:
                return None
            lowest += int(some.min())
        scales.append(np.where(tops > 0, np.ldexp(1.0, exponents), 0.0))
    return (scales[0], scales[1], bits) if lowest >= -1000 else None


def _split_product(
    a: FloatArray, b: FloatArray, scales: _Scales, mid: FloatArray, rad: FloatArray
) -> None:
    """mid := a @ b with hardly more than its own last rounding, and rad >= the error.

    a = a1 + a2 exactly, where row i of a1 holds multiples of s_i 2^-k and |a2| <= s_i 2^-k / 2
    for its scale s_i; likewise b by columns with scales t_j (after K. Ozaki, T. Ogita, S. Oishi and
    S. M. Rump). With n 2^(2k) <= 2^53 the product a1 b1 is exact in any order of summation, and
    a b = a1 b1 + (a1 b2 + a2 b), where the magnitudes in the parentheses add up to at most
    n s_i t_j 2^-k: so the error is gamma times that, and u |mid| for the last sum.
    """
    rows, columns, bits = scales
    inner = a.shape[1]
    for number, block in enumerate(_blocks(inner)):
        first = number == 0
        a1, a2 = _split(a[:, block], rows, bits)
        b1, b2 = _split(b[block], columns, bits)
        _accumulate(mid, a1, b1, first=first)
        _accumulate(rad, a1, b2, first=first)
        rad += a2 @ b[block]
    mid += rad
    # Two sums for every block, and two roundings for the sum of the two parts.
    error = (2 * _gamma(inner) + 4 * UNIT) * inner * 2.0**-bits * _inflation(8)
    for chunk in row_chunks((mid.shape[0], mid.shape[1])):
        np.abs(mid[chunk], out=rad[chunk])
        rad[chunk] *= 2 * UNIT
        rad[chunk] += (rows[chunk] * error) * columns


def _split(values: FloatArray, scales: FloatArray, bits: int) -> tuple[FloatArray, FloatArray]:
    """Multiples of scale 2^-bits and the rest, for bits <= 51: the sum with 1.5 2^52 such units
    stays between 2^52 and 2^53 of them, where a number has no finer digit."""
    anchor = scales * (1.5 * 2.0 ** (52 - bits))
    leading = values + anchor
    leading -= anchor
    return leading, values - leading


def _accumulate(total: FloatArray, left: FloatArray, right: FloatArray, *, first: bool) -> None:
    """total := left @ right, or total += left @ right if it is not the first."""
    if first:
        np.matmul(left, right, out=total)
    else:
        total += left @ right


def _zero_lines(matrix: Pair, axis: int) -> npt.NDArray[np.bool_]:
    """Which rows (axis 1) or columns (axis 0) are exactly zero."""
    mid, rad = matrix
    zero: Any = ~mid.any(axis=axis)
    if rad is not None and zero.any():
        zero &= ~rad.any(axis=axis)
    return np.asarray(zero)


def add(operation: np.ufunc, left: Pair, right: Pair, mid: FloatArray, rad: FloatArray) -> None:
    """mid, rad := the entrywise sum or difference (np.add or np.subtract) of two pairs.

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
    """The columns of the midpoints and radii of the row sums.

    The leading bits of a row are added up exactly, as in `_split_product` with a factor of ones,
    so that the error is gamma n s_i 2^-k for the rest and u |mid| for the last sum.
    """
    values, radii = pair
    terms = values.shape[1]
    rad = np.zeros((values.shape[0], 1)) if radii is None else radii.sum(axis=1, keepdims=True)
    tops = np.maximum(values.max(axis=1, keepdims=True), -values.min(axis=1, keepdims=True))
    bits = 51 - (terms - 1).bit_length()
    scales = np.where(tops > 0, np.ldexp(1.0, np.frexp(tops)[1]), 0.0)
    # Below or above these scales nothing is split off: the plain sum errs by gamma n s_i.
    split = (tops > 2.0**-_EXPONENTS) & (tops < 2.0**_EXPONENTS)
    leading, rest = _split(values, np.where(split, scales, 0.0), bits)
    if not split.all():
        leading = np.where(split, leading, 0.0)
        rest = np.where(split, rest, values)
    mid = leading.sum(axis=1, keepdims=True) + rest.sum(axis=1, keepdims=True)
    if terms > 1:
        left = np.where(split, 2.0**-bits, 1.0) * scales
        rad += (terms * UNIT * _inflation(terms)) * terms * left + np.minimum(tops, ETA)
        rad += 2 * UNIT * np.abs(mid)
    rad *= _inflation(terms + 8)
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
