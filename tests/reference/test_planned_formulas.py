"""The errors of one step of a plan, as the table of docs/evaluation-plans.md has them, on machines
whose every term is large enough to be seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loracle_reference.arithmetic import adjoint
from loracle_reference.arithmetic.growth import exponential_growth, softmax_growth
from loracle_reference.arithmetic.interval import IntervalMatrix
from loracle_reference.arithmetic.planned import Planned, PlannedMatrix, _product
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.arithmetic.summation import Summation
from loracle_reference.floating_point import machine_model

Array = npt.NDArray[np.float64]

ETA, OMEGA, READ = 2.0**-9, 2.0**-11, 2.0**-10
MACHINES = {
    name: replace(machine_model(name, "bfloat16"), loss=ETA, operand_loss=OMEGA, operand_unit=READ)
    for name in ("widest", "f32-accumulate")
}
"""One that has no more than storage, and one whose sums and registers are more exact."""

PLANNED = {name: Planned(machine) for name, machine in MACHINES.items()}
BOTH = pytest.mark.parametrize("planned", PLANNED.values(), ids=PLANNED)


def operand(planned: Planned, seed: int, rows: int, columns: int, **facts: Any) -> PlannedMatrix:
    """A box with a radius, and sums, a reserve and an error that follow from nothing else."""
    draw = np.random.default_rng(seed)
    shape = rows, columns

    def some(*size: int) -> Array:
        return draw.uniform(0.5, 2.0, size)

    box = IntervalMatrix(some(*shape) * draw.choice([-1.0, 1.0], shape), some(*shape) / 64)
    sums = Summation(some(*shape) * 3, 3 + seed, 5.0 + seed, some(*shape) / 128)
    known = {"sums": sums, "reserve": 1.25 + seed / 8, **facts}
    return PlannedMatrix(planned, box, some(*shape) / 64, **known)


def size(box: IntervalMatrix) -> Array:
    return np.asarray(np.abs(box.mid) + box.pair[1])


def gamma(planned: Planned, terms: int, operands: int = 2) -> float:
    return planned.machine.sum_growth(terms, operands=operands, stored=False)


def loss(*operands: PlannedMatrix) -> float:
    """eta and omega, magnified by what a scalar may still be."""
    return (ETA + OMEGA) * max(one.reserve for one in operands)


def slightly_above(found: Any, expected: Any) -> None:
    """Rounded up, by 2^-48 and not by more than a few times that."""
    assert np.shape(found) == np.shape(expected)
    assert (found >= np.asarray(expected) * (1 + 2.0**-49)).all()
    assert (found <= np.asarray(expected) * (1 + 2.0**-44)).all()


def check(
    found: PlannedMatrix,
    image: IntervalMatrix,
    error: Array,
    *operands: PlannedMatrix,
    in_storage: bool | None = None,
    sums: Summation | None = None,
    reserve: float = 0.0,
) -> None:
    """All parts of a step. What is not said: one term to an entry, the reserve of the operands, in
    storage where nothing is more exact."""
    slightly_above(found.error, error)
    assert np.array_equal(found.box.mid, image.mid)
    slightly_above(found.box.rad, image.pair[1] + error)  # type: ignore[operator]
    assert [one for one, _ in found.operands] == list(operands)
    assert found.index > max(one.index for one in operands)
    assert found.reserve == max([reserve, *(one.reserve for one in operands)])
    assert not found.exact
    widest = found.machine.accumulates_in_storage
    assert found.in_storage is (widest if in_storage is None else in_storage)
    if sums is None:
        sums = Summation.single(found.magnitude)
    same_sums(found.sums, sums)


def same_sums(found: Summation, expected: Summation) -> None:
    assert found.terms == expected.terms
    np.testing.assert_allclose(found.reach, expected.reach, rtol=1e-12)
    np.testing.assert_allclose(found.gross, expected.gross, rtol=1e-12)
    np.testing.assert_allclose(found.drift, expected.drift, rtol=1e-12)


@BOTH
def test_inputs_are_exact(planned: Planned) -> None:
    values = np.array([[-1.5, 0.0, 2.0]])
    found = planned.matrix(values)
    assert found.exact
    assert found.in_storage
    assert found.shape == (1, 3)
    assert found.box.rad is None
    assert not found.error.any()
    assert found.operands == ()
    assert found.reserve == 1.0
    same_sums(found.sums, Summation(np.abs(values), 1, 1.0, 0 * values))
    assert not planned.bound(found).any()
    assert np.array_equal(found.magnitude, np.abs(values))


def test_a_magnitude_is_rounded_up() -> None:
    one = operand(PLANNED["widest"], 0, 2, 3)
    slightly_above(one.magnitude, size(one.box))


def test_what_is_not_known_is_infinite() -> None:
    planned = PLANNED["widest"]
    box = IntervalMatrix(np.ones((1, 3)))
    found = PlannedMatrix(planned, box, np.array([[math.nan, math.inf, 1.0]]))
    assert np.array_equal(found.error, [[math.inf, math.inf, 1.0]])
    assert not found.exact
    assert not found.in_storage
    assert PlannedMatrix(planned, box, np.zeros((1, 3))).exact
    # Nothing that comes of a step that errs is exact.
    assert not PlannedMatrix(planned, box, np.zeros((1, 3)), [(found, lambda g: g)]).exact


@BOTH
def test_storing(planned: Planned) -> None:
    """u' |x| + eta, once; two evaluations of what is kept are one."""
    one, unit = operand(planned, 0, 2, 3), planned.machine.stored_unit
    found = one.stored()
    kept = replace(one.sums, gross=one.sums.gross * (1 + unit), drift=np.zeros((2, 3)))
    error = unit * size(one.box) + loss(one)
    check(found, one.box, error, one, in_storage=True, sums=kept)
    again = found.stored()
    assert not again.error.any()
    assert again.in_storage
    same_sums(again.sums, kept)


@BOTH
def test_a_product(planned: Planned) -> None:
    """gamma |a| |b| + 2 (n + 1) (1 + gamma) eta, and what is lost of the operands as they are
    read."""
    a, b = operand(planned, 0, 2, 4), operand(planned, 1, 4, 3)
    gross, growth = size(a.box) @ size(b.box), gamma(planned, 4)
    read = OMEGA * b.reserve
    sums = size(a.box).sum(axis=1)[:, None] + size(b.box).sum(axis=0) + 4 * read
    error = growth * gross + (1 + growth) * (2 * 5 * loss(a, b) + read * sums)
    facts = Summation(gross * (1 + growth), 4, sums.max(), error)
    assert sums.max() > 1
    check(a @ b, a.box @ b.box, error, a, b, sums=facts)
    slightly_above((a @ b).sums.gross, gross * (1 + growth))
    slightly_above((a @ b).sums.drift, error)
    slightly_above((a @ b).sums.reach, sums.max())
    # The reserve that counts is the larger one, on whichever side.
    a, b = operand(planned, 1, 2, 4), operand(planned, 0, 4, 3)
    gross = size(a.box) @ size(b.box)
    sums = size(a.box).sum(axis=1)[:, None] + size(b.box).sum(axis=0) + 4 * OMEGA * a.reserve
    lost = 2 * 5 * loss(a, b) + OMEGA * a.reserve * sums
    slightly_above((a @ b).error, growth * gross + (1 + growth) * lost)


def test_how_entries_were_added_up() -> None:
    """What a scalar or storing makes of it, rounded up; what was kept is not evaluated twice."""
    some = operand(PLANNED["widest"], 0, 2, 3).sums
    error = some.drift / 4
    slightly_above(some.stored(0.125).gross, some.gross * 1.125)
    assert not some.stored(0.125).drift.any()
    slightly_above(some.scaled(0.75, error).gross, some.gross * 0.75)
    slightly_above(some.scaled(0.75, error).drift, some.drift * 0.75 + error)
    assert not Summation.single(some.gross).scaled(0.75, error).drift.any()


def operands_of(one: PlannedMatrix) -> list[Any]:
    return [operand for operand, _ in one.operands]


def test_a_loss_reaches_a_result_at_least_once() -> None:
    planned = Planned(machine_model("widest", "float32"))
    small = planned.matrix([[2.0**-4]])
    assert (small @ small).sums.reach == 1.0


@BOTH
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum(planned: Planned, sign: int) -> None:
    """gamma of one more than the terms of the other, of each; and 2 (n_a + n_b) eta, which grows
    with them."""
    a, b = operand(planned, 0, 2, 3), operand(planned, 1, 2, 3)
    lost = 2 * (a.sums.terms + b.sums.terms) * loss(a, b)
    error = lost + gamma(planned, 5, 0) * (a.sums.gross + lost)
    error = error + gamma(planned, 4, 0) * (b.sums.gross + lost)
    found, image = (a + b, a.box + b.box) if sign > 0 else (a - b, a.box - b.box)
    check(found, image, error, a, b)
    found, image = (b + a, b.box + a.box) if sign > 0 else (b - a, b.box - a.box)
    check(found, image, error, b, a)


@BOTH
def test_a_sum_in_any_order(planned: Planned) -> None:
    """gamma of the terms of all others and one for each of them; where registers are more exact, a
    part may have been stored in two sums on its way to the third."""
    parts = [operand(planned, seed, 2, 3) for seed in range(4)]
    counts = [part.sums.terms for part in parts]
    unit = 0.0 if planned.machine.accumulates_in_storage else planned.machine.stored_unit
    lost = 2 * (sum(counts) + 2) * loss(*parts)
    error: Any = lost
    for part, count in zip(parts, counts, strict=True):
        added = gamma(planned, sum(counts) - count + 3, 0)
        growth = math.expm1(math.log1p(added) + 2 * math.log1p(unit))
        error = error + growth * (part.sums.gross + lost)
    image = parts[0].box + parts[1].box + parts[2].box + parts[3].box
    check(parts[0].sum_with(*parts[1:]), image, error, *parts)
    with pytest.raises(ShapeError):
        parts[0].sum_with(parts[1], operand(planned, 2, 3, 2))


def entrywise(planned: Planned, roundings: int) -> float:
    """Of the accumulators' unit, (1 - u)^-r - 1; exact where floating point would cancel."""
    return float(1 / (1 - Fraction(planned.machine.accumulate)) ** roundings - 1)


Rule = tuple[int, Callable[[Any, Any], Any]]
ENTRYWISE: dict[str, Rule] = {
    "mul": (1, lambda x, y: x * y),
    "scale_rows": (1, lambda x, c: x.scale_rows(c)),
    "divide_rows": (4, lambda x, c: x.divide_rows(c)),
    "face_splitting": (1, lambda x, y: x.face_splitting(y)),
}


@BOTH
@pytest.mark.parametrize("operation", ENTRYWISE)
@pytest.mark.parametrize("larger", [0, 1])
def test_entrywise_results(planned: Planned, operation: str, larger: int) -> None:
    """One rounding; four for a division."""
    roundings, evaluate = ENTRYWISE[operation]
    columns = 1 if "rows" in operation else 4
    a = operand(planned, 1 - larger, 3, 4)
    b = operand(planned, larger, 3, columns)
    image = evaluate(a.box, b.box)
    error = entrywise(planned, roundings) * size(image) + 2 * roundings * loss(a, b)
    check(evaluate(a, b), image, error, a, b)


@BOTH
@pytest.mark.parametrize("in_storage", [True, False])
@pytest.mark.parametrize("factor", [-0.375, 3.0, 0.3, Fraction(1, 3), 0.0])
def test_a_scalar(planned: Planned, in_storage: bool, factor: Any) -> None:
    """u_s |s| |X|, and u' more where s is not exact in storage; a loss in a factor of the product
    that s was applied to reaches the result as all entries of that factor do."""
    a, magnitude = operand(planned, 2, 2, 3, in_storage=in_storage), abs(float(factor))
    unit = planned.machine.stored_unit if in_storage else planned.machine.accumulate
    growth = unit
    if factor in (0.3, Fraction(1, 3)):
        growth = unit + (1 + unit) * planned.machine.stored_unit
    reserve = max(1.0, magnitude)
    lost = loss(a) * reserve * (4 * (a.sums.terms + 1) + 2 * a.sums.reach)
    error = growth * magnitude * a.sums.gross + lost
    drift = a.sums.drift * magnitude + error
    sums = Summation(a.sums.gross * magnitude, a.sums.terms, a.sums.reach, drift)
    found = a.scale(factor)
    stored = in_storage or planned.machine.accumulates_in_storage
    np.testing.assert_allclose(found.reserve, a.reserve * reserve, rtol=1e-12)
    assert found.reserve > a.reserve * reserve
    check(
        found, a.box.scale(factor), error, a,
        in_storage=stored, sums=sums, reserve=found.reserve,
    )  # fmt: skip


def test_a_scalar_that_is_no_normal_number() -> None:
    """Nothing is claimed of it; from the smallest normal number to the largest, all is."""
    planned = Planned(machine_model("widest", "bfloat16"))
    one, storage = planned.matrix([[1.0, 0.0]]), planned.machine.storage
    smallest, largest = storage.smallest_normal, storage.largest
    for claimed in (smallest, -largest, 0.0):
        assert np.isfinite(one.scale(claimed).error).all()
    for unclaimed in (smallest * (1 - 2.0**-40), -smallest / 2, largest * (1 + 2.0**-40)):
        assert np.isposinf(one.scale(unclaimed).error).all()


@BOTH
def test_row_sums(planned: Planned) -> None:
    """A product with ones, of which one operand is read."""
    a, growth = operand(planned, 1, 2, 3), gamma(planned, 3, 1)
    gross = size(a.box).sum(axis=1, keepdims=True)
    error = growth * gross + 2 * 4 * (1 + growth) * loss(a)
    check(a.row_sum(), a.box.row_sum(), error, a)


@BOTH
def test_exponentials(planned: Planned) -> None:
    a = operand(planned, 1, 2, 3)
    image, largest = a.box.exp(), size(a.box)
    growth = exponential_growth(planned.machine, largest, parts=largest, stored=False)
    check(a.exp(), image, size(image) * np.expm1(growth) + 2 * loss(a), a)


@BOTH
def test_softmax(planned: Planned) -> None:
    """f (exp(kappa + 2 rho) - 1) + (2 M + 4) (1 + M f) eta: the two evaluations of scores that were
    not kept are rho from the exact ones, each."""
    a = operand(planned, 1, 2, 3)
    image = a.box.softmax_rows()
    f, largest = np.minimum(size(image), 1.0), size(a.box).max(axis=1, keepdims=True)
    kappa = softmax_growth(planned.machine, largest, 3, stored=False)
    kappa = kappa + 2 * a.sums.drift.max(axis=1, keepdims=True)
    check(a.softmax_rows(), image, f * np.expm1(kappa) + 10 * loss(a) * (1 + 3 * f), a)


@BOTH
def test_softmax_under_a_causal_mask(planned: Planned) -> None:
    """The same with the largest score and rho of what is seen; nothing is lost of the rest."""
    a = operand(planned, 3, 3, 3)
    a.box.mid[0, 1], a.sums.drift[0, 2] = 50.0, 1.0
    image, seen = a.box.causal_softmax_rows(), np.tri(3, dtype=bool)
    f = np.minimum(size(image), 1.0)
    largest, drift = (np.where(seen, x, 0.0) for x in (size(a.box), a.sums.drift))
    kappa = softmax_growth(
        planned.machine, largest.max(axis=1, keepdims=True), 3, stored=False
    ) + 2 * drift.max(axis=1, keepdims=True)
    error = np.where(seen, f * np.expm1(kappa) + 10 * loss(a) * (1 + 3 * f), 0.0)
    check(a.causal_softmax_rows(), image, error, a)


def test_the_exponent_of_a_softmax_is_rounded_up() -> None:
    """By 2^-48 of what is about 20, before it is one: kappa has its own roundings."""
    planned = Planned(replace(machine_model("widest", "float64"), loss=0.0))
    scores = np.array([[1.0, 2.0]])
    sums = Summation(scores, 1, 1.0, np.full((1, 2), 10.0))
    found = PlannedMatrix(planned, IntervalMatrix(scores), np.zeros((1, 2)), sums=sums)
    kappa = softmax_growth(planned.machine, np.array([[2.0]]), 2, stored=False)
    f = np.array([[1 / (1 + math.e), math.e / (1 + math.e)]])
    above = found.softmax_rows().error / (f * np.expm1(20 + kappa)) - 1
    assert (above > 15 * 2.0**-48).all()
    assert (above < 50 * 2.0**-48).all()


def test_a_probability_is_at_most_one() -> None:
    """Where its box reaches further: a kernel's errors are relative to what it computes."""
    planned = Planned(replace(machine_model("widest", "bfloat16"), loss=0.0))
    scores = IntervalMatrix(np.array([[1.0]]), np.array([[0.1]]))
    one = PlannedMatrix(planned, scores, np.zeros((1, 1)))
    assert size(scores.softmax_rows()) > 1.1
    kappa = softmax_growth(planned.machine, np.array([[1.1]]), 1, stored=False)
    slightly_above(one.softmax_rows().error, np.expm1(kappa))


@BOTH
@pytest.mark.parametrize("in_storage", [True, False])
def test_copies_round_nothing(planned: Planned, in_storage: bool) -> None:
    """And are in storage where all that they copy is; a transpose keeps its sums."""
    a = operand(planned, 0, 4, 3, in_storage=in_storage)
    b = operand(planned, 1, 4, 2, in_storage=True)
    copies = {
        "T": (a.T, a.box.T, [a]),
        "reshape": (a.reshape(2, 6), a.box.reshape(2, 6), [a]),
        "take_rows": (a.take_rows([3, 0, 3]), a.box.take_rows([3, 0, 3]), [a]),
        "beside": (a.beside(b), a.box.beside(b.box), [a, b]),
        "beside it": (b.beside(a), b.box.beside(a.box), [b, a]),
    }
    for name, (found, box, operands) in copies.items():
        assert not found.error.any(), name
        assert found.shape == box.shape
        assert np.array_equal(found.box.mid, box.mid)
        assert np.array_equal(found.box.pair[1], box.pair[1])  # type: ignore[arg-type]
        assert operands_of(found) == operands
        assert found.in_storage is in_storage
        assert found.reserve == max(one.reserve for one in operands)
        expected = a.sums.transposed if name == "T" else Summation.single(found.magnitude)
        same_sums(found.sums, expected)


@pytest.mark.parametrize("name", MACHINES)
def test_a_plan_may_store_every_result(name: str) -> None:
    """Rounded to storage besides, unless it is in it already."""
    planned = Planned(MACHINES[name], stores_every_result=True)
    a, b = operand(planned, 0, 2, 4), operand(planned, 1, 4, 3)
    found = a @ b
    assert found.in_storage
    (step,) = operands_of(found)
    stored = name == "widest"
    assert step.in_storage is stored
    assert operands_of(step) == [a, b]
    assert found.error.any() is not stored
    moved = a.T
    assert operands_of(moved) == [a]  # a copy is no result
    assert not Planned(MACHINES[name]).stores_every_result


def test_the_bound_is_the_smaller_of_derivatives_and_box(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = PLANNED["f32-accumulate"]
    one = operand(planned, 0, 2, 3)
    radius = one.box.pair[1]
    assert radius is not None
    weighted = radius * np.array([1.0, 3.0, 2.0])
    monkeypatch.setattr(adjoint, "weighted_error", lambda matrix: weighted)
    found = planned.bound(one)
    np.testing.assert_allclose(found, radius * np.array([1.0, 2.0, 2.0]), rtol=1e-12)
    assert found[0, 1] > 2 * radius[0, 1]


@pytest.mark.filterwarnings("error")
def test_an_overflow_is_infinite_and_no_warning() -> None:
    """Be it an infinite growth, an infinite magnitude, or both with a zero."""
    planned = Planned(machine_model("widest", "bfloat16"))
    zeros, ones = planned.matrix(np.zeros((2, 300))), planned.matrix(np.ones((2, 300)))
    for found in (
        zeros @ ones.T,
        ones.row_sum(),
        zeros.row_sum(),
        (zeros @ ones.T) + (zeros @ ones.T),
        (zeros @ ones.T).scale(0.0),
        (ones @ ones.T).softmax_rows(),
        planned.matrix([[1e5]]).exp(),
        planned.matrix([[1e5]]).exp() * planned.matrix([[0.0]]),
        (ones @ ones.T) @ planned.matrix(np.zeros((2, 1))),
    ):
        assert np.isposinf(found.error).any()
        assert not np.isnan(found.error).any()
    # One term more than are bounded.
    zeros, ones = planned.matrix(np.zeros((2, 255))), planned.matrix(np.ones((2, 255)))
    dot = zeros @ ones.T
    assert np.isfinite(dot.error).all()
    assert np.isposinf((dot + dot).error).all()
    # An error that is finite before it is multiplied.
    half = Planned(machine_model("widest", "float16")).matrix([[709.0]])
    assert np.isposinf(half.exp().error).all()
    sums = Summation(np.ones((1, 2)), 1, 1.0, np.full((1, 2), 1000.0))
    far = PlannedMatrix(planned, IntervalMatrix(np.ones((1, 2))), np.zeros((1, 2)), sums=sums)
    assert np.isposinf(far.softmax_rows().error).all()


@pytest.mark.parametrize("terms", [1, 40, 5000])
def test_sums_of_products_are_rounded_up(terms: int) -> None:
    """Longer ones by more; unknown where a zero meets an infinity."""
    ones = np.ones((1, terms))
    assert _product(ones, ones.T)[0, 0] == terms * (1 + 2.0**-48 + terms * 2.0**-52)
    infinite = np.vstack([ones * np.inf, ones])
    assert np.array_equal(np.isinf(_product(infinite, 0 * ones.T)), [[True], [False]])
    assert np.isposinf(_product(infinite, ones.T)[0, 0])


def test_derivatives_of_a_sum_are_the_largest_in_the_box() -> None:
    """Of exp(x_1 + x_2 + x_3): that at the upper end."""
    x = operand(PLANNED["widest"], 1, 2, 3)
    total = x.row_sum()
    result = total.exp()
    total.error = np.zeros((2, 1))
    result.error = np.zeros((2, 1))
    assert total.box.rad is not None
    largest = np.exp(total.box.mid + total.box.rad)
    expected = largest * x.error.sum(axis=1, keepdims=True)
    found = adjoint.weighted_error(result)
    assert (expected <= found).all()
    assert (found <= 1.02 * expected).all()  # a box of exponentials has some room
    at_the_middle = np.exp(total.box.mid) * x.error.sum(axis=1, keepdims=True)
    assert (at_the_middle < 0.95 * expected).all()
