"""The tests of a kernel against a plain run: the same results, from one call of every case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import loracle
from loracle.adapters import autograd
from loracle.errors import UsageError
from loracle.testing.conformance import Parts
from loracle.testing.kernel_tests import WHOLE, KernelTests

from .validated import changed, forgets_scaling, validate, without_time

LINEAR = {"contract": "lora-linear"}


def counted(kernel: Any, folder: Path) -> Any:
    """A kernel that notes every call where the parent can see it."""

    def noting(**call: Any) -> Any:
        with (folder / "calls").open("a") as file:
            file.write("x")
        return kernel(**call)

    return noting


def test_the_whole_is_the_plain_run_and_calls_nothing_again(tmp_path: Path) -> None:
    options = {**LINEAR, "regimes": ["tiny", "designed"], "seed": 4}
    kernel = counted(forgets_scaling, tmp_path)
    tests = KernelTests(kernel, options)
    regimes = {name: tests.judge(name) for name in tests.regimes}
    calls = (tmp_path / "calls").stat().st_size
    whole = tests.judge(WHOLE)
    assert (tmp_path / "calls").stat().st_size == calls
    tests.close()
    assert without_time(whole) == without_time(validate(kernel, **options))
    assert {name: report.regimes[name] for name, report in regimes.items()} == whole.regimes


def test_alone_the_whole_runs_everything() -> None:
    tests = KernelTests(forgets_scaling, {**LINEAR, "regimes": ["tiny"]})
    assert without_time(tests.judge(WHOLE)) == without_time(
        validate(forgets_scaling, regimes=["tiny"])
    )
    tests.close()


def test_only_the_whole_looks_for_a_bias() -> None:
    """Of 12 cases a regime alone would have enough for the test, which is counted once a run."""
    biased = changed(grad_x=lambda value: value * (1 + 2.0**-22))
    tests = KernelTests(biased, {**LINEAR, "regimes": ["averaging"]})
    assert tests.judge("averaging").findings == []
    (finding,) = tests.judge(WHOLE).findings
    tests.close()
    assert "biased across cases" in finding.reason


def test_a_kernel_that_dies_again_and_again_is_given_up() -> None:
    def dies(**call: Any) -> Any:
        import os

        os._exit(3)

    tests = KernelTests(dies, {**LINEAR, "regimes": ["tiny", "designed", "ragged"]})
    assert tests.worn_out == ""
    first = tests.judge("tiny")
    assert tests.worn_out == "the process died 5 times"
    whole = tests.judge(WHOLE)
    tests.close()
    assert [f.case for f in whole.findings] == [f.case for f in first.findings]
    assert any("stopped after 5 of 18 cases" in note for note in whole.notes)


def test_an_interrupt_is_pytests_to_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = KernelTests(autograd.lora_linear, {**LINEAR, "regimes": ["tiny"]})

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("loracle.testing.shared_process.SharedProcess.collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tests.judge("tiny")
    monkeypatch.undo()
    assert tests.judge("tiny").cases == 6
    tests.close()


def test_single_cases_are_grouped_by_regime() -> None:
    named = ("tiny:3", "designed:1", "tiny:5")
    tests = KernelTests(autograd.lora_linear, {**LINEAR, "only_cases": named})
    assert tests.regimes == {"tiny": ("tiny:3", "tiny:5"), "designed": ("designed:1",)}
    assert tests.judge("tiny").cases == 2
    tests.close()


def test_the_ids_name_what_was_asked_for_in_lists() -> None:
    def ids(**options: Any) -> list[str]:
        options = {**LINEAR, "regimes": ["tiny"], **options}
        return [part.name for part in Parts(autograd.lora_linear, options)]

    assert ids() == ["tiny", "whole"]
    assert ids(dtype="float64", seed=3) == ["tiny", "whole"]
    assert ids(dtype=["float64", "float32"], seed=[0]) == [
        "float64-seed0-tiny",
        "float64-seed0-whole",
        "float32-seed0-tiny",
        "float32-seed0-whole",
    ]


@pytest.mark.parametrize(
    "options", [{"dtype": []}, {"dtype": "float9"}, {"seed": -1}, {"regimes": 3}]
)
def test_bad_arguments_of_the_decorator(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        loracle.conformance(autograd.lora_linear, **options)


def test_a_decorator_without_a_function() -> None:
    with pytest.raises(UsageError, match="stands before a test function"):
        loracle.conformance(autograd.lora_linear)(int)
