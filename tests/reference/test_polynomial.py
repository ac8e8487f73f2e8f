"""Symbols: what is proved is true and what is false is not; exp and division are uninterpreted."""

from __future__ import annotations

from fractions import Fraction

import pytest

from loracle_reference.arithmetic.polynomial import Element, Polynomial, PolynomialMatrix
from loracle_reference.attention import aloragc_loss, attention_probabilities
from loracle_reference.differentiation import directional_derivative
from loracle_reference.gradient import aloragc_gradient

SHAPES = {
    "c1": "Ld",
    "c2": "Md",
    "c3": "Md",
    "w": "dd",
    "a": "rd",
    "b": "dr",
    "y": "Ld",
}


def problem(sizes: dict[str, int]) -> tuple[Polynomial, dict[str, PolynomialMatrix]]:
    shapes = {name: (sizes[shape[0]], sizes[shape[1]]) for name, shape in SHAPES.items()}
    ring = Polynomial(
        [f"{name}_{i}_{j}" for name, (m, n) in shapes.items() for i in range(m) for j in range(n)]
    )
    return ring, {
        name: ring.matrix([[ring.symbol(f"{name}_{i}_{j}") for j in range(n)] for i in range(m)])
        for name, (m, n) in shapes.items()
    }


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 3, 1, 1), (3, 2, 3, 2), (3, 3, 3, 2)])
def test_the_closed_gradient_is_that_of_the_loss_for_all_entries(sizes: tuple[int, ...]) -> None:
    ring, point = problem(dict(zip("LMdr", sizes, strict=True)))
    closed = aloragc_gradient(**point)
    for name in ("a", "b"):
        rows, columns = point[name].shape
        for i in range(rows):
            for j in range(columns):
                unit = ring.matrix(
                    [[int((i, j) == (k, m)) for m in range(columns)] for k in range(rows)]
                )
                slope = directional_derivative(aloragc_loss, point, {name: unit}, {})
                entry = closed[f"grad_{name}"].take_rows([i]).take_columns([j])
                assert ring.is_zero(slope - entry)
                assert not ring.is_zero(slope + entry) or sizes == (1, 1, 1, 1)


def test_rows_of_a_softmax_sum_to_one_and_nothing_else_does() -> None:
    ring, point = problem({"L": 2, "M": 3, "d": 2, "r": 1})
    f = attention_probabilities(point["c1"], point["c2"])
    ones = ring.matrix([[1], [1]])
    assert ring.is_zero(f.row_sum() - ones)
    assert not ring.is_zero(f.T.row_sum() - ring.matrix([[Fraction(2, 3)]] * 3))
    assert not ring.is_zero((f * f).row_sum() - ones)


def test_equal_arguments_share_an_exponential_and_exp_of_zero_is_one() -> None:
    ring = Polynomial(["x", "y"])
    x, y = ring.symbol("x"), ring.symbol("y")
    first = ring.matrix([[(x + y) * (x - y)]]).exp()
    second = ring.matrix([[x * x - y * y]]).exp()
    assert ring.is_zero(first - second)
    assert not ring.is_zero(first - ring.matrix([[x * x + y * y]]).exp())
    assert ring.is_zero(ring.matrix([[x - x]]).exp() - ring.matrix([[1]]))


def test_nothing_else_is_known_of_exp() -> None:
    ring = Polynomial(["x"])
    x = ring.matrix([[ring.symbol("x")]])
    assert not ring.is_zero((x + x).exp() - x.exp() * x.exp())


def test_numbers_and_symbols_mix_in_scalars() -> None:
    ring = Polynomial(["alpha", "r"])
    alpha, r = ring.symbol("alpha"), ring.symbol("r")
    one = ring.matrix([[1]])
    assert ring.is_zero(one.scale(alpha / r).scale(r / alpha) - one)
    assert ring.is_zero(one.scale(2 - alpha) - one.scale(-(alpha - 2)))
    assert ring.is_zero(one.scale(1 / alpha).scale(3 * alpha) - one.scale(Fraction(9, 3)))
    assert ring.is_zero(one.scale(1 + alpha) - one.scale(alpha + 1))
    assert isinstance(alpha / 2, Element)
    assert str(alpha) == "alpha"


def test_division_by_zero_and_too_many_indeterminates_are_refused() -> None:
    ring = Polynomial(["x"], exponentials=1, reciprocals=1)
    x = ring.symbol("x")
    column = ring.matrix([[x - x]])
    with pytest.raises(ZeroDivisionError):
        column.divide_rows(column)
    ring.matrix([[x]]).exp()
    with pytest.raises(OverflowError, match="more than 1 exponentials"):
        ring.matrix([[x + 1]]).exp()
    _ = 1 / x
    with pytest.raises(OverflowError, match="more than 1 reciprocals"):
        _ = 1 / (x + 1)


def test_rings_do_not_mix_and_names_are_unique() -> None:
    first, second = Polynomial(["x"]), Polynomial(["x"])
    one, other = first.matrix([[first.symbol("x")]]), second.matrix([[second.symbol("x")]])
    with pytest.raises(TypeError, match="two rings"):
        _ = one + other
    for names in (["x", "x"], ["x", "E_0"], ["R_7"]):
        with pytest.raises(ValueError, match="a name of its own"):
            Polynomial(names)
    with pytest.raises(ValueError, match=r"an identifier, got \['a b'\]"):
        Polynomial(["a b"])
    with pytest.raises(TypeError):
        first.matrix([["x"]])


def test_an_element_of_another_ring_proves_nothing() -> None:
    """exp(x) of one ring and exp(2 x) of another are both E_0, in one context of flint's."""
    first, second = Polynomial(["x"]), Polynomial(["x"])
    here = first.exponential(first.symbol("x"))
    foreign = second.exponential(second.symbol("x") * 2)
    assert str(here) == str(foreign) == "E_0"
    for mix in (
        lambda: here - foreign,
        lambda: foreign * here,
        lambda: first.matrix([[foreign]]),
        lambda: first.matrix([[1]]).scale(foreign),
        lambda: first.exponential(foreign),
        lambda: first.reciprocal(foreign),
        lambda: first.is_zero(second.matrix([[foreign]])),
    ):
        with pytest.raises(TypeError, match="two rings"):
            mix()
