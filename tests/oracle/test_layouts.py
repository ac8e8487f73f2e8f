"""Upstream gradients that are not contiguous: what a kernel gets, and that it must leave it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loracle.adapters import autograd
from loracle.generation import REGIMES
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


def expects(index: int, *, changes: str = "") -> Any:
    """A right kernel that insists on a layout, and then changes what it was given."""

    def kernel(**call: Any) -> Outputs:
        upstream = call["grad_output"]
        batch, length, width = upstream.shape
        wide = 3 * width
        strides = ((width, batch * width, 1), (length * wide, wide, 1), (0, 0, 0))
        assert upstream.stride() == strides[index]
        outputs = autograd.lora_linear(**call)
        if changes == "values":
            upstream[-1, -1, -1] += 1
        elif changes == "strides":
            upstream.transpose_(0, 2)
        return outputs

    return kernel


@pytest.mark.parametrize("index", range(len(LAYOUTS)))
def test_a_kernel_gets_the_layout_of_its_case(index: int) -> None:
    assert REGIMES["layouts"].cases == len(LAYOUTS)
    report = validate(expects(index), only_cases=[f"layouts:{index}"])
    assert report.findings == []


@pytest.mark.parametrize("changes", ["values", "strides"])
@pytest.mark.parametrize("index", range(len(LAYOUTS)))
def test_a_gradient_of_any_layout_must_not_be_changed(index: int, changes: str) -> None:
    """Catches a comparison that takes a layout for a change, or overlooks a change because of
    it."""
    report = validate(expects(index, changes=changes), only_cases=[f"layouts:{index}"])
    hypotheses = {d.hypothesis for finding in report.findings for d in finding.diagnosis}
    assert hypotheses == {"mutates-input"}
    assert {finding.output for finding in report.findings} == {"grad_output"}
