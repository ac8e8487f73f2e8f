"""Legal kernels that once exceeded the proven bound, on inputs made for them.

Each was found by review; each fails if the rule that it is about is taken out of the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from loracle.adapters.autograd import lora_linear
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS
from loracle.judgement.bounds import proven_bounds
from loracle.judgement.truth import enclose
from loracle.judgement.verdicts import Judgement, judge
from loracle_reference.floating_point import FORMATS, machine_model, round_to_format

Tensors = dict[str, npt.NDArray[np.float64]]


def _judged(
    contract: str, tensors: Tensors, scalars: dict[str, float], dtype: str, output: str, result: Any
) -> Judgement:
    inputs = Inputs(tensors, scalars)
    proven = proven_bounds(CONTRACTS[contract], inputs, machine_model("widest", dtype))[output]
    truth = enclose(CONTRACTS[contract], inputs, dtype)[output]
    computed = np.asarray(result, dtype=np.float64).reshape(truth.shape)
    return judge(computed, truth, proven, np.inf)


def _torch(tensors: Tensors, dtype: str) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(v, dtype=getattr(torch, dtype)) for name, v in tensors.items()}


def _numpy(result: torch.Tensor) -> npt.NDArray[np.float64]:
    return result.detach().double().numpy()


def _linear(**tensors: Any) -> Tensors:
    ones: Tensors = {
        "x": np.ones((1, 1, 1)),
        "weight": np.zeros((1, 1)),
        "lora_a": np.ones((1, 1)),
        "lora_b": np.ones((1, 1)),
        "grad_output": np.ones((1, 1, 1)),
    }
    return ones | tensors


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_a_scalar_applied_to_a_tiny_factor_first_loses_what_the_rest_multiplies(dtype: str) -> None:
    """autograd scales the upstream gradient, three subnormal spacings, by 1/4 before a product with
    a huge input; catches a loss that is counted only where the formula has the scalar."""
    form = FORMATS[dtype]
    tiny = 3 * 2.0 ** (2 - form.max_exponent - form.precision)
    tensors = _linear(
        x=np.full((1, 1, 1), 2.0 ** (form.max_exponent - 4)), grad_output=np.full((1, 1, 1), tiny)
    )
    result = lora_linear(**_torch(tensors, dtype), scaling=0.25)["grad_lora_b"]
    judgement = _judged(
        "lora-linear", tensors, {"scaling": 0.25}, dtype, "grad_lora_b", _numpy(result)
    )
    assert judgement.error > 0
    assert judgement.verdict != "fail"


def test_nothing_is_claimed_of_a_scaling_that_is_subnormal_in_storage() -> None:
    """Its rounding has no relative error: 3e-5 in float16."""
    bounds = proven_bounds(
        CONTRACTS["lora-linear"],
        Inputs(_linear(), {"scaling": 3e-5}),
        machine_model("widest", "float16"),
    )
    assert np.isinf(bounds["grad_lora_b"].bound).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_update_may_be_accumulated_onto_the_base_rank_by_rank(dtype: str) -> None:
    """Sixteen additions onto the base, each just above half a spacing; catches two roundings per
    sum however long its addends are."""
    precision = FORMATS[dtype].precision
    half = round_to_format(2.0**-precision * (1 + 2.0 ** (1 - precision)), dtype)
    tensors = _linear(
        weight=np.ones((1, 1)), lora_a=np.ones((16, 1)), lora_b=np.full((1, 16), half)
    )
    t = _torch(tensors, dtype)
    output, inner = t["x"] @ t["weight"].T, t["x"] @ t["lora_a"].T
    for k in range(16):
        output = output + inner[..., k : k + 1] * t["lora_b"][:, k]
    judgement = _judged("lora-linear", tensors, {"scaling": 1.0}, dtype, "output", _numpy(output))
    assert judgement.error > 5 * FORMATS[dtype].unit_roundoff
    assert judgement.verdict != "fail"


def _column(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def _attention(**tensors: Any) -> Tensors:
    ones = {f"w_{m}": _column(1) for m in "qkv"}
    return {**ones, **{f"{n}_{m}": _column(0) for n in "ab" for m in "qkv"}, **tensors}


def _small_scalar_last() -> tuple[Tensors, dict[str, float], str, torch.Tensor]:
    """beta = 2^-9 applied after everything else: the gradient without it overflows float16."""
    tensors = _attention(
        x_q=_column(16), x_k=_column(8, -8), x_v=_column(8, -8), y=_column(-8), a_q=_column(64)
    )
    beta = 2.0**-9
    t = _torch(tensors, "float16")
    f = torch.softmax(beta * (t["x_q"] @ t["x_k"].T), 1)
    q = (f @ t["x_v"] - t["y"]) @ t["x_v"].T
    p = f * (q - (f * q).sum(1, keepdim=True))
    grad = t["x_q"].T @ p @ t["x_k"]
    return tensors, {"scaling": 1.0, "beta": beta}, "grad_b_q", beta * (grad @ t["a_q"].T)


def _division_last() -> tuple[Tensors, dict[str, float], str, torch.Tensor]:
    """A flash forward: the unnormalised output of six equal keys overflows, the quotient is
    small."""
    keys = 6
    tensors = _attention(
        x_q=_column(2**-6), x_k=np.full((keys, 1), 2.0**-6), x_v=np.ones((keys, 1)), y=_column(1)
    )
    tensors |= {"w_q": _column(2**-6), "w_k": _column(2**-6), "w_v": _column(11000)}
    tensors |= {f"{n}_{m}": _column(2**-5) for n in "ab" for m in "qkv"}
    tensors = {name: round_to_format(value, "float16") for name, value in tensors.items()}
    t = _torch(tensors, "float16")
    values = t["x_v"] @ (t["w_v"] + t["b_v"] @ t["a_v"])
    unnormalised = torch.zeros(1, 1, dtype=torch.float16)
    for key in range(keys):
        unnormalised = unnormalised + values[key]
    residual = unnormalised / keys - t["y"]
    f = torch.full((1, keys), 1 / keys, dtype=torch.float16)
    grad = t["b_v"].T @ (t["x_v"].T @ f.T @ residual)
    return tensors, {"scaling": 1.0, "beta": 1.0}, "grad_a_v", grad


@pytest.mark.parametrize("kernel", [_small_scalar_last, _division_last])
def test_a_legal_kernel_that_overflows_is_not_proven_wrong(
    kernel: Callable[[], tuple[Tensors, dict[str, float], str, torch.Tensor]],
) -> None:
    """Catches a claim of no overflow that sees only scaled or normalised intermediates."""
    tensors, scalars, output, result = kernel()
    computed = _numpy(result)
    assert not np.isfinite(computed).all()
    judgement = _judged("lora-attention", tensors, scalars, "float16", output, computed)
    assert judgement.verdict != "fail"
