"""The other orders of evaluation give the gradient, or, by features, that of a polynomial."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from loracle_reference import evaluation_orders
from loracle_reference.arithmetic import Ball, Exact
from loracle_reference.arithmetic.exact import ExactMatrix
from loracle_reference.attention import adapted_weight, residual
from loracle_reference.evaluation_orders import (
    gradient_by_degree_raising,
    gradient_by_factors,
    gradient_by_moments,
    gradient_by_queries,
    part_one_formed,
    part_one_split,
    sum_over,
)
from loracle_reference.gradient import score_gradient
from loracle_reference.low_rank import centred_keys
from loracle_reference.low_rank_gradient import low_rank_aloragc_gradient
from loracle_reference.monomials import monomial_exponents, monomial_features, raised_monomials
from loracle_reference.norms import Norms

from .monomials import taylor_coefficients
from .problems import ALORAGC, make_problem

_BALL = Ball(160)
_SIZES = st.fixed_dictionaries({"L": st.integers(1, 4), "M": st.integers(1, 4)})


def _formed(f_j: Any, q_j: Any) -> Any:
    keys = f_j.shape[1]
    identity = _BALL.matrix([[int(i == j) for j in range(keys)] for i in range(keys)])
    return part_one_formed(f_j, q_j, identity)


def _by_queries(tensors: dict[str, Any], part_one: Callable[..., Any]) -> dict[str, Any]:
    operands = {name: _BALL.matrix(entries) for name, entries in tensors.items()}
    return gradient_by_queries(**operands, part_one=part_one, sum_over=sum_over)


@pytest.mark.parametrize("part_one", [_formed, part_one_split])
@settings(max_examples=10)
@given(sizes=_SIZES, width=st.integers(1, 3), data=st.data())
def test_query_by_query_is_the_gradient(
    part_one: Any, sizes: dict[str, int], width: int, data: st.DataObject
) -> None:
    sizes = {**sizes, "d": width, "r": data.draw(st.integers(1, width))}
    problem = make_problem(ALORAGC, sizes, 1.0, data.draw(st.integers(0, 2**32 - 1)))
    found, expected = _by_queries(problem.tensors, part_one), problem.gradient(_BALL)
    for name in problem.specification.outputs:
        first, second = _BALL.enclosure(found[name]), _BALL.enclosure(expected[name])
        assert first.overlaps(second)
        assert max(first.radius.max(), second.radius.max()) < 1e-25


@pytest.mark.parametrize(
    "wrong",
    [
        lambda f_j, q_j: f_j.T * q_j,
        lambda f_j, q_j: f_j.T * q_j + f_j.T @ (f_j @ q_j),
        lambda f_j, q_j: f_j.T * q_j - f_j.T @ f_j @ f_j.T,
    ],
    ids=["no part (III)", "its sign", "f for q"],
)
def test_wrong_parts_disagree(wrong: Callable[..., Any]) -> None:
    problem = make_problem(ALORAGC, {"L": 3, "M": 4, "d": 2, "r": 1}, 1.0, 3)
    found, expected = _by_queries(problem.tensors, wrong), problem.gradient(_BALL)
    for name in problem.specification.outputs:
        assert not _BALL.enclosure(found[name]).overlaps(_BALL.enclosure(expected[name]))


def _rational_tensors(sizes: dict[str, int], seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        name: [
            [Fraction(int(generator.integers(-4, 5)), 6) for _ in range(sizes[columns])]
            for _ in range(sizes[rows])
        ]
        for name, (rows, columns) in ALORAGC.tensors.items()
    }


def _operands(arithmetic: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: arithmetic.matrix(entries) for name, entries in tensors.items()}


def _by_factors(arithmetic: Any, operands: Any, degree: int, coefficients: Any) -> Any:
    return gradient_by_factors(
        **operands,
        features=lambda x: monomial_features(arithmetic, x, degree),
        coefficients=arithmetic.matrix(coefficients),
    )


def _by_moments(arithmetic: Any, operands: Any, degree: int, coefficients: Any) -> Any:
    return gradient_by_moments(
        **operands,
        features=lambda x: monomial_features(arithmetic, x, degree),
        coefficients=arithmetic.matrix(coefficients),
    )


def _by_degree_raising(arithmetic: Any, operands: Any, degree: int, coefficients: Any) -> Any:
    return gradient_by_degree_raising(
        **operands,
        features=lambda x, n: monomial_features(arithmetic, x, n),
        coefficients=arithmetic.matrix(coefficients),
        degree=degree,
    )


_BY_FEATURES = pytest.mark.parametrize(
    "order", [_by_factors, _by_moments, _by_degree_raising], ids=lambda order: order.__name__[4:]
)


def _with_taylor_for_exp(tensors: dict[str, Any], degree: int) -> dict[str, Any]:
    """The closed form with the Taylor polynomial in the place of exp, L x M matrices and all."""
    exact = Exact()
    t = {name: exact.matrix(entries) for name, entries in tensors.items()}
    scores = t["c1"] @ adapted_weight(t["w"], t["b"], t["a"], 1) @ t["c2"].T
    power = exact.matrix([[1] * scores.shape[1]] * scores.shape[0])
    u = power
    for n in range(1, degree + 1):
        power = (power * scores).scale(Fraction(1, n))
        u = u + power
    f = u.divide_rows(u.row_sum())
    grad_w = t["c1"].T @ score_gradient(f, residual(f, t["c3"], t["y"]), t["c3"]) @ t["c2"]
    return {"grad_a": t["b"].T @ grad_w, "grad_b": grad_w @ t["a"].T}


@_BY_FEATURES
@settings(max_examples=10)
@given(
    sizes=_SIZES,
    width=st.integers(1, 3),
    rank=st.integers(1, 2),
    degree=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_features_give_the_gradient_of_the_polynomial_exactly(
    order: Any, sizes: dict[str, int], width: int, rank: int, degree: int, seed: int
) -> None:
    """Lemmas 3.3 to 3.7 are identities once exp is a polynomial: equality of fractions."""
    tensors = _rational_tensors({**sizes, "d": width, "r": rank}, seed)
    exact = Exact()
    try:
        expected = _with_taylor_for_exp(tensors, degree)
    except ZeroDivisionError:
        reject()  # A polynomial, unlike exp, can have rows that sum to zero.
    found = order(exact, _operands(exact, tensors), degree, taylor_coefficients(width, degree))
    for name, matrix in expected.items():
        assert (exact.array(found[name]) == exact.array(matrix)).all()


@_BY_FEATURES
def test_wrong_coefficients_give_another_gradient(order: Any) -> None:
    tensors = _rational_tensors({"L": 3, "M": 4, "d": 2, "r": 1}, 5)
    exact = Exact()
    expected = _with_taylor_for_exp(tensors, 2)
    ones = [[1]] * len(taylor_coefficients(2, 2))
    found = order(exact, _operands(exact, tensors), 2, ones)
    assert (exact.array(found["grad_a"]) != exact.array(expected["grad_a"])).any()


_face_splitting = ExactMatrix.face_splitting

_WRONG_STEPS: dict[str, tuple[Any, str, Any]] = {
    "E[x (x) v] for E[v (x) x]": (
        ExactMatrix,
        "face_splitting",
        lambda self, other: _face_splitting(other, self),
    ),
    "no mean subtracted": (ExactMatrix, "row_dot", lambda self, other: self.row_sum().scale(0)),
    "no division by D": (ExactMatrix, "divide_rows", lambda self, column: self),
    "the other variable raised": (
        evaluation_orders,
        "raised_monomials",
        lambda d, g: raised_monomials(d, g)[::-1],
    ),
}


@pytest.mark.parametrize(
    ("order", "wrong"),
    [(_by_moments, wrong) for wrong in list(_WRONG_STEPS)[:3]]
    + [(_by_degree_raising, wrong) for wrong in list(_WRONG_STEPS)[1:]],
)
def test_wrong_steps_give_another_gradient(order: Any, wrong: str) -> None:
    tensors = _rational_tensors({"L": 3, "M": 4, "d": 2, "r": 1}, 5)
    exact = Exact()
    operands, coefficients = _operands(exact, tensors), taylor_coefficients(2, 2)
    expected = _by_factors(exact, operands, 2, coefficients)
    with mock.patch.object(*_WRONG_STEPS[wrong]):
        found = order(exact, operands, 2, coefficients)
    for name, matrix in expected.items():
        assert (exact.array(found[name]) != exact.array(matrix)).any()


@_BY_FEATURES
def test_higher_degrees_come_near_the_gradient(order: Any) -> None:
    problem = make_problem(ALORAGC, {"L": 4, "M": 5, "d": 2, "r": 1}, 0.5, 11)
    expected = _BALL.enclosure(problem.gradient(_BALL)["grad_a"]).mid
    operands = _operands(_BALL, problem.tensors)
    errors = []
    for degree in (2, 6, 10):
        found = order(_BALL, operands, degree, taylor_coefficients(2, degree))
        errors.append(np.abs(_BALL.enclosure(found["grad_a"]).mid - expected).max())
    assert errors[0] > 100 * errors[1]
    assert errors[1] > 100 * errors[2]


@_BY_FEATURES
@settings(max_examples=10)
@given(sizes=_SIZES, width=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_certified_errors_hold_for_every_order(
    order: Any, sizes: dict[str, int], width: int, seed: int
) -> None:
    """The errors of `low_rank_aloragc_gradient`, with its polynomial and its centred keys: as the
    rows of p sum to zero, centring the keys in u = p C2 too changes nothing."""
    problem = make_problem(ALORAGC, {**sizes, "d": width, "r": 1}, 0.5, seed)
    operands = _operands(_BALL, problem.tensors)
    certified = low_rank_aloragc_gradient(_BALL, **operands, relative_error=0.01)
    coefficients = certified.probabilities.approximation.coefficients
    weights = [
        [coefficients[sum(mu)] * factorial(sum(mu)) * taylor[0]]
        for mu, taylor in zip(
            monomial_exponents(width, len(coefficients) - 1),
            taylor_coefficients(width, len(coefficients) - 1),
            strict=True,
        )
    ]
    centred = {**operands, "c2": centred_keys(_BALL, operands["c2"])}
    found, exact = order(_BALL, centred, len(coefficients) - 1, weights), problem.gradient(_BALL)
    for name, error in certified.errors.items():
        # The radius of the balls comes on top.
        radius = Fraction(1, 10**25)
        assert Norms.of(found[name] - exact[name]).maximum <= error + radius
        assert Norms.of(found[name] - certified.outputs[name]).maximum <= radius


def test_empty_sums_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one term"):
        sum_over(0, lambda j: _BALL.matrix([[j]]))
