"""Reverse mode against forward mode: two ways from the loss to its gradient, exactly compared."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.evaluation import bind_sizes, rows
from loracle.generation import cases_of, generate
from loracle.vectors.reverse_mode import Traced, reverse_gradient
from loracle_reference.arithmetic.multiprecision import Multiprecision
from loracle_reference.arithmetic.rational import Rational
from loracle_reference.differentiation import gradient_from_loss

RATIONAL = Rational()


def everything(*, x: Any, y: Any, z: Any, factor: Fraction) -> Any:
    """Every operation of the protocol but exp, each operand of each of them used.

    Shapes: x (3, 2), y (3, 4), z (2, 2).
    """
    wide = x.face_splitting(y).reshape(4, 6).take_rows([2, 0, 2, 3])
    joined = (x @ z).beside(x - x * x).take_columns([3, 0, 1, 1])
    column = (y * joined + y).row_sum()
    scaled = y.scale_rows(column) + joined.divide_rows(column * column)
    mixed = scaled.T @ x.scale(factor).take_rows([0, 0, 2])
    return (mixed.row_dot(mixed)).T.row_sum() + wide.row_dot(wide).T.row_sum()


POINT: dict[str, Any] = {
    "x": [[1, -2], [3, 2], [Fraction(1, 2), 4]],
    "y": [[2, 0, 1, -1], [1, 3, -2, 2], [Fraction(2, 3), 1, 1, 5]],
    "z": [[1, 2], [-1, 3]],
}


def forward() -> dict[str, Any]:
    return gradient_from_loss(everything, POINT, POINT, {"factor": Fraction(3, 7)}, RATIONAL)


def reverse(loss: Any = everything) -> dict[str, Any]:
    point = {name: RATIONAL.matrix(entries) for name, entries in POINT.items()}
    return reverse_gradient(loss, point, POINT, {"factor": Fraction(3, 7)})


def test_every_rule_agrees_with_forward_mode_exactly() -> None:
    expected, found = forward(), reverse()
    for name in POINT:
        assert (found[name].values == expected[name].values).all()


def other_sign(rule: Any) -> Any:
    return lambda g: rule(g).scale(-1)


@pytest.mark.parametrize("operand", [0, 1])
@pytest.mark.parametrize(
    "operation",
    ["__matmul__", "__add__", "__sub__", "__mul__", "scale_rows", "divide_rows", "face_splitting"],
)
def test_a_rule_of_the_wrong_sign_disagrees(
    operation: str, operand: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(Traced, operation)

    def wrong(self: Any, other: Any) -> Any:
        result = right(self, other)
        rules = list(result.operands)
        rules[operand] = (rules[operand][0], other_sign(rules[operand][1]))
        return Traced(result.value, rules)

    monkeypatch.setattr(Traced, operation, wrong)
    expected, found = forward(), reverse()
    assert any((found[name].values != expected[name].values).any() for name in POINT)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_the_losses_of_the_contracts_agree_to_the_last_bits(contract: Any) -> None:
    case = cases_of(contract, "float64", 0, ["tiny"], 2)[1]
    inputs, arithmetic = generate(case), Multiprecision(200)
    sizes = bind_sizes(contract, inputs)
    constants = {**inputs.scalars, **{symbol: sizes[symbol] for symbol in contract.axes}}
    entries = {name: rows(tensor) for name, tensor in inputs.tensors.items()}
    names = [
        f"grad_{n}" if f"grad_{n}" in entries else n.removeprefix("grad_") for n in contract.outputs
    ]
    expected = gradient_from_loss(contract.loss, entries, names, constants, arithmetic)
    point = {name: arithmetic.matrix(tensor) for name, tensor in entries.items()}
    found = reverse_gradient(contract.loss, point, names, constants)
    for name in names:
        difference = np.abs(found[name].values - expected[name].values)
        assert (difference <= np.abs(expected[name].values) * 2**-150 + 2.0**-400).all(), name


def test_an_argument_that_the_loss_does_not_use_has_a_gradient_of_zeros() -> None:
    found = reverse(lambda *, x, y, z, factor: x.row_sum().T.row_sum())
    assert (found["x"].values == 1).all()
    assert not found["z"].values.any()
    assert found["z"].shape == (2, 2)


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no such argument to differentiate by: w"):
        reverse_gradient(everything, {}, ["w"], {})
