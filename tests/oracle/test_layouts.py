"""Upstream gradients that are not contiguous: what a kernel gets, and that it must leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loracle.adapters import autograd
from loracle.harness.layouts import laid_out

from .validated import Outputs, validate

LAYOUTS = ("transposed", "sliced", "expanded")

sizes = st.tuples(*[st.integers(1, 4)] * 3)


@given(sizes=sizes, layout=st.sampled_from(LAYOUTS), constant=st.sets(st.integers(0, 2)))
def test_the_values_stay(sizes: tuple[int, ...], layout: str, constant: set[int]) -> None:
    varying = [1 if axis in constant else size for axis, size in enumerate(sizes)]
    tensor = torch.randn(varying).expand(sizes).contiguous()
    laid = laid_out(tensor, layout)
    assert torch.equal(laid, tensor)
    assert laid.is_leaf
    assert not laid.requires_grad


def test_the_strides_are_those_that_are_named() -> None:
    tensor = torch.arange(24.0).reshape(2, 3, 4)
    assert laid_out(tensor, "transposed").stride() == (4, 8, 1)
    sliced = laid_out(tensor, "sliced")
    assert (sliced.stride(), sliced.storage_offset()) == ((36, 12, 1), 4)
    around = torch.empty(0).set_(sliced.untyped_storage()).reshape(2, 3, 12)  # type: ignore[call-overload]
    assert around.isnan().sum() == 48
    assert laid_out(tensor, "expanded").stride() == (12, 4, 1)
    assert laid_out(tensor[:, :1].expand(2, 3, 4).contiguous(), "expanded").stride()[1] == 0
    assert laid_out(torch.ones(2, 3, 4), "expanded").stride() == (0, 0, 0)
    with pytest.raises(ValueError, match="unknown layout 'sideways'"):
        laid_out(tensor, "sideways")


def changes_nothing(upstream: torch.Tensor) -> None:
    pass


def changes_a_value(upstream: torch.Tensor) -> None:
    upstream[-1, -1, -1] += 1


def changes_the_shape(upstream: torch.Tensor) -> None:
    upstream.transpose_(0, 2)


@pytest.mark.parametrize("change", [changes_nothing, changes_a_value, changes_the_shape])
def test_a_gradient_of_any_layout_must_not_be_changed(
    change: Callable[[torch.Tensor], None],
) -> None:
    """Catches tensors that come contiguous after all, a comparison that takes a layout for a
    change, and one that overlooks a change because of it."""

    def kernel(**call: Any) -> Outputs:
        upstream = call["grad_output"]
        batch, length, width = upstream.shape
        transposed, sliced = (width, batch * width, 1), (3 * length * width, 3 * width, 1)
        constant = upstream.unique().numel() == 1
        assert upstream.stride() in ([(0, 0, 0)] if constant else [transposed, sliced])
        outputs = autograd.lora_linear(**call)
        change(upstream)
        return outputs

    report = validate(kernel, regimes=["layouts"])
    assert report.cases == len(LAYOUTS)
    found = [(f.output, f.count, f.diagnosis[0].hypothesis) for f in report.findings]
    expected = [] if change is changes_nothing else [("grad_output", 3, "mutates-input")]
    assert found == expected
