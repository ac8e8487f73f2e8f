"""Independent tasks, spread over processes of their own, so that the one that shows what goes on
needs no torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from loracle.errors import UsageError

__all__ = ["OnProgress", "cores", "processes", "spread"]

OnProgress = Callable[[int, int, str], None]
"""Runs done, runs in all, and the last one's name."""

_WAIT = 0.5
"""Seconds after which the clock of the display goes on."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(jobs: int | None) -> int:
    """The number of processes, one for each core if None; UsageError unless it is at least 1."""
    if jobs is None:
        return cores()
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {jobs}")
    return jobs


def spread(
    work: Callable[[Task], Result],
    groups: Iterable[Sequence[Task]],
    jobs: int,
    on_wait: Callable[[], None],
) -> Iterator[Result]:
    """The results as they come in. `jobs` groups are in work at a time, of each one task, so that
    an interruption waits for no more than that. Raises UsageError if a process dies."""
    waiting = iter(groups)
    running: dict[Future[Result], Iterator[Task]] = {}
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_prepare_worker)
    try:
        for group in waiting:
            _submit(pool, work, iter(group), running)
            if len(running) == jobs:
                break
        while running:
            done, _ = wait(running, timeout=_WAIT, return_when=FIRST_COMPLETED)
            for future in done:
                rest = running.pop(future)
                if not _submit(pool, work, rest, running):
                    following = next(waiting, None)
                    if following is not None:
                        _submit(pool, work, iter(following), running)
                yield future.result()
            if not done:
                on_wait()
    except BrokenProcessPool:
        raise UsageError("a process died (for want of memory?); try fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor,
    work: Callable[[Task], Result],
    tasks: Iterator[Task],
    running: dict[Future[Result], Iterator[Task]],
) -> bool:
    """Whether there was a task left."""
    for task in tasks:
        running[pool.submit(work, task)] = tasks
        return True
    return False


def _prepare_worker() -> None:
    # The parent answers Ctrl-C, and lets a run that has begun come to its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
