"""Multi-head attention against the derivative of its own forward pass, and the causal softmax in
every arithmetic against the prefix of each row."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loracle_reference import lora_mha
from loracle_reference.arithmetic import Ball, Double, Interval, Multiprecision
from loracle_reference.arithmetic.rounding import Rounding
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated
from loracle_reference.arithmetic.stochastic import Stochastic
from loracle_reference.differentiation import gradient_from_loss
from loracle_reference.floating_point import machine_model, round_to_format
from loracle_reference.heads import kv_head_of

Array = npt.NDArray[np.float64]

FLOATS = {"scaling_q": 1.5, "scaling_k": 1.25, "scaling_v": -0.75, "softmax_scale": 0.625}
GRADIENTS = {"x": "grad_x", **{f"lora_{f}_{m}": f"grad_lora_{f}_{m}" for f in "ab" for m in "qkv"}}


def problem(
    seed: int, *, heads: tuple[int, int], causal: bool, batch: int = 2, length: int = 3
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Matrices with head_dim = 2, model = 3, r = 2, and the other arguments."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return round_to_format(generator.standard_normal(shape) / 2, "float32")

    tensors = {"x": normal(batch * length, 3), "grad_output": normal(batch * length, 2 * heads[0])}
    for m, count in (("q", heads[0]), ("k", heads[1]), ("v", heads[1])):
        tensors[f"weight_{m}"] = normal(2 * count, 3)
        tensors[f"lora_a_{m}"] = normal(2, 3)
        tensors[f"lora_b_{m}"] = normal(2 * count, 2)
    others = {"num_heads": heads[0], "num_kv_heads": heads[1], "causal": causal, "batch": batch}
    return tensors, {**FLOATS, **others}


def closed_form(tensors: dict[str, Array], others: dict[str, Any], arithmetic: Any) -> Any:
    matrices = {name: arithmetic.matrix(array) for name, array in tensors.items()}
    return lora_mha.lora_mha_gradient(**matrices, **others)


def contradicted(tensors: dict[str, Array], others: dict[str, Any]) -> set[str]:
    """The gradients whose balls do not meet those of the differentiated forward pass."""
    ball = Ball(128)
    derived = gradient_from_loss(
        lora_mha.lora_mha_pairing, tensors, [*GRADIENTS, "grad_output"], others, ball
    )
    stated = closed_form(tensors, others, ball)
    wrong = set()
    for name, output in {**GRADIENTS, "grad_output": "output"}.items():
        one, other = ball.enclosure(derived[name]), ball.enclosure(stated[output])
        assert one.radius.max() < 1e-25
        apart = np.abs(one.mid - other.mid) > one.radius + other.radius + 1e-15
        if apart.any():
            wrong.add(output)
    return wrong


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [(2, 1), (2, 2)])
def test_the_closed_form_is_the_derivative_of_the_output(
    heads: tuple[int, int], causal: bool
) -> None:
    tensors, others = problem(0, heads=heads, causal=causal)
    assert contradicted(tensors, others) == set()


def _scale_missing_in_dk(f: Any, q: Any, k: Any, v: Any, g: Any, scale: Any) -> Any:
    dq, dk, dv = lora_mha.head_gradient(f, q, k, v, g, scale)
    return dq, dk.scale(1 / Fraction(scale)), dv


def _without_correction(f: Any, q: Any, k: Any, v: Any, g: Any, scale: Any) -> Any:
    p = (f * (g @ v.T)).scale(scale)
    return p @ k, p.T @ q, f.T @ g


def _slightly_less_dv(f: Any, q: Any, k: Any, v: Any, g: Any, scale: Any) -> Any:
    """dV, by a millionth."""
    dq, dk, dv = lora_mha.head_gradient(f, q, k, v, g, scale)
    return dq, dk, dv - f.T @ g.scale(Fraction(1, 2**20))


@pytest.mark.parametrize(
    ("wrong", "outputs"),
    [
        (_scale_missing_in_dk, {"grad_x", "grad_lora_a_k", "grad_lora_b_k"}),
        (
            _without_correction,
            {"grad_x", *(f"grad_lora_{f}_{m}" for f in "ab" for m in "qk")},
        ),
        (_slightly_less_dv, {"grad_x", "grad_lora_a_v", "grad_lora_b_v"}),
    ],
)
def test_a_wrong_head_gradient_is_contradicted(
    wrong: Any, outputs: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail, and only for the outputs that the mistake reaches."""
    right = lora_mha.head_gradient
    monkeypatch.setattr(lora_mha, "head_gradient", lambda *a: _with(right, wrong, monkeypatch, a))
    tensors, others = problem(1, heads=(2, 1), causal=True)
    assert contradicted(tensors, others) == outputs


def _with(right: Any, wrong: Any, monkeypatch: pytest.MonkeyPatch, arguments: Any) -> Any:
    with monkeypatch.context() as inner:
        inner.setattr(lora_mha, "head_gradient", right)
        return wrong(*arguments)


def by_hand(tensors: dict[str, Array], others: dict[str, Any], head_of: Any) -> Array:
    """The output by loops over samples, heads and queries."""
    heads, kv_heads, batch = (others[n] for n in ("num_heads", "num_kv_heads", "batch"))
    q, k, v = (
        tensors["x"]
        @ (
            tensors[f"weight_{m}"]
            + others[f"scaling_{m}"] * tensors[f"lora_b_{m}"] @ tensors[f"lora_a_{m}"]
        ).T
        for m in "qkv"
    )
    rows, length = len(q), len(q) // batch
    output = np.zeros_like(q)
    for row in range(rows):
        first = row // length * length
        seen = slice(first, row + 1 if others["causal"] else first + length)
        for head in range(heads):
            own = slice(2 * head, 2 * head + 2)
            read = slice(2 * head_of(head, heads, kv_heads), 2 * head_of(head, heads, kv_heads) + 2)
            weights = np.exp(others["softmax_scale"] * k[seen, read] @ q[row, own])
            output[row, own] = weights @ v[seen, read] / weights.sum()
    return output


@pytest.mark.parametrize("causal", [False, True])
def test_the_output_is_that_of_loops_over_heads(causal: bool) -> None:
    """A group of three and two heads of keys: h // 3 is neither h % 2 nor h % 3."""
    tensors, others = problem(2, heads=(6, 2), causal=causal)
    double = Double()
    output = double.array(closed_form(tensors, others, double)["output"])
    np.testing.assert_allclose(output, by_hand(tensors, others, kv_head_of), rtol=1e-12)
    modulo = by_hand(tensors, others, lambda head, heads, kv_heads: head % kv_heads)
    assert np.abs(output - modulo).max() > 1e-3


def test_heads_must_divide() -> None:
    assert [kv_head_of(head, 6, 2) for head in range(6)] == [0, 0, 0, 1, 1, 1]
    for heads, kv_heads in ((3, 2), (2, 0)):
        with pytest.raises(ValueError, match="do not divide"):
            kv_head_of(0, heads, kv_heads)


@pytest.mark.parametrize("causal", [False, True])
def test_the_arithmetics_agree(causal: bool) -> None:
    """Balls enclose multiprecision, intervals balls, and the proven bound every legal evaluation,
    in float32 and in bfloat16."""
    tensors, others = problem(3, heads=(3, 1), causal=causal, batch=1)
    tensors = {name: round_to_format(array, "bfloat16") for name, array in tensors.items()}
    ball, interval, precise = Ball(160), Interval(), Multiprecision(60)
    truth = {n: ball.enclosure(m) for n, m in closed_form(tensors, others, ball).items()}
    wide = {n: interval.enclosure(m) for n, m in closed_form(tensors, others, interval).items()}
    exact = closed_form(tensors, others, precise)
    for name, enclosure in truth.items():
        assert enclosure.radius.max() < 1e-28
        assert (np.abs(wide[name].mid - enclosure.mid) <= wide[name].radius + 1e-16).all()
        close = np.asarray(exact[name].values, dtype=np.float64)
        np.testing.assert_allclose(close, enclosure.mid, rtol=1e-14, atol=1e-16)
    for dtype in ("float32", "bfloat16"):
        machine = machine_model("widest", dtype)
        bounds = closed_form(tensors, others, Rounding(machine))
        for strategy in STRATEGIES:
            simulated = Simulated(dtype, strategy, machine)
            for name, matrix in closed_form(tensors, others, simulated).items():
                error = np.abs(simulated.array(matrix) - truth[name].mid)
                assert (error <= bounds[name].error).all(), (dtype, strategy.name, name)


SCORES = np.array([[1.0, 50.0, -2.0], [0.5, 0.25, 90.0], [3.0, -1.0, 2.0]])


def test_a_causal_softmax_is_that_of_every_prefix() -> None:
    """And exactly zero behind it, in every arithmetic: also where what is hidden is large."""
    expected = np.zeros_like(SCORES)
    for row in range(3):
        weights = np.exp(SCORES[row, : row + 1] - SCORES[row, : row + 1].max())
        expected[row, : row + 1] = weights / weights.sum()
    machine = machine_model("widest", "float32")
    ball, interval, double = Ball(), Interval(), Double()
    found = {
        "ball": ball.enclosure(ball.matrix(SCORES).causal_softmax_rows()),
        "interval": interval.enclosure(interval.matrix(SCORES).causal_softmax_rows()),
    }
    for enclosure in found.values():
        np.testing.assert_allclose(enclosure.mid, expected, rtol=1e-13)
        assert (enclosure.radius[expected == 0] == 0).all()
    np.testing.assert_allclose(
        double.array(double.matrix(SCORES).causal_softmax_rows()), expected, rtol=1e-14
    )
    bound = Rounding(machine).matrix(SCORES).causal_softmax_rows()
    assert (bound.error[expected == 0] == 0).all()
    assert (bound.error[expected > 0] > 0).all()
    for strategy in STRATEGIES:
        simulated = Simulated("float32", strategy, machine)
        values = simulated.array(simulated.matrix(SCORES).causal_softmax_rows())
        assert (values[expected == 0] == 0).all()
        assert (np.abs(values - expected) <= bound.error).all(), strategy.name
    for softmax in ("quotient", "log-sum-exp"):
        stochastic = Stochastic(machine, samples=8, softmax=softmax)  # type: ignore[arg-type]
        samples = stochastic.matrix(SCORES).causal_softmax_rows().samples
        assert (samples[:, expected == 0] == 0).all()
        np.testing.assert_allclose(samples, np.broadcast_to(expected, samples.shape), rtol=1e-4)


@pytest.mark.parametrize("arithmetic", [Ball(), Interval(), Double(), Multiprecision(30)])
def test_a_causal_softmax_needs_a_square(arithmetic: Any) -> None:
    with pytest.raises((ShapeError, ValueError), match="as many queries as keys"):
        arithmetic.matrix(SCORES[:2]).causal_softmax_rows()
