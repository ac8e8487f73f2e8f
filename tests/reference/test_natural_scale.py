"""The natural scale: an upper bound of the gradient, and the N of the rounding arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle_reference import natural_scale
from loracle_reference.arithmetic import Ball, Double
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.attention import adapted_weight, attention_probabilities
from loracle_reference.floating_point import machine_model
from loracle_reference.natural_scale import aloragc_natural_scale, lora_attention_natural_scale

from .problems import ALORAGC, LORA_ATTENTION, Problem, make_problem, problems

FloatArray = npt.NDArray[np.float64]

_SCALES: dict[str, Callable[..., dict[str, Any]]] = {
    "aloragc": aloragc_natural_scale,
    "lora-attention": lora_attention_natural_scale,
}
_SPECIFICATIONS = {"aloragc": ALORAGC, "lora-attention": LORA_ATTENTION}
_BALL, _DOUBLE = Ball(128), Double()
_BOTH = pytest.mark.parametrize("contract", list(_SCALES))
_SIZES = {"L": 3, "M": 4, "d": 2, "r": 1}


def _probabilities(problem: Problem, arithmetic: Any, scalars: dict[str, float]) -> Any:
    t = {name: arithmetic.matrix(array) for name, array in problem.tensors.items()}
    if problem.specification is ALORAGC:
        return attention_probabilities(t["c1"] @ adapted_weight(t["w"], t["b"], t["a"], 1), t["c2"])
    queries, keys = (
        t[f"x_{m}"] @ adapted_weight(t[f"w_{m}"], t[f"b_{m}"], t[f"a_{m}"], scalars["scaling"])
        for m in "qk"
    )
    return attention_probabilities(queries, keys, scalars["beta"])


def _scale(
    contract: str, problem: Problem, arithmetic: Any, f: Any = None, **scalars: float
) -> dict[str, Any]:
    """N of the outputs, with the problem's own probabilities unless others are given."""
    scalars = {**problem.specification.scalars, **scalars}
    if f is None:
        f = _probabilities(problem, arithmetic, scalars)
    magnitudes = {n: arithmetic.matrix(np.abs(array)) for n, array in problem.tensors.items()}
    return _SCALES[contract](f, **magnitudes, **scalars)


def _values(contract: str, problem: Problem, **changes: Any) -> dict[str, FloatArray]:
    scale = _scale(contract, problem, _DOUBLE, **changes)
    return {name: _DOUBLE.array(matrix) for name, matrix in scale.items()}


def _specified(contract: str) -> st.SearchStrategy[Problem]:
    return problems(_SPECIFICATIONS[contract])


@_BOTH
@given(data=st.data())
def test_no_gradient_exceeds_it(contract: str, data: st.DataObject) -> None:
    problem = data.draw(_specified(contract))
    scale, gradient = _scale(contract, problem, _BALL), problem.gradient(_BALL)
    assert tuple(scale) == problem.specification.outputs
    for name in problem.specification.outputs:
        above, true = _BALL.enclosure(scale[name]), _BALL.enclosure(gradient[name])
        assert (np.abs(true.mid) - true.radius <= above.mid + above.radius).all()


@_BOTH
@given(data=st.data())
def test_it_is_the_scale_that_the_rounding_arithmetic_keeps(
    contract: str, data: st.DataObject
) -> None:
    problem = data.draw(_specified(contract))
    kept = problem.gradient(Rounding(machine_model("widest", "float32")))
    for name, scale in _values(contract, problem).items():
        np.testing.assert_allclose(kept[name].natural_scale, scale, rtol=1e-11)


_true_p2, _true_residual = natural_scale.p2, natural_scale.natural_residual

_WRONG = {
    "p2 subtracted": ("p2", lambda f, q: _true_p2(f, q).scale(-1)),
    "p2 dropped": ("p2", lambda f, q: _true_p2(f, q).scale(0)),
    "y subtracted": ("natural_residual", lambda f, v, y: f @ v - y),
    "f for 1 in r": ("p2", lambda f, q: f * q),
}


@_BOTH
@pytest.mark.parametrize("wrong", list(_WRONG))
def test_wrong_scales_are_refuted(contract: str, wrong: str) -> None:
    problem = make_problem(_SPECIFICATIONS[contract], _SIZES, 1.0, 0)
    kept = problem.gradient(Rounding(machine_model("widest", "float32")))
    with mock.patch.object(natural_scale, *_WRONG[wrong]):
        scale = _values(contract, problem)
    changed = [n for n in scale if not np.allclose(kept[n].natural_scale, scale[n], rtol=1e-9)]
    # V's adapters have no p in them.
    through_p = [name for name in scale if not name.endswith("_v")]
    assert changed == (list(scale) if wrong == "y subtracted" else through_p)


@pytest.mark.parametrize("signed", ["scaling", "beta"])
def test_signs_of_the_scalars_do_not_count(signed: str) -> None:
    problem = make_problem(LORA_ATTENTION, _SIZES, 1.0, 1)
    f = _DOUBLE.matrix(np.full((3, 4), 0.25))
    value = LORA_ATTENTION.scalars[signed]
    first, second = (
        _values("lora-attention", problem, f=f, **{signed: v}) for v in (value, -value)
    )
    for name, scale in first.items():
        assert (scale > 0).all()
        np.testing.assert_array_equal(scale, second[name])


def _with(problem: Problem, **tensors: FloatArray) -> Problem:
    return Problem(problem.specification, {**problem.tensors, **tensors})


def _factors(problem: Problem, changed: dict[str, float], **scalars: float) -> dict[str, float]:
    """What each output's scale is multiplied by, f held fixed, when operands are multiplied."""
    f = _DOUBLE.matrix(np.full((3, 4), 0.25))
    contract = "aloragc" if problem.specification is ALORAGC else "lora-attention"
    before = _values(contract, problem, f=f)
    scaled = {name: problem.tensors[name] * factor for name, factor in changed.items()}
    after = _values(contract, _with(problem, **scaled), f=f, **scalars)
    ratios = {name: after[name] / before[name] for name in before}
    for ratio in ratios.values():
        np.testing.assert_allclose(ratio, ratio[0, 0])
    return {name: round(float(ratio[0, 0]), 9) for name, ratio in ratios.items()}


def test_homogeneity_of_aloragc() -> None:
    problem = make_problem(ALORAGC, _SIZES, 1.0, 2)
    assert _factors(problem, {"c1": -2}) == {"grad_a": 2, "grad_b": 2}
    assert _factors(problem, {"c2": 3}) == {"grad_a": 3, "grad_b": 3}
    assert _factors(problem, {"a": -3}) == {"grad_a": 1, "grad_b": 3}
    assert _factors(problem, {"b": 3}) == {"grad_a": 3, "grad_b": 1}
    assert _factors(problem, {"w": 7}) == {"grad_a": 1, "grad_b": 1}
    # Quadratic in the values and the target together; affine in the target alone.
    assert _factors(problem, {"c3": 2, "y": 2}) == {"grad_a": 4, "grad_b": 4}


def test_homogeneity_of_attention() -> None:
    problem = make_problem(LORA_ATTENTION, _SIZES, 1.0, 2)
    outputs = LORA_ATTENTION.outputs
    # W = W* + s B A is the same for 2 s and B / 2, so only dL/dB is doubled.
    halves = {f"b_{m}": 0.5 for m in "qkv"}
    twice = 2 * LORA_ATTENTION.scalars["scaling"]
    assert _factors(problem, halves, scaling=twice) == {
        name: 2 if name.startswith("grad_b") else 1 for name in outputs
    }
    twice = 2 * LORA_ATTENTION.scalars["beta"]
    assert _factors(problem, {}, beta=twice) == {
        name: 1 if name.endswith("_v") else 2 for name in outputs
    }
    assert _factors(problem, {"w_v": 2, "b_v": 2, "y": 2}) == {
        **dict.fromkeys(outputs, 4),
        "grad_a_v": 4,
        "grad_b_v": 2,
    }


def test_a_larger_target_adds_in_proportion() -> None:
    problem = make_problem(ALORAGC, _SIZES, 1.0, 3)
    f = _DOUBLE.matrix(np.full((3, 4), 0.25))
    y = problem.tensors["y"]
    scales = [_values("aloragc", _with(problem, y=y * t), f=f) for t in (0, 1, 2)]
    for name, none in scales[0].items():
        assert (scales[1][name] > none).all()
        np.testing.assert_allclose(scales[2][name] - scales[1][name], scales[1][name] - none)


def test_zero_operands_have_zero_scale_where_the_gradient_is_zero() -> None:
    problem = make_problem(LORA_ATTENTION, _SIZES, 1.0, 4)
    zero = {name: np.zeros_like(array) for name, array in problem.tensors.items()}
    cases = {
        ("x_q",): {"grad_a_q", "grad_b_q", "grad_a_k", "grad_b_k"},
        ("x_k",): {"grad_a_q", "grad_b_q", "grad_a_k", "grad_b_k"},
        ("x_v",): set(LORA_ATTENTION.outputs),
        ("x_v", "y"): set(LORA_ATTENTION.outputs),
        ("y",): set(),
        ("b_q", "b_k", "b_v"): {f"grad_a_{m}" for m in "qkv"},
    }
    for names, expected in cases.items():
        scale = _values("lora-attention", _with(problem, **{n: zero[n] for n in names}))
        assert {name for name, array in scale.items() if not array.any()} == expected
        assert all(array.all() for name, array in scale.items() if name not in expected)


def test_where_terms_cancel_the_scale_stays() -> None:
    """Keys that are all equal: every gradient of the scores vanishes, the scale does not."""
    problem = make_problem(ALORAGC, _SIZES, 1.0, 5)
    tied = _with(problem, c2=np.tile(problem.tensors["c2"][:1], (4, 1)))
    gradient = tied.gradient(_BALL)
    for name, scale in _values("aloragc", tied).items():
        assert np.abs(_BALL.enclosure(gradient[name]).mid).max() < 1e-30
        assert (scale > 1e-3).all()


def test_one_key_of_one_column() -> None:
    """f = 1, so the gradient is zero and |p| = 2 (|c3| + |y|) |c3|."""
    entries = {"c1": -2, "c2": 3, "c3": -5, "w": 7, "a": -11, "b": 13, "y": 4}
    problem = Problem(ALORAGC, {name: np.array([[float(x)]]) for name, x in entries.items()})
    p = 2 * (5 + 4) * 5
    expected = {"grad_a": 13 * 2 * p * 3, "grad_b": 2 * p * 3 * 11}
    assert {n: s.item() for n, s in _values("aloragc", problem).items()} == expected
