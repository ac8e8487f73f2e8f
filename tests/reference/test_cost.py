"""The polynomials of Appendix H, each against scalars that count what an evaluation really does."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from loracle_reference import cost
from loracle_reference.arithmetic import Counting
from loracle_reference.arithmetic.counting import Operations
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.cost import FEATURES, LENGTH, RANK, WIDTH
from loracle_reference.evaluation_orders import (
    gradient_by_factors,
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
        gradient_by_factors(
            **operands,
            features=lambda x: monomial_features(scalars, x, degree),
            coefficients=scalars.matrix(taylor_coefficients(sizes["d"], degree)),
        )
    return dict(scalars.tally)


def _kinds(operations: Operations) -> dict[str, Any]:
    names = ("multiplications", "additions", "divisions", "exponentials")
    return {name: n for name in names if (n := getattr(operations, name)) != 0}


@pytest.mark.parametrize("order", ["exact", "naive", "tensor trick", "almost linear"])
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


def test_what_is_formed() -> None:
    """Theorem 3.1's evaluation forms nothing with L^2 entries; the others form L x L, at most."""
    assert cost.counted("almost linear").formed_degree(_L) == 1
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
