"""The polynomials of Appendix H, each against scalars that count what an evaluation really does."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any
from unittest import mock

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from loracle_reference import cost
from loracle_reference.arithmetic import Counting
from loracle_reference.arithmetic.counting import CountingMatrix, Operations
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.cost import FEATURES, LENGTH, RANK, WIDTH
from loracle_reference.evaluation_orders import (
    gradient_by_degree_raising,
    gradient_by_factors,
    gradient_by_moments,
    gradient_by_queries,
    part_one_formed,
    part_one_split,
    sum_over,
)
from loracle_reference.gradient import aloragc_gradient
from loracle_reference.monomials import monomial_features

from .monomials import taylor_coefficients
from .problems import ALORAGC, make_problem
from .scalar_counting import ScalarCounting

_L, _D, _R, _K = LENGTH, WIDTH, RANK, FEATURES


def _really_done(order: str, sizes: dict[str, int], degree: int) -> dict[str, int]:
    """One evaluation on scalars that count."""
    problem = make_problem(ALORAGC, sizes, 0.25, 0)
    scalars = ScalarCounting()
    operands = {name: scalars.matrix(array) for name, array in problem.tensors.items()}
    identity = scalars.matrix(np.eye(sizes["M"]))
    if order == "exact":
        aloragc_gradient(**operands)
    elif order == "naive":
        gradient_by_queries(
            **operands,
            part_one=lambda f_j, q_j: part_one_formed(f_j, q_j, identity),
            sum_over=sum_over,
        )
    elif order == "tensor trick":
        gradient_by_queries(**operands, part_one=part_one_split, sum_over=sum_over)
    else:
        by_features = gradient_by_moments if order == "moments" else gradient_by_factors
        by_features(
            **operands,
            features=lambda x: monomial_features(scalars, x, degree),
            coefficients=scalars.matrix(taylor_coefficients(sizes["d"], degree)),
        )
    return dict(scalars.tally)


def _kinds(operations: Operations) -> dict[str, Any]:
    names = ("multiplications", "additions", "divisions", "exponentials")
    return {name: n for name in names if (n := getattr(operations, name)) != 0}


@pytest.mark.parametrize("order", ["exact", "naive", "tensor trick", "almost linear", "moments"])
@settings(max_examples=12)
@given(
    length=st.integers(1, 5),
    width=st.integers(1, 3),
    rank=st.integers(1, 3),
    degree=st.integers(1, 3),
)
def test_polynomials_count_what_is_done(
    order: str, length: int, width: int, rank: int, degree: int
) -> None:
    sizes = {"L": length, "M": length, "d": width, "r": rank}
    point = {_L: length, _D: width, _R: rank, _K: comb(width + degree, degree)}
    expected = _kinds(cost.counted(order).operations.substitute(point))
    assert expected == _really_done(order, sizes, degree)


@settings(max_examples=12)
@given(
    length=st.integers(1, 5),
    width=st.integers(1, 3),
    rank=st.integers(1, 3),
    degree=st.integers(0, 3),
)
def test_degree_raising_counts_what_is_done(
    length: int, width: int, rank: int, degree: int
) -> None:
    sizes = {"L": length, "M": length, "d": width, "r": rank}
    scalars = ScalarCounting()
    tensors = make_problem(ALORAGC, sizes, 0.25, 0).tensors
    gradient_by_degree_raising(
        **{name: scalars.matrix(array) for name, array in tensors.items()},
        features=lambda x, n: monomial_features(scalars, x, n),
        coefficients=scalars.matrix(taylor_coefficients(width, degree)),
        degree=degree,
    )
    point = {_L: length, _R: rank}
    expected = cost.degree_raising_operations(width, degree).substitute(point)
    assert _kinds(expected) == dict(scalars.tally)


def test_schoolbook_products() -> None:
    n1, n2, n3 = sympy.symbols("n1 n2 n3", positive=True, integer=True)
    assert sympy.expand(cost.matmul_cost(n1, n2, n3) - n1 * n3 * (2 * n2 - 1)) == 0
    assert cost.matmul_cost(2, 3, 4) == 40


def test_theorem_h1_holds_with_its_constant() -> None:
    count, bound = cost.exact_gradient_operations().total, cost.theorem_h1_bound()
    constant = cost.theorem_h1_constant()
    shifted = sympy.Poly(
        (constant * bound - count).subs({s: 1 + s for s in (_L, _D, _R)}), _L, _D, _R
    )
    assert all(coefficient >= 0 for coefficient in shifted.coeffs())
    for length in (1, 2, 3, 10, 1000):
        for width in (1, 2, 7, 64):
            for rank in (1, 3, 64):
                point = {_L: length, _D: width, _R: rank}
                assert count.subs(point) <= constant * bound.subs(point)
    # No constant is smaller: the quotient comes as near as one likes.
    assert sympy.limit((count / bound).subs({_D: 1, _R: 1}), _L, sympy.oo) == constant


@pytest.mark.parametrize(
    ("sizes", "large"),
    [
        ((WIDTH, LENGTH, LENGTH), {_D: 1, _R: 1}),
        ((WIDTH, WIDTH, LENGTH), {_D: _L**2, _R: 1}),
        ((WIDTH, WIDTH, RANK), {_D: _L, _R: _L**2}),
    ],
)
def test_every_term_of_the_bound_is_needed(sizes: tuple[Any, ...], large: dict[Any, Any]) -> None:
    """Without one of its terms the bound bounds nothing: the quotient grows along `large`."""
    bound = sympy.expand(cost.theorem_h1_bound() - cost.matmul_cost(*sizes))
    count = cost.exact_gradient_operations().total
    with pytest.raises(ValueError, match="no multiple of the bound has the count's terms in"):
        cost.bounding_constant(count, bound)
    assert sympy.limit((count / bound).subs(large), _L, sympy.oo) == sympy.oo


def test_bounding_constants() -> None:
    n = sympy.Symbol("n", positive=True, integer=True)
    assert cost.bounding_constant(3 * n**2 + n, n**2) == 4
    assert cost.bounding_constant(n - 1, 2 * n) == Fraction(1, 2)
    assert cost.bounding_constant(0, n) == 0
    with pytest.raises(ValueError, match=r"terms in n\*\*3"):
        cost.bounding_constant(n**3, n**2 + 1)
    assert cost.bounding_constant(-n, n) == 0
    assert cost.bounding_constant(3, 5) == Fraction(3, 5)
    for count, bound in ((1 / n, n), (n, sympy.sqrt(n))):
        with pytest.raises(ValueError, match="not a polynomial with rational coefficients"):
            cost.bounding_constant(count, bound)
    with pytest.raises(ValueError, match="negative coefficients"):
        cost.bounding_constant(n, n**2 - 3 * n + 3)


def test_a_kronecker_product_breaks_the_bound() -> None:
    """The mutant: an evaluation that forms C of Definition 3.2 is no O of Theorem H.1's bound."""
    with pytest.raises(ValueError, match=r"no multiple of the bound .*L\*\*2\*d\*\*2"):
        cost.bounding_constant(cost.tensor_trick_operations().total, cost.theorem_h1_bound())


def test_degrees_of_remark_h1() -> None:
    assert cost.naive_operations().degree(_L) == 3
    assert cost.tensor_trick_operations().degree(_L) == 2
    assert cost.exact_gradient_operations().degree(_L) == 2
    assert cost.almost_linear_operations().degree(_L) == 1
    leading = {
        order: sympy.Poly(cost.counted(order).operations.total, _L).LC()
        for order in ("tensor trick", "exact")
    }
    assert sympy.degree(leading["tensor trick"], _D) == 2
    assert sympy.degree(leading["exact"], _D) == 1


def _saved_by_moments() -> Any:
    return sympy.expand(cost.almost_linear_operations().total - cost.moment_operations().total)


def test_moments_take_two_passes_of_d_plus_one_squared_columns() -> None:
    total = sympy.Poly(cost.moment_operations().total, _L, _D, _R, _K)
    in_features = sympy.Poly(total.as_expr(), _L, _K).coeff_monomial(_L * _K)
    # The others: one multiplication for each feature of a query and of a key, one for its
    # coefficient, and no multiplication for the moment of 1.
    assert sympy.expand(in_features - 2 * 2 * (1 + _D) ** 2) == 1 + 1 + 1 - 1
    # Products of C3 and C2, of c and E[v (x) x], their sum over i; C1 W and C1^T u; and one
    # addition less than k in E[v (x) x]. Repeating c by a product with ones would add one more.
    assert total.coeff_monomial(_L * _D**2) == 1 + 1 + 1 + 2 + 2 - 1
    # The order of Theorem 3.1's proof has as much in d^2, and more in d.
    saved = sympy.Poly(_saved_by_moments(), _L, _K).coeff_monomial(_L * _K)
    assert sympy.expand(saved - 2 * (_D + 1)) == 0


def test_a_wasteful_contraction_is_noticed() -> None:
    """The mutant: c repeated d times by multiplying with ones."""
    true = CountingMatrix.scale_rows

    def wasteful(self: Any, column: Any) -> Any:
        ones = column._counting.symbol_matrix(column.shape[0], self.shape[1])
        _ = true(ones, column)
        return true(self, column)

    with mock.patch.object(CountingMatrix, "scale_rows", wasteful):
        total = sympy.Poly(cost.moment_operations().total, _L, _D, _R, _K)
    assert total.coeff_monomial(_L * _D**2) == 6 + 1


def test_moments_are_fewer_operations_from_degree_two_on() -> None:
    """For all L, d, r >= 1 and all k >= (d + 1)(d + 2) / 2; with k = d + 1 only if L is small."""
    quadratic = cost.number_of_features(WIDTH, 2)
    shift = {_L: 1 + _L, _D: 1 + _D, _R: 1 + _R}
    saved = _saved_by_moments().subs(_K, quadratic + _K).subs(shift, simultaneous=True)
    coefficients = sympy.Poly(sympy.expand(saved), _L, _D, _R, _K).coeffs()
    assert min(coefficients) > 0
    linear = _saved_by_moments().subs(_K, _D + 1)
    for width in range(2, 6):
        assert linear.subs({_D: width, _L: 1}) > 0
        assert sympy.Poly(linear.subs(_D, width), _L).LC() < 0


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 6])
def test_raising_the_degree_is_fewer_operations(width: int, degree: int) -> None:
    """Of the operations in L, and at L = 64 and above; but for one variable and degree 0."""
    features = comb(width + degree, degree)
    moments = cost.moment_operations().substitute({_D: width, _K: features, _R: 1}).total
    raising = cost.degree_raising_operations(width, degree).substitute({_R: 1}).total
    saved = sympy.Poly(moments - raising, _L)
    assert (saved.LC() > 0) == ((width, degree) != (1, 0))
    assert (saved.eval(64) > 0) == ((width, degree) != (1, 0))
    if width >= 5 and degree >= 3:
        assert sympy.Poly(raising, _L).LC() < Fraction(11, 20) * sympy.Poly(moments, _L).LC()


def test_degree_raising_refuses_what_is_no_size() -> None:
    for width, degree in ((0, 2), (2, -1)):
        with pytest.raises(ValueError, match="monomials need at least one variable"):
            cost.degree_raising_operations(width, degree)


def test_what_is_formed() -> None:
    """Theorem 3.1's evaluation forms nothing with L^2 entries; the others form L x L, at most."""
    assert cost.counted("almost linear").formed_degree(_L) == 1
    # The order by moments does without its factors of k d columns.
    assert _L * _K * _D in cost.counted("almost linear").formed_sizes
    assert cost.counted("moments").formed_degree(_L) == 1
    sizes = cost.counted("moments").formed_sizes
    assert max(sympy.Poly(size, _L, _D, _R, _K).total_degree() for size in sizes) == 3
    assert _L * _K * _D not in sizes
    assert {_L * _D**2, _L * _K, _K * _D**2} <= sizes
    for order in ("exact", "naive", "tensor trick"):
        assert cost.counted(order).formed_degree(_L) == 2
    # One block C_j has L d^2 entries, and there are never L of them at once.
    assert _L * _D**2 in cost.counted("tensor trick").formed_sizes
    largest = cost.counted("tensor trick").largest_formed({_L: 10, _D: 20, _R: 1})
    assert largest == 10 * 20**2
    with pytest.raises(ValueError, match="unknown order 'fast': choose one of exact"):
        cost.counted("fast")


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_numbers_of_features(degree: int) -> None:
    polynomial = sympy.sympify(cost.number_of_features(WIDTH, degree))
    for width in range(1, 6):
        features = cost.number_of_features(width, degree)
        assert features == comb(width + degree, degree) == polynomial.subs(_D, width)
        assert isinstance(features, int)
    with pytest.raises(ValueError, match="at least 0"):
        cost.number_of_features(2, -1)


@settings(max_examples=10)
@given(width=st.integers(1, 12), rank=st.integers(1, 12), degree=st.integers(1, 6))
def test_crossover_is_where_the_counts_cross(width: int, rank: int, degree: int) -> None:
    features = comb(width + degree, degree)
    length = cost.crossover(width, rank, features)
    point = {_D: width, _R: rank, _K: features}
    exact = cost.exact_gradient_operations().substitute(point)
    linear = cost.almost_linear_operations().substitute(point)

    def saved(at: int) -> int:
        return int(exact.substitute({_L: at}).total - linear.substitute({_L: at}).total)

    assert saved(length) > 0
    assert all(saved(length + more) > 0 for more in (1, 2, 10, length))
    assert length == 1 or saved(length - 1) <= 0


def test_crossover_refuses_what_is_no_count() -> None:
    for width, rank, features in ((0, 1, 5), (2, 0, 5), (2, 1, 2)):
        with pytest.raises(ValueError, match="k >= d"):
            cost.crossover(width, rank, features)


def test_transposition_has_d_squared_rows() -> None:
    """T(d, d), not T(d^2, d^2) as from Lemma F.4 on: d^2 operations, not d^4."""
    assert cost.transposition_operations(WIDTH, WIDTH).total == _D**2
    assert cost.transposition_operations(WIDTH**2, WIDTH**2).total == _D**4
    counting = Counting()
    entries = counting.symbol_matrix(_D**2, 1)
    assert (counting.symbol_matrix(_D**2, _D**2) @ entries).shape == (_D**2, 1)
    with pytest.raises(ShapeError):
        _ = counting.symbol_matrix(_D**4, _D**4) @ entries
