"""The almost-linear gradient where numbers are at the end of their range: its certificate holds, or
the call is declined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from loracle.errors import UsageError
from loracle.kernels.almost_linear import OutOfReach, plan

from .almost_linear_problems import checked, clusters, generated, outlier


def test_results_that_overflow_are_declined() -> None:
    """Catches `value.to(dtype)` with a certificate for the value before: infinity is no result."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.1)
    instance.tensors["y"].fill_(5e4)
    instance.tensors["x_v"] += 1e3
    assert checked(instance, epsilon=0.1)
    assert not checked(instance.to(torch.float16), epsilon=0.1)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("radius", [20.0, 40.0, 150.0, 1e4, 1e7, 1e10, 1e14])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scores_far_apart_are_declined_at_once(radius: float, dtype: torch.dtype) -> None:
    """Catches bounds of infinity times zero, which are NaN and pass `not rounding >= allowed`, the
    overflow of a power of the radius, and a search among polynomials of a million digits."""
    queries = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    keys = radius * torch.linspace(-1, 1, 10, dtype=torch.float64)[:, None]
    instance = outlier(1.0, 10).changed(x_q=queries, x_k=keys, y=queries)
    assert not checked(instance.to(dtype), epsilon=0.3, promise="gradient")


def test_the_natural_scale_of_scores_that_are_rounded() -> None:
    """Scores of 1e12 are off by 1e-4, and so are the probabilities and what is natural for them:
    catches a lower bound for the probabilities of the rounded scores."""
    generator = np.random.default_rng(0)
    for _ in range(10):
        instance = generated("aloragc", {"L": 1, "M": 2, "d": 1, "r": 1}, 0, 0.4)
        tensors = instance.tensors
        tensors["c1"][:], tensors["w"][:] = generator.uniform(0.5, 1), generator.uniform(0.5, 1)
        tensors["c2"][:] = 5e12
        tensors["c2"][1] += generator.uniform(-2, 2)
        tensors["c3"].copy_(torch.tensor([[1.0], [0.0]]))
        tensors["y"].zero_()
        checked(instance, epsilon=0.9, promise="gradient")


def test_the_polynomial_covers_the_rounded_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries and keys that float32 rounds up. Catches the radius in float64 with no room."""
    radii = []
    original = plan.choose_polynomial

    def noted(radius: float, *arguments: Any) -> Any:
        radii.append(radius)
        return original(radius, *arguments)

    monkeypatch.setattr(plan, "choose_polynomial", noted)
    up = [1 + 2.0**-24 + 2.0**-40, 1 - 1.5 * 2.0**-24 + 2.0**-40]
    instance = clusters(up[1], 2, 1.0)
    instance.tensors["x_q"] *= up[0]
    for name in ("a_q", "a_k"):
        instance.tensors[name].zero_()
    instance.solve(epsilon=0.3, features=torch.float32)
    rounded = [float(torch.tensor(x, dtype=torch.float32)) for x in up]
    assert radii
    assert min(radii) >= rounded[0] * rounded[1]


@pytest.mark.parametrize("name", ["x_q", "x_k", "x_v", "w_q", "b_k", "a_v", "y"])
@pytest.mark.parametrize("entry", [math.nan, math.inf])
def test_what_is_not_finite_is_declined(name: str, entry: float) -> None:
    """Catches comparisons that a NaN gets through, and errors of torch.linalg."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.3)
    instance.tensors[name][0, 0] = entry
    with pytest.raises(OutOfReach):
        instance.solve(epsilon=0.1)


@pytest.mark.parametrize("exponent", [-300, -160, -100, -80, 80, 100, 160, 300])
@pytest.mark.parametrize(
    "scaled", [("x_v", "y"), ("x_k",), ("x_q",), ("a_q", "a_k", "a_v"), ("y",)]
)
def test_magnitudes_that_float64_squares_do_not_hold(
    exponent: int, scaled: tuple[str, ...]
) -> None:
    """Variances are of the fourth degree in the values: catches bounds that are zero because a
    square underflowed, and Cholesky's failure on such a matrix of second moments."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.1)
    for name in scaled:
        instance.tensors[name].mul_(10.0**exponent)
    # The scores stay what they are.
    for name, weights in (("x_k", ("w_k", "b_k")), ("x_q", ("w_q", "b_q"))):
        if name in scaled:
            for weight in weights:
                instance.tensors[weight].mul_(10.0**-exponent)
    checked(instance, epsilon=0.1, promise="gradient")


def test_a_residual_that_float32_does_not_hold() -> None:
    """Catches a residual that is rounded to the features' dtype as it is. Inputs and outputs are
    float32 numbers, of which c, in the first of the two, has only a few bits left."""
    sizes = {"L": 7, "M": 9, "d": 2, "r": 1}
    narrow = generated("aloragc", sizes, 1, 0.4)
    for name, exponent in {"c1": 110, "c2": 50, "w": -160, "c3": -147, "y": -147}.items():
        narrow.tensors[name].mul_(2.0**exponent)
    narrow.tensors["a"].zero_()
    checked(narrow.to(torch.float32), epsilon=0.1)
    wide = generated("aloragc", sizes, 1, 0.4)
    for name in ("c3", "y"):
        wide.tensors[name].mul_(2.0**-170)
    checked(wide, epsilon=0.1, features=torch.float32)


@pytest.mark.parametrize("features", [torch.float32, torch.float64])
@pytest.mark.parametrize("exponent", [-20, -60, -80, -100, -150, -200])
def test_magnitudes_of_a_coordinate_alone(exponent: int, features: torch.dtype) -> None:
    """Every tensor is of order one, but the values come from its small entries alone. Catches
    limits of the inputs that say nothing of their products."""
    for seed in range(4):
        instance = generated("lora-attention", {"L": 6, "M": 7, "d": 2, "r": 1}, seed, 0.2)
        tensors = instance.tensors
        # A constant, which is gone once the mean is.
        tensors["x_v"][:, 0] = 1.0
        tensors["x_v"][:, 1] *= 10.0**exponent
        tensors["w_v"].copy_(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
        for name in ("a_v", "y"):
            tensors[name].zero_()
        checked(instance, epsilon=0.1, promise="gradient", features=features)


@pytest.mark.parametrize("exponent", [-50, -150, -170, -200])
@pytest.mark.parametrize(
    ("small", "zero"),
    [
        (("w_k", (slice(None), 1)), ("b_k", "a_k")),
        (("x_q", (slice(None), 1)), ()),
        (("w_q", (slice(None), 1)), ("b_q", "b_k")),
    ],
)
def test_maps_of_a_coordinate_alone(
    exponent: int, small: tuple[str, tuple[slice, int]], zero: tuple[str, ...]
) -> None:
    """The same of what an output is multiplied by on its left or right: X_Q B, W_K A^T, Q A^T."""
    for seed in range(2):
        instance = generated("lora-attention", {"L": 6, "M": 7, "d": 2, "r": 1}, seed, 0.2)
        tensors = instance.tensors
        tensors[small[0]][small[1]] *= 10.0**exponent
        # Of the two coordinates the outputs see the small one.
        tensors["a_q"][:, 0], tensors["a_k"][:, 0], tensors["b_q"][0] = 0.0, 0.0, 0.0
        for name in zero:
            tensors[name].zero_()
        checked(instance, epsilon=0.1, promise="gradient")


@pytest.mark.parametrize("features", [None, torch.float64])
def test_float32_inputs_with_values_of_hardly_a_bit(features: torch.dtype | None) -> None:
    """The same in float32, with results that float32 holds: large maps on the way bring them
    back."""
    sizes = {"L": 6, "M": 7, "d": 2, "r": 1}
    for seed in range(6):
        instance = generated("lora-attention", sizes, seed, 0.2)
        tensors = instance.tensors
        for name in ("a_q", "b_q", "a_k", "b_k", "a_v", "b_v", "y", "w_q", "w_v"):
            tensors[name].zero_()
        tensors["x_q"] *= torch.tensor([2.0**-63, 2.0**57])
        tensors["w_q"][0, 0], tensors["b_q"][1, 0] = 2.0**-58, 2.0**57
        tensors["x_k"] *= 2.0**57
        tensors["w_k"] *= 2.0**58
        tensors["x_v"][:, 0] = 1.0
        tensors["x_v"][:, 1] *= 2.0**-147
        tensors["w_v"].copy_(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
        for epsilon in (0.1, 0.01):
            checked(
                instance.to(torch.float32), epsilon=epsilon, promise="gradient", features=features
            )


@pytest.mark.parametrize("scalar", ["beta", "scaling"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 1e-300, 0.0])
def test_scalars_of_any_size(scalar: str, value: float) -> None:
    """Catches errors of torch.linalg, and ranks that are computed for scores of infinity."""
    instance = generated("lora-attention", {"L": 4, "M": 5, "d": 2, "r": 1}, 0, 0.3)
    instance.scalars[scalar] = value
    if math.isfinite(value):
        checked(instance, epsilon=0.1)
        return
    with pytest.raises((OutOfReach, UsageError)):
        instance.solve(epsilon=0.1)


def test_autocast_does_not_reach_the_products() -> None:
    """Catches products in bfloat16 under torch.autocast, of which the certificate knows nothing."""
    instance = generated("lora-attention", {"L": 30, "M": 40, "d": 1, "r": 1}, 1, 0.003)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert checked(instance.to(torch.float32), epsilon=3e-4, promise="gradient")
