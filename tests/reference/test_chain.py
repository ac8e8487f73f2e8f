"""What the sub-products of a chain lose and reach, against all of them enumerated, and rule by
rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loracle_reference.arithmetic.chain import Chain

Array = npt.NDArray[np.float64]


def some(seed: int, *size: int) -> Array:
    return np.random.default_rng(seed).uniform(0.5, 2.0, size)


def slightly_above(found: Any, expected: Any) -> None:
    """Rounded up at least once, and by no more than a few times 2^-40."""
    assert np.shape(found) == np.shape(expected)
    assert (np.asarray(found) >= np.asarray(expected) * (1 + 2.0**-41)).all()
    assert (np.asarray(found) <= np.asarray(expected) * (1 + 2.0**-35)).all()


def chain(seed: int, rows: int, columns: int, **facts: Any) -> Chain:
    """Nothing of it follows from anything else."""
    numbers = np.random.default_rng(seed + 100).uniform(0.5, 2.0, 6)
    known: dict[str, Any] = {
        "before": some(seed, rows),
        "after": some(seed + 1, columns),
        "leaves": some(seed + 2, rows, columns),
        "products": some(seed + 3, rows, columns),
        "bare": some(seed + 4, rows, columns),
        "peak": float(numbers[0]),
        "scalars": 2 + seed,
        "reserve": float(numbers[1]),
        "inner": 3 + seed,
        "addends": 1,
        "suffix_sum": float(numbers[2]),
        "suffix_peak": float(numbers[3]),
        "prefix_sum": float(numbers[4]),
        "prefix_peak": float(numbers[5]),
    }
    return Chain(**{**known, **facts})


def check(found: Chain, **expected: Any) -> None:
    """Every field: what is not named must be given by `exactly`, a chain."""
    exactly: Chain = expected.pop("exactly")
    for field in fields(Chain):
        one = getattr(found, field.name)
        if field.name in expected:
            slightly_above(one, expected[field.name])
        else:
            assert np.array_equal(one, getattr(exactly, field.name)), field.name


FACTORS = [some(seed, *shape) for seed, shape in enumerate([(2, 3), (3, 4), (4, 2), (2, 5)])]
ASSOCIATIONS: dict[str, Callable[[Any], Any]] = {
    "from the left": lambda x: ((x[0] @ x[1]) @ x[2]) @ x[3],
    "from the right": lambda x: x[0] @ (x[1] @ (x[2] @ x[3])),
    "in the middle": lambda x: (x[0] @ (x[1] @ x[2])) @ x[3],
    "in pairs": lambda x: (x[0] @ x[1]) @ (x[2] @ x[3]),
}


class Bounded:
    """A chain with its totals, whose products have a growth."""

    def __init__(self, total: Array, known: Chain, growth: float) -> None:
        self.total, self.chain, self.growth = total, known, growth

    def __matmul__(self, other: Bounded) -> Bounded:
        found = self.chain.times(self.total, other.chain, other.total, growth=self.growth)
        return Bounded(self.total @ other.total * (1 + self.growth), found, self.growth)


def enumerated(least: int, most: int) -> Array:
    """The sum over sub-products i..j of least to most factors of T_1 .. T_{i-1} 1 1^T T_{j+1} .."""
    result = np.zeros((2, 5))
    for i in range(4):
        for j in range(i + least - 1, min(i + most, 4)):
            ones = np.ones((FACTORS[i].shape[0], FACTORS[j].shape[1]))
            result += reduce(np.matmul, [*FACTORS[:i], ones, *FACTORS[j + 1 :]])
    return result


@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_losses_and_peaks_are_those_of_all_sub_products(association: str) -> None:
    """In whichever way the formula multiplies. (The whole product is no loss that `products` of a
    loss in every sub-product leaves out: it is the last of them.)"""
    leaves = [Bounded(factor, Chain.leaf(factor), 0.0) for factor in FACTORS]
    found = ASSOCIATIONS[association](leaves).chain
    slightly_above(found.leaves, enumerated(1, 1))
    slightly_above(found.products, enumerated(2, 4))
    parts = [reduce(np.matmul, FACTORS[i:j]) for i in range(4) for j in range(i + 1, 5)]
    largest = max(part.max() for part in parts)
    assert largest <= found.peak <= 1.5 * largest
    prefixes = [reduce(np.matmul, FACTORS[:j]) for j in range(1, 4)]
    slightly_above(found.before, 1 + sum(prefix.sum(axis=1) for prefix in prefixes))
    suffixes = [reduce(np.matmul, FACTORS[j:]) for j in range(1, 4)]
    slightly_above(found.after, 1 + sum(suffix.sum(axis=0) for suffix in suffixes))
    assert found.inner == 4
    for sums, part, axis in (
        (found.prefix_sum, prefixes, 0),
        (found.suffix_sum, suffixes, 1),
    ):
        most = max(one.sum(axis=axis).max() for one in part)
        assert most <= sums <= 1.6 * most
    assert max(one.max() for one in prefixes) <= found.prefix_peak
    assert max(one.max() for one in suffixes) <= found.suffix_peak


def test_a_leaf() -> None:
    total = some(0, 2, 3)
    expected = chain(
        0, 2, 3, before=np.ones(2), after=np.ones(3), leaves=np.ones((2, 3)),
        products=np.zeros((2, 3)), bare=total, peak=total.max(), scalars=0, reserve=1.0, inner=1,
        suffix_sum=0.0, suffix_peak=0.0, prefix_sum=0.0, prefix_peak=0.0,
    )  # fmt: skip
    check(Chain.leaf(total), exactly=expected)
    assert Chain.leaf(total / 8).peak == total.max() / 8
    check(Chain.leaf(total, peak=9.0), exactly=replace(expected, peak=9.0))
    check(
        Chain.leaf(total, numerators=total * 2), exactly=replace(expected, numerators=total * 2)
    )  # fmt: skip


def test_the_transpose_exchanges_the_ends() -> None:
    one = chain(0, 2, 3, numerators=some(9, 2, 3))
    assert one.numerators is not None
    expected = Chain(
        one.after, one.before, one.leaves.T, one.products.T, one.bare.T, one.peak,
        one.numerators.T, one.scalars, one.reserve, one.inner, one.addends, one.prefix_sum,
        one.prefix_peak, one.suffix_sum, one.suffix_peak,
    )  # fmt: skip
    check(one.transposed, exactly=expected)
    assert replace(one, numerators=None).transposed.numerators is None


@pytest.mark.parametrize("read", [0.0, 2.0**-7])
def test_what_is_lost(read: float) -> None:
    """eta (1 + g) ((2 (n + 1) + 4 m) products + 4 m leaves), and what is read of operands."""
    one, eta, growth = chain(1, 2, 3), 2.0**-5, 0.125
    products = 2 * (one.inner + 1) + 4 * one.scalars
    lost = eta * (products * one.products + 4 * one.scalars * one.leaves)
    lost = (lost + read * (one.products + one.leaves)) * (1 + growth)
    slightly_above(one.lost(eta, growth, read), lost)
    assert np.array_equal(one.lost(eta, growth), one.lost(eta, growth, 0.0))


def test_rows_that_are_taken() -> None:
    one, rows = chain(1, 3, 2, numerators=some(9, 3, 2)), [2, 0, 2, 2]
    assert one.numerators is not None
    exactly = replace(
        one, before=one.before[rows], leaves=one.leaves[rows], products=one.products[rows],
        bare=one.bare[rows], numerators=one.numerators[rows],
    )  # fmt: skip
    check(one.taken(rows), exactly=exactly, prefix_sum=3 * one.prefix_sum)
    assert replace(one, numerators=None).taken(rows).numerators is None


@pytest.mark.parametrize("swapped", [False, True])
def test_blocks_side_by_side(swapped: bool) -> None:
    one, other = chain(1, 2, 3), chain(4, 2, 2, addends=2, numerators=some(9, 2, 2) * 3)
    if swapped:
        one, other = other, one
    undivided = [
        x.bare if x.numerators is None else np.maximum(x.bare, x.numerators) for x in (one, other)
    ]
    exactly = Chain(
        one.before, np.concatenate([one.after, other.after]), np.hstack([one.leaves, other.leaves]),
        np.hstack([one.products, other.products]), np.hstack([one.bare, other.bare]),
        max(one.peak, other.peak), np.hstack(undivided), 6, max(one.reserve, other.reserve), 7, 2,
        one.suffix_sum, max(one.suffix_peak, other.suffix_peak),
        max(one.prefix_sum, other.prefix_sum), max(one.prefix_peak, other.prefix_peak),
    )  # fmt: skip
    check(
        one.beside(other), exactly=exactly, before=one.before + other.before,
        suffix_sum=one.suffix_sum + other.suffix_sum,
    )  # fmt: skip
    plain = [replace(x, numerators=None) for x in (one, other)]
    assert plain[0].beside(plain[1]).numerators is None


LARGE = [
    {},
    *({side: name} for side in ("one", "other") for name in ("peak", "bare", "inner")),
    *(
        {side: f"{end}_{kind}"}
        for side in ("one", "other")
        for end in ("prefix", "suffix")
        for kind in ("sum", "peak")
    ),
    {"one": "suffix_sum suffix_peak"},
    {"other": "prefix_sum prefix_peak"},
    {"one": "suffix_sum", "other": "prefix_peak"},
    {"one": "suffix_peak", "other": "prefix_sum"},
]
"""What is a thousand times larger than the rest, so that each of many largest numbers is."""


def enlarged(one: Chain, names: str) -> Chain:
    return replace(one, **{name: 1000 * getattr(one, name) for name in names.split()})


@pytest.mark.parametrize("numerators", range(3))
@pytest.mark.parametrize("large", LARGE, ids=str)
def test_a_product(large: dict[str, str], numerators: int) -> None:
    """A sub-product lies in one operand or straddles both; it is the product of a suffix and a
    prefix, whose entries are bounded in two ways each."""
    one, other, growth = chain(1, 2, 3, addends=2), chain(21, 3, 4), 0.125
    if numerators:
        one = replace(one, numerators=some(9, 2, 3) * 2)
    if numerators == 2:
        other = replace(other, numerators=some(10, 3, 4) * 2)
    one, other = enlarged(one, large.get("one", "")), enlarged(other, large.get("other", ""))
    total, other_total = some(11, 2, 3), some(12, 3, 4)
    left, right = total * one.reserve, other_total * other.reserve
    up = 1 + growth
    products = one.products @ right + left @ other.products + np.outer(one.before, other.after)
    undivided = [
        x.bare if x.numerators is None else np.maximum(x.bare, x.numerators) for x in (one, other)
    ]
    rows, columns = one.bare.sum(axis=1).max(), other.bare.sum(axis=0).max()
    whole, other_whole = one.bare.max(), other.bare.max()
    into_other = min(one.suffix_sum * other_whole, one.suffix_peak * columns)
    into_one = min(rows * other.prefix_peak, whole * other.prefix_sum)
    both = min(one.suffix_sum * other.prefix_peak, one.suffix_peak * other.prefix_sum)
    product = (undivided[0] @ undivided[1]).max()
    # The product itself may be grown once more than it needs.
    least, most = (up * max(p, into_one, into_other, both) for p in (product, up * product))
    right_rows, left_columns = other.bare.sum(axis=1).max(), one.bare.sum(axis=0).max()
    found = one.times(total, other, other_total, growth=growth)
    exactly = replace(
        one, scalars=one.scalars + other.scalars, inner=max(3, one.inner, other.inner), addends=1,
        numerators=None, peak=found.peak,
    )  # fmt: skip
    known = max(one.peak, other.peak)
    assert max(known, least * (1 + 2.0**-41)) <= found.peak <= max(known, most * (1 + 2.0**-35))
    expected = {
        "before": one.before + left @ other.before,
        "after": other.after + one.after @ right,
        "leaves": up * (one.leaves @ right + left @ other.leaves),
        "products": up * products,
        "bare": up * (one.bare @ other.bare),
        "reserve": one.reserve * other.reserve,
        "suffix_sum": up * max(right_rows, other.suffix_sum, one.suffix_sum * right_rows),
        "suffix_peak": up * max(other_whole, other.suffix_peak, into_other),
        "prefix_sum": up * max(left_columns, one.prefix_sum, other.prefix_sum * left_columns),
        "prefix_peak": up * max(whole, one.prefix_peak, into_one),
    }
    check(found, exactly=exactly, **expected)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_sum(swapped: bool) -> None:
    """Which may be multiplied out later: its longest sum has the terms of both."""
    one, other = chain(1, 2, 3), chain(4, 2, 3)
    if swapped:
        one, other = other, one
    total = (one.bare + other.bare) * np.array([0.5, 1.5, 0.5])
    exactly = replace(
        one, scalars=one.scalars + other.scalars, reserve=max(one.reserve, other.reserve),
        inner=one.inner + other.inner, addends=2,
    )  # fmt: skip
    summed = ("before", "after", "leaves", "suffix_sum", "suffix_peak", "prefix_sum", "prefix_peak")
    expected = {name: getattr(one, name) + getattr(other, name) for name in summed}
    found = one.plus(other, total)
    assert np.array_equal(found.bare[:, 1], total[:, 1])
    slightly_above(found.bare[:, ::2], (one.bare + other.bare)[:, ::2])
    check(
        found, exactly=replace(exactly, bare=found.bare), **expected,
        products=one.products + other.products + 1, peak=max(one.peak + other.peak, total.max()),
    )  # fmt: skip
    high = replace(one, peak=50.0)
    slightly_above(high.plus(other, total).peak, 50.0 + other.peak)


@pytest.mark.parametrize("magnitude", [0.0, 0.25, 1.0, 3.0])
def test_a_scalar(magnitude: float) -> None:
    """Which may come first or last, and if it comes last leaves a factor larger by 1 / |s|."""
    one = chain(1, 2, 3, numerators=some(9, 2, 3))
    assert one.numerators is not None
    factor = max(1.0, magnitude)
    scaled = (
        "before", "after", "leaves", "products", "bare", "numerators", "peak", "suffix_sum",
        "suffix_peak", "prefix_sum", "prefix_peak",
    )  # fmt: skip
    expected = {name: getattr(one, name) * factor for name in scaled}
    reserve = one.reserve * (4.0 if magnitude == 0.25 else 1.0)
    exactly = replace(one, scalars=one.scalars + 1)
    check(one.scaled(magnitude), exactly=exactly, reserve=reserve, **expected)
    assert replace(one, numerators=None).scaled(magnitude).numerators is None


@pytest.mark.filterwarnings("error")
def test_a_zero_that_meets_an_infinity_is_unknown() -> None:
    """And infinite therefore, in what is lost; no warning says so."""
    one = chain(1, 2, 2)
    one = replace(one, leaves=np.array([[0.0, math.inf], [1.0, 1.0]]))
    zeros = np.zeros((2, 2))
    assert np.isposinf(one.times(zeros, chain(2, 2, 2), zeros, growth=0.0).leaves[0]).all()
    assert np.isposinf(one.times(zeros, chain(2, 2, 2), zeros, growth=math.inf).leaves).all()
    still = replace(one, scalars=0, products=zeros)
    assert np.isposinf(still.lost(1.0, math.inf)).all()
    assert np.isposinf(still.lost(1.0, 0.0)[0, 1])


@pytest.mark.filterwarnings("error")
def test_an_overflow_is_infinite_and_no_warning() -> None:
    """In what is lost, in a product, and in what it grows by."""
    one, other, ones = chain(1, 2, 2), chain(2, 2, 2), np.ones((2, 2))
    assert np.isposinf(replace(one, products=ones * 1e308).lost(1.0, 0.0)).all()
    large = replace(one, leaves=np.full((2, 2), 1e200))
    assert np.isposinf(large.times(ones, other, ones * 1e200, growth=0.0).leaves).all()
    assert np.isposinf(large.times(ones, other, ones, growth=1e200).leaves).all()


def test_sums_of_many_terms_are_rounded_up_by_more() -> None:
    """By (n + 8) 2^-52 where that is more than 2^-40."""
    terms = 10_000
    row, column = np.ones((1, terms)), np.ones((terms, 1))
    one, other = Chain.leaf(row), replace(Chain.leaf(column), prefix_peak=1.0, prefix_sum=1e9)
    found = one.times(row, other, column, growth=0.0)
    least = terms * (1 + (terms + 8) * 2.0**-52)
    for sums, times in ((found.bare[0, 0], 1), (found.leaves[0, 0], 2), (found.prefix_peak, 1)):
        assert times * least * (1 + 2.0**-41) <= sums <= times * least * (1 + 2.0**-39)
