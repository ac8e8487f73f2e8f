"""Kernels under torch.compile: judged as compiled, or said to have run eagerly, or refused."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch

import loracle
from loracle.adapters.autograd import aloragc
from loracle.contracts import CONTRACTS
from loracle.demo.script import story_of_compilation
from loracle.errors import UsageError
from loracle.harness import KernelProcess
from loracle.harness.messages import Call
from loracle.harness.running import Runner

from .test_harness_observations import inputs
from .validated import strict_json

ALORAGC = CONTRACTS["aloragc"]


def test_a_kernel_of_which_nothing_was_compiled_is_noted() -> None:
    """Whatever torch.compile made of it."""
    shapes = {"grad_a": (2, 4), "grad_b": (4, 2)}
    for compiled, notes in ((True, 1), (False, 0)):
        runner = Runner(aloragc, "float32", "cpu", compiled=compiled)
        (answer,) = runner.observe(Call(inputs(), shapes))
        assert len(answer.observation.notes) == notes
        assert all("nothing in the kernel to compile" in n for n in answer.observation.notes)


def test_where_nothing_can_be_compiled_the_kernel_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a C++ compiler, say, which would be a crash of the kernel in every case else."""

    def refuses(kernel: Any, **options: object) -> Any:
        raise RuntimeError("no C++\ncompiler")

    monkeypatch.setattr(torch, "compile", refuses)
    with (
        KernelProcess(aloragc, contract=ALORAGC, compile_kernel=True) as process,
        pytest.raises(UsageError, match=r"torch.compile does not work here: .*no C\+\+ compiler"),
    ):
        process.start()


@pytest.mark.deep
def test_a_line_that_is_right_eagerly_and_wrong_compiled_is_caught() -> None:
    """torch 2.13 on the CPU drops alpha; another torch may be right, but for what it says of itself
    the report is the same."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    target = "loracle.demo.kernels:eager_alpha"
    chosen = {"regimes": ["designed"], "cases": 4}
    eager = loracle.validate(target, **chosen)
    report = loracle.validate(target, compile=True, **chosen)
    assert eager.findings == []
    plain = strict_json(report)
    assert (plain["compiled"], strict_json(eager)["compiled"]) == (True, False)
    assert not any("eagerly" in note for note in report.notes)
    _, outcomes = story_of_compilation(report)
    assert all(outcome.met for outcome in outcomes)
    if torch.__version__.startswith("2.13"):
        assert report.verdict == "fail"
        assert "--compile" in str(report.findings[0].replay)
