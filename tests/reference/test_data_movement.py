"""reshape, take_rows, take_columns and beside against numpy, in every arithmetic.

Nothing is rounded and nothing is lost: all that an arithmetic knows of an entry moves with it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import (
    Arithmetic,
    Ball,
    Double,
    Exact,
    Interval,
    Multiprecision,
    Rounding,
    Simulated,
    Stochastic,
)
from loracle_reference.arithmetic.chain import Chain
from loracle_reference.arithmetic.double import DoubleMatrix
from loracle_reference.arithmetic.rounding import RoundingMatrix
from loracle_reference.arithmetic.simulated import STRATEGIES
from loracle_reference.differentiation import Dual
from loracle_reference.floating_point import FORMATS, machine_model, round_to_format

Array = npt.NDArray[Any]

_MACHINE = machine_model("widest", "bfloat16")

ARITHMETICS: dict[str, tuple[Arithmetic[Any], Callable[[Any], list[Array]]]] = {
    "exact": (Exact(), lambda m: [m.values]),
    "multiprecision": (Multiprecision(120), lambda m: [m.values]),
    "ball": (
        Ball(96),
        lambda m: [np.array([str(ball) for ball in m.entries]).reshape(m.shape)],
    ),
    "interval": (
        Interval(),
        lambda m: [m.mid, np.zeros(m.shape) if m.rad is None else m.rad],
    ),
    "double": (Double(), lambda m: [m.values]),
    "rounding": (
        Rounding(_MACHINE),
        lambda m: [m.truth.mid, Interval().enclosure(m.truth).radius, m.natural_scale],
    ),
    "stochastic": (Stochastic(_MACHINE, samples=3), lambda m: list(m.samples)),
    **{
        f"simulated, {s.name}": (Simulated("bfloat16", s), lambda m: [m.stored]) for s in STRATEGIES
    },
}
"""Each arithmetic, and all that its matrix says of its entries as arrays of the matrix's shape."""


@st.composite
def _operands(draw: st.DrawFn) -> tuple[Array, Array]:
    """Two arrays with as many rows."""
    rows = draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = [(rows, draw(st.integers(1, 4))) for _ in range(2)]
    left, right = (
        round_to_format(generator.standard_normal(shape), "bfloat16") for shape in shapes
    )
    return left, right


def _matrices(arithmetic: Arithmetic[Any], left: Array, right: Array) -> dict[str, Any]:
    """Matrices that know more than their values: entered, transposed, with radii, as products."""
    entered = arithmetic.matrix(left)
    return {
        "entered": entered,
        "transposed": arithmetic.matrix(left.T).T,
        "scaled": entered.scale(Fraction(5, 3)),
        "product": entered @ arithmetic.matrix(left.T) @ arithmetic.matrix(right),
        "sum": entered + entered.scale(0.75),
    }


def _moved_wrongly(
    matrix: Any, other: Any, layers: Callable[[Any], list[Array]], indices: list[int]
) -> set[str]:
    """The operations after which some layer is not where numpy puts it."""
    rows, columns = matrix.shape
    before, beside = layers(matrix), layers(other)
    columns_taken = [index % columns for index in indices]
    expected = {
        "reshape to a column": (
            matrix.reshape(rows * columns, 1),
            [layer.reshape(-1, 1) for layer in before],
        ),
        "reshape to the transpose's shape": (
            matrix.reshape(columns, rows),
            [layer.reshape(columns, rows) for layer in before],
        ),
        "take_rows": (matrix.take_rows(indices), [layer[indices] for layer in before]),
        "take_columns": (
            matrix.take_columns(columns_taken),
            [layer[:, columns_taken] for layer in before],
        ),
        "beside": (
            matrix.beside(other),
            [np.hstack(pair) for pair in zip(before, beside, strict=True)],
        ),
    }
    wrong = set()
    for name, (result, layers_expected) in expected.items():
        for layer, layer_expected in zip(layers(result), layers_expected, strict=True):
            if result.shape != layer_expected.shape or (layer != layer_expected).any():
                wrong.add(name)
    return wrong


@pytest.mark.parametrize("name", ARITHMETICS)
@given(operands=_operands(), data=st.data())
def test_entries_are_where_numpy_puts_them(
    name: str, operands: tuple[Array, Array], data: st.DataObject
) -> None:
    arithmetic, layers = ARITHMETICS[name]
    left, right = operands
    indices = data.draw(st.lists(st.integers(0, len(left) - 1), min_size=1, max_size=6))
    other = arithmetic.matrix(right)
    for kind, matrix in _matrices(arithmetic, left, right).items():
        assert not _moved_wrongly(matrix, other, layers, indices), kind


@given(operands=_operands())
def test_dual_numbers_move_value_and_tangent(operands: tuple[Array, Array]) -> None:
    """The operations are linear, so that the derivative of the moved is the moved derivative."""
    left, right = operands
    double = Double()
    duals = [
        Dual(double.matrix(array), double.matrix(np.cos(array) * 3)) for array in (left, right)
    ]
    indices = [0, len(left) - 1, 0]
    assert not _moved_wrongly(*duals, lambda d: [d.value.values, d.tangent.values], indices)


WRONG_MOVES: dict[str, tuple[str, Callable[..., DoubleMatrix], str]] = {
    "column-major": (
        "reshape",
        lambda m, rows, columns: DoubleMatrix(m.values.reshape(rows, columns, order="F")),
        "reshape to a column",
    ),
    "counted from one": (
        "take_rows",
        lambda m, indices: DoubleMatrix(m.values[[index - 1 for index in indices]]),
        "take_rows",
    ),
    "without repeats": (
        "take_rows",
        lambda m, indices: DoubleMatrix(m.values[sorted(set(indices))]),
        "take_rows",
    ),
    "other first": (
        "beside",
        lambda m, other: DoubleMatrix(np.hstack([other.values, m.values])),
        "beside",
    ),
}


@pytest.mark.parametrize("name", WRONG_MOVES)
def test_wrong_moves_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, mutant, noticed = WRONG_MOVES[name]
    matrix, other = (Double().matrix(np.arange(6.0).reshape(2, 3) + 9 * k) for k in range(2))
    assert not _moved_wrongly(matrix, other, lambda m: [m.values], [1, 0, 1])
    monkeypatch.setattr(DoubleMatrix, method, mutant)
    assert noticed in _moved_wrongly(matrix, other, lambda m: [m.values], [1, 0, 1])


def _tiny_product() -> tuple[list[Array], list[RoundingMatrix]]:
    """Factors whose product a kernel may flush to zero, and a large third."""
    generator = np.random.default_rng(3)
    scales = (2.0**-64, 2.0**-64, 2.0**60)
    arrays = [
        round_to_format(generator.uniform(0.5, 1, (3, 3)) * scale, "float32") for scale in scales
    ]
    arithmetic = Rounding(machine_model("widest", "float32"))
    return arrays, [arithmetic.matrix(array) for array in arrays]


def _without_flushes(matrix: RoundingMatrix, rows: list[int]) -> RoundingMatrix:
    """A take_rows that carries the relative part of the error only."""
    natural, relative = matrix.natural_scale[rows], matrix.relative[rows]
    leaf = Chain.leaf(natural + relative)
    return RoundingMatrix(matrix.truth.take_rows(rows), natural, relative, matrix.machine, leaf)


def test_a_copy_keeps_what_flushes_took() -> None:
    """The product of two tiny factors is flushed, copied, and multiplied by a large one."""
    (a, b, c), (left, middle, right) = _tiny_product()
    rows = [2, 0, 2]
    product = a @ b
    flushed = np.where(np.abs(product) < FORMATS["float32"].smallest_normal, 0.0, product)
    error = np.abs(flushed[rows] @ c - product[rows] @ c)
    assert (error > 0).all()
    formed = left @ middle
    assert (error <= (formed.take_rows(rows) @ right).error).all()
    assert (error > (_without_flushes(formed, rows) @ right).error).any()


def test_a_product_may_be_reassociated_across_a_cut() -> None:
    """Rows, and columns side by side, of A B times C, as A (B C) with B C flushed: the tiny product
    stands behind the cut, where A B had lost nothing. A copy that made a leaf would not know."""
    generator = np.random.default_rng(1)
    scales = (2.0**100, 2.0**-100, 2.0**-40)
    a, b, c = (
        round_to_format(generator.uniform(0.5, 1, (3, 3)) * scale, "float32") for scale in scales
    )
    arithmetic = Rounding(machine_model("widest", "float32"))
    left, middle, right = (arithmetic.matrix(array) for array in (a, b, c))
    flushed = np.where(np.abs(b @ c) < FORMATS["float32"].smallest_normal, 0.0, b @ c)
    error = np.abs(a @ flushed - a @ b @ c)
    assert (error > 0).all()
    product = left @ middle
    rows = [2, 0]
    assert (error[rows] <= (product.take_rows(rows) @ right).error).all()
    columns = product.take_columns([0, 1]).beside(product.take_columns([2]))
    assert (error <= (columns @ right).error).all()
    leaf = RoundingMatrix(product.truth, product.natural_scale, product.error, product.machine)
    assert (error > (leaf @ right).error).any()


@given(operands=_operands(), scale=st.sampled_from([1.0, 2.0**-70, 2.0**-130]))
def test_a_copy_has_the_error_it_had(operands: tuple[Array, Array], scale: float) -> None:
    """Not less, and no more than the rounding of the bound itself."""
    left, right = operands
    arithmetic = Rounding(_MACHINE)
    factor, other = arithmetic.matrix(left * scale), arithmetic.matrix(right)
    product = factor @ factor.T @ other
    rows = [0, len(left) - 1, 0]
    size = product.shape[0] * product.shape[1]
    for moved, error in (
        (product.take_rows(rows), product.error[rows]),
        (product.reshape(1, size), product.error.reshape(1, size)),
        (product.beside(other), np.hstack([product.error, other.error])),
    ):
        assert (moved.error >= error).all()
        np.testing.assert_allclose(moved.error, error, rtol=1e-13)


def test_a_copy_keeps_the_peak_on_the_way_to_it() -> None:
    """Zeros that were made from a product beyond the range are still no proof of its absence."""
    arithmetic = Rounding(machine_model("widest", "float16"))
    large, zeros = arithmetic.matrix(np.full((2, 2), 2.0**10)), arithmetic.matrix(np.zeros((2, 2)))
    product = large @ large @ zeros
    assert not product.overflow_free
    assert zeros.overflow_free
    assert not product.reshape(1, 4).overflow_free
    assert not product.take_rows([1]).overflow_free
    assert not product.beside(zeros).overflow_free
    assert not zeros.beside(product).overflow_free
    assert zeros.beside(zeros).overflow_free


def _exceeds_the_bound(seed: int, dtype: str, strategy: Any, scale: float) -> bool:
    """Whether a legal evaluation with copies between its operations errs by more than E."""
    generator = np.random.default_rng(seed)
    arrays = [
        round_to_format(generator.standard_normal(shape) * scale, dtype)
        for shape in ((4, 3), (5, 3), (3, 2))
    ]

    def expressions(arithmetic: Any) -> list[Any]:
        q, k, w = (arithmetic.matrix(array) for array in arrays)
        scores = (q @ (w @ w.T).scale(0.75) @ k.T).take_rows([3, 1, 1])
        joined = scores.softmax_rows().beside(scores - scores.scale(0.3))
        return [scores, joined, joined @ (k @ w).reshape(10, 1)]

    float64, simulated = Simulated("float64", STRATEGIES[5]), Simulated(dtype, strategy)
    bounds = expressions(Rounding(machine_model("widest", dtype)))
    with np.errstate(over="ignore", invalid="ignore"):
        legal = [simulated.array(result) for result in expressions(simulated)]
    for bound, exact, computed in zip(bounds, expressions(float64), legal, strict=True):
        if not bound.overflow_free and not np.isfinite(computed).all():
            continue  # sums of float16 may overflow, and then nothing is claimed
        true = float64.array(exact)
        if (np.abs(computed - true) > bound.error + 1e-13 * np.abs(true) + 1e-13).any():
            return True
    return False


@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from(tuple(FORMATS)),
    strategy=st.sampled_from(STRATEGIES),
    scale=st.sampled_from([1e-3, 0.3, 1.0, 4.0]),
)
def test_legal_evaluations_stay_within_the_bound(
    seed: int, dtype: str, strategy: Any, scale: float
) -> None:
    """Copies between products, sums, a scalar and a softmax."""
    assert not _exceeds_the_bound(seed, dtype, strategy, scale)


def test_an_error_left_behind_by_a_copy_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that count as exact once they are copied."""
    honest = RoundingMatrix.take_rows

    def forgetful(self: RoundingMatrix, indices: Any) -> RoundingMatrix:
        taken = honest(self, indices)
        nothing = np.zeros_like(taken.natural_scale)
        return RoundingMatrix(taken.truth, taken.natural_scale, nothing, self.machine)

    cases = [(seed, "bfloat16", strategy, 1.0) for seed in range(4) for strategy in STRATEGIES]
    assert not any(_exceeds_the_bound(*case) for case in cases)
    monkeypatch.setattr(RoundingMatrix, "take_rows", forgetful)
    assert any(_exceeds_the_bound(*case) for case in cases)
