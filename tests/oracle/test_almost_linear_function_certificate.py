"""The value and the gradients of `almost_linear.attention` are as near to those of exact attention
as is certified."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from loracle.kernels.almost_linear import AttentionRecord, expectations, function

from .almost_linear_layers import ADAPTERS, DTYPES, SCALING, Layer, a_layer, exactly
from .almost_linear_mistakes import WRONG, Wrong, put_in
from .devices import DEVICES


def gradient_share(layer: Layer, **changes: Any) -> float:
    """The largest error of a gradient for the layer's upstream, over its certificate."""
    record = AttentionRecord()
    found = layer.gradients(layer.attend(record, **changes), layer.upstream)
    _, truth = exactly(layer, layer.upstream)
    assert record.certificate is not None
    shares = []
    for name in ADAPTERS:
        error = (found[name].double().cpu() - truth[name]).abs().amax((-1, -2))
        share = error / record.certificate.errors[name].cpu()
        shares.append(torch.where(error == 0, 0.0, share).max())
    # Unlike Python's, this maximum is nan where one of them is.
    return float(torch.stack(shares).max())


def value_share(layer: Layer, **changes: Any) -> float:
    """The largest error of an entry of Z, over what is certified of its row."""
    record = AttentionRecord()
    value = layer.attend(record, **changes)
    exact, _ = exactly(layer, layer.upstream)
    assert record.value_error is not None
    assert record.value_error.dtype == torch.float64
    error = (value.detach().double().cpu() - exact).abs().amax(-1)
    return float((error / record.value_error.cpu()).max())


# Catches: every one of WRONG; a certificate that forgets approximation or rounding.
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("heads", [(), (2, 3)])
def test_gradients_and_value_are_within_what_is_certified(
    heads: tuple[int, ...], dtype: torch.dtype, device: str
) -> None:
    layer = a_layer(0, dtype, device, heads=heads)
    assert gradient_share(layer) <= 1
    assert value_share(layer) <= 1


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.fixed_dictionaries(
        {
            "queries": st.integers(1, 60),
            "keys": st.integers(1, 60),
            "width": st.integers(1, 6),
            "rank": st.integers(1, 7),
        }
    ),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_what_is_certified_holds_for_any_shape(
    seed: int, sizes: dict[str, int], dtype: torch.dtype
) -> None:
    layer = a_layer(seed, dtype, **sizes)
    assert gradient_share(layer) <= 1
    assert value_share(layer) <= 1


# The keys are centred, so the correction that one of them forgets is a small one.
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_gradients_exceed_the_certificate(wrong: Wrong) -> None:
    layer = a_layer()
    assert gradient_share(layer, epsilon=1e-4) <= 1
    with put_in(wrong):
        assert gradient_share(layer, epsilon=1e-4) > 1


def keeps_only_the_first_block(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: function._Head, *, keep: bool) -> tuple[Tensor, Tensor]:
        found = forward(self, keep=keep)
        del self._sums[1:]
        return found

    forward = function._Head.forward
    patch.setattr(function._Head, "forward", wrong)


# Catches: sums of one block of queries kept for the backward pass, or taken for another's.
def test_several_blocks_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loracle.kernels.almost_linear.plan._LONGEST_BLOCK", 64)
    layer = a_layer(queries=150)
    assert gradient_share(layer) <= 1
    assert value_share(layer) <= 1
    with put_in(keeps_only_the_first_block):
        assert gradient_share(layer) > 1


# Catches: a certificate of Z before it is rounded to the dtype that is returned.
def test_the_rounding_of_the_value_is_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = a_layer(0, torch.bfloat16)
    layer.frozen["x_v"].add_(100)
    assert value_share(layer) <= 1
    monkeypatch.setattr(function, "_rounding_error", lambda value, dtype: 0.0)
    assert value_share(layer) > 1


def in_long_double(layer: Layer) -> np.ndarray[Any, np.dtype[np.longdouble]]:
    """Z in 64 bits of mantissa."""

    def wide(m: str) -> Any:
        x, w, a, b = (
            tensor.detach().numpy().astype(np.longdouble)
            for tensor in (
                layer.frozen[f"x_{m}"],
                layer.frozen[f"w_{m}"],
                layer.adapters[f"a_{m}"],
                layer.adapters[f"b_{m}"],
            )
        )
        return x @ (w + np.longdouble(SCALING) * (b @ a))

    query, key, value = (wide(m) for m in "qkv")
    scores = np.longdouble(layer.beta) * (query @ key.T)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return (exponentials @ value) / exponentials.sum(-1, keepdims=True)


# Catches: a certificate without the float64 roundings of the mean that is taken off the values,
# which are all there is to Z where the values hardly differ.
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider here")
def test_roundings_of_the_mean_value_are_certified() -> None:
    layer = a_layer(width=2)
    layer.frozen["x_v"].mul_(2.0**-40).add_(1)
    record = AttentionRecord()
    value = layer.attend(record, epsilon=1e-5).detach().numpy()
    error = np.abs(value.astype(np.longdouble) - in_long_double(layer)).max(-1)
    assert record.value_error is not None
    assert bool((error <= record.value_error.numpy()).all())
    assert error.max() > 2.0**-56, "something was rounded"


# Catches: products of float32 in bfloat16, which the certificate does not know of.
def test_autocast_changes_nothing() -> None:
    layer = a_layer(0, torch.float32)
    plain = layer.attend()
    truth = layer.gradients(plain, layer.upstream)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = layer.attend()
        found = layer.gradients(value, layer.upstream)
    assert torch.equal(value, plain)
    assert all(torch.equal(found[name], truth[name]) for name in ADAPTERS)
    with put_in(lets_autocast_in), torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(layer.attend(), plain)


def lets_autocast_in(patch: pytest.MonkeyPatch) -> None:
    outside = torch.autocast("cpu", dtype=torch.bfloat16)
    patch.setattr(expectations, "_own_precision", lambda like: outside)


# Catches: an upstream gradient outside the range of float32 rounded to zeros or infinities.
@pytest.mark.parametrize("scale", [0.0, 2.0**-500, 2.0**-140, 2.0**140, 2.0**500])
def test_an_upstream_gradient_of_any_size(scale: float) -> None:
    layer = a_layer()
    layer.upstream.mul_(scale)
    assert gradient_share(layer, features=torch.float32) <= 1
    if scale in (2.0**-500, 2.0**500):
        with put_in(takes_the_upstream_as_it_is):
            assert not gradient_share(layer, features=torch.float32) <= 1


def takes_the_upstream_as_it_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(function, "_power_of_two", lambda magnitude: 1.0)
