"""The rules of docs/proven-bounds.md written out once more, operation by operation, on a machine
whose every term is large enough to be seen. A term too few makes a bound unsound, a term too many
takes its power to tell wrong from right."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction
from itertools import product as pairs_of
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loracle_reference.arithmetic.chain import Chain
from loracle_reference.arithmetic.growth import exponential_growth, softmax_growth
from loracle_reference.arithmetic.interval import IntervalMatrix
from loracle_reference.arithmetic.rounding import Rounding, RoundingMatrix
from loracle_reference.floating_point import MachineModel, machine_model

Array = npt.NDArray[np.float64]

ETA, OMEGA, READ = 2.0**-9, 2.0**-11, 2.0**-10
MACHINE = replace(
    machine_model("widest", "bfloat16"), loss=ETA, operand_loss=OMEGA, operand_unit=READ
)
UNIT = MACHINE.stored_unit
PLAIN = replace(MACHINE, loss=0.0, operand_loss=0.0, operand_unit=0.0)
"""Of which gamma is all that there is."""


def gamma(terms: int, operands: int = 2) -> float:
    """(1 + n u / (1 - n u)) (1 + t)^operands - 1."""
    return (1 + terms * UNIT / (1 - terms * UNIT)) * (1 + READ) ** operands - 1


def entrywise(roundings: int) -> float:
    return float((1 - UNIT) ** -roundings - 1)


def operand(
    seed: int,
    rows: int,
    columns: int,
    *,
    inner: int = 3,
    addends: int = 1,
    numerators: bool = False,
    machine: MachineModel = MACHINE,
) -> RoundingMatrix:
    """Nothing of it follows from anything else: a scale above the truth, which has a radius, an
    error of both parts, and a chain of unequal numbers."""
    draw = np.random.default_rng(seed)
    shape = rows, columns

    def some(*size: int) -> Array:
        return draw.uniform(0.5, 2.0, size)

    truth = IntervalMatrix(some(*shape) * draw.choice([-1.0, 1.0], shape), some(*shape) / 64)
    natural, relative = np.abs(truth.mid) + truth.pair[1] + some(*shape), some(*shape) / 16
    chain = Chain(
        before=some(rows),
        after=some(columns),
        leaves=some(*shape),
        products=some(*shape),
        bare=some(*shape) * 2,
        peak=2000.0 + seed,
        numerators=some(*shape) * 3 if numerators else None,
        scalars=2,
        reserve=float(some(1)[0]),
        inner=inner,
        addends=addends,
        suffix_sum=float(some(1)[0]),
        suffix_peak=float(some(1)[0]),
        prefix_sum=float(some(1)[0]),
        prefix_peak=float(some(1)[0]),
    )
    return RoundingMatrix(truth, natural, relative, machine, chain)


def lost(chain: Chain) -> Array:
    """eta (1 + gamma_n) ((2 (n + 1) + 4 m) products + 4 m leaves), and what operands lose."""
    n, m = chain.inner, chain.scalars
    products = 2 * (n + 1) + 4 * m
    flushed = ETA * (1 + gamma(n)) * (products * chain.products + 4 * m * chain.leaves)
    return flushed + OMEGA * (1 + gamma(n)) * (chain.leaves + chain.products)


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def same_chain(found: Chain, expected: Chain) -> None:
    for field in fields(Chain):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert (one is None) == (other is None), field.name
        if one is not None:
            close(one, other)


def check(
    found: RoundingMatrix,
    truth: IntervalMatrix,
    natural: Array,
    relative: Array,
    chain: Chain,
) -> None:
    """With all of its parts; whatever is formed entry by entry has a chain that loses nothing."""
    assert found.machine is MACHINE
    assert np.array_equal(found.truth.mid, truth.mid)
    assert np.array_equal(found.truth.pair[1], truth.pair[1])
    close(found.natural_scale, natural)
    close(found.relative, relative)
    same_chain(found.chain, chain)
    close(found.error, relative + lost(chain))
    close(found.total, natural + relative + lost(chain))


def check_formed(
    found: RoundingMatrix,
    truth: IntervalMatrix,
    natural: Array,
    spread: Array,
    roundings: int,
    peak: float,
) -> None:
    """E = S + g (N + S) + 2 r eta (1 + g), g = (1 - u)^-r - 1."""
    growth = entrywise(roundings)
    error = spread + growth * (natural + spread) + 2 * roundings * ETA * (1 + growth)
    check_leaf(found, truth, natural, error, peak=peak)


def check_leaf(
    found: RoundingMatrix,
    truth: IntervalMatrix,
    natural: Array,
    error: Array,
    *,
    peak: float,
    numerators: Array | None = None,
) -> None:
    """A leaf was read by no product yet, but a later one will: omega, once."""
    leaf = Chain.leaf(natural + error, peak=peak, numerators=numerators)
    check(found, truth, natural, error, leaf)
    close(found.error, error + OMEGA * (1 + gamma(1)))


def test_inputs_are_exact() -> None:
    values = np.array([[-1.5, 0.0, 2.0], [4.0, -0.25, 1.0]])
    found = Rounding(MACHINE).matrix(values)
    assert found.machine is MACHINE
    assert found.shape == (2, 3)
    assert np.array_equal(found.truth.mid, values)
    assert found.truth.rad is None
    assert np.array_equal(found.natural_scale, np.abs(values))
    assert not found.relative.any()
    same_chain(found.chain, Chain.leaf(np.abs(values)))
    assert not Rounding(PLAIN).matrix(values).error.any()


def test_an_error_has_its_relative_part_and_what_the_chain_loses() -> None:
    """Unless it is known; where no chain is given, every kernel forms the matrix."""
    one = operand(0, 3, 4, inner=5)
    close(one.error, one.relative + lost(one.chain))
    close(one.total, one.natural_scale + one.error)
    alone = RoundingMatrix(one.truth, one.natural_scale, one.relative, MACHINE)
    same_chain(alone.chain, Chain.leaf(one.natural_scale + one.relative))
    known = RoundingMatrix(
        one.truth, one.natural_scale, one.relative, MACHINE, one.chain, np.full((3, 4), 9.0)
    )
    assert np.array_equal(known.error, np.full((3, 4), 9.0))


def test_a_quarter_of_the_largest_number_is_too_much() -> None:
    one, limit = operand(0, 2, 2), MACHINE.storage.largest / 4
    for peak, free in ((math.nextafter(limit, 0), True), (limit, False)):
        one.chain = replace(one.chain, peak=peak)
        assert one.overflow_free is free


def test_the_transpose() -> None:
    one = operand(1, 3, 4, numerators=True)
    check(one.T, one.truth.T, one.natural_scale.T, one.relative.T, one.chain.transposed)
    assert np.array_equal(one.T.error, one.error.T)


@pytest.mark.parametrize(("left", "right"), list(pairs_of([1, 2], repeat=2)))
def test_a_product(left: int, right: int) -> None:
    """E = E_a N_b + N_a E_b + E_a E_b + gamma T_a T_b, of n terms and once more n for every sum
    among the operands."""
    a, b = operand(1, 3, 4, addends=left), operand(2, 4, 2, addends=right, inner=6)
    growth = gamma(4 * (left + right - 1))
    spread = a.relative @ b.total + a.natural_scale @ b.relative
    relative = spread + growth * (a.total @ b.total)
    chain = a.chain.times(a.total, b.chain, b.total, growth=growth)
    check(a @ b, a.truth @ b.truth, a.natural_scale @ b.natural_scale, relative, chain)
    # What the module says of chains without losses: T = T_a T_b (1 + gamma).
    a, b = (without_losses(one) for one in (a, b))
    gamma_n = 4 * (left + right - 1) * UNIT
    close((a @ b).total, a.total @ b.total * (1 + gamma_n / (1 - gamma_n)))


def without_losses(one: RoundingMatrix) -> RoundingMatrix:
    return RoundingMatrix(one.truth, one.natural_scale, one.relative, PLAIN, one.chain)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum(sign: int) -> None:
    """E = E_a + E_b + gamma_{n_b + 1} T_a + gamma_{n_a + 1} T_b, which reads no operands."""
    a, b = operand(1, 3, 4, inner=3), operand(2, 3, 4, inner=6)
    relative = a.relative + b.relative + gamma(7, 0) * a.total + gamma(4, 0) * b.total
    natural = a.natural_scale + b.natural_scale
    truth = a.truth + b.truth if sign > 0 else a.truth - b.truth
    chain = a.chain.plus(b.chain, natural + relative)
    check(a + b if sign > 0 else a - b, truth, natural, relative, chain)


def test_a_sum_of_stored_terms_is_rounded_at_least_twice() -> None:
    """Where sums are kept in more than storage the terms may be stored, and the sum again."""
    machine = machine_model("f32-accumulate", "bfloat16")
    a, b = (operand(seed, 3, 4, machine=machine) for seed in (1, 2))
    growth = float((1 - machine.stored_unit) ** -2 - 1)
    assert growth > machine.sum_growth(4, operands=0)
    expected = a.relative + b.relative + growth * (a.total + b.total)
    close((a + b).relative, expected)


def test_an_entrywise_product() -> None:
    a, b = operand(1, 3, 4), operand(2, 3, 4)
    spread = a.error * b.total + a.natural_scale * b.error
    natural = a.natural_scale * b.natural_scale
    check_formed(a * b, a.truth * b.truth, natural, spread, 1, 2002.0)
    check_formed(b * a, b.truth * a.truth, natural, spread, 1, 2002.0)


@pytest.mark.parametrize("factor", [-0.375, 3.0, 0.0, Fraction(1, 3)])
def test_a_scalar_is_rounded_four_times(factor: Any) -> None:
    a, size = operand(1, 3, 4), abs(float(factor))
    relative = (a.relative + entrywise(4) * a.total) * size
    check(
        a.scale(factor), a.truth.scale(factor), a.natural_scale * size, relative,
        a.chain.scaled(size),
    )  # fmt: skip


def test_a_scalar_that_is_no_normal_number_has_no_relative_error() -> None:
    """Nothing is claimed beyond the normal numbers of the storage format, from its largest on."""
    a, storage = operand(1, 2, 2), MACHINE.storage
    smallest, largest = storage.smallest_normal, storage.largest
    for claimed in (smallest, -smallest, largest * (1 - 2.0**-20)):
        assert np.isfinite(a.scale(claimed).relative).all()
    for unclaimed in (math.nextafter(smallest, 0), smallest / 2, -largest, largest * 2):
        found = a.scale(unclaimed)
        assert np.isposinf(found.relative).all()
        assert np.isfinite(found.natural_scale).all()


def test_row_sums() -> None:
    """A sum of n numbers reads one operand, if it is a product with ones."""
    a = operand(1, 3, 4)
    growth = gamma(4, 1)
    natural, spread = (x.sum(axis=1, keepdims=True) for x in (a.natural_scale, a.error))
    error = spread + growth * (natural + spread) + 2 * 5 * ETA * (1 + growth)
    check_leaf(a.row_sum(), a.truth.row_sum(), natural, error, peak=4 * 2001.0)


@pytest.mark.parametrize(("left", "right"), list(pairs_of([1, 2], repeat=2)))
def test_row_dots_are_the_diagonal_of_a_product(left: int, right: int) -> None:
    a, b = operand(1, 3, 4, addends=left), operand(2, 3, 4, addends=right, inner=6)
    whole = a @ b.T
    natural, error = (np.diagonal(x)[:, None] for x in (whole.natural_scale, whole.error))
    truth = a.truth.row_dot(b.truth)
    check_leaf(a.row_dot(b), truth, natural, error, peak=whole.chain.peak)


def test_exponentials() -> None:
    """|exp(x^) - exp(x)| <= N (e^(E + g) - 1), and one rounding."""
    a = operand(1, 3, 4)
    truth = a.truth.exp()
    natural = np.abs(truth.mid) + truth.pair[1]
    largest = np.abs(a.truth.mid) + a.truth.pair[1] + a.error
    growth = np.expm1(a.error + exponential_growth(MACHINE, largest, parts=largest))
    check_formed(a.exp(), truth, natural, natural * growth, 1, 2001.0)


def test_scaled_rows_are_a_chain() -> None:
    """diag(c) X: as a matrix diag(c) loses what c does, and no entry beside the diagonal."""
    a, c = operand(1, 3, 4), operand(2, 3, 1)
    spread = c.relative * a.total + c.natural_scale * a.relative
    relative = spread + entrywise(1) * c.total * a.total
    diagonal = [np.diagflat(x) for x in (c.chain.leaves, c.chain.products, c.chain.bare)]
    left = replace(c.chain, after=np.ones(3), leaves=diagonal[0], products=diagonal[1])
    left = replace(left, bare=diagonal[2])
    chain = left.times(np.diagflat(c.total), a.chain, a.total, growth=entrywise(1))
    natural = c.natural_scale * a.natural_scale
    check(a.scale_rows(c), a.truth.scale_rows(c.truth), natural, relative, chain)


def test_division() -> None:
    """N = N_x / |c|, S = E_x / |c^| + N E_c / |c^|, of the smallest |c| and |c^|; four roundings,
    for a reciprocal of reduced accuracy."""
    a, c = operand(1, 3, 4), operand(2, 3, 1)
    c.error = c.error / 8
    smallest = np.abs(c.truth.mid) - c.truth.pair[1]
    natural = a.natural_scale / smallest
    computed = smallest - c.error
    assert (computed > 0.1).all()
    spread = a.error / computed + natural * c.error / computed
    check_formed(a.divide_rows(c), a.truth.divide_rows(c.truth), natural, spread, 4, 2002.0)
    a.chain = replace(a.chain, peak=3000.0)
    assert a.divide_rows(c).chain.peak == 3000.0


def test_face_splitting() -> None:
    a, b = operand(1, 3, 2), operand(2, 3, 4)

    def split(one: Array, other: Array) -> Array:
        return np.stack([np.outer(x, y).ravel() for x, y in zip(one, other, strict=True)])

    natural = split(a.natural_scale, b.natural_scale)
    spread = split(a.error, b.total) + split(a.natural_scale, b.error)
    check_formed(a.face_splitting(b), a.truth.face_splitting(b.truth), natural, spread, 1, 2002.0)


def test_a_reshape_starts_a_chain() -> None:
    """All that was lost before is relative error."""
    a = operand(1, 3, 4)
    natural, error = a.natural_scale.reshape(2, 6), a.error.reshape(2, 6)
    check_leaf(a.reshape(2, 6), a.truth.reshape(2, 6), natural, error, peak=2001.0)


def test_rows_that_are_taken_keep_their_chain() -> None:
    a, rows = operand(1, 3, 4, numerators=True), [2, 0, 2]
    found = a.take_rows(rows)
    chain = a.chain.taken(rows)
    check(found, a.truth.take_rows(rows), a.natural_scale[rows], a.relative[rows], chain)


def test_blocks_side_by_side_keep_theirs() -> None:
    a, b = operand(1, 3, 4), operand(2, 3, 2)
    natural = np.hstack([a.natural_scale, b.natural_scale])
    relative = np.hstack([a.relative, b.relative])
    check(a.beside(b), a.truth.beside(b.truth), natural, relative, a.chain.beside(b.chain))


def softmax_error(a: RoundingMatrix, f: Array, seen: Array) -> Array:
    """f (R e^kappa - 1) + (2 M + 4) eta (1 + M f), R_l = e^{e_l} sum_m f_m e^{e_m}."""
    keys = a.shape[1]
    spread = np.exp(a.error) * (f * np.exp(a.error)).sum(axis=1, keepdims=True)
    scores = np.where(seen, np.abs(a.truth.mid) + a.truth.pair[1] + a.error, 0.0)
    kappa = softmax_growth(MACHINE, scores.max(axis=1, keepdims=True), keys)
    error = f * (spread * np.exp(kappa) - 1) + (2 * keys + 4) * ETA * (1 + keys * f)
    return np.where(seen, error, 0.0)


@pytest.mark.parametrize("size", [1.0, 1 / 8])
@pytest.mark.parametrize("causal", [False, True])
def test_softmax(causal: bool, size: float) -> None:
    """kappa is of the largest score that a query sees; what it does not see is exact, and the
    numerators may be multiplied before the division."""
    a = operand(1, 4, 4)
    a.truth.mid[:] *= size
    a.truth.mid[:, 3] *= 4
    a.error = a.error / np.array([8.0, 16.0, 32.0, 4.0])
    seen = np.tri(4, dtype=np.bool_) if causal else np.ones((4, 4), dtype=np.bool_)
    truth = a.truth.causal_softmax_rows() if causal else a.truth.softmax_rows()
    found = a.causal_softmax_rows() if causal else a.softmax_rows()
    f = np.minimum(truth.mid + truth.pair[1], 1.0)
    error = softmax_error(a, f, seen)
    numerators = np.minimum(1.0, 4 * f) + 4 * error
    assert 4 * f.min() < 1 < 4 * f.max()
    check_leaf(found, truth, f, error, peak=2001.0, numerators=numerators)
