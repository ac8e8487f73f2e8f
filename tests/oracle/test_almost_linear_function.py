"""`almost_linear.attention` as a function of torch's: what may want a gradient, and what a backward
pass does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loracle.errors import UsageError

from .almost_linear_layers import ADAPTERS, a_layer, distance
from .almost_linear_mistakes import put_in


@pytest.mark.parametrize("name", ["x_q", "x_k", "x_v", "w_q", "w_k", "w_v"])
def test_an_input_that_wants_a_gradient_is_refused(name: str) -> None:
    # Catches: no gradient, or a wrong one, for the frozen inputs, without a word.
    layer = a_layer()
    layer.frozen[name].requires_grad_()
    with pytest.raises(UsageError, match=f"^{name} requires a gradient: .*detach it$") as raised:
        layer.attend()
    assert len(str(raised.value).splitlines()) == 1
    with torch.no_grad():
        layer.attend()


# Catches: sums that the first backward pass overwrites, as `expectations` does.
def test_a_second_backward_pass_gives_the_same() -> None:
    layer = a_layer()

    def twice() -> list[tuple[Tensor, ...]]:
        value, adapters = layer.attend(), [*layer.adapters.values()]
        return [
            torch.autograd.grad(value, adapters, layer.upstream, retain_graph=True)
            for _ in range(2)
        ]

    assert all(torch.equal(*pair) for pair in zip(*twice(), strict=True))
    with put_in(overwrites_its_sums):
        assert not all(torch.equal(*pair) for pair in zip(*twice(), strict=True))


def overwrites_its_sums(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tensor, "clone", lambda self: self)


# Catches: gradients at adapters that are no longer those of Z.
def test_an_adapter_changed_in_place_is_noticed() -> None:
    layer = a_layer()
    value = layer.attend()
    with torch.no_grad():
        layer.adapters["b_k"].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward(layer.upstream)


# Catches: a backward pass that is taken for differentiable, and has zeros for derivatives.
def test_there_is_no_second_derivative() -> None:
    layer = a_layer()
    adapters = [*layer.adapters.values()]
    first = torch.autograd.grad(layer.attend().square().sum(), adapters, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first[0].sum().backward()


# Catches: gradients handed to the wrong adapter where some want none.
def test_only_some_adapters_may_want_a_gradient() -> None:
    layer = a_layer()
    truth = layer.gradients(layer.attend(), layer.upstream)
    for name in ("b_q", "a_k", "b_v"):
        layer.adapters[name].requires_grad_(False)
    layer.attend().backward(layer.upstream)
    for name, adapter in layer.adapters.items():
        if name in ("b_q", "a_k", "b_v"):
            assert adapter.grad is None
        else:
            assert adapter.grad is not None
            assert torch.equal(adapter.grad, truth[name])


# Catches: an upstream gradient that is not contiguous read as if it were.
def test_an_expanded_upstream_gradient() -> None:
    layer = a_layer(heads=(2,))
    found = torch.autograd.grad(layer.attend().sum(), [*layer.adapters.values()])
    truth = layer.gradients(layer.attend(), torch.ones_like(layer.upstream))
    assert distance(dict(zip(ADAPTERS, found, strict=True)), truth) < 1e-13
