"""Vectorisation and its products against numpy's own, and the conventions they are mistaken for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Double, Exact
from loracle_reference.arithmetic.double import DoubleMatrix
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.vectorization import (
    column_wise_kronecker,
    kronecker,
    mat,
    row_wise_kronecker,
    sub_block,
    tensor_trick,
    transposition,
    transposition_order,
    vec,
)

Array = npt.NDArray[np.float64]
_DOUBLE = Double()
_SIZE = st.integers(1, 4)
_SEED = st.integers(0, 2**32 - 1)


def _integers(seed: int, *shapes: tuple[int, int]) -> list[Array]:
    """Small whole numbers, so that float64 is exact."""
    generator = np.random.default_rng(seed)
    return [generator.integers(-9, 10, shape).astype(np.float64) for shape in shapes]


def _matrices(*arrays: Array) -> list[DoubleMatrix]:
    return [_DOUBLE.matrix(array) for array in arrays]


def _symbols(name: str, rows: int, columns: int) -> Any:
    entries = [[sympy.Symbol(f"{name}{i}{j}") for j in range(columns)] for i in range(rows)]
    return Exact().matrix(entries)


@given(rows=_SIZE, columns=_SIZE, seed=_SEED)
def test_vec_is_row_major_and_mat_undoes_it(rows: int, columns: int, seed: int) -> None:
    """Definition 2.1 entry by entry, from 1 as it counts, and numpy's C order."""
    (array,) = _integers(seed, (rows, columns))
    (x,) = _matrices(array)
    column = vec(x).values
    assert column.shape == (rows * columns, 1)
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            assert column[(i - 1) * columns + j - 1, 0] == array[i - 1, j - 1]
    np.testing.assert_array_equal(column.ravel(), array.ravel(order="C"))
    np.testing.assert_array_equal(vec(x.T).values.ravel(), array.ravel(order="F"))
    np.testing.assert_array_equal(mat(vec(x), rows, columns).values, array)


@given(sizes=st.tuples(_SIZE, _SIZE, _SIZE, _SIZE), seed=_SEED)
def test_kronecker_products_are_numpys(sizes: tuple[int, int, int, int], seed: int) -> None:
    rows, columns, other_rows, other_columns = sizes
    a, b = _integers(seed, (rows, columns), (other_rows, other_columns))
    product = kronecker(*_matrices(a, b))
    np.testing.assert_array_equal(product.values, np.kron(a, b))
    for j in range(rows):
        block = sub_block(product, j, other_rows)
        np.testing.assert_array_equal(block.values, np.kron(a[j : j + 1], b))


@given(sizes=st.tuples(_SIZE, _SIZE, _SIZE), seed=_SEED)
def test_row_and_column_wise_products_are_numpys(sizes: tuple[int, int, int], seed: int) -> None:
    n, p, q = sizes
    a, b = _integers(seed, (n, p), (n, q))
    rows = np.array([np.kron(left, right) for left, right in zip(a, b, strict=True)])
    np.testing.assert_array_equal(row_wise_kronecker(*_matrices(a, b)).values, rows)
    np.testing.assert_array_equal(column_wise_kronecker(*_matrices(a.T, b.T)).values, rows.T)


@given(sizes=st.tuples(_SIZE, _SIZE, _SIZE, _SIZE), seed=_SEED)
def test_the_entrywise_product_of_two_low_rank_matrices(
    sizes: tuple[int, int, int, int], seed: int
) -> None:
    """(U_1 V_1^T) o (U_2 V_2^T) from row-wise products; column-wise ones have L^2 rows."""
    rows, columns, k1, k2 = sizes
    u1, v1, u2, v2 = _matrices(
        *_integers(seed, (rows, k1), (columns, k1), (rows, k2), (columns, k2))
    )
    entrywise = (u1 @ v1.T) * (u2 @ v2.T)
    joined = row_wise_kronecker(u1, u2) @ row_wise_kronecker(v1, v2).T
    np.testing.assert_array_equal(joined.values, entrywise.values)
    if k1 == k2:
        printed = column_wise_kronecker(u1, u2) @ column_wise_kronecker(v1, v2).T
        assert printed.shape == (rows**2, columns**2)


@given(m=_SIZE, n=_SIZE, seed=_SEED)
def test_transposition_takes_vec_of_w_to_vec_of_its_transpose(m: int, n: int, seed: int) -> None:
    (array,) = _integers(seed, (m, n))
    (w,) = _matrices(array)
    t = transposition(m, n)
    expected = array.T.ravel()
    assert np.array(t).shape == (m * n, m * n)
    np.testing.assert_array_equal((_DOUBLE.matrix(t) @ vec(w)).values.ravel(), expected)
    order = transposition_order(m, n)
    np.testing.assert_array_equal(vec(w).take_rows(order).values.ravel(), expected)
    np.testing.assert_array_equal(np.transpose(t), transposition(n, m))


@given(sizes=st.tuples(_SIZE, _SIZE, _SIZE, _SIZE), seed=_SEED)
def test_the_tensor_trick(sizes: tuple[int, int, int, int], seed: int) -> None:
    rows, inner, other_inner, columns = sizes
    a, x, b = _integers(seed, (rows, inner), (inner, other_inner), (columns, other_inner))
    trick = tensor_trick(*_matrices(a, x, b))
    np.testing.assert_array_equal(trick.values.ravel(), (a @ x @ b.T).ravel())


def test_the_tensor_trick_on_symbols() -> None:
    """Lemma 2.1 for all entries of its size."""
    a, x, b = _symbols("a", 2, 3), _symbols("x", 3, 2), _symbols("b", 3, 2)
    difference = tensor_trick(a, x, b) - vec(a @ x @ b.T)
    assert all(sympy.expand(entry) == 0 for entry in Exact().array(difference).ravel())


def _printed_transposition(m: int, n: int) -> Array:
    """Lemma F.2 as printed: row (p-1) n + k has its one in column (k-1) m + p."""
    t = np.zeros((m * n, m * n))
    for p in range(1, m + 1):
        for k in range(1, n + 1):
            t[(p - 1) * n + k - 1, (k - 1) * m + p - 1] = 1
    return t


def test_the_printed_transposition_is_refuted_unless_square() -> None:
    w = np.arange(6.0).reshape(2, 3)
    printed = _printed_transposition(2, 3)
    assert (printed @ w.ravel() != w.T.ravel()).any()
    np.testing.assert_array_equal(printed, transposition(3, 2))
    # It is the one of the column-major vec, and symmetric matrices hide the difference.
    np.testing.assert_array_equal(printed @ w.ravel(order="F"), w.T.ravel(order="F"))
    np.testing.assert_array_equal(_printed_transposition(3, 3), transposition(3, 3))


def test_a_column_major_vec_is_refuted() -> None:
    """By Definition 2.1, and by the tensor trick, in which its factors change places."""
    a, x, b = _integers(3, (2, 3), (3, 4), (5, 4))
    product = a @ x @ b.T
    assert (vec(_DOUBLE.matrix(x)).values.ravel() != x.ravel(order="F")).any()
    assert (np.kron(a, b) @ x.ravel(order="F") != product.ravel(order="F")).any()
    np.testing.assert_array_equal(np.kron(b, a) @ x.ravel(order="F"), product.ravel(order="F"))


def test_a_kronecker_product_in_the_other_order_is_refuted() -> None:
    a, b = _integers(4, (2, 3), (3, 2))
    assert (kronecker(*_matrices(a, b)).values != kronecker(*_matrices(b, a)).values).any()
    assert (kronecker(*_matrices(a, b)).values != np.kron(b, a)).any()


_COLUMN = np.arange(6.0).reshape(6, 1)
_WIDE = np.arange(6.0).reshape(2, 3)

REFUSED: dict[str, tuple[Callable[[Any, Any], Any], type[ValueError], str]] = {
    "mat of no column": (
        lambda column, wide: mat(wide, 2, 3),
        ShapeError,
        r"mat needs a column of shape \(6, 1\), got \(2, 3\)",
    ),
    "mat of another length": (
        lambda column, wide: mat(column, 2, 2),
        ShapeError,
        r"cannot reshape \(6, 1\) to \(2, 2\)",
    ),
    "block beyond the last": (
        lambda column, wide: sub_block(column, 2, 3),
        ValueError,
        r"block 2 is out of range: the blocks of \(6, 1\) are 0 to 1",
    ),
    "block before the first": (
        lambda column, wide: sub_block(column, -1, 3),
        ValueError,
        "block -1 is out of range",
    ),
    "blocks that leave a rest": (
        lambda column, wide: sub_block(column, 0, 4),
        ShapeError,
        "no whole number of blocks of 4 rows",
    ),
    "blocks of no rows": (
        lambda column, wide: sub_block(column, 0, 0),
        ShapeError,
        "blocks of 0 rows",
    ),
    "column-wise, unequal": (
        lambda column, wide: column_wise_kronecker(column, wide),
        ShapeError,
        r"numbers of columns must be equal, got \(6, 1\) and \(2, 3\)",
    ),
    "row-wise, unequal": (
        lambda column, wide: row_wise_kronecker(column, wide),
        ShapeError,
        "numbers of rows must be equal",
    ),
    "x of another shape": (
        lambda column, wide: tensor_trick(wide, column, wide.T),
        ShapeError,
        r"x must be of shape \(3, 2\), got \(6, 1\)",
    ),
    "no rows to transpose": (
        lambda column, wide: transposition(0, 3),
        ValueError,
        r"positive sizes, got \(0, 3\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name: str) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call(_DOUBLE.matrix(_COLUMN), _DOUBLE.matrix(_WIDE))
