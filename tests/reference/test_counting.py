"""Symbolic counts against scalars that count what is really done to them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Counting, Double
from loracle_reference.arithmetic.counting import Operations
from loracle_reference.arithmetic.shapes import ShapeError

from .problems import SPECIFICATIONS, make_problem
from .scalar_counting import ScalarCounting

L, M, d, r = sympy.symbols("L M d r", positive=True, integer=True)
SYMBOLS = {"L": L, "M": M, "d": d, "r": r}

n, m, p, q = sympy.symbols("n m p q", positive=True, integer=True)

OPERATIONS: dict[str, tuple[list[tuple[Any, Any]], Callable[..., Any]]] = {
    "transpose": ([(n, m)], lambda x: x.T),
    "matmul": ([(n, m), (m, p)], lambda x, y: x @ y),
    "add": ([(n, m), (n, m)], lambda x, y: x + y),
    "sub": ([(n, m), (n, m)], lambda x, y: x - y),
    "mul": ([(n, m), (n, m)], lambda x, y: x * y),
    "scale": ([(n, m)], lambda x: x.scale(Fraction(3, 8))),
    "scale by one": ([(n, m)], lambda x: x.scale(1)),
    "row_sum": ([(n, m)], lambda x: x.row_sum()),
    "row_dot": ([(n, m), (n, m)], lambda x, y: x.row_dot(y)),
    "exp": ([(n, m)], lambda x: x.exp()),
    "softmax": ([(n, m)], lambda x: x.softmax_rows()),
    "scale_rows": ([(n, m), (n, 1)], lambda x, c: x.scale_rows(c)),
    "divide_rows": ([(n, m), (n, 1)], lambda x, c: x.divide_rows(c)),
    "face_splitting": ([(n, p), (n, q)], lambda x, y: x.face_splitting(y)),
    "reshape": ([(n, m)], lambda x: x.reshape(x.shape[1], x.shape[0])),
    "take_rows": ([(n, m)], lambda x: x.take_rows([0, 0])),
    "take_columns": ([(n, m)], lambda x: x.take_columns([0, 0, 0])),
    "beside": ([(n, p), (n, q)], lambda x, y: x.beside(y)),
    "two products": ([(n, m), (m, p), (p, q)], lambda x, y, z: x @ y @ z + x @ (y @ z)),
}
"""The shapes of the operands, and the operation."""


def _scalar_count(
    shapes: dict[str, tuple[int, int]], evaluate: Callable[..., Any]
) -> dict[str, int]:
    """What an evaluation on positive numbers really does."""
    generator = np.random.default_rng(0)
    counting = ScalarCounting()
    evaluate(**{k: counting.matrix(generator.uniform(0.1, 1, s)) for k, s in shapes.items()})
    return {f: counting.tally[f] for f in _KINDS}


_KINDS = ("multiplications", "additions", "divisions", "exponentials")


def _kinds(operations: Operations) -> dict[str, Any]:
    return {f: getattr(operations, f) for f in _KINDS}


@pytest.mark.parametrize("name", OPERATIONS)
@given(sizes=st.fixed_dictionaries({s: st.integers(1, 5) for s in (n, m, p, q)}))
def test_each_operation_counts_what_it_does(name: str, sizes: dict[Any, int]) -> None:
    shapes, operation = OPERATIONS[name]
    counting = Counting()
    symbolic = operation(*(counting.symbol_matrix(*shape) for shape in shapes))
    numbers = {
        str(i): tuple(int(sympy.sympify(s).subs(sizes)) for s in shape)
        for i, shape in enumerate(shapes)
    }
    done = _scalar_count(numbers, lambda **x: operation(*x.values()))
    assert _kinds(counting.operations.substitute(sizes)) == done
    assert counting.operations.total == sum(_kinds(counting.operations).values())
    values = [np.ones(shape) for shape in numbers.values()]
    result = operation(*map(Double().matrix, values))
    assert tuple(sympy.sympify(s).subs(sizes) for s in symbolic.shape) == result.shape


def _symbolic(contract: str) -> Counting:
    specification = SPECIFICATIONS[contract]
    counting = Counting()
    operands = {
        name: counting.symbol_matrix(SYMBOLS[rows], SYMBOLS[columns])
        for name, (rows, columns) in specification.tensors.items()
    }
    specification.gradient(**operands, **specification.scalars)
    return counting


@pytest.mark.parametrize("contract", SPECIFICATIONS)
@given(sizes=st.fixed_dictionaries({s: st.integers(1, 6) for s in "LMd"}), rank=st.integers(1, 6))
def test_whole_gradients_count_what_they_do(
    contract: str, sizes: dict[str, int], rank: int
) -> None:
    problem = make_problem(SPECIFICATIONS[contract], {**sizes, "r": rank}, 0.5, 1)
    scalars = ScalarCounting()
    values = problem.gradient(scalars)
    point = {SYMBOLS[s]: size for s, size in {**sizes, "r": rank}.items()}
    operations = _symbolic(contract).operations.substitute(point)
    assert _kinds(operations) == {kind: scalars.tally[kind] for kind in _KINDS}
    # The scalars have really evaluated the definition.
    expected = problem.gradient(Double())
    for name in problem.specification.outputs:
        np.testing.assert_allclose(
            scalars.array(values[name]), Double().array(expected[name]), rtol=1e-9, atol=1e-12
        )


def test_scalars_refuse_a_sum_that_starts_at_zero() -> None:
    """The check of the checker: Python's sum() does one addition too many."""
    counting = ScalarCounting()
    row = counting.matrix([[1.0, 2.0]]).values[0]
    with pytest.raises(AssertionError, match="an addition too many"):
        sum(row)


def test_wrong_counts_are_told_apart() -> None:
    """A product counted with m additions for each entry, and one that forgets p."""
    sizes = {n: 2, m: 3, p: 4}
    counting = Counting()
    _ = counting.symbol_matrix(n, m) @ counting.symbol_matrix(m, p)
    done = _scalar_count({"x": (2, 3), "y": (3, 4)}, lambda x, y: x @ y)
    assert _kinds(counting.operations.substitute(sizes)) == done
    for wrong in (
        Operations(multiplications=n * m * p, additions=n * m * p),
        Operations(multiplications=n * m, additions=n * (m - 1) * p),
    ):
        assert _kinds(wrong.substitute(sizes)) != done


def test_flops_are_those_of_products_alone() -> None:
    counting = Counting()
    x, y = counting.symbol_matrix(n, m), counting.symbol_matrix(m, p)
    _ = ((x @ y).exp() + (x @ y)).scale(2).row_sum()
    assert counting.operations.flops == 4 * n * m * p


def test_an_intermediate_is_counted_once() -> None:
    shared, repeated = Counting(), Counting()
    x = shared.symbol_matrix(n, n)
    square = x @ x
    _ = square + square
    y = repeated.symbol_matrix(n, n)
    _ = y @ y + y @ y
    difference = repeated.operations.total - shared.operations.total
    assert sympy.expand(difference - (2 * n**3 - n**2)) == 0


def test_formed_sizes_show_what_is_held() -> None:
    """(u v^T) x forms n x n entries, u (v^T x) does not; operands and views are not formed."""
    square, thin = Counting(), Counting()
    u, v, x = (square.symbol_matrix(n, k) for k in (p, p, q))
    _ = u @ v.T @ x
    assert square.formed_degree(n) == 2
    assert square.largest_formed({n: 10, p: 2, q: 3}) == 100
    u, v, x = (thin.symbol_matrix(n, k) for k in (p, p, q))
    _ = u @ (v.T @ x)
    assert thin.formed_sizes == {p * q, n * q}
    assert thin.formed_degree(n) == 1
    assert thin.largest_formed({n: 10, p: 2, q: 3}) == 30
    with pytest.raises(ValueError, match="no value for q"):
        thin.largest_formed({n: 10, p: 2})
    with pytest.raises(ValueError, match="no matrix was formed"):
        Counting().largest_formed({})


def test_the_closed_form_holds_scores_and_nothing_larger() -> None:
    counting = _symbolic("aloragc")
    assert L * M in counting.formed_sizes
    assert [counting.formed_degree(s) for s in (L, M)] == [1, 1]


def test_sums_over_a_symbol() -> None:
    """sum_over(n, ...) counts what a sum of n terms does, for every n, n = 1 included."""

    def summed(counting: Any, x: Any, count: Any, sum_over: Callable[..., Any]) -> Any:
        return sum_over(count, lambda j: x.take_rows([j]).T @ x.take_rows([j]))

    counting = Counting()
    symbolic = summed(counting, counting.symbol_matrix(n, m), n, counting.sum_over)
    assert symbolic.shape == (m, m)
    for rows in (1, 2, 5):

        def explicit(x: Any, rows: int = rows) -> Any:
            def added(count: int, term: Callable[[int], Any]) -> Any:
                total = term(0)
                for j in range(1, count):
                    total = total + term(j)
                return total

            return summed(None, x, rows, added)

        done = _scalar_count({"x": (rows, 3)}, explicit)
        assert _kinds(counting.operations.substitute({n: rows, m: 3})) == done


def test_repetitions_nest_and_end() -> None:
    counting = Counting()
    x = counting.symbol_matrix(1, 1)
    with counting.repeated(0):
        _ = x.exp()
    with counting.repeated(n), counting.repeated(m):
        _ = x + x
    with pytest.raises(ShapeError), counting.repeated(q):
        _ = x + counting.symbol_matrix(1, 2)
    _ = x * x
    assert counting.operations == Operations(multiplications=1, additions=n * m)


def test_degree_and_substitution() -> None:
    operations = Operations(additions=n**2 * m + n, exponentials=n)
    assert operations.degree(n) == 2
    assert operations.degree(m) == 1
    assert operations.degree(q) == 0
    assert Operations().degree(n) == 0
    substituted = operations.substitute({n: 2, m: 3})
    assert substituted == Operations(additions=14, exponentials=2)
    assert substituted.total == 16
    # Two symbols that change places do so at once.
    assert operations.substitute({n: m, m: n}).additions == m**2 * n + m
    assert operations + operations == operations.times(2)


def test_equal_sizes_are_recognised_in_every_form() -> None:
    counting = Counting()
    first, second = counting.symbol_matrix(n * (m + 1), 2), counting.symbol_matrix(n * m + n, 2)
    assert (first + second).shape == (n * m + n, 2)
    for left, right in (((n, m), (m, n)), ((n, m), (n, p)), ((n, 2), (n, 3))):
        with pytest.raises(ShapeError, match="must be equal"):
            _ = counting.symbol_matrix(*left) + counting.symbol_matrix(*right)
    with pytest.raises(ShapeError, match="inner sizes"):
        _ = counting.symbol_matrix(n, m) @ counting.symbol_matrix(n, m)
    with pytest.raises(ShapeError, match="expected a column"):
        counting.symbol_matrix(n, m).scale_rows(counting.symbol_matrix(m, 1))
    with pytest.raises(ShapeError, match="numbers of rows"):
        counting.symbol_matrix(n, m).beside(counting.symbol_matrix(m, n))
    assert counting.symbol_matrix(n, 2 * m).reshape(2 * n, m).shape == (2 * n, m)
    for rows, columns in ((n, n), (0, n * m), (-n, -m)):
        with pytest.raises(ShapeError, match="cannot reshape"):
            counting.symbol_matrix(n, m).reshape(rows, columns)


def test_rows_of_an_unknown_number_of_rows() -> None:
    counting = Counting()
    matrix = counting.symbol_matrix(n, m)
    assert matrix.take_rows([0]).shape == (1, m)
    assert matrix.some_columns(p).shape == (n, p)
    for indices in ([1], [0, 1], [-1], []):
        with pytest.raises(IndexError, match="only row 0"):
            matrix.take_rows(indices)
    with pytest.raises(IndexError, match="out of range"):
        counting.symbol_matrix(2, m).take_rows([2])


def test_bad_sizes_are_refused() -> None:
    counting = Counting()
    with pytest.raises(ValueError, match="positive and integer: x"):
        counting.symbol_matrix(sympy.Symbol("x"), 1)
    for size in (0, -1, sympy.Rational(1, 2), -n, sympy.Float(2), 2 * n + sympy.Float(1)):
        with pytest.raises(ValueError, match="positive integer"):
            counting.symbol_matrix(size, 1)
    for size in (2.0, "n", None):
        with pytest.raises(ValueError, match="an int or a sympy expression"):
            counting.symbol_matrix(size, 1)


def test_tallies_do_not_mix() -> None:
    first, second = Counting(), Counting()
    x, y = first.symbol_matrix(n, n), second.symbol_matrix(n, n)
    column = second.symbol_matrix(n, 1)
    for operation in (
        lambda: x + y,
        lambda: x @ y,
        lambda: x.beside(y),
        lambda: x.face_splitting(y),
        lambda: x.divide_rows(column),
    ):
        with pytest.raises(TypeError, match="two tallies"):
            operation()
    with pytest.raises(TypeError, match="cannot mix"):
        _ = x + Double().matrix([[1.0]])


def test_entries_give_their_sizes() -> None:
    counting = Counting()
    assert counting.matrix([[1, 0.5], [sympy.Symbol("x"), Fraction(1, 3)]]).shape == (2, 2)
    assert counting.operations == Operations()
    for bad in ([[1, float("nan")]], [[1], [2, 3]], np.zeros(3)):
        with pytest.raises(ValueError, match=r"matrix|finite"):
            counting.matrix(bad)


def test_no_operation_is_taken_back() -> None:
    """A count below zero would subtract operations, and so would a sum of no terms."""
    counting = Counting()
    x = counting.symbol_matrix(n, n)
    for count in (-1, -n, 0.5, sympy.Rational(1, 2)):
        with pytest.raises(ValueError, match="repeated an integer >= 0 of times"):
            counting.repeated(count).__enter__()
    for count in (0, -1, -n):
        with pytest.raises(ValueError, match="must be a positive integer"):
            counting.sum_over(count, lambda j: x @ x)
    assert counting.operations == Operations()
