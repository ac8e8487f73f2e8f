"""Bad arguments: one line that says what was wrong and what would be right."""

from __future__ import annotations

import re
from typing import Any

import pytest

import loracle
from loracle.contracts import CONTRACTS, infer_contract
from loracle.errors import UsageError
from loracle.generation import REGIMES, regimes_of
from loracle.plans import checked_plan
from loracle.request import checked_dtype, checked_machine, chosen_cases


def kernel(
    *, x: Any, weight: Any, lora_a: Any, lora_b: Any, scaling: float, grad_output: Any
) -> Any:
    raise AssertionError("a bad argument is refused before the kernel is called")


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "contract": ({"contract": "lora"}, ["'lora'", "lora-linear, aloragc, lora-attention"]),
    "contract nearly": ({"contract": "lora-liner"}, ["; did you mean lora-linear?"]),
    "contract of another type": ({"contract": 3}, ["3", "lora-linear"]),
    "dtype": ({"dtype": "float8"}, ["'float8'", "float64, float32, bfloat16, float16"]),
    "dtype of another name": ({"dtype": "bf16"}, ["'bf16'", "did you mean bfloat16?"]),
    "dtype nearly": ({"dtype": "flaot32"}, ["; did you mean float32?"]),
    "dtype in short": ({"dtype": "fp32"}, ["'fp32'", "did you mean float32?"]),
    "dtype of torch": ({"dtype": "torch.int64"}, ["'int64'", "bfloat16"]),
    "no dtype": ({"dtype": None}, ["float32"]),
    "device": ({"device": "tpu"}, ["'tpu'", "cpu, cuda"]),
    "machine": ({"machine": "abacus"}, ["'abacus'", "widest, f32-accumulate"]),
    "machine nearly": ({"machine": "amper"}, ["; did you mean ampere?"]),
    "machine and block nearly": (
        {"machine": "f32-acumulate:32+ftz"},
        ["; did you mean f32-accumulate?"],
    ),
    "machine of another type": ({"machine": 7}, ["7", "widest"]),
    "block": ({"machine": "f32-accumulate:0"}, ["f32-accumulate:0", "at least 1"]),
    "block in letters": ({"machine": "f32-accumulate:x"}, ["f32-accumulate:x", "at least 1"]),
    "superscript block": ({"machine": "f32-accumulate:²"}, ["f32-accumulate:²", "at least 1"]),
    "plan": ({"plan": "streamed"}, ["unknown plan 'streamed'", "merged, unmerged"]),
    "plan nearly": ({"plan": "mergd"}, ["; did you mean merged?"]),
    "plan of another type": ({"plan": ["merged"]}, ["['merged']", "merged, unmerged"]),
    "no name of a plan": ({"plan": ""}, ["''", "merged, unmerged"]),
    "plan of another contract": (
        {"plan": "merged-flash"},
        ["lora-linear has no plan 'merged-flash'", "it has: merged, unmerged"],
    ),
    "no cases": ({"cases": 0}, ["0", "from 1 to"]),
    "fewer": ({"cases": -3}, ["-3", "from 1 to"]),
    "too many": ({"cases": 10**9}, ["1000000000", "from 1 to"]),
    "half a case": ({"cases": 1.5}, ["1.5", "whole number"]),
    "true cases": ({"cases": True}, ["True", "whole number"]),
    "cases in words": ({"cases": "6"}, ["'6'", "whole number"]),
    "negative seed": ({"seed": -1}, ["-1", "at least 0"]),
    "seed in words": ({"seed": "zero"}, ["'zero'", "at least 0"]),
    "no seed": ({"seed": None}, ["None", "at least 0"]),
    "zero epsilon": ({"epsilon": 0.0}, ["0.0", "positive"]),
    "negative epsilon": ({"epsilon": -1e-3}, ["-0.001", "positive"]),
    "infinite epsilon": ({"epsilon": float("inf")}, ["inf", "finite"]),
    "nan epsilon": ({"epsilon": float("nan")}, ["nan", "positive"]),
    "epsilon in words": ({"epsilon": "small"}, ["'small'", "positive"]),
    "true epsilon": ({"epsilon": True}, ["True", "positive"]),
    "regime": ({"regimes": ["designd"]}, ["'designd'", "did you mean designed?", "typical"]),
    "regime of another contract": (
        {"regimes": ["saturated"]},
        ["lora-linear has no regime 'saturated'", "designed, typical"],
    ),
    "regime far from all": ({"regimes": ["zzz"]}, ["'zzz'", "designed"]),
    "one regime as text": ({"regimes": "nowhere"}, ["'nowhere'"]),
    "regime of another type": ({"regimes": [4]}, ["4", "designed"]),
    "no regime": ({"regimes": []}, ["no regime", "designed"]),
    "a number of regimes": ({"regimes": 5}, ["5", "regimes must be a list"]),
    "a number of cases": ({"only_cases": 5}, ["5", "only_cases must be a list"]),
    "case without index": ({"only_cases": ["designed"]}, ["'designed'", "REGIME:INDEX"]),
    "case in letters": ({"only_cases": ["designed:one"]}, ["'designed:one'", "REGIME:INDEX"]),
    "superscript case": ({"only_cases": ["designed:²"]}, ["'designed:²'", "REGIME:INDEX"]),
    "negative case": ({"only_cases": ["designed:-1"]}, ["'designed:-1'", "REGIME:INDEX"]),
    "huge case": ({"only_cases": [f"designed:{10**9}"]}, ["REGIME:INDEX"]),
    "case of no regime": ({"only_cases": ["designd:1"]}, ["did you mean designed?"]),
    "case of another contract": ({"only_cases": ["saturated:1"]}, ["has no regime 'saturated'"]),
    "no timeout": ({"timeout": 0}, ["timeout", "positive"]),
    "nan timeout": ({"timeout": float("nan")}, ["timeout", "positive"]),
    "timeout in words": ({"timeout": "long"}, ["'long'", "positive"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_argument(what: str) -> None:
    arguments, parts = BAD[what]
    with pytest.raises(UsageError) as refused:
        loracle.validate(kernel, **{"contract": "lora-linear", **arguments})
    message = str(refused.value)
    assert isinstance(refused.value, ValueError)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("nothing-like-it", ["nothing-like-it", "loracle adapters"]),
        ("no/such/file.py:kernel", ["no/such/file.py"]),
        ("no_such_module_at_all:kernel", ["no_such_module_at_all"]),
        (17, ["int"]),
        (None, ["NoneType"]),
    ],
)
def test_bad_target(target: Any, parts: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        loracle.validate(target, contract="lora-linear")
    assert "\n" not in str(refused.value)
    for part in parts:
        assert part in str(refused.value)


def test_a_kernel_of_no_contract() -> None:
    with pytest.raises(UsageError, match="cannot tell the contract from the parameters"):
        loracle.validate(lambda **everything: {})
    with pytest.raises(UsageError, match="does not take scaling"):
        loracle.validate(
            lambda *, x, weight, lora_a, lora_b, grad_output: {}, contract="lora-linear"
        )


def positional(x, weight, lora_a, lora_b, scaling, grad_output, /):  # type: ignore[no-untyped-def]
    return {}


def of_other_names(a, b):  # type: ignore[no-untyped-def]
    return {}


def of_all_that_comes(*everything):  # type: ignore[no-untyped-def]
    return {}


def of_all_that_comes_as_x(*x):  # type: ignore[no-untyped-def]
    return {}


def of_nothing() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("contract", [None, "lora-linear"])
@pytest.mark.parametrize(
    ("kernel", "advice"),
    [
        (positional, "take the '/' out of its signature"),
        (of_other_names, "wrap it in a function that has these parameters"),
        (of_all_that_comes, "wrap it in a function that has these parameters"),
        (of_all_that_comes_as_x, "wrap it in a function that has these parameters"),
        (of_nothing, "wrap it in a function that has these parameters"),
    ],
)
def test_what_is_advised_works(kernel: Any, advice: str, contract: str | None) -> None:
    """Naming the contract helps none of these kernels, so nobody is told to."""
    with pytest.raises(UsageError, match=re.escape(advice)) as refused:
        loracle.validate(kernel, contract=contract)
    assert "--contract" not in str(refused.value)
    if contract is None:
        with pytest.raises(UsageError, match=re.escape(advice)):
            infer_contract(kernel)


def test_a_kernel_whose_parameters_python_cannot_tell_needs_a_contract() -> None:
    for kernel in (lambda **everything: {}, min):
        with pytest.raises(UsageError, match=r"name it with contract=\.\.\. or --contract"):
            infer_contract(kernel)
    with pytest.raises(UsageError, match=r"name it with contract=\.\.\. or --contract"):
        loracle.validate(min)


def test_dtypes_by_name_and_by_torch() -> None:
    import torch

    for name in ("float64", "float32", "bfloat16", "float16"):
        assert checked_dtype(name) == checked_dtype(getattr(torch, name)) == name


def test_machines() -> None:
    assert checked_machine(None, "float32").name == "widest"
    assert checked_machine("f32-accumulate", "bfloat16").name == "f32-accumulate"
    assert checked_machine("f32-accumulate:16", "bfloat16").block == 16


def test_plans() -> None:
    """Before the contract is known, a plan of any will do."""
    assert checked_plan(None, None) is None
    assert checked_plan("none", None) is checked_plan("none", CONTRACTS["aloragc"]) is None
    assert checked_plan("merged-flash", None) == "merged-flash"
    assert checked_plan("merged-flash", CONTRACTS["aloragc"]) == "merged-flash"
    with pytest.raises(UsageError, match="unknown plan 'streamed'; known: merged, unmerged"):
        checked_plan("streamed", None)


def test_chosen_cases() -> None:
    """A regime named twice runs once; cases replace regimes; a single name is not its letters."""
    linear = CONTRACTS["lora-linear"]

    def keys(**choice: Any) -> list[str]:
        count = choice.pop("count", 2)
        wanted = {"regimes": None, "only_cases": None, **choice}
        return [case.key for case in chosen_cases(linear, "float32", 0, count, **wanted)]

    assert len(keys(count=3)) == 3 * len(regimes_of(linear))
    assert len(keys(count=None)) == sum(REGIMES[name].cases for name in regimes_of(linear))
    assert keys(regimes=["tiny", "tiny"]) == ["tiny:0", "tiny:1"]
    assert keys(regimes="tiny") == ["tiny:0", "tiny:1"]
    assert keys(regimes=iter(["ragged", "tiny"]), count=1) == ["ragged:0", "tiny:0"]
    assert keys(only_cases=["tiny:7", "designed:0"]) == ["tiny:7", "designed:0"]
    assert keys(only_cases="tiny:7", regimes=["ragged"]) == ["tiny:7"]
    assert keys(only_cases=["tiny:7", "tiny:0", "tiny:07", "tiny:7"]) == ["tiny:7", "tiny:0"]
    named = chosen_cases(linear, "float32", 0, 8, None, None)
    assert chosen_cases(linear, "float32", 0, 1, None, ["tiny:7"])[0] in named
