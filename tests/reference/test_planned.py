"""Derivatives over boxes, and bounds where there is nothing to claim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loracle_reference.arithmetic import Double, Rounding, adjoint
from loracle_reference.arithmetic.planned import Planned, PlannedMatrix
from loracle_reference.floating_point import machine_model

_MACHINE = machine_model("widest", "float64")

X = np.random.default_rng(0).standard_normal((3, 4))
OTHER = np.random.default_rng(1).standard_normal((3, 4))
COLUMN = np.array([[2.0], [-0.5], [1.25]])

OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "transpose": lambda x, y, c: x.T,
    "matmul on the left": lambda x, y, c: x @ y.T,
    "matmul on the right": lambda x, y, c: y.T @ x,
    "matmul on both sides": lambda x, y, c: x @ x.T,
    "add": lambda x, y, c: x + y + x,
    "sub": lambda x, y, c: y - x,
    "sum_with": lambda x, y, c: x.sum_with(y, x, x),
    "mul": lambda x, y, c: x * y * x,
    "scale": lambda x, y, c: x.scale(-0.375),
    "row_sum": lambda x, y, c: x.row_sum(),
    "row_dot": lambda x, y, c: x.row_dot(y),
    "exp": lambda x, y, c: x.exp(),
    "scale_rows": lambda x, y, c: x.scale_rows(c),
    "scale_rows by it": lambda x, y, c: y.scale_rows(x.row_sum()),
    "divide_rows": lambda x, y, c: x.divide_rows(c),
    "divide_rows by it": lambda x, y, c: y.divide_rows(x.exp().row_sum()),
    "face_splitting on the left": lambda x, y, c: x.face_splitting(y),
    "face_splitting on the right": lambda x, y, c: y.face_splitting(x),
    "softmax": lambda x, y, c: x.softmax_rows(),
    "causal softmax": lambda x, y, c: (x @ y.T).causal_softmax_rows(),
    "reshape": lambda x, y, c: x.reshape(2, 6),
    "take_rows": lambda x, y, c: x.take_rows([1, 0, 1]),
    "take_columns": lambda x, y, c: x.take_columns([3, 3, 0]),
    "beside on the left": lambda x, y, c: x.beside(y),
    "beside on the right": lambda x, y, c: c.beside(x),
}


def _silence(result: PlannedMatrix, source: PlannedMatrix) -> None:
    """Leave the source as the only step that errs."""
    waiting = [result]
    while waiting:
        node = waiting.pop()
        if node is not source:
            node.error = np.zeros(node.shape)
            waiting += [operand for operand, _ in node.operands]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_derivatives_are_those_of_the_operation(operation: str) -> None:
    """sum |d result / d x| e against central differences; catches a wrong map of adjoints."""
    evaluate = OPERATIONS[operation]
    planned, double = Planned(_MACHINE), Double()
    x = planned.matrix(X).scale(1)
    result = evaluate(x, planned.matrix(OTHER), planned.matrix(COLUMN))
    _silence(result, x)
    errors = np.random.default_rng(2).uniform(1.0, 2.0, X.shape)
    x.error = errors
    expected = np.zeros(result.shape)
    for index in np.ndindex(*X.shape):
        step = np.zeros_like(X)
        step[index] = 1e-5
        up, down = (
            double.array(evaluate(*(double.matrix(m) for m in (moved, OTHER, COLUMN))))
            for moved in (X + step, X - step)
        )
        expected += np.abs(up - down) / 2e-5 * errors[index]
    np.testing.assert_allclose(adjoint.weighted_error(result), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_bound_of_one_operation_is_not_above_that_of_every_evaluation(operation: str) -> None:
    """Up to a row dot product, whose products and sum are two steps of a plan, in the widest
    machine, where the same rules are at work."""
    evaluate = OPERATIONS[operation]
    planned, rounding = Planned(_MACHINE), Rounding(_MACHINE)
    narrow = planned.bound(evaluate(*(planned.matrix(m) for m in (X, OTHER, COLUMN))))
    wide = evaluate(*(rounding.matrix(m) for m in (X, OTHER, COLUMN))).error
    assert (narrow <= wide * 1.26).all()
    assert (narrow > 0).any() == (wide > 0).any()


def test_what_no_plan_rounds_has_no_error() -> None:
    planned = Planned(_MACHINE)
    x = planned.matrix(X)
    moved = x.T.reshape(2, 6).take_rows([1, 0]).beside(planned.matrix(OTHER.reshape(6, 2).T))
    assert not planned.bound(moved).any()


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda x: x.scale(1e-40),
        lambda x: (x.scale(1e30).exp() @ x.T).softmax_rows(),
        lambda x: x.divide_rows((x - x.scale(1.0)).row_sum()),
        lambda x: x.take_columns([0] * 300) @ x.take_columns([0] * 300).T,
    ],
    ids=["subnormal scalar", "overflow", "division by about zero", "n u above one"],
)
def test_nothing_is_claimed_where_nothing_is_known(evaluate: Callable[[Any], Any]) -> None:
    """An infinite bound and no NaN."""
    planned = Planned(machine_model("widest", "bfloat16"))
    bound = planned.bound(evaluate(planned.matrix(np.round(X * 4) / 4)))
    assert np.isinf(bound).any()
    assert not np.isnan(bound).any()


def test_with_too_many_derivatives_the_box_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Planned(machine_model("f32-accumulate", "bfloat16"))
    product = (planned.matrix(X) @ planned.matrix(OTHER).T).stored()
    sharp = planned.bound(product)
    monkeypatch.setattr(adjoint, "_MOST_WORK", 1)
    assert np.isinf(adjoint.weighted_error(product)).all()
    rough = planned.bound(product)
    assert (sharp <= rough).all()
    assert (rough <= 3 * sharp).all()


def test_entries_in_several_portions_are_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Planned(_MACHINE)
    result = (planned.matrix(X) @ planned.matrix(OTHER).T).softmax_rows()
    whole = planned.bound(result)
    monkeypatch.setattr(adjoint, "_MOST_ENTRIES", 20)
    np.testing.assert_array_equal(planned.bound(result), whole)
