"""The child process of a benchmark: its answer, its death, its environment, its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loracle.bench import launch
from loracle.bench.data import query_factor
from loracle.bench.launch import run_in_child
from loracle.bench.messages import Failed, MeasureOrder, Scaled, ScaleOrder, Setting

SETTING = Setting(
    dim=4,
    rank=2,
    data="independent",
    max_score=1.0,
    epsilon=1e-2,
    seed=0,
    dtype="float32",
    device="cpu",
)
ORDER = ScaleOrder(SETTING, 20, 0)


@pytest.fixture
def at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every child run this code before anything else."""

    def prepare(code: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(code)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    return prepare


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started from now on."""
    found: list[subprocess.Popen[bytes]] = []

    class Seen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            found.append(self)

    monkeypatch.setattr(launch.subprocess, "Popen", Seen)
    return found


def test_the_answer_of_a_fresh_interpreter() -> None:
    assert run_in_child(ORDER) == Scaled(query_factor(SETTING, 20, 0))


def test_a_child_that_dies_has_its_last_words_reported(at_start: Callable[[str], None]) -> None:
    at_start("import os; print('first\\nlast  words', flush=True); os._exit(3)")
    assert run_in_child(ORDER) == Failed("the process ended with status 3: last words")


def test_a_child_that_is_killed_is_told_from_one_that_fails(
    at_start: Callable[[str], None],
) -> None:
    at_start("import os; os.kill(os.getpid(), 9)")
    found = run_in_child(ORDER)
    assert isinstance(found, Failed)
    assert found.reason.startswith("the process was ended by SIGKILL, as the system does when")


def test_a_child_that_hangs_is_ended(
    at_start: Callable[[str], None],
    started: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_start("import time; time.sleep(600)")
    monkeypatch.setattr(launch, "_SETUP_SECONDS", 0.5)
    assert run_in_child(ORDER) == Failed("no answer within 0 s")
    assert [child.returncode for child in started] == [-9]


def test_an_interruption_ends_the_child(
    at_start: Callable[[str], None], started: list[subprocess.Popen[bytes]]
) -> None:
    at_start("import time; time.sleep(600)")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_child(ORDER, on_wait=interrupt)
    assert [child.returncode for child in started] == [-9]


def test_nothing_limits_the_threads_of_the_child(
    at_start: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LORACLE_KEPT", "kept")
    at_start(
        "import os\n"
        "found = sorted(n for n in os.environ if n.endswith('_THREADS') or n == 'LORACLE_KEPT')\n"
        "print(found); os._exit(1)"
    )
    found = run_in_child(ORDER)
    assert found == Failed("the process ended with status 1: ['LORACLE_KEPT']")


def test_a_module_in_the_working_directory_is_not_taken_for_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(run_in_child(ORDER), Scaled)


def test_patience_grows_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_SETUP_SECONDS", 10.0)
    measure: Any = MeasureOrder(SETTING, "eager", 20, 20, (1.0,), limit=7.0)
    assert launch._patience(measure) == 45
    assert launch._patience(ORDER) == 10
