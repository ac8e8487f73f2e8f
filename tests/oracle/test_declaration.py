"""Declarations: what is accepted, what is refused, and how they are found again."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import pytest

from loracle.declaration import Declaration, declaration_of, declare
from loracle.errors import UsageError


def test_a_plain_function_declares_nothing() -> None:
    assert declaration_of(lambda: None) == Declaration()


def test_what_is_declared_is_found_again_also_behind_a_wrapper_and_in_another_process() -> None:
    @declare(
        unsupported=["float16", "saturated"],
        outputs=["grad_a"],
        machine="widest",
        epsilon=1,
        plan="merged",
    )
    def kernel() -> None:
        """A kernel."""

    expected = Declaration(("float16", "saturated"), ("grad_a",), "widest", 1.0, plan="merged")
    assert declaration_of(kernel) == expected

    @functools.wraps(kernel)
    def wrapper() -> None:
        kernel()

    assert declaration_of(wrapper) == expected
    assert pickle.loads(pickle.dumps(declaration_of(kernel))) == expected


def test_accumulate_is_a_shorthand_for_a_machine() -> None:
    assert Declaration(accumulate="float32").machine == "f32-accumulate"
    blocked = Declaration(accumulate="float32", machine="f32-accumulate:32")
    assert blocked.machine == "f32-accumulate:32"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"unsupported": "float16"}, "unsupported must be a list of names, not 'float16'"),
        ({"unsupported": "saturated"}, r"not 'saturated'; write unsupported=\['saturated'\]$"),
        ({"unsupported": [16]}, "16 is none"),
        ({"unsupported": 3}, "must be a list"),
        ({"unsupported": ["tinny"]}, r"'tinny' is neither .* nor a regime .*tiny.*mean tiny\?$"),
        ({"outputs": []}, "outputs is empty"),
        ({"outputs": "grad_a"}, r"write outputs=\['grad_a'\]$"),
        ({"machine": 32}, "machine must be a machine's name"),
        ({"machine": ""}, "machine must be a machine's name"),
        ({"plan": 1}, "plan must be a plan's name"),
        ({"plan": ""}, "plan must be a plan's name"),
        ({"plan": "mergd"}, r"^declare: unknown plan 'mergd'; known: merged, .*mean merged\?$"),
        ({"epsilon": 0}, "epsilon must be positive"),
        ({"epsilon": float("nan")}, "epsilon must be positive"),
        ({"epsilon": "small"}, "epsilon must be a number"),
        ({"epsilon": True}, "epsilon must be a number"),
        ({"accumulate": "float64"}, "accumulate must be 'float32'"),
        ({"accumulate": "float32", "machine": "widest"}, "contradicts"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        declare(**values)


def test_a_plan_of_another_contract_is_refused_where_the_parameters_tell_the_contract() -> None:
    def linear(*, x, weight, lora_a, lora_b, scaling, grad_output):  # type: ignore[no-untyped-def]
        """A kernel."""

    def any_of_them(**call: object) -> None:
        """A kernel."""

    with pytest.raises(UsageError, match=r"^declare: lora-linear has no plan 'as-written'; it has"):
        declare(plan="as-written")(linear)
    assert declaration_of(declare(plan="unmerged")(linear)).plan == "unmerged"
    assert declaration_of(declare(plan="none")(linear)).plan == "none"
    assert declaration_of(declare(plan="as-written")(any_of_them)).plan == "as-written"


def test_a_kernel_without_attributes_is_refused() -> None:
    with pytest.raises(UsageError, match="wrap it in a function"):
        declare()(len)


def test_a_foreign_attribute_is_refused() -> None:
    def kernel() -> None:
        """A kernel."""

    kernel.__loracle__ = {"epsilon": 1}  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="is of type dict; set it with @loracle"):
        declaration_of(kernel)
