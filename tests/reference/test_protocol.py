"""What every arithmetic promises, whatever its entries are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from loracle_reference.arithmetic import (
    Arithmetic,
    Ball,
    Double,
    Exact,
    Interval,
    Matrix,
    Multiprecision,
    Planned,
    Rounding,
    Simulated,
    Stochastic,
)
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.arithmetic.simulated import STRATEGIES
from loracle_reference.floating_point import machine_model

LEFT = np.array([[0.5, -1.25, 2.0], [1.0, 0.75, -0.5]])
RIGHT = np.array([[2.0, 0.25, 1.5], [-0.75, 1.0, 3.0]])
COLUMN = np.array([[4.0], [-0.5]])


def _floats(values: Any) -> np.ndarray:
    return np.array([[float(value) for value in row] for row in values])


ARITHMETICS: dict[str, tuple[Arithmetic[Any], Callable[[Any, Any], np.ndarray]]] = {
    "exact": (Exact(), lambda arithmetic, m: _floats(arithmetic.array(m))),
    "multiprecision": (Multiprecision(120), lambda arithmetic, m: _floats(arithmetic.array(m))),
    "ball": (Ball(96), lambda arithmetic, m: arithmetic.enclosure(m).mid),
    "interval": (Interval(), lambda arithmetic, m: arithmetic.enclosure(m).mid),
    "double": (Double(), lambda arithmetic, m: arithmetic.array(m)),
}
"""Each arithmetic and how to read its values as float64."""

EXPECTED: dict[str, tuple[Callable[[Any, Any, Any], Any], np.ndarray]] = {
    "transpose": (lambda x, y, c: x.T, LEFT.T),
    "matmul": (lambda x, y, c: x @ y.T, LEFT @ RIGHT.T),
    "add": (lambda x, y, c: x + y, LEFT + RIGHT),
    "sub": (lambda x, y, c: x - y, LEFT - RIGHT),
    "mul": (lambda x, y, c: x * y, LEFT * RIGHT),
    "scale by a float": (lambda x, y, c: x.scale(0.375), LEFT * 0.375),
    "scale by a fraction": (lambda x, y, c: x.scale(Fraction(1, 3)), LEFT / 3),
    "scale by an int": (lambda x, y, c: x.scale(-2), LEFT * -2),
    "row_sum": (lambda x, y, c: x.row_sum(), LEFT.sum(1, keepdims=True)),
    "row_dot": (lambda x, y, c: x.row_dot(y), (LEFT * RIGHT).sum(1, keepdims=True)),
    "exp": (lambda x, y, c: x.exp(), np.exp(LEFT)),
    "scale_rows": (lambda x, y, c: x.scale_rows(c), LEFT * COLUMN),
    "divide_rows": (lambda x, y, c: x.divide_rows(c), LEFT / COLUMN),
    "face_splitting": (
        lambda x, y, c: x.face_splitting(y),
        np.array([np.kron(a, b) for a, b in zip(LEFT, RIGHT, strict=True)]),
    ),
    "softmax": (
        lambda x, y, c: x.softmax_rows(),
        np.exp(LEFT) / np.exp(LEFT).sum(1, keepdims=True),
    ),
    "reshape": (lambda x, y, c: x.reshape(3, 2), LEFT.reshape(3, 2)),
    "take_rows": (lambda x, y, c: x.take_rows([1, 0, 1]), LEFT[[1, 0, 1]]),
    "take_columns": (lambda x, y, c: x.take_columns([2, 0]), LEFT[:, [2, 0]]),
    "beside": (lambda x, y, c: x.beside(c), np.hstack([LEFT, COLUMN])),
}


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("operation", EXPECTED)
def test_operations_mean_what_the_protocol_says(name: str, operation: str) -> None:
    arithmetic, read = ARITHMETICS[name]
    evaluate, expected = EXPECTED[operation]
    result = evaluate(*(arithmetic.matrix(entries) for entries in (LEFT, RIGHT, COLUMN)))
    assert isinstance(result, Matrix)
    assert result.shape == expected.shape
    np.testing.assert_allclose(read(arithmetic, result), expected, rtol=1e-14)


_MACHINE = machine_model("widest", "float64")

EVERY: dict[str, Arithmetic[Any]] = {
    **{name: arithmetic for name, (arithmetic, _) in ARITHMETICS.items()},
    "rounding": Rounding(_MACHINE),
    "planned": Planned(_MACHINE),
    "stochastic": Stochastic(_MACHINE, samples=3),
    **{f"simulated, {s.name}": Simulated("float64", s) for s in STRATEGIES},
}
"""Also those whose matrices stand for no single value: their shapes obey the protocol too."""


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("operation", EXPECTED)
def test_shapes_of_results(name: str, operation: str) -> None:
    evaluate, expected = EXPECTED[operation]
    result = evaluate(*(EVERY[name].matrix(entries) for entries in (LEFT, RIGHT, COLUMN)))
    assert result.shape == expected.shape


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "operation",
    [
        lambda x, column: x @ x,
        lambda x, column: x + x.T,
        lambda x, column: x - column,
        lambda x, column: x * column,
        lambda x, column: x.row_dot(x.T),
        lambda x, column: x.scale_rows(x),
        lambda x, column: x.scale_rows(x.T.row_sum()),
        lambda x, column: x.divide_rows(x),
        lambda x, column: x.divide_rows(column.T),
        lambda x, column: x.face_splitting(x.T),
        lambda x, column: x.beside(x.T),
        lambda x, column: x.reshape(2, 2),
        lambda x, column: x.reshape(-2, -3),
        lambda x, column: x.reshape(0, 6),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name: str, operation: Callable[..., Any]) -> None:
    arithmetic = EVERY[name]
    with pytest.raises(ShapeError, match=r"\(\d, \d\)"):
        operation(arithmetic.matrix(LEFT), arithmetic.matrix(COLUMN))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "entries",
    [
        [],
        [[]],
        [1.0, 2.0],
        [[1.0, 2.0], [3.0]],
        np.zeros(3),
        np.zeros((2, 0)),
        np.zeros((2, 2, 2)),
        np.array([[1.0, np.nan]]),
        np.array([[np.inf]]),
        [[1, float("nan")]],
        [[1, float("inf")]],
    ],
)
def test_bad_entries_are_refused(name: str, entries: Any) -> None:
    with pytest.raises(ValueError, match=r"matrix|finite"):
        EVERY[name].matrix(entries)


@pytest.mark.parametrize("name", EVERY)
def test_arithmetics_do_not_mix(name: str) -> None:
    arithmetic = EVERY[name]
    other = Double() if name == "interval" else Interval()
    left, right = arithmetic.matrix(LEFT), other.matrix(LEFT)
    for operation in (
        lambda: left + right,
        lambda: left * right,
        lambda: left @ right.T,
        lambda: left.scale_rows(right.row_sum()),
        lambda: left.face_splitting(right),
        lambda: left.beside(right),
    ):
        with pytest.raises(TypeError, match="cannot mix"):
            operation()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("indices", [[2], [0, -1], [-3]])
def test_rows_out_of_range_are_refused(name: str, indices: list[int]) -> None:
    """Also the negative indices that a Python list would take."""
    matrix = EVERY[name].matrix(LEFT)
    with pytest.raises(
        IndexError, match=r"row -?\d is out of range: the rows of \(2, 3\) are 0 to 1"
    ):
        matrix.take_rows(indices)
    with pytest.raises(ShapeError, match="no indices"):
        matrix.take_rows([])


@pytest.mark.parametrize("name", ARITHMETICS)
def test_all_kinds_of_entries_are_taken(name: str) -> None:
    arithmetic, read = ARITHMETICS[name]
    nested = [[1, 0.5, Fraction(1, 4)], [np.float64(2.0), np.float32(0.25), np.int64(3)]]
    expected = np.array([[1, 0.5, 0.25], [2, 0.25, 3]])
    np.testing.assert_array_equal(read(arithmetic, arithmetic.matrix(nested)), expected)
    for dtype in (np.float32, np.float16, np.int64, object):
        array = np.array([[1, 2], [3, 4]], dtype=dtype)
        np.testing.assert_array_equal(
            read(arithmetic, arithmetic.matrix(array)), array.astype(float)
        )


@pytest.mark.parametrize("name", ARITHMETICS)
def test_matrices_keep_no_hold_of_their_entries(name: str) -> None:
    """Changing the caller's array afterwards changes nothing."""
    arithmetic, read = ARITHMETICS[name]
    array = LEFT.copy()
    matrix = arithmetic.matrix(array)
    array[:] = 7.0
    np.testing.assert_array_equal(read(arithmetic, matrix), LEFT)


@pytest.mark.parametrize("name", ARITHMETICS)
def test_names(name: str) -> None:
    assert ARITHMETICS[name][0].name == name


def test_imports_are_cheap() -> None:
    """The packages import no library that only some arithmetic or another root needs."""
    code = (
        "import sys, loracle_reference, loracle_reference.arithmetic, "
        "loracle_reference.differentiation\n"
        "heavy = {'torch', 'hypothesis', 'sympy', 'mpmath', 'flint'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert run.stdout.strip() == "[]"


def test_unknown_names_are_refused() -> None:
    import loracle_reference.arithmetic as arithmetic

    with pytest.raises(AttributeError, match="Decimal"):
        _ = arithmetic.Decimal
