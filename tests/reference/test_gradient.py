"""The pieces of the closed-form gradients against their definitions, row by row, and the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loracle_reference.arithmetic import Multiprecision, Rounding
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    lora_attention_loss,
    residual,
)
from loracle_reference.differentiation import gradient_from_loss
from loracle_reference.floating_point import machine_model
from loracle_reference.gradient import (
    key_weight_gradient,
    normalization,
    p1,
    p2,
    query_weight_gradient,
    residual_value_products,
    score_gradient,
    unnormalized_scores,
    value_weight_gradient,
)
from loracle_reference.vectorization import kronecker, mat, sub_block, vec

from .problems import SPECIFICATIONS, make_problem

Array = npt.NDArray[Any]
_PRECISE = Multiprecision(220)
_QUERIES, _KEYS, _WIDTH, _RANK = 3, 4, 2, 1


def _difference(left: Any, right: Any) -> float:
    """The largest difference, relative to the largest entry of the second."""
    first, second = _PRECISE.array(left), _PRECISE.array(right)
    assert first.shape == second.shape
    return float(np.abs(first - second).max() / np.abs(second).max())


def _point() -> dict[str, Array]:
    """Inputs of `lora_attention_loss` with more keys than queries."""
    sizes = {"L": _QUERIES, "M": _KEYS, "d": _WIDTH, "r": _RANK}
    return make_problem(SPECIFICATIONS["lora-attention"], sizes, 1.0, 11).tensors


_SCALARS = {"scaling": 1.25, "beta": 0.375}


class _Evaluated:
    """The intermediates of the loss at `_point`, from attention.py alone."""

    def __init__(self) -> None:
        at = {name: _PRECISE.matrix(array) for name, array in _point().items()}
        self.x_q, self.x_k, self.x_v, self.y = (at[name] for name in ("x_q", "x_k", "x_v", "y"))
        self.w_q, self.w_k, self.w_v = (
            adapted_weight(at[f"w_{p}"], at[f"b_{p}"], at[f"a_{p}"], _SCALARS["scaling"])
            for p in "qkv"
        )
        self.queries, self.keys = self.x_q @ self.w_q, self.x_k @ self.w_k
        self.values = self.x_v @ self.w_v
        self.f = attention_probabilities(self.queries, self.keys, _SCALARS["beta"])
        self.c = residual(self.f, self.values, self.y)


def test_u_alpha_and_f_are_those_of_the_definitions() -> None:
    """u_j = exp(C_j vec(W)) with C = C1 (x) C2, for Q and, bracketed differently, for K."""
    at = _Evaluated()
    u = unnormalized_scores(at.queries, at.keys)
    for c1, w, c2 in ((at.x_q, at.w_q, at.keys), (at.queries, at.w_k.T, at.x_k)):
        c = kronecker(c1, c2)
        for j in range(_QUERIES):
            row = (sub_block(c, j, _KEYS) @ vec(w)).exp()
            assert _difference(u.take_rows([j]), row.T) < 1e-60
        assert _difference(unnormalized_scores(c1 @ w, c2), u) < 1e-60
    alpha = normalization(u)
    assert alpha.shape == (_QUERIES, 1)
    assert _difference(u.divide_rows(alpha), attention_probabilities(at.queries, at.keys)) < 1e-60


def test_beta_scales_the_scores() -> None:
    at = _Evaluated()
    u = unnormalized_scores(at.queries, at.keys, 0.375)
    assert _difference(u.divide_rows(normalization(u)), at.f) < 1e-60
    unscaled = unnormalized_scores(at.queries, at.keys)
    assert _difference(unscaled.divide_rows(normalization(unscaled)), at.f) > 1e-3


def test_q_is_the_transpose_of_what_the_paper_prints() -> None:
    """Row j of q is column j of C3 c^T, entry by entry <c_j, C3[m]>."""
    at = _Evaluated()
    q = residual_value_products(at.c, at.values)
    assert q.shape == (_QUERIES, _KEYS)
    printed = _PRECISE.array(at.values @ at.c.T)
    for j in range(_QUERIES):
        assert np.abs(_PRECISE.array(q)[j] - printed[:, j]).max() < 1e-60


def _rows_of_definition(f: Any, q: Any) -> tuple[Array, Array]:
    """p1_j = diag(f_j) q_j and p2_j = f_j f_j^T q_j as matrices, row by row."""
    first, second = [], []
    for f_j, q_j in zip(_PRECISE.array(f), _PRECISE.array(q), strict=True):
        first.append(np.diag(f_j) @ q_j)
        second.append(np.outer(f_j, f_j) @ q_j)
    return np.array(first), np.array(second)


P2_MUTANTS: dict[str, Callable[[Any, Any], Any]] = {
    "without f": lambda f, q: f.scale_rows(q.row_sum()),
    "summed over queries": lambda f, q: (f.T.scale_rows(f.T.row_dot(q.T))).T,
    "scales q": lambda f, q: q.scale_rows(f.row_dot(q)),
}


def test_p1_and_p2_are_those_of_definition_3_6() -> None:
    at = _Evaluated()
    q = residual_value_products(at.c, at.values)
    first, second = _rows_of_definition(at.f, q)
    assert np.abs(_PRECISE.array(p1(at.f, q)) - first).max() < 1e-60
    assert np.abs(_PRECISE.array(p2(at.f, q)) - second).max() < 1e-60
    p = _PRECISE.array(score_gradient(at.f, at.c, at.values))
    assert np.abs(p - (first - second)).max() < 1e-60


@pytest.mark.parametrize("name", P2_MUTANTS)
def test_another_p2_is_refuted(name: str) -> None:
    at = _Evaluated()
    q = residual_value_products(at.c, at.values)
    _, second = _rows_of_definition(at.f, q)
    assert np.abs(_PRECISE.array(P2_MUTANTS[name](at.f, q)) - second).max() > 1e-3


def _weight_gradients(at: _Evaluated) -> dict[str, Any]:
    p = score_gradient(at.f, at.c, at.values).scale(_SCALARS["beta"])
    return {
        "w_q": query_weight_gradient(at.x_q, p, at.keys),
        "w_k": key_weight_gradient(at.x_k, p, at.queries),
        "w_v": value_weight_gradient(at.x_v, at.f, at.c),
    }


@pytest.fixture(scope="module")
def derived() -> dict[str, Any]:
    """The gradients of the loss in the three weights."""
    names = ["w_q", "w_k", "w_v"]
    return gradient_from_loss(lora_attention_loss, _point(), names, _SCALARS, _PRECISE)


def test_weight_gradients_are_those_of_the_loss(derived: dict[str, Any]) -> None:
    at = _Evaluated()
    for name, gradient in _weight_gradients(at).items():
        assert _difference(gradient, derived[name]) < 1e-50
    # Lemma F.1 in the vectorised form, for Q and for K, whose gradient is that in W_K^T.
    p = score_gradient(at.f, at.c, at.values).scale(_SCALARS["beta"])
    for c1, c2, expected in (
        (at.x_q, at.keys, derived["w_q"]),
        (at.queries, at.x_k, derived["w_k"].T),
    ):
        total = kronecker(c1, c2).T @ vec(p)
        assert _difference(mat(total, _WIDTH, _WIDTH), expected) < 1e-50


WEIGHT_MUTANTS: dict[str, Callable[[_Evaluated, Any], tuple[str, Any]]] = {
    "beta missing": lambda at, p: (
        "w_q",
        query_weight_gradient(at.x_q, p.scale(1 / _SCALARS["beta"]), at.keys),
    ),
    "in W_K^T": lambda at, p: ("w_k", key_weight_gradient(at.x_k, p, at.queries).T),
    "inputs of V for those of K": lambda at, p: (
        "w_k",
        key_weight_gradient(at.x_v, p, at.queries),
    ),
    "p for f": lambda at, p: ("w_v", value_weight_gradient(at.x_v, p, at.c)),
}


@pytest.mark.parametrize("name", WEIGHT_MUTANTS)
def test_wrong_weight_gradients_are_refuted(name: str, derived: dict[str, Any]) -> None:
    at = _Evaluated()
    p = score_gradient(at.f, at.c, at.values).scale(_SCALARS["beta"])
    weight, claimed = WEIGHT_MUTANTS[name](at, p)
    assert _difference(claimed, derived[weight]) > 1e-3


def test_the_bound_of_p_is_that_of_the_operations_written_out() -> None:
    """The pieces change no operation and no order, so that the proven bound is the same number."""
    arithmetic = Rounding(machine_model("widest", "bfloat16"))
    generator = np.random.default_rng(2)
    scores, c, values = (
        arithmetic.matrix(generator.integers(-8, 9, shape) / 8)
        for shape in ((3, 4), (3, 2), (4, 2))
    )
    f = scores.softmax_rows()
    q = c @ values.T
    written_out = f * q - f.scale_rows(f.row_dot(q))
    np.testing.assert_array_equal(score_gradient(f, c, values).error, written_out.error)
