"""The command line, called in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loracle.cli import main

ROOTS = [Path(__file__).parents[2] / root for root in ("reference", "oracle")]


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def in_a_fresh_process(code: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def command(*arguments: str, stdout: int, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Exit status and stderr of a process of its own, which alone has streams that fail."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    result = subprocess.run(
        [sys.executable, "-m", "loracle", *arguments],
        env=environment,
        stdout=stdout,
        stderr=stderr,
        text=True,
        check=False,
    )
    return result.returncode, result.stderr or ""
