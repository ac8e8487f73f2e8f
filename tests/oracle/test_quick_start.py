"""`loracle --help` answers at once, and colours are for terminals."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .pytest_project import KERNELS

HEAVY = {"torch", "hypothesis", "numpy", "rich", "sympy", "jinja2", "jsonschema", "matplotlib"}
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["validate", "--help"]])
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    code = f"""
import sys
from loracle.cli import main
try:
    main({arguments!r})
finally:
    print("imported:", sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert len(done.stdout.splitlines()) > 1


def best_of_five(*arguments: str) -> float:
    def seconds() -> float:
        started = time.perf_counter()
        command = [sys.executable, *arguments]
        subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True)
        return time.perf_counter() - started

    return min(seconds() for _ in range(5))


def test_help_takes_less_than_three_tenths_of_a_second() -> None:
    """Of which most is Python itself and click: a busy machine is measured by these."""
    alone = best_of_five("-c", "import click, dataclasses, importlib.metadata")
    assert best_of_five("-m", "loracle", "--help") < max(0.3, 2 * alone)


def output_on_a_terminal(**variables: str) -> str:
    """Of a word in the style of a fail."""
    code = (
        "from loracle.presentation.terminal import STYLES, make_console;"
        "make_console().print('word', style=STYLES['fail'])"
    )
    ours, theirs = pty.openpty()
    environment = {n: v for n, v in ENVIRONMENT.items() if n not in ("NO_COLOR", "FORCE_COLOR")}
    subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"TERM": "xterm-256color"} | variables,
        stdout=theirs,
        check=True,
    )
    os.close(theirs)
    text = os.read(ours, 1000).decode()
    os.close(ours)
    return text


def test_colours_are_for_terminals() -> None:
    red = "\x1b[1;31m"
    assert red in output_on_a_terminal()
    assert "31m" not in output_on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in output_on_a_terminal(TERM="dumb")


def test_a_pipe_gets_none_unless_asked_for() -> None:
    command = [sys.executable, "-m", "loracle", "regimes"]
    environment = {n: v for n, v in ENVIRONMENT.items() if n not in ("NO_COLOR", "FORCE_COLOR")}
    for variables, coloured in (({}, False), ({"FORCE_COLOR": "1"}, True)):
        done = subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, check=True
        )
        assert ("\x1b[" in done.stdout) is coloured


def test_a_pipe_gets_no_bar_even_so(tmp_path: Path) -> None:
    """Which rich draws wherever FORCE_COLOR is set, and then prints into itself for ever."""
    (tmp_path / "my_kernels.py").write_text(KERNELS)
    command = [sys.executable, "-m", "loracle", "validate", "my_kernels.py:wrong"]
    done = subprocess.run(
        [*command, "--contract", "lora-linear", "--regime", "tiny"],
        cwd=tmp_path,
        env=ENVIRONMENT | {"FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "\x1b[1;31mFAIL" in done.stdout
    assert "\x1b[?25l" not in done.stderr
