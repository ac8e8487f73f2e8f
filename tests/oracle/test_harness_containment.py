"""A kernel that takes all memory, fills the disk, damages its process or dies under a condition is
told so, and the run goes on; an interrupted command still writes its report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import loracle
from loracle.adapters.autograd import aloragc
from loracle.harness import KernelProcess, limits
from loracle.observation import CONDITIONS

from .test_harness_observations import ALORAGC, inputs
from .validated import hypotheses

Outputs = dict[str, Any]


def takes_memory(**tensors: Tensor) -> Outputs:
    """In pieces that are never touched, so that only a limit ends it soon."""
    if tensors["c1"].shape[0] == 3:
        blocks = []
        while len(blocks) < 1 << 12:
            blocks.append(torch.empty(1 << 26, dtype=torch.uint8))
    if tensors["c1"].shape[0] == 4:
        bytearray(1 << 31)
    return aloragc(**tensors)


def test_a_kernel_that_takes_all_memory_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_MEMORY", 1 << 30)
    with KernelProcess(takes_memory, contract=ALORAGC, timeout=30) as process:
        for length, words in ((3, "can't allocate memory"), (4, "MemoryError at ")):
            (found,) = process.observe(inputs(L=length)).problems
            assert found.hypothesis == "crash"
            assert words in found.explanation
            assert found.explanation.endswith(" (a kernel may take 1 GiB)")
            assert process.observe(inputs()).problems == ()
        assert process.deaths == 0


def test_other_errors_say_nothing_of_memory() -> None:
    assert limits.want_of_memory(ValueError("no"), 1 << 30) == ""
    assert limits.want_of_memory(MemoryError(), None) == ""


def prints_on(**tensors: Tensor) -> Outputs:
    while tensors["c1"].shape[0] == 3:
        os.write(1, b"x" * 10_000)
    return aloragc(**tensors)


def test_a_kernel_that_prints_without_end_does_not_fill_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_MOST_FILE", 1 << 21)
    with KernelProcess(prints_on, contract=ALORAGC, timeout=30) as process:
        (found,) = process.observe(inputs(L=3)).problems
        assert "File too large" in found.explanation
        assert process.observe(inputs()).problems == ()


def delayed(fatal: int) -> Any:
    """Damages its process in a case of three rows, which shows in the case after; at once in one of
    `fatal` rows."""
    damage: list[int] = []

    def kernel(**tensors: Tensor) -> Outputs:
        length = tensors["c1"].shape[0]
        if length == fatal or (damage and length != 3):
            os.kill(os.getpid(), signal.SIGSEGV)
        if length == 3:
            damage.append(1)
        return aloragc(**tensors)

    return kernel


def test_a_death_that_comes_of_an_earlier_call_is_told_from_one_of_this_call() -> None:
    with KernelProcess(delayed(fatal=6), contract=ALORAGC, timeout=30) as process:
        assert process.observe(inputs(L=3)).problems == ()
        seen = process.observe(inputs(L=4))
        (found,) = seen.problems
        assert found.hypothesis == "crash"
        assert "died with signal SIGSEGV" in found.explanation
        assert "alone, in a new process, the same case ran: an earlier call" in found.explanation
        assert set(seen.outputs) == {"grad_a", "grad_b"}, "of the second attempt"
        (found,) = process.observe(inputs(L=6)).problems
        assert "died with signal SIGSEGV" in found.explanation
        assert "alone" not in found.explanation
        assert process.observe(inputs(L=5)).problems == ()
        assert process.deaths == 2


def test_a_death_in_the_first_call_of_a_process_is_not_tried_again(tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def kernel(**tensors: Tensor) -> Outputs:
        with calls.open("a") as file:
            file.write("x")
        os._exit(3)

    with KernelProcess(kernel, contract=ALORAGC, timeout=30) as process:
        (found,) = process.observe(inputs()).problems
    assert found.explanation == "the process exited with status 3"
    assert calls.read_text() == "x"


def only_under_nan(deed: Any) -> Any:
    def kernel(**tensors: Tensor) -> Outputs:
        if torch.are_deterministic_algorithms_enabled():
            deed()
        return aloragc(**tensors)

    return kernel


def test_a_death_under_a_condition_leaves_what_was_seen_before() -> None:
    kernel = only_under_nan(os.abort)
    with KernelProcess(kernel, contract=ALORAGC, timeout=30) as process:
        seen = process.observe(inputs(), CONDITIONS)
        (found,) = seen.problems
        assert (found.hypothesis, found.output) == ("uninitialised-memory", None)
        assert "died with signal SIGABRT" in found.explanation
        assert "(with fresh memory filled with NaN)" in found.explanation
        assert set(seen.outputs) == {"grad_a", "grad_b"}
        assert process.observe(inputs()).problems == ()
    chosen = {"regimes": ["designed"], "cases": 2}
    report = loracle.validate(kernel, "aloragc", **chosen)
    assert [hypotheses(finding) for finding in report.findings] == [["uninitialised-memory"]]
    assert report.regimes["designed"].passed + report.regimes["designed"].no_evidence == 4


def test_a_condition_that_takes_too_long_is_noted_and_not_tried_again() -> None:
    kernel = only_under_nan(lambda: time.sleep(60))
    with KernelProcess(kernel, contract=ALORAGC, timeout=0.3) as process:
        seen = process.observe(inputs(), CONDITIONS)
        assert seen.problems == ()
        assert seen.notes[0].startswith("not seen with fresh memory filled with NaN: no answer wit")
        started = time.monotonic()
        again = process.observe(inputs(), CONDITIONS)
        assert time.monotonic() - started < 3
        assert (again.problems, again.notes) == ((), ())
        assert {run.condition for run in again.further} == {None, "stale-cache", "second-backward"}
        assert np.array_equal(seen.outputs["grad_a"], again.outputs["grad_a"])


def test_every_condition_has_the_time_of_a_case() -> None:
    """0.8 s for the equal calls, 2.4 s in all; what is the first in a process has ten times 1.5."""

    def kernel(**tensors: Tensor) -> Outputs:
        time.sleep(0.4)
        return aloragc(**tensors)

    with KernelProcess(kernel, contract=ALORAGC, timeout=1.5) as process:
        process.observe(inputs())
        seen = process.observe(inputs(), CONDITIONS)
    assert (seen.problems, seen.notes) == ((), ())
    assert len(seen.further) == 4


NOISY_AND_SLOW = """
import os, sys, time
from loracle.adapters.autograd import aloragc

def kernel(*, c1, c2, c3, w, a, b, y):
    print("NOISE", flush=True)
    os.write(1, b"NOISE")
    sys.stderr.write("NOISE")
    with open(os.environ["CALLS"], "a") as calls:
        calls.write("x")
    if len(open(os.environ["CALLS"]).read()) > 12:
        time.sleep(60)
    return aloragc(c1=c1, c2=c2, c3=c3, w=w, a=a, b=b, y=y)
"""


def test_an_interrupted_command_writes_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(NOISY_AND_SLOW)
    calls = tmp_path / "calls"
    calls.touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-m", "loracle", "validate", f"{tmp_path}/slow.py:kernel"]
    process = subprocess.Popen(
        [*command, "--json", "-"],
        env={**environment, "CALLS": str(calls)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(calls.read_text()) <= 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    # As a terminal does: all of the group, but the child has one of its own.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert (report["verdict"], report["reason"]) == ("suspect", "interrupted")
    assert report["cases"] >= 1
    assert any(note.startswith("interrupted after ") for note in report["notes"])
    assert "interrupted; the report is of what was judged until then." in " ".join(err.split())
    assert "NOISE" not in out + err
    assert "Traceback" not in err
