"""The almost-linear gradient is the exact formula for probabilities that are close to the exact
ones: the promise `probabilities`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle.kernels.almost_linear import Gradients, OutOfReach, solve
from loracle.kernels.almost_linear.intermediates import LowRankIntermediates

from .almost_linear_problems import Instance, generated, outlier

Array = npt.NDArray[np.float64]


def solved_and_run(instance: Instance, epsilon: float) -> tuple[Gradients, solve.Prepared]:
    """The gradients, and the run that they came from: the last one, if one was not enough."""
    runs = []
    original = solve.Prepared.sums

    def noted(run: solve.Prepared) -> Any:
        runs.append(run)
        return original(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solve.Prepared, "sums", noted)
        result = instance.solve(epsilon=epsilon)
    return result, runs[-1]


@given(
    seed=st.integers(0, 2**32 - 1),
    scores=st.sampled_from([0.01, 0.3, 1.0]),
    epsilon=st.sampled_from([0.5, 0.1, 1e-3]),
    width=st.integers(1, 3),
)
def test_the_outputs_are_those_of_probabilities_close_to_the_exact_ones(
    seed: int, scores: float, epsilon: float, width: int
) -> None:
    """|f~ - f| <= eta f entry by entry, and the closed form with f~ in the place of f gives the
    outputs. Catches rows that are not normalised, and an error that is absolute."""
    instance = generated("lora-attention", {"L": 5, "M": 6, "d": width, "r": 1}, seed, scores)
    try:
        result, run = solved_and_run(instance, epsilon)
    except OutOfReach:
        return
    assert result.certificate is not None
    eta = result.certificate.probability_error
    assert eta <= epsilon
    assert 2 * float(run.plan.delta) / (1 - float(run.plan.delta)) == eta
    f = LowRankIntermediates.of(run).dense().f.numpy()
    exact = instance.truth.probabilities
    far = exact.distance(f)[0]
    assert (far <= (eta + 1e-12) * exact.magnitude).all()
    for name, expected in closed_form(instance, f).items():
        error = np.abs(result.outputs[name].numpy() - expected).max()
        assert error <= 1e-11 * instance.truth.natural[name], name


def test_the_error_of_the_probabilities_is_attained() -> None:
    """eta is 2 delta / (1 - delta) and not delta: catches the error of exp taken for that of f.
    One key's probability is too large, those of nearly all are too small by as much."""
    instance = outlier(0.25 * (1 - 2.0**-30), 1000)
    result, run = solved_and_run(instance, 0.05)
    assert result.certificate is not None
    eta = result.certificate.probability_error
    f = LowRankIntermediates.of(run).dense().f.numpy()
    exact = instance.truth.probabilities
    largest = float((exact.distance(f)[0] / exact.magnitude).max())
    assert 0.4 * eta < largest <= eta + 1e-12


def closed_form(instance: Instance, f: Array) -> dict[str, Array]:
    """The gradients of contract `lora-attention` for any probabilities, in float64."""
    t = {name: tensor.numpy() for name, tensor in instance.tensors.items()}
    scaling, beta = instance.scalars["scaling"], instance.scalars["beta"]
    queries, keys, values = (
        t[f"x_{m}"] @ (t[f"w_{m}"] + scaling * t[f"b_{m}"] @ t[f"a_{m}"]) for m in "qkv"
    )
    c = f @ values - t["y"]
    q = c @ values.T
    p = beta * (f * q - (f * q).sum(1, keepdims=True) * f)
    weights = {
        "q": t["x_q"].T @ p @ keys,
        "k": t["x_k"].T @ p.T @ queries,
        "v": t["x_v"].T @ f.T @ c,
    }
    found = {}
    for m, weight in weights.items():
        found[f"grad_a_{m}"] = scaling * t[f"b_{m}"].T @ weight
        found[f"grad_b_{m}"] = scaling * weight @ t[f"a_{m}"].T
    return found
