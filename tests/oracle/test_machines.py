"""Judging by machines beyond IEEE: kernels on a simulated tensor core pass under its name, coarser
ones do not, and a machine that is not made for a dtype is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loracle
from loracle.adapters import autograd
from loracle.cli import main
from loracle.report import Report

from . import machine_kernels as kernels

MAKERS: dict[str, Callable[[kernels.Product], Callable[..., kernels.Outputs]]] = {
    "lora-linear": kernels.lora_linear,
    "aloragc": kernels.aloragc,
}
REGIMES = ("designed", "ragged", "tiny")


def judged(
    multiply: kernels.Product, contract: str, dtype: str, machine: str, **options: Any
) -> Report:
    kernel = MAKERS[contract](multiply)
    arguments: dict[str, Any] = {"regimes": REGIMES, **options}
    return loracle.validate(kernel, contract, dtype, machine=machine, **arguments)


@pytest.mark.parametrize(
    ("multiply", "contract", "dtype", "machine"),
    [
        (kernels.tensor_core("hopper"), "lora-linear", "bfloat16", "hopper"),
        (kernels.tensor_core("hopper"), "aloragc", "bfloat16", "hopper"),
        (kernels.tensor_core("ampere"), "lora-linear", "float16", "ampere"),
        (kernels.tensor_core("hopper"), "aloragc", "float32", "hopper"),
        (kernels.tensor_core("ampere"), "lora-linear", "float32", "tf32"),
        (kernels.tf32_to_nearest, "lora-linear", "float32", "hopper"),
    ],
)
def test_an_honest_kernel_passes_under_its_machine(
    multiply: kernels.Product, contract: str, dtype: str, machine: str
) -> None:
    """Errors of truncation, which are biased, included; catches a tolerance of machines that only
    round to nearest."""
    report = judged(multiply, contract, dtype, machine)
    assert report.verdict == "pass", (report.reason, report.findings)
    assert report.machine == machine
    for summary in report.regimes.values():
        assert (summary.worst_error_to_bound or 0) < 0.8
        assert (summary.worst_error_to_tolerance or 0) < 0.8


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("contract", MAKERS)
@pytest.mark.parametrize("machine", ["ampere", "hopper"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_no_false_alarm_on_a_tensor_core(
    contract: str, machine: str, dtype: str, seed: int
) -> None:
    report = judged(kernels.tensor_core(machine), contract, dtype, machine, regimes=None, seed=seed)
    assert report.verdict == "pass", (report.reason, report.findings)


@pytest.mark.parametrize(
    ("multiply", "dtype", "machine"),
    [
        (kernels.truncated_in_storage, "bfloat16", "hopper"),
        (kernels.truncated_in_storage, "float16", "ampere"),
        (kernels.from_bfloat16, "float32", "tf32"),
        (kernels.tensor_core("hopper"), "float32", "widest"),
    ],
)
def test_a_kernel_that_errs_more_than_its_machine_is_proven_wrong(
    multiply: kernels.Product, dtype: str, machine: str
) -> None:
    """16-bit sums on a tensor core, bfloat16 operands for TF32, and TF32 undeclared."""
    report = judged(multiply, "lora-linear", dtype, machine, regimes=["ragged"])
    assert report.verdict == "fail"
    failing = {f.output for f in report.findings if f.verdict == "fail"}
    assert "output" in failing
    assert len(failing) >= 2


def test_full_float32_passes_where_tf32_is_allowed() -> None:
    """A machine allows; it does not demand."""
    report = loracle.validate(autograd.lora_linear, machine="tf32", regimes=["designed", "ragged"])
    assert report.verdict == "pass", (report.reason, report.findings)


@pytest.mark.parametrize(
    ("machine", "dtype", "says"),
    [
        ("hopper", "float64", "machine 'hopper' is made for float32, bfloat16, float16"),
        ("ampere", "float64", "not for float64"),
        ("tf32", "bfloat16", "machine 'tf32' is made for float32, not for bfloat16"),
        ("f16-accumulate", "bfloat16", "is made for float16"),
        ("hoper", "bfloat16", "unknown machine 'hoper'; known: widest, f32-accumulate,"),
        ("hopper:16", "bfloat16", "unknown machine 'hopper:16'"),
    ],
)
def test_a_machine_that_does_not_fit_is_one_line(
    machine: str, dtype: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the command line and in Python, before the kernel is loaded."""
    with pytest.raises(loracle.UsageError, match=says):
        loracle.validate(autograd.lora_linear, machine=machine, dtype=dtype)
    with pytest.raises(SystemExit) as exit_:
        main(["validate", f"{tmp_path}/none.py:f", "--machine", machine, "--dtype", dtype])
    assert exit_.value.code == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_declared_machine_is_held_to_its_dtypes() -> None:
    """What the kernel says of itself cannot be asked in another dtype."""

    @loracle.declare(machine="tf32")
    def kernel(**call: Any) -> kernels.Outputs:
        return autograd.lora_linear(**call)

    with pytest.raises(loracle.UsageError, match="'tf32' is made for float32, not for float16"):
        loracle.validate(kernel, "lora-linear", dtype="float16", regimes=["tiny"])


KERNEL = """
from loracle.adapters.autograd import lora_linear
"""


@pytest.mark.parametrize(("machine", "dtype"), [("hopper+ftz", "float16")])
def test_a_machine_is_named_on_the_command_line_and_in_the_report(
    machine: str, dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kernel.py"
    file.write_text(KERNEL)
    options = ["--machine", machine, "--dtype", dtype, "--regime", "tiny", "--only-proven"]
    with pytest.raises(SystemExit) as exit_:
        main(["validate", f"{file}:lora_linear", *options])
    assert exit_.value.code == 0
    assert machine in capsys.readouterr().out
