"""The Jacobians of vec(W* + B A) against differences and against gradients of losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference.arithmetic import Double, Exact, Multiprecision
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    half_squared_norm,
    lora_attention_loss,
    residual,
)
from loracle_reference.differentiation import gradient_from_loss
from loracle_reference.gradient import adapter_gradient, score_gradient
from loracle_reference.jacobian import (
    jacobian_in_a,
    jacobian_in_b,
    pull_back,
    pull_back_from_transpose,
    vectorized_adapter_gradient,
    vectorized_key_adapter_gradient,
)
from loracle_reference.vectorization import kronecker, transposition, transposition_order, vec

Array = npt.NDArray[Any]
_DOUBLE, _EXACT, _PRECISE = Double(), Exact(), Multiprecision(220)
_SIZE = st.integers(1, 4)
_SEED = st.integers(0, 2**32 - 1)


def _integers(seed: int, *shapes: tuple[int, int]) -> list[Array]:
    """Small whole numbers other than zero, so that float64 is exact and nothing vanishes."""
    generator = np.random.default_rng(seed)
    return [
        (generator.integers(1, 9, shape) * generator.choice([-1, 1], shape)).astype(np.float64)
        for shape in shapes
    ]


def _identity(size: int, arithmetic: Any = _DOUBLE) -> Any:
    return arithmetic.matrix(np.eye(size))


def _misses_in_a(jacobian: Callable[[Any, Any], Any], m: int, n: int, r: int, seed: int) -> bool:
    """Whether vec(B (A + E)) - vec(B A) = J vec(E) is missed; B A is linear in A."""
    b, a, step = _integers(seed, (m, r), (r, n), (r, n))
    claimed = jacobian(_DOUBLE.matrix(b), _identity(n))
    assert claimed.shape == (m * n, r * n)
    moved = (b @ (a + step)).ravel() - (b @ a).ravel()
    return bool((claimed.values @ step.ravel() != moved).any())


def _misses_in_b(jacobian: Callable[[Any, Any], Any], m: int, n: int, r: int, seed: int) -> bool:
    """Whether vec((B + E) A) - vec(B A) = J vec(E) is missed; B A is linear in B."""
    a, b, step = _integers(seed, (r, n), (m, r), (m, r))
    claimed = jacobian(_DOUBLE.matrix(a), _identity(m))
    assert claimed.shape == (m * n, m * r)
    moved = ((b + step) @ a).ravel() - (b @ a).ravel()
    return bool((claimed.values @ step.ravel() != moved).any())


@given(m=_SIZE, n=_SIZE, r=_SIZE, seed=_SEED)
def test_jacobians_are_differences(m: int, n: int, r: int, seed: int) -> None:
    assert not _misses_in_a(jacobian_in_a, m, n, r, seed)
    assert not _misses_in_b(jacobian_in_b, m, n, r, seed)


def _printed_in_a(b: Any, identity: Any) -> Any:
    """diag(B, ..., B), Lemma E.1 as printed."""
    return kronecker(identity, b)


def _printed_in_b(a: Any, identity: Any) -> Any:
    """Blocks diag(A[i, j]) in block row j and block column i, Lemma E.1 as printed."""
    return kronecker(a.T, identity)


@pytest.mark.parametrize(("m", "n", "r"), [(3, 3, 2), (2, 3, 2), (4, 2, 1)])
def test_the_printed_jacobians_are_refuted(m: int, n: int, r: int) -> None:
    assert _misses_in_a(_printed_in_a, m, n, r, 5)
    assert _misses_in_b(_printed_in_b, m, n, r, 5)
    # They are right for the column-major vec.
    b, a = _integers(5, (m, r), (r, n))
    for printed, factor in (
        (_printed_in_a(_DOUBLE.matrix(b), _identity(n)), a),
        (_printed_in_b(_DOUBLE.matrix(a), _identity(m)), b),
    ):
        column_major = printed.values @ factor.ravel(order="F")
        np.testing.assert_array_equal(column_major, (b @ a).ravel(order="F"))


def _least_squares(*, x: Any, w: Any, b: Any, a: Any, y: Any) -> Any:
    """1/2 ||X (W* + B A) - Y||^2, whose gradient in W is X^T (X W - Y)."""
    return half_squared_norm(residual(x, adapted_weight(w, b, a, 1), y))


def _least_squares_point(m: int, n: int, r: int, seed: int) -> tuple[dict[str, Array], Any]:
    """A point, and dL/dW there, over the rationals."""
    x, w, b, a, y = _integers(seed, (2, m), (m, n), (m, r), (r, n), (2, n))
    point = {"x": x, "w": w, "b": b, "a": a, "y": y}
    grad_w = x.T @ (x @ (w + b @ a) - y)
    return point, _EXACT.matrix(grad_w)


def _equal(left: Any, right: Any) -> bool:
    return bool((_EXACT.array(left) == _EXACT.array(right)).all())


@given(m=st.integers(1, 3), n=st.integers(1, 3), r=st.integers(1, 2), seed=_SEED)
def test_the_chain_rule_gives_the_gradients_of_a_loss(m: int, n: int, r: int, seed: int) -> None:
    """Exactly, over the rationals; the loss is given by W, then by its transpose."""
    point, grad_w = _least_squares_point(m, n, r, seed)
    derived = gradient_from_loss(_least_squares, point, ["a", "b", "w"], {}, _EXACT)
    assert _equal(derived["w"], grad_w)
    a, b = _EXACT.matrix(point["a"]), _EXACT.matrix(point["b"])
    identities = _identity(m, _EXACT), _identity(n, _EXACT)
    closed = adapter_gradient("w", grad_w, a, b)
    for formed in (
        vectorized_adapter_gradient(grad_w, a, b, *identities),
        vectorized_key_adapter_gradient(grad_w.T, a, b, *identities),
    ):
        for name in ("a", "b"):
            assert _equal(formed[f"grad_{name}"], vec(derived[name]))
            assert _equal(formed[f"grad_{name}"], vec(closed[f"grad_{name}_w"]))


def test_the_order_of_rows_is_the_matrix_t() -> None:
    """(T J)^T g with T as a matrix."""
    point, grad_w = _least_squares_point(2, 3, 2, 8)
    jacobian = jacobian_in_a(_EXACT.matrix(point["b"]), _identity(3, _EXACT))
    t = _EXACT.matrix(transposition(2, 3))
    product = (t @ jacobian).T @ vec(grad_w.T)
    assert _equal(pull_back_from_transpose(jacobian, grad_w.T), product)


def _transposed_order(jacobian: Any, grad_w_transposed: Any) -> Any:
    """With Lemma F.2's T as printed, T(n, m)."""
    n, m = grad_w_transposed.shape
    return jacobian.take_rows(transposition_order(n, m)).T @ vec(grad_w_transposed)


WRONG: dict[str, Callable[[Any, Any, Any], Any]] = {
    "printed J_B": lambda b, grad_w, identity: pull_back(_printed_in_a(b, identity), grad_w),
    "vec of the transpose, no T": lambda b, grad_w, identity: (
        jacobian_in_a(b, identity).T @ vec(grad_w.T)
    ),
    "printed T": lambda b, grad_w, identity: _transposed_order(
        jacobian_in_a(b, identity), grad_w.T
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_pull_backs_are_refuted(name: str) -> None:
    point, grad_w = _least_squares_point(2, 3, 2, 6)
    derived = gradient_from_loss(_least_squares, point, ["a"], {}, _EXACT)["a"]
    claimed = WRONG[name](_EXACT.matrix(point["b"]), grad_w, _identity(3, _EXACT))
    assert not _equal(claimed, vec(derived))


def test_the_key_adapters_of_attention() -> None:
    """Lemma F.3 on the loss of Definition 1.2, with L != M, beta and s."""
    generator = np.random.default_rng(4)
    queries, keys, d, r = 3, 4, 3, 2
    shapes = {"x_q": (queries, d), "x_k": (keys, d), "x_v": (keys, d), "y": (queries, d)}
    for projection in "qkv":
        shapes |= {f"w_{projection}": (d, d), f"a_{projection}": (r, d)}
        shapes[f"b_{projection}"] = (d, r)
    point = {name: generator.standard_normal(shape) / 2 for name, shape in shapes.items()}
    scalars = {"scaling": 1.25, "beta": 0.375}
    derived = gradient_from_loss(lora_attention_loss, point, ["a_k", "b_k"], scalars, _PRECISE)

    at = {name: _PRECISE.matrix(array) for name, array in point.items()}
    projected = {
        p: at[f"x_{p}"] @ adapted_weight(at[f"w_{p}"], at[f"b_{p}"], at[f"a_{p}"], 1.25)
        for p in "qkv"
    }
    f = attention_probabilities(projected["q"], projected["k"], 0.375)
    c = residual(f, projected["v"], at["y"])
    p_k = score_gradient(f, c, projected["v"]).scale(0.375)
    grad_w_transposed = (projected["q"].T @ p_k @ at["x_k"]).scale(1.25)
    identity = _identity(d, _PRECISE)
    formed = vectorized_key_adapter_gradient(
        grad_w_transposed, at["a_k"], at["b_k"], identity, identity
    )
    through_w = vectorized_adapter_gradient(
        grad_w_transposed, at["a_k"], at["b_k"], identity, identity
    )
    for name in ("a", "b"):
        expected = vec(derived[f"{name}_k"])
        difference = _PRECISE.array(formed[f"grad_{name}"] - expected)
        assert np.abs(difference).max() < 1e-50
        # Without T the gradient in W_K^T is taken for that in W_K.
        difference = _PRECISE.array(through_w[f"grad_{name}"] - expected)
        assert np.abs(difference).max() > 1e-4


def test_bad_shapes_are_refused() -> None:
    b, wide = _DOUBLE.matrix(np.ones((2, 1))), _DOUBLE.matrix(np.ones((2, 3)))
    for jacobian in (jacobian_in_a, jacobian_in_b):
        with pytest.raises(ShapeError, match=r"an identity is square, got \(2, 3\)"):
            jacobian(b, wide)
    j_b = jacobian_in_a(b, _identity(2))
    with pytest.raises(ShapeError, match=r"shape \(2, 3\) needs a Jacobian with 6 rows, got \(4"):
        pull_back_from_transpose(j_b, wide)
    with pytest.raises(ShapeError, match="inner sizes must be equal"):
        pull_back(j_b, wide)
