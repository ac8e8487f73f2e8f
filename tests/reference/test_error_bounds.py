"""The constants of the error chain: they hold, they are attained, and without them it fails."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference import error_bounds

Array = npt.NDArray[Any]

Q, K, D = 3, 4, 2
"""Queries, keys and columns of the instances, all different."""

VALUE, ERROR = Fraction(3), Fraction(1, 5)


def full(*shape: int, value: Fraction = VALUE) -> Array:
    """A matrix of one entry; with all signs alike nothing cancels, which attains every bound."""
    matrix = np.empty(shape, dtype=object)
    matrix[...] = value
    return matrix


def norm(matrix: Array) -> Fraction:
    """The max norm."""
    return max(abs(entry) for entry in matrix.ravel())


def residual(f: Array, f_error: Array, c3: Array, **_: Array) -> tuple[Array, Any]:
    bound = error_bounds.residual_error(keys=K, f_error=norm(f_error), values=norm(c3))
    return f_error @ c3, bound


def q_step(c_error: Array, c3: Array, **_: Array) -> tuple[Array, Any]:
    bound = error_bounds.q_error(width=D, c_error=norm(c_error), values=norm(c3))
    return c_error @ c3.T, bound


def p1_step(f: Array, f_error: Array, q: Array, q_error: Array, **_: Array) -> tuple[Array, Any]:
    bound = error_bounds.hadamard_error(
        left=norm(f), left_error=norm(f_error), right=norm(q), right_error=norm(q_error)
    )
    return (f + f_error) * (q + q_error) - f * q, bound


def r_step(f: Array, f_error: Array, q: Array, q_error: Array, **_: Array) -> tuple[Array, Any]:
    bound = error_bounds.row_products_error(
        keys=K, f=norm(f), f_error=norm(f_error), q=norm(q), q_error=norm(q_error)
    )
    return ((f + f_error) * (q + q_error) - f * q).sum(axis=1), bound


def weight_step(c1: Array, f_error: Array, c2: Array, **_: Array) -> tuple[Array, Any]:
    bound = error_bounds.weight_gradient_error(
        queries=Q, keys=K, left=norm(c1), p_error=norm(f_error), right=norm(c2)
    )
    return c1.T @ f_error @ c2, bound


def grad_a_step(c1: Array, f_error: Array, c2: Array, b: Array, **_: Array) -> tuple[Array, Any]:
    bound = error_bounds.gradient_error(
        queries=Q,
        keys=K,
        width=D,
        left=norm(c1),
        p_error=norm(f_error),
        right=norm(c2),
        adapter=norm(b),
    )
    return b.T @ c1.T @ f_error @ c2, bound


def grad_b_step(c1: Array, f_error: Array, c2: Array, b: Array, **_: Array) -> tuple[Array, Any]:
    _, bound = grad_a_step(c1, f_error, c2, b)
    return c1.T @ f_error @ c2 @ b, bound


def value_step(
    f: Array, f_error: Array, c: Array, c_error: Array, c2: Array, **_: Array
) -> tuple[Array, Any]:
    bound = error_bounds.value_gradient_error(
        queries=Q,
        keys=K,
        inputs=norm(c2),
        f=norm(f),
        f_error=norm(f_error),
        c=norm(c),
        c_error=norm(c_error),
    )
    return c2.T @ ((f + f_error).T @ (c + c_error) - f.T @ c), bound


SHAPES = {
    "f": (Q, K),
    "f_error": (Q, K),
    "q": (Q, K),
    "q_error": (Q, K),
    "c": (Q, D),
    "c_error": (Q, D),
    "c1": (Q, D),
    "c2": (K, D),
    "c3": (K, D),
    "b": (D, 1),
}

STEPS: dict[str, tuple[Callable[..., tuple[Array, Any]], int]] = {
    "c": (residual, K),
    "q": (q_step, D),
    "p1": (p1_step, 1),
    "r": (r_step, K),
    "dL/dW": (weight_step, Q * K),
    "dL/dA": (grad_a_step, D * Q * K),
    "dL/dB": (grad_b_step, D * Q * K),
    "dL/dW_V": (value_step, Q * K),
}
"""Each step with the constant that submultiplicativity of the max norm, as printed, would drop."""


@pytest.mark.parametrize("step", STEPS)
def test_every_bound_is_attained_and_false_without_its_constant(step: str) -> None:
    evaluate, constant = STEPS[step]
    instance = {
        name: full(*shape, value=ERROR if name.endswith("_error") else VALUE)
        for name, shape in SHAPES.items()
    }
    difference, bound = evaluate(**instance)
    assert norm(difference) == bound
    if constant > 1:
        assert norm(difference) > bound / constant


def test_p1_without_the_second_order_term_is_false() -> None:
    """e_f |q| + |f| e_q, to first order, misses e_f e_q."""
    one = Fraction(1)
    exact = (one + ERROR) ** 2 - 1
    assert exact == error_bounds.hadamard_error(
        left=one, left_error=ERROR, right=one, right_error=ERROR
    )
    assert exact > 2 * ERROR


@pytest.mark.parametrize("step", STEPS)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_bound_holds(step: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    instance = {}
    for name, shape in SHAPES.items():
        integers = generator.integers(-8, 9, shape)
        instance[name] = np.array(
            [[Fraction(int(entry), 8) for entry in row] for row in integers], dtype=object
        )
    difference, bound = STEPS[step][0](**instance)
    assert norm(difference) <= bound


def softmax_pair(draw: st.DrawFn) -> tuple[Array, Array, Fraction]:
    """f and f~ of one row whose exponentials differ by relative errors of at most delta."""
    delta = draw(st.fractions(0, Fraction(9, 10), max_denominator=64))
    size = draw(st.integers(1, 5))
    weights = draw(st.lists(st.integers(1, 50), min_size=size, max_size=size))
    shares = draw(st.lists(st.fractions(-1, 1, max_denominator=8), min_size=size, max_size=size))
    exact = np.array([Fraction(w) for w in weights], dtype=object)
    off = exact * np.array([1 + delta * share for share in shares], dtype=object)
    return exact / exact.sum(), off / off.sum(), delta


pairs = st.composite(softmax_pair)()
vectors = st.lists(st.fractions(-9, 9, max_denominator=8), min_size=5, max_size=5)


@given(pairs, vectors)
def test_the_relative_chain_holds(
    pair: tuple[Array, Array, Fraction], vector: list[Fraction]
) -> None:
    f, approximate, delta = pair
    v = np.array(vector[: len(f)], dtype=object)
    eta = error_bounds.relative_error_of_probabilities(delta)
    distance = error_bounds.distance_from_relative_error(delta)
    difference = approximate - f
    assert (abs(difference) <= eta * f).all()
    assert norm(difference) <= distance
    assert abs(difference).sum() <= min(2 * distance, eta)
    spread = max(v) - min(v)
    bound = error_bounds.residual_error_from_distance(distance=distance, spread=spread)
    assert abs(difference @ v) <= bound <= 2 * distance * norm(v)


@given(pairs, vectors, vectors, st.fractions(0, 1, max_denominator=9))
def test_the_relative_chain_of_the_score_gradient_holds(
    pair: tuple[Array, Array, Fraction],
    q_vector: list[Fraction],
    noise: list[Fraction],
    e_q: Fraction,
) -> None:
    f, f_approximate, delta = pair
    q = np.array(q_vector[: len(f)], dtype=object)
    q_approximate = q + np.array(noise[: len(f)], dtype=object) * e_q / 9
    t = error_bounds.distance_from_relative_error(delta)
    known = {"distance": t, "q": norm(q), "q_error": e_q}
    r, r_approximate = f @ q, f_approximate @ q_approximate
    e_r = error_bounds.row_products_error_from_distance(**known)
    assert abs(r_approximate - r) <= e_r
    p1 = f_approximate * q_approximate - f * q
    assert norm(p1) <= error_bounds.p1_error_from_distance(**known)
    assert abs(p1).sum() <= error_bounds.p1_row_error_from_distance(**known)
    p2 = f_approximate * r_approximate - f * r
    known = {"distance": t, "r": abs(r), "r_error": e_r}
    assert norm(p2) <= error_bounds.p2_error_from_distance(**known)
    assert abs(p2).sum() <= error_bounds.p2_row_error_from_distance(**known)
    # The left factor of a single query is 2, the right one is q.
    error = p1 - p2
    assert error.sum() == 0
    half = (max(q) - min(q)) / 2
    bound = error_bounds.gradient_error_from_rows(
        left_sum=2, row_error=abs(error).sum(), half_spread=half
    )
    assert abs(2 * error @ q) <= bound


def test_the_relative_error_is_attained() -> None:
    """A vanishing share of the keys 1 + delta too large, all others 1 - delta of it."""
    delta, share = Fraction(1, 3), Fraction(1, 10**12)
    high, low = 1 + delta, 1 - delta
    ratio = high / (share * high + (1 - share) * low) - 1
    eta = error_bounds.relative_error_of_probabilities(delta)
    assert eta * (1 - Fraction(1, 10**10)) < ratio <= eta
    assert ratio > 2 * delta / (1 + delta)
    assert ratio > 2 * delta


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_the_distance_is_attained_to_third_order(k: int) -> None:
    """delta = (k^2 - 1) / (k^2 + 1) or the reciprocal scale: sqrt rho = (k + 1) / (k - 1) makes the
    extremal share rational."""
    root = Fraction(k + 1, k - 1)
    delta = (root**2 - 1) / (root**2 + 1)
    share = 1 / (1 + root)
    raised = share * (1 + delta)
    difference = raised / (raised + (1 - share) * (1 - delta)) - share
    distance = error_bounds.distance_from_relative_error(delta)
    assert difference == (root - 1) / (root + 1)
    assert difference <= distance <= difference * (1 + delta**2)
    assert difference > delta / 2


def test_the_distance_chain_is_attained() -> None:
    """Two keys, f = (1/3, 2/3), f~ = (2/3, 1/3), v = (1, -1): the spread counts, not the norm."""
    t = Fraction(1, 3)
    f, approximate = (np.array([t * a, t * b], dtype=object) for a, b in ((1, 2), (2, 1)))
    v = np.array([Fraction(1), Fraction(-1)], dtype=object)
    difference = (approximate - f) @ v
    assert difference == error_bounds.residual_error_from_distance(distance=t, spread=2)
    assert difference > t * norm(v)
    known = {"distance": t, "q": 1, "q_error": 0}
    assert difference == error_bounds.row_products_error_from_distance(**known)
    p1 = approximate * v - f * v
    assert norm(p1) == error_bounds.p1_error_from_distance(**known)
    assert abs(p1).sum() == error_bounds.p1_row_error_from_distance(**known)
    assert abs(2 * (approximate - f) @ v) == error_bounds.gradient_error_from_rows(
        left_sum=2, row_error=2 * t, half_spread=1
    )


def test_the_bounds_take_balls_and_floats() -> None:
    third = flint.arb(1) / 3
    enclosed = error_bounds.distance_from_relative_error(third)
    exact = error_bounds.distance_from_relative_error(Fraction(1, 3))
    assert enclosed.contains(flint.fmpq(exact.numerator, exact.denominator))
    assert error_bounds.distance_from_relative_error(1 / 3) == pytest.approx(float(exact))


@pytest.mark.parametrize(
    "bound",
    [error_bounds.relative_error_of_probabilities, error_bounds.distance_from_relative_error],
)
@pytest.mark.parametrize("delta", [1, Fraction(3, 2), 2.0, flint.arb(1, 0.5)])
def test_no_bound_without_a_relative_error_below_one(bound: Any, delta: Any) -> None:
    """p may vanish on a whole row, or f~ have entries below zero; a ball may reach beyond one."""
    with pytest.raises(ValueError, match="must be below 1"):
        bound(delta)


def test_the_second_chain_in_numbers() -> None:
    """Every bound of it at one point: catches a sign, a factor two, or a term left out, that the
    random instances above are too far from their bounds to show."""
    t, half, three = Fraction(1, 8), Fraction(1, 2), Fraction(3)
    bounds = error_bounds
    assert bounds.residual_error_from_distance(distance=t, spread=three) == Fraction(3, 8)
    wide = {"distance": t, "q": three, "q_error": half}
    assert bounds.row_products_error_from_distance(**wide) == Fraction(5, 4)
    assert bounds.p1_error_from_distance(**wide) == Fraction(7, 8)
    assert bounds.p1_row_error_from_distance(**wide) == Fraction(5, 4)
    known = {"distance": t, "r": three, "r_error": half}
    assert bounds.p2_error_from_distance(**known) == Fraction(7, 8)
    assert bounds.p2_row_error_from_distance(**known) == Fraction(5, 4)
    rows = bounds.gradient_error_from_rows(left_sum=three, row_error=half, half_spread=t)
    assert rows == Fraction(3, 16)
    assert bounds.distance_from_relative_error(half) == Fraction(2, 7)
    assert bounds.relative_error_of_probabilities(half) == 2
    for bound in (bounds.distance_from_relative_error, bounds.relative_error_of_probabilities):
        with pytest.raises(ValueError, match=r"^the relative error of exp must be below 1, got 1$"):
            bound(Fraction(1))
