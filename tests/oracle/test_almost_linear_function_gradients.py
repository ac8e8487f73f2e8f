"""The gradients of `almost_linear.attention` are those of the kernel for 1/2 ||Z - y||^2, and those
of heads in one call are those of a loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from loracle.kernels import almost_linear
from loracle.kernels.almost_linear import AttentionRecord
from loracle.kernels.almost_linear.results import Gradients

from .almost_linear_layers import ADAPTERS, DTYPES, SCALING, Layer, a_layer, distance, exactly
from .almost_linear_mistakes import WRONG, Wrong, put_in
from .devices import DEVICES

TO_ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2.0**-6}
"""What rounding may do to a gradient, relative to its largest entry."""


def kernel_gradients(layer: Layer) -> tuple[dict[str, Tensor], Gradients]:
    """Of 1/2 ||Z - y||^2, by `lora_attention_gradients`."""
    given_ = {name: t.detach() for name, t in (layer.frozen | layer.adapters).items()}
    result = almost_linear.lora_attention_gradients(
        **given_, scaling=SCALING, beta=layer.beta, y=layer.y, epsilon=1e-2
    )
    return {name: result.outputs[f"grad_{name}"] for name in ADAPTERS}, result


def residual_gradients(layer: Layer) -> dict[str, Tensor]:
    """The same by `attention`, whose upstream gradient is then Z - y."""
    value = layer.attend()
    return layer.gradients(value, value.detach() - layer.y)


# Catches: every one of WRONG, which the test after it shows.
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_for_the_residual_as_upstream_it_is_the_kernels_gradient(
    seed: int, dtype: torch.dtype, device: str
) -> None:
    layer = a_layer(seed, dtype, device)
    found = residual_gradients(layer)
    truth, result = kernel_gradients(layer)
    record = AttentionRecord()
    layer.attend(record)
    assert (record.degree, record.rank) == (result.plan.degree, result.plan.rank)
    assert all(gradient.dtype == dtype for gradient in found.values())
    assert distance(found, truth) < TO_ROUNDING[dtype]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_code_is_not_the_kernels_gradient(wrong: Wrong) -> None:
    layer = a_layer()
    truth, _ = kernel_gradients(layer)
    with put_in(wrong):
        assert distance(residual_gradients(layer), truth) > 0.01


# Catches: heads mixed up when flattened, or one head's upstream or certificate for another's.
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_heads_in_one_call_are_those_of_a_loop(dtype: torch.dtype) -> None:
    layer = a_layer(1, dtype, heads=(2, 3))
    record = AttentionRecord()
    value = layer.attend(record)
    found = layer.gradients(value, layer.upstream)
    assert record.certificate is not None
    assert record.value_error is not None
    assert value.shape == (2, 3, 50, 4)
    for index in np.ndindex(2, 3):
        one, alone = layer.head(*index), AttentionRecord()
        one_value = one.attend(alone)
        gradients = one.gradients(one_value, one.upstream)
        assert alone.certificate is not None
        assert alone.value_error is not None
        assert torch.equal(value[index], one_value)
        assert torch.equal(record.value_error[index], alone.value_error)
        for name in ADAPTERS:
            assert torch.equal(found[name][index], gradients[name])
            errors = (record.certificate.errors[name], alone.certificate.errors[name])
            assert torch.equal(errors[0][index], errors[1])


# Catches: the gradient of the first head, or of the last, for adapters that all of them share.
def test_adapters_shared_between_heads_get_the_sum() -> None:
    layer = a_layer(2, heads=(2, 3), shared=True)
    found = layer.gradients(layer.attend(), layer.upstream)
    _, truth = exactly(layer, layer.upstream)
    total = {name: torch.zeros_like(t) for name, t in layer.adapters.items()}
    for index in np.ndindex(2, 3):
        frozen = {n: t[index] if n[0] == "x" else t for n, t in layer.frozen.items()}
        one = replace(layer, frozen=frozen)
        for name, gradient in one.gradients(one.attend(), layer.upstream[index]).items():
            total[name] += gradient
    assert distance(found, total) < 1e-13
    # The error is that of the approximation: the heads' certificates are of what is summed.
    assert distance(found, truth) < 0.01
