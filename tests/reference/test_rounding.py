"""The rules of the rounding arithmetic, one by one, against legal evaluations and planted
mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic.chain import Chain
from loracle_reference.arithmetic.rounding import Rounding, RoundingMatrix
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated
from loracle_reference.floating_point import FORMATS, machine_model, round_to_format

Array = npt.NDArray[np.float64]
DTYPES = tuple(FORMATS)


def _matrices(seed: int, dtype: str, *shapes: tuple[int, int]) -> list[Array]:
    generator = np.random.default_rng(seed)
    return [round_to_format(generator.standard_normal(shape), dtype) for shape in shapes]


def _rounding(dtype: str, arrays: list[Array], machine: str = "widest") -> list[RoundingMatrix]:
    arithmetic = Rounding(machine_model(machine, dtype))
    return [arithmetic.matrix(array) for array in arrays]


def test_a_product_obeys_the_rule_of_the_triple() -> None:
    """E = S + gamma_n (N + S), S = E_a N_b + N_a E_b + E_a E_b; catches a dropped term."""
    a, b, c = _matrices(0, "bfloat16", (3, 4), (4, 5), (5, 2))
    first, second, third = _rounding("bfloat16", [a, b, c])
    unit = first.machine.stored_unit
    gamma = [n * unit / (1 - n * unit) for n in (4, 5)]
    product = first @ second
    np.testing.assert_allclose(product.natural_scale, np.abs(a) @ np.abs(b), rtol=1e-12)
    np.testing.assert_allclose(product.error, gamma[0] * product.natural_scale, rtol=1e-12)
    chain = product @ third
    natural = np.abs(a) @ np.abs(b) @ np.abs(c)
    expected = natural * ((1 + gamma[0]) * (1 + gamma[1]) - 1)
    np.testing.assert_allclose(chain.error, expected, rtol=1e-12)


@given(seed=st.integers(0, 10**6), dtype=st.sampled_from(("float32", "bfloat16")))
def test_the_bound_is_the_same_for_every_association(seed: int, dtype: str) -> None:
    """Catches a rule that uses a computed magnitude, or a gamma that is not multiplied through."""
    a, b, c, d = _rounding(dtype, _matrices(seed, dtype, (3, 4), (4, 2), (2, 5), (5, 3)))
    left, right, middle = ((a @ b) @ c) @ d, a @ (b @ (c @ d)), a @ ((b @ c) @ d)
    for other in (right, middle):
        np.testing.assert_allclose(left.total, other.total, rtol=1e-11)


@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from(DTYPES),
    strategy=st.sampled_from(STRATEGIES),
    scale=st.sampled_from([1e-3, 0.3, 1.0, 4.0]),
)
def test_legal_evaluations_stay_within_the_bound(
    seed: int, dtype: str, strategy: Any, scale: float
) -> None:
    """An expression with every operation; catches any operation whose error is not counted."""
    arrays = _matrices(seed, dtype, (4, 3), (5, 3), (4, 5), (3, 3), (4, 1))
    arrays = [round_to_format(array * scale, dtype) for array in arrays]
    float64 = Simulated("float64", STRATEGIES[5])
    simulated = Simulated(dtype, strategy)

    def expression(q: Any, k: Any, v: Any, w: Any, column: Any) -> Any:
        f = (q @ (w + w.T.scale(0.75)) @ k.T).softmax_rows()
        p = f * v - f.scale_rows(f.row_dot(v))
        exponentials = q.scale(1.5).exp().divide_rows(q.exp().row_sum())
        return (p @ k + q.face_splitting(column)).scale_rows(column) - exponentials

    bound = expression(*_rounding(dtype, arrays))
    exact = float64.array(expression(*(float64.matrix(a) for a in arrays)))
    with np.errstate(over="ignore", invalid="ignore"):
        legal = simulated.array(expression(*(simulated.matrix(a) for a in arrays)))
    own_error = 1e-13 * np.abs(exact) + 1e-13
    if not bound.overflow_free and not np.isfinite(legal).all():
        return  # exponentials of float16 may overflow, and then nothing is claimed
    assert (np.abs(legal - exact) <= bound.error + own_error).all()


def _flushed(array: Array, eta: float) -> Array:
    return np.where(np.abs(array) < eta, 0.0, array)


def _flushing_product(left: Array, right: Array, eta: float) -> Array:
    """Every product and partial sum below eta becomes zero; otherwise exact, so that nothing but
    the flushes is left of the error."""
    total = _flushed(left[:, :1] * right[:1], eta)
    for k in range(1, left.shape[1]):
        total = _flushed(total + _flushed(left[:, k, None] * right[None, k], eta), eta)
    return total


_ASSOCIATIONS: dict[str, Callable[[Array, Array, Array, float], Array]] = {
    "left": lambda a, b, c, eta: _flushing_product(_flushing_product(a, b, eta), c, eta),
    "right": lambda a, b, c, eta: _flushing_product(a, _flushing_product(b, c, eta), eta),
}


def _flush_case(tiny: int) -> list[Array]:
    """Two of three factors tiny, the third large: what is lost depends on the association."""
    generator = np.random.default_rng(tiny)
    arrays = [generator.uniform(0.5, 1, (3, 3)) * 2.0**-64 for _ in range(3)]
    arrays[tiny] = generator.uniform(0.5, 1, (3, 3)) * 2.0**60
    return [round_to_format(array, "float32") for array in arrays]


@pytest.mark.parametrize("association", _ASSOCIATIONS)
@pytest.mark.parametrize("large", [0, 1, 2])
def test_flushes_to_zero_stay_within_the_bound_in_every_association(
    association: str, large: int
) -> None:
    """Catches an underflow term that follows only the association in which the formula is
    written."""
    a, b, c = _flush_case(large)
    left, middle, right = _rounding("float32", [a, b, c])
    eta = FORMATS["float32"].smallest_normal
    error = np.abs(_ASSOCIATIONS[association](a, b, c, eta) - a @ b @ c)
    assert (error <= ((left @ middle) @ right).error).all()
    assert (error <= (left @ (middle @ right)).error).all()


def test_a_bound_that_follows_the_formula_s_association_misses_flushes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mistake that `before` and `after` are there to avoid, planted and caught."""
    a, b, c = _flush_case(0)
    flushed = _ASSOCIATIONS["right"](a, b, c, FORMATS["float32"].smallest_normal)
    error = np.abs(flushed - a @ b @ c)
    honest = Chain.times

    def forgetful(self: Chain, *arguments: Any, **keywords: Any) -> Chain:
        chain = honest(self, *arguments, **keywords)
        own = np.ones_like(chain.products)
        return replace(chain, products=own, before=own[:, 0], after=own[0])

    monkeypatch.setattr(Chain, "times", forgetful)
    left, middle, right = _rounding("float32", [a, b, c])
    assert (error > ((left @ middle) @ right).error).any()


@pytest.mark.parametrize("tiny", [0, 1, 2])
def test_operands_that_are_flushed_stay_within_the_bound_in_every_association(
    tiny: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factor of subnormal numbers that is read as zero, beside large ones; a bound that loses it
    only where it stands alone, and not in a chain, is exceeded."""
    generator = np.random.default_rng(tiny)
    arrays = [generator.uniform(0.5, 1, (3, 3)) * 2.0**30 for _ in range(3)]
    arrays[tiny] = generator.uniform(0.5, 1, (3, 3)) * 2.0**-126
    a, b, c = (round_to_format(array, "float32") for array in arrays)
    error = a @ b @ c

    def bounds() -> list[Array]:
        left, middle, right = _rounding("float32", [a, b, c], "ftz")
        return [((left @ middle) @ right).error, (left @ (middle @ right)).error]

    assert all((error <= bound).all() for bound in bounds())
    honest = Chain.times

    def forgetful(self: Chain, *arguments: Any, **keywords: Any) -> Chain:
        chain = honest(self, *arguments, **keywords)
        return replace(chain, leaves=np.ones_like(chain.leaves))

    monkeypatch.setattr(Chain, "times", forgetful)
    assert all((error > bound).any() for bound in bounds())


@given(seed=st.integers(0, 10**6), strategy=st.sampled_from(STRATEGIES))
def test_nothing_overflows_where_absence_of_overflow_is_claimed(seed: int, strategy: Any) -> None:
    """Chains of float16 matrices of all sizes; catches a peak that misses a sub-product."""
    generator = np.random.default_rng(seed)
    scales = 10.0 ** generator.uniform(-2, 3, 4)
    shapes = [(3, 4), (4, 2), (2, 5), (5, 3)]
    arrays = [
        round_to_format(generator.standard_normal(s) * k, "float16")
        for s, k in zip(shapes, scales, strict=True)
    ]
    a, b, c, d = _rounding("float16", arrays)
    claimed = (a @ b @ c @ d).scale(1.5).overflow_free
    simulated = Simulated("float16", strategy)
    e, f, g, h = (simulated.matrix(array) for array in arrays)
    results = [e @ f, f @ g, g @ h, e @ f @ g, f @ g @ h, e @ f @ g @ h, (e @ f @ g @ h).scale(1.5)]
    if claimed:
        assert all(np.isfinite(simulated.array(result)).all() for result in results)


def test_the_peak_sees_a_sub_product_that_the_formula_does_not_form() -> None:
    """(A B) C with a huge B C but a small A: the other association overflows, so nothing is
    claimed."""
    small, large = np.full((2, 2), 2.0**-9), np.full((2, 2), 2.0**8)
    a, b, c = _rounding("float16", [small, large, large])
    assert ((a @ b) @ c).natural_scale.max() < FORMATS["float16"].largest / 4
    assert not ((a @ b) @ c).overflow_free
    assert not (a @ (b @ c)).overflow_free
    assert ((a @ b) @ a).overflow_free


def test_nothing_is_claimed_where_n_u_reaches_one() -> None:
    """256 bfloat16 terms: 256 u = 1; catches a gamma that turns negative there."""
    ones = np.ones((1, 256))
    (row,) = _rounding("bfloat16", [ones])
    assert math.isinf((row @ row.T).error[0, 0])
    assert math.isinf(row.row_sum().error[0, 0])
    (zero,) = _rounding("bfloat16", [np.zeros((1, 256))])
    assert not np.isnan((row @ zero.T).error).any()


def test_accumulation_in_float32_has_a_smaller_bound_and_blocks_lie_between() -> None:
    """f32-accumulate stores once, f32-accumulate:16 once per block of 16, widest after every
    term."""
    a, b = _matrices(3, "bfloat16", (2, 64), (64, 2))
    errors = {}
    for machine in ("widest", "f32-accumulate:16", "f32-accumulate"):
        left, right = _rounding("bfloat16", [a, b], machine)
        errors[machine] = (left @ right).error
    assert (errors["f32-accumulate"] < errors["f32-accumulate:16"] / 3).all()
    assert (errors["f32-accumulate:16"] < errors["widest"] / 10).all()
    wide = Simulated("bfloat16", STRATEGIES[5])
    computed = wide.array(wide.matrix(a) @ wide.matrix(b))
    assert (np.abs(computed - a @ b) <= errors["f32-accumulate"]).all()


def test_division_by_a_column_that_may_be_zero_claims_nothing() -> None:
    """Catches 0 / 0 turned into a number."""
    matrix, zero = _rounding("float32", [np.ones((2, 2)), np.zeros((2, 1))])
    assert np.isinf(matrix.divide_rows(zero).error).all()
