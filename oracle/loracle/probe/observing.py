"""What designed inputs reveal of a matrix product: precision, rounding, blocks, TF32, flushes.

Every question is a row of few nonzero numbers times a column of ones, whose exact sum is the small
number that the arithmetic either keeps or loses. (After Fasi, Higham, Mikaitis and Pranesh,
Numerical behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021, but for products of
whole matrices whose order of summation is unknown.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
import numpy.typing as npt

from loracle_reference.floating_point import FORMATS

__all__ = ["INNER", "Multiply", "Observations", "observe"]

Array = npt.NDArray[np.float64]

Multiply = Callable[[Array, Array], Array]
"""left (m, k) and right (k, n) to their product (m, n): float64 arrays of numbers of the dtype that
is observed, multiplied on the device in that dtype."""

Rounding = Literal["nearest", "truncation", "other", "exact"]

INNER = 64
"""Products in one sum."""

_POSITIONS = 32
"""Those among which blocks are looked for; a longer block counts as one of 32."""

_LOOKED_AT = (0, 9, 18, 31)

_COLUMNS = 8
_FULL = 64
_ONE = 2.0**14
"""What the small numbers are compared with: in float16 they are normal numbers then."""

_FINEST = {"float16": 28}
_FINEST_OTHERWISE = 60

Triple = tuple[int, int, int]
"""Where a row has +1, a small number, and -1."""


@dataclass(frozen=True)
class Observations:
    """What was seen of the products of one dtype.

    accumulator_bits: fraction bits that every partial sum keeps. accumulator_rounding: of what it
    does not keep ("exact": nothing was lost down to 2^-accumulator_bits). block: how many products
    are summed at once, in one piece (1: one by one; 32: or more). aligned_bits: the
    fraction bits, relative to the largest, that products have within such a block; None without
    blocks. operand_bits: fraction bits of an operand that enter a product; operand_rounding: of the
    others. subnormal_operands, subnormal_results: whether they count as what they are, not as zero.
    """

    dtype: str
    accumulator_bits: int
    accumulator_rounding: Rounding
    block: int
    aligned_bits: int | None
    operand_bits: int
    operand_rounding: Rounding
    subnormal_operands: bool
    subnormal_results: bool


def observe(multiply: Multiply, dtype: str) -> Observations:
    """Asks all questions; some 40000 rows of INNER numbers."""
    finest = _FINEST.get(dtype, _FINEST_OTHERWISE)
    apart = [(0, j, INNER - 1) for j in range(1, INNER - 1)]
    apart += [(last, j, first) for first, j, last in apart]
    bits = _kept_bits(multiply, apart, finest)
    if bits == finest:
        rounding: Rounding = "exact"
        block, aligned = 1, None
    else:
        lost = _lost(multiply, apart, bits + 1)
        rounding = _rounding_of(multiply, lost[0], bits)
        block, together = _block(multiply, bits + 1)
        aligned = _kept_bits(multiply, together, finest) if together else None
    operand_bits, operand_rounding = _operands(multiply, FORMATS[dtype].precision - 1)
    subnormal_operands, subnormal_results = _subnormal_numbers(multiply, dtype)
    return Observations(
        dtype=dtype,
        accumulator_bits=bits,
        accumulator_rounding=rounding,
        block=block,
        aligned_bits=aligned,
        operand_bits=operand_bits,
        operand_rounding=operand_rounding,
        subnormal_operands=subnormal_operands,
        subnormal_results=subnormal_results,
    )


def _sums(multiply: Multiply, triples: Sequence[Triple], small: npt.ArrayLike) -> Array:
    """1 + small - 1 for every triple, in units of _ONE; shape (triples, _COLUMNS)."""
    rows = np.zeros((len(triples), INNER))
    indices = np.arange(len(triples))
    plus, between, minus = np.array(triples, dtype=np.intp).reshape(-1, 3).T
    rows[indices, plus] = _ONE
    rows[indices, between] = _ONE * np.asarray(small)
    rows[indices, minus] = -_ONE
    return multiply(rows, np.ones((INNER, _COLUMNS))) / _ONE


def _lost(multiply: Multiply, triples: Sequence[Triple], bits: int) -> list[Triple]:
    """The triples whose sum 1 + 2^-bits - 1 does not come out in every column."""
    small = 2.0**-bits
    kept = (_sums(multiply, triples, small) == small).all(axis=1)
    return [triple for triple, whole in zip(triples, kept, strict=True) if not whole]


def _kept_bits(multiply: Multiply, triples: Sequence[Triple], finest: int) -> int:
    """The most bits, up to `finest`, down to which no triple loses anything."""
    bits = np.repeat(np.arange(1, finest + 1), len(triples))
    small = 2.0**-bits
    sums = _sums(multiply, list(triples) * finest, small)
    lost = bits[(sums != small[:, None]).any(axis=1)]
    return int(lost.min()) - 1 if lost.size else finest


def _rounding_of(multiply: Multiply, lost: Triple, bits: int) -> Rounding:
    """What becomes of three quarters of the last place of 1, and of those of -1."""
    last = 2.0**-bits
    up = _sums(multiply, [lost], 0.75 * last)[0]
    # The same order of summation with all signs changed.
    down = -_sums(lambda left, right: multiply(-left, right), [lost], 0.75 * last)[0]
    if (up == last).all() and (down == last).all():
        return "nearest"
    return "truncation" if (up == 0).all() and (down == 0).all() else "other"


def _block(multiply: Multiply, bits: int) -> tuple[int, list[Triple]]:
    """How many positions are summed at once, and the triples of one such block.

    1 and -1 cancel exactly in one block, wherever the small number comes; in two blocks, at one
    position of it at least and with one of the two signs, it is lost beside what came first.
    """
    triples = [
        triple
        for triple in permutations(range(_POSITIONS), 3)
        if triple[0] in _LOOKED_AT or triple[2] in _LOOKED_AT
    ]
    lost = {frozenset((plus, minus)) for plus, _, minus in _lost(multiply, triples, bits)}
    blocks = [
        [one, *(i for i in range(_POSITIONS) if i != one and frozenset((one, i)) not in lost)]
        for one in _LOOKED_AT
    ]
    smallest = min(blocks, key=len)
    return len(smallest), list(permutations(smallest[:6], 3))


def _operands(multiply: Multiply, bits: int) -> tuple[int, Rounding]:
    """How many of the `bits` fraction bits of an operand enter a product, and what becomes of the
    next ones."""
    values = 1 + np.ldexp(1.0, -np.arange(bits + 1))
    whole = (_as_operands(multiply, values) == values).all(axis=0)
    if whole.all():
        return bits, "exact"
    entering = int(np.argmin(whole)) - 1
    last = 2.0**-entering
    seen = _as_operands(multiply, np.array([1 + 0.75 * last]))
    if (seen == 1 + last).all():
        return entering, "nearest"
    return entering, "truncation" if (seen == 1).all() else "other"


def _as_operands(multiply: Multiply, values: Array, other: float = 1.0) -> Array:
    """Each value * other, alone in its sum, as an operand on the left and on the right; shape (2,
    values), NaN where equal columns or rows differ."""
    filled = np.resize(values, -(-len(values) // _FULL) * _FULL)
    column = np.zeros((len(filled), INNER))
    column[:, 0] = 1
    left = multiply(column * filled[:, None], np.full((INNER, _COLUMNS), other)).T
    right = multiply(other * column[:_COLUMNS], np.broadcast_to(filled, (INNER, len(filled))))
    return np.stack([_one_of(left), _one_of(right)])[:, : len(values)]


def _one_of(copies: Array) -> Array:
    """The first copy where all agree, else NaN."""
    return np.where((copies == copies[0]).all(axis=0), copies[0], np.nan)


def _subnormal_numbers(multiply: Multiply, dtype: str) -> tuple[bool, bool]:
    smallest = np.array([FORMATS[dtype].smallest_normal])
    operands = _as_operands(multiply, smallest / 4, 2.0**10) == smallest * 2.0**8
    results = _as_operands(multiply, smallest, 0.25) == smallest / 4
    return bool(operands.all()), bool(results.all())
