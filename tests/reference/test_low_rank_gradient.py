"""Theorems 3.1 and B.1: gradients from low-rank factors against the exact ones, in balls."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference import low_rank, low_rank_gradient
from loracle_reference.arithmetic import Ball
from loracle_reference.arithmetic.ball import BallMatrix
from loracle_reference.differentiation import gradient_from_loss
from loracle_reference.low_rank_gradient import (
    ApproximateGradient,
    approximate_within,
    low_rank_aloragc_gradient,
    low_rank_lora_attention_gradient,
)
from loracle_reference.norms import Norms

from .problems import ALORAGC, LORA_ATTENTION, Problem, make_problem

BALL = Ball(300)

ALGORITHMS = {
    "aloragc": (ALORAGC, low_rank_aloragc_gradient),
    "lora-attention": (LORA_ATTENTION, low_rank_lora_attention_gradient),
}


def approximated(
    problem: Problem, algorithm: Any, relative_error: Any
) -> ApproximateGradient[BallMatrix]:
    matrices = {name: BALL.matrix(array) for name, array in problem.tensors.items()}
    scalars = problem.specification.scalars
    return algorithm(BALL, **matrices, **scalars, relative_error=relative_error)  # type: ignore[no-any-return]


def worst(gradient: ApproximateGradient[BallMatrix], exact: dict[str, Any], name: str) -> Fraction:
    return Norms.of(gradient.outputs[name] - exact[name]).maximum


@pytest.mark.parametrize("contract", ALGORITHMS)
@given(
    length=st.integers(1, 7),
    keys=st.integers(2, 8),
    width=st.integers(1, 3),
    scale=st.sampled_from([0.1, 0.4, 0.8]),
    delta=st.sampled_from([0.5, 0.01]),
    seed=st.integers(0, 2**32 - 1),
)
def test_certified_errors_hold(
    contract: str, length: int, keys: int, width: int, scale: float, delta: float, seed: int
) -> None:
    specification, algorithm = ALGORITHMS[contract]
    sizes = {"L": length, "M": keys, "d": width, "r": 1}
    problem = make_problem(specification, sizes, scale, seed)
    gradient = approximated(problem, algorithm, delta)
    exact = problem.gradient(BALL)
    assert gradient.outputs.keys() == gradient.errors.keys() == exact.keys()
    for name in exact:
        assert worst(gradient, exact, name) <= gradient.errors[name], name


@pytest.mark.parametrize("contract", ALGORITHMS)
def test_the_gradient_of_the_loss_is_approximated(contract: str) -> None:
    specification, algorithm = ALGORITHMS[contract]
    problem = make_problem(specification, {"L": 4, "M": 3, "d": 2, "r": 1}, 0.5, 3)
    names = [output.removeprefix("grad_") for output in specification.outputs]
    derived = gradient_from_loss(
        specification.loss, problem.tensors, names, specification.scalars, BALL
    )
    gradient = approximated(problem, algorithm, 1e-3)
    for name, exact in derived.items():
        output = f"grad_{name}"
        assert worst(gradient, {output: exact}, output) <= gradient.errors[output]


@pytest.mark.parametrize("contract", ALGORITHMS)
@pytest.mark.parametrize("epsilon", [1e-2, 1e-9])
def test_a_demanded_accuracy_is_met_and_certified(contract: str, epsilon: float) -> None:
    specification, algorithm = ALGORITHMS[contract]
    problem = make_problem(specification, {"L": 5, "M": 6, "d": 2, "r": 2}, 0.6, 5)
    gradient = approximate_within(epsilon, partial(approximated, problem, algorithm))
    exact = problem.gradient(BALL)
    assert gradient.error <= epsilon
    assert all(worst(gradient, exact, name) <= epsilon for name in exact)


@pytest.mark.parametrize("epsilon", [Fraction(1, 10 * 2**k) for k in range(0, 40, 3)])
def test_a_demanded_accuracy_takes_two_evaluations(epsilon: Fraction) -> None:
    """The error goes with what the polynomial achieved, often far below what was demanded of it."""
    problem = make_problem(ALORAGC, {"L": 2, "M": 3, "d": 1, "r": 1}, 0.3, 1)
    demanded = []

    def evaluate(relative_error: Fraction) -> ApproximateGradient[BallMatrix]:
        demanded.append(relative_error)
        return approximated(problem, low_rank_aloragc_gradient, relative_error)

    assert approximate_within(epsilon, evaluate).error <= epsilon
    assert len(demanded) <= 2


def test_an_accuracy_of_nothing_is_refused() -> None:
    problem = make_problem(ALORAGC, {"L": 2, "M": 2, "d": 1, "r": 1}, 0.5, 0)
    with pytest.raises(ValueError, match="must be positive, got 0"):
        approximate_within(0, partial(approximated, problem, low_rank_aloragc_gradient))


def _shapes_made(compute: Any) -> set[tuple[int, int]]:
    """The shapes of all ball matrices made by a computation."""
    shapes = set()
    construct = BallMatrix.__init__

    def spy(self: BallMatrix, shape: tuple[int, int], *arguments: Any) -> None:
        shapes.add(shape)
        construct(self, shape, *arguments)

    with mock.patch.object(BallMatrix, "__init__", spy):
        compute()
    return shapes


@pytest.mark.parametrize("contract", ALGORITHMS)
def test_no_matrix_of_queries_by_keys_is_formed(contract: str) -> None:
    specification, algorithm = ALGORITHMS[contract]
    length, keys = 41, 43
    problem = make_problem(specification, {"L": length, "M": keys, "d": 2, "r": 1}, 0.3, 1)
    low = _shapes_made(lambda: approximated(problem, algorithm, 1e-3))
    both = {(length, keys), (keys, length)}
    assert not low & both
    assert _shapes_made(lambda: problem.gradient(BALL)) & both


def _p1_alone(f: Any, q: Any) -> Any:
    return low_rank.approximate_p1(f, q)


def _rows_exchanged(f: Any, q: Any) -> Any:
    """p transposed, as when rows are taken for columns; L = M."""
    p = low_rank.approximate_score_gradient(f, q)
    return low_rank.LowRank(p.right, p.left, p.error, p.row_error)


@pytest.mark.parametrize("wrong", [_p1_alone, _rows_exchanged])
@pytest.mark.parametrize("contract", ALGORITHMS)
def test_wrong_score_gradients_are_refuted(contract: str, wrong: Any) -> None:
    specification, algorithm = ALGORITHMS[contract]
    problem = make_problem(specification, {"L": 5, "M": 5, "d": 2, "r": 1}, 0.6, 2)
    exact = problem.gradient(BALL)
    with mock.patch.object(low_rank_gradient, "approximate_score_gradient", wrong):
        gradient = approximated(problem, algorithm, 1e-5)
    through_p = [name for name in exact if not name.endswith("_v")]
    assert all(worst(gradient, exact, name) > 2 * gradient.errors[name] for name in through_p)


def test_an_error_in_c_that_is_not_projected_is_refuted() -> None:
    """The error of dL/dB_V without the row sum of A_V: a large A_V shows it."""
    problem = make_problem(LORA_ATTENTION, {"L": 4, "M": 4, "d": 1, "r": 1}, 0.7, 4)
    problem.tensors["a_v"] *= 64.0
    problem.tensors["b_v"] /= 64.0
    exact = problem.gradient(BALL)
    gradient = approximated(problem, low_rank_lora_attention_gradient, 0.3)
    error = worst(gradient, exact, "grad_b_v")
    assert gradient.errors["grad_b_v"] / 64 < error <= gradient.errors["grad_b_v"]
