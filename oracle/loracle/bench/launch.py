"""Running one order in a process of its own, and telling what became of it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loracle.bench.messages import Answer, Failed, MeasureOrder, Order, TruthOrder

__all__ = ["Launch", "run_in_child"]

Launch = Callable[[Order], Answer]

_TICK = 0.2
"""Seconds between two looks at the child, and so between two of the progress bar's."""

_SETUP_SECONDS = 900.0
_LIMIT_FACTOR = 5.0
"""A child that hangs is ended: what imports, inputs and warm-up may take, and how often `limit`."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_in_child(order: Order, *, on_wait: Callable[[], None] = lambda: None) -> Answer:
    """The answer of a fresh interpreter, Failed if it died or had to be ended.

    It gets this process's import path and environment but for the variables that would limit its
    threads. on_wait is called several times a second. An interruption ends the child.
    """
    with tempfile.TemporaryDirectory(prefix="loracle-bench-") as folder:
        order_file, answer_file = Path(folder, "order"), Path(folder, "answer")
        order_file.write_bytes(pickle.dumps(order))
        with open(Path(folder, "log"), "w+b") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "loracle.bench.child", order_file, answer_file],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                ended = _wait(child, _patience(order), on_wait)
            finally:
                # Whatever ends the waiting, an interruption too, ends the child.
                child.kill()
                child.wait()
            if not ended:
                return Failed(f"no answer within {_patience(order):.0f} s")
            if child.returncode == 0 and answer_file.exists():
                answer: Answer = pickle.loads(answer_file.read_bytes())
                return answer
            log.seek(0)
            return Failed(_cause_of_death(child.returncode, log.read().decode(errors="replace")))


def _wait(child: subprocess.Popen[bytes], patience: float, on_wait: Callable[[], None]) -> bool:
    """Whether the child ended by itself within `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            child.wait(_TICK)
        except subprocess.TimeoutExpired:
            on_wait()
        else:
            return True
    return False


def _patience(order: Order) -> float:
    limit = order.limit if isinstance(order, MeasureOrder | TruthOrder) else 0.0
    return _SETUP_SECONDS + _LIMIT_FACTOR * limit


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _THREADS}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _cause_of_death(code: int, log: str) -> str:
    lines = log.strip().splitlines()
    last = f": {' '.join(lines[-1].split())}" if lines else ""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}{last}"
    return f"the process ended with status {code}{last}"
