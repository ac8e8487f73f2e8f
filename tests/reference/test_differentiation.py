"""The closed-form gradients against the gradients of the loss, by code that knows only the loss."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from loracle_reference.arithmetic import Ball, Exact, Multiprecision
from loracle_reference.attention import aloragc_loss
from loracle_reference.differentiation import Dual, directional_derivative, gradient_from_loss

from .interval_checks import BINARY, UNARY
from .problems import (
    SPECIFICATIONS,
    WRONG_CASES,
    WRONG_FORMULAS,
    Problem,
    affected,
    make_problem,
)

_PRECISE = Multiprecision(220)


def _from_loss(problem: Problem, arithmetic: Any) -> dict[str, Any]:
    """The gradients of the loss, under the names of the outputs."""
    specification = problem.specification
    names = [output.removeprefix("grad_") for output in specification.outputs]
    derived = gradient_from_loss(
        specification.loss, problem.tensors, names, specification.scalars, arithmetic
    )
    return {f"grad_{name}": gradient for name, gradient in derived.items()}


def _disagreement(first: Any, second: Any) -> float:
    """The largest difference, relative to the largest entry of the second."""
    left, right = _PRECISE.array(first), _PRECISE.array(second)
    assert left.shape == right.shape
    return float(np.abs(left - right).max() / np.abs(right).max())


@st.composite
def _tiny(draw: st.DrawFn, contract: str) -> Problem:
    width = draw(st.integers(1, 3))
    sizes = {
        "L": draw(st.integers(1, 4)),
        "M": draw(st.integers(1, 4)),
        "d": width,
        "r": draw(st.integers(1, width)),
    }
    scale = draw(st.sampled_from([2.0**-10, 0.5, 1.0, 2.0]))
    return make_problem(SPECIFICATIONS[contract], sizes, scale, draw(st.integers(0, 2**32 - 1)))


@pytest.mark.parametrize("contract", SPECIFICATIONS)
@settings(max_examples=10)
@given(data=st.data())
def test_closed_form_is_the_gradient_of_the_loss(contract: str, data: st.DataObject) -> None:
    problem = data.draw(_tiny(contract))
    closed, derived = problem.gradient(_PRECISE), _from_loss(problem, _PRECISE)
    for output in problem.specification.outputs:
        difference = _PRECISE.array(closed[output] - derived[output])
        assert np.abs(difference).max() <= 1e-40 * max(
            1, np.abs(_PRECISE.array(derived[output])).max()
        )


def test_linear_gradients_agree_exactly() -> None:
    """Over the rationals there is nothing to round: equality."""
    problem = make_problem(SPECIFICATIONS["lora-linear"], {"L": 3, "M": 4, "d": 3, "r": 2}, 1.0, 2)
    exact = Exact()
    closed, derived = problem.gradient(exact), _from_loss(problem, exact)
    for output in problem.specification.outputs:
        assert (exact.array(closed[output]) == exact.array(derived[output])).all()


def test_attention_gradients_agree_symbolically() -> None:
    """Equation (3.6) with symbols for the inputs, d = r = 1, L = M = 2: an identity."""
    symbols = iter(sympy.symbols("s0:20", real=True))
    shapes = SPECIFICATIONS["aloragc"].tensors
    size = {"L": 2, "M": 2, "d": 1, "r": 1}
    point = {
        name: [[next(symbols) for _ in range(size[columns])] for _ in range(size[rows])]
        for name, (rows, columns) in shapes.items()
    }
    # Some values are fixed, so that sympy decides the identity in a second.
    point["w"], point["c3"] = [[Fraction(1, 2)]], [[2], [-1]]
    exact = Exact()
    derived = gradient_from_loss(aloragc_loss, point, ["a", "b"], {}, exact)
    closed = SPECIFICATIONS["aloragc"].gradient(
        **{name: exact.matrix(entries) for name, entries in point.items()}
    )
    for name in ("a", "b"):
        difference = exact.array(closed[f"grad_{name}"] - derived[name])[0, 0]
        assert exact.array(derived[name])[0, 0] != 0
        assert sympy.simplify(difference) == 0


@pytest.mark.parametrize("contract", SPECIFICATIONS)
def test_balls_of_both_paths_overlap(contract: str) -> None:
    problem = make_problem(SPECIFICATIONS[contract], {"L": 4, "M": 3, "d": 3, "r": 2}, 1.0, 9)
    ball = Ball(160)
    closed, derived = problem.gradient(ball), _from_loss(problem, ball)
    for output in problem.specification.outputs:
        first, second = ball.enclosure(closed[output]), ball.enclosure(derived[output])
        assert first.overlaps(second)
        assert first.radius.max() < 1e-25
        assert second.radius.max() < 1e-25


@pytest.mark.parametrize(("wrong", "contract"), WRONG_CASES)
def test_wrong_formula_disagrees(wrong: str, contract: str) -> None:
    problem = make_problem(SPECIFICATIONS[contract], {"L": 3, "M": 3, "d": 2, "r": 1}, 0.5, 7)
    evaluate, _ = WRONG_FORMULAS[wrong]
    claimed, derived = evaluate(problem, _PRECISE), _from_loss(problem, _PRECISE)
    right = problem.gradient(_PRECISE)
    for output in affected(wrong, contract):
        assert _disagreement(right[output], derived[output]) < 1e-40
        assert _disagreement(claimed[output], derived[output]) > 1e-3


_OPERATIONS = {
    **UNARY,
    **BINARY,
    "exp": lambda left: left.exp(),
    "softmax": lambda left: left.softmax_rows(),
    "transpose": lambda left: left.T,
    "reshape": lambda left: left.exp().reshape(3, 2),
    "take_rows": lambda left: left.exp().take_rows([1, 0, 1]),
    "take_columns": lambda left: left.exp().take_columns([2, 2, 0]),
    "beside": lambda left: left.exp().beside(left),
}


@pytest.mark.parametrize("name", _OPERATIONS)
def test_each_rule_is_a_limit_of_differences(name: str) -> None:
    """A second opinion on the dual numbers themselves: central differences at 220 bits."""
    generator = np.random.default_rng(1)
    operation = _OPERATIONS[name]
    count = 2 if name in BINARY else 1
    step = Fraction(1, 2**70)
    values = [_PRECISE.matrix(generator.standard_normal((2, 3))) for _ in range(count)]
    tangents = [_PRECISE.matrix(generator.standard_normal((2, 3))) for _ in range(count)]
    dual = operation(*map(Dual, values, tangents))

    def moved(by: Fraction) -> Any:
        return operation(*(v + t.scale(by) for v, t in zip(values, tangents, strict=True)))

    assert _disagreement(dual.value, operation(*values)) < 1e-55
    difference = (moved(step) - moved(-step)).scale(1 / (2 * step))
    assert _disagreement(difference, dual.tangent) < 1e-38


def test_bad_names_and_shapes_are_refused() -> None:
    one = _PRECISE.matrix([[1]])
    with pytest.raises(ValueError, match="differentiate by: z"):
        directional_derivative(lambda x: x, {"x": one}, {"z": one}, {})
    with pytest.raises(ValueError, match="differentiate by: z"):
        gradient_from_loss(lambda x: x, {"x": [[1]]}, ["z"], {}, _PRECISE)
    with pytest.raises(ValueError, match="one shape"):
        Dual(one, _PRECISE.matrix([[1, 2]]))
