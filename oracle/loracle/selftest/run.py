"""Runs claims in processes of their own, so that the one that shows what goes on needs no torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from multiprocessing import get_context
from typing import TypeVar

from loracle.errors import UsageError
from loracle.selftest.outcome import Outcome, judge
from loracle.selftest.plan import Claim

__all__ = ["OnProgress", "cores", "run_claims", "spread"]

OnProgress = Callable[[int, int, str], None]
"""Runs done, runs in all, and the last one's name."""

_WAIT = 0.5
"""Seconds after which the clock of the display goes on."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_claims(
    claims: Sequence[Claim], jobs: int, on_progress: OnProgress
) -> tuple[list[Outcome], bool]:
    """The outcomes in the order of the claims, and whether the run was interrupted before the end.

    Runs that share their references go to one process, which finds them in the cache.
    Raises UsageError if a process dies.
    """
    groups = [list(group) for _, group in groupby(claims, key=_references)]
    found: dict[Claim, Outcome] = {}
    interrupted = False
    try:
        for outcome in spread(
            judge, groups, jobs, lambda: on_progress(len(found), len(claims), "")
        ):
            found[outcome.claim] = outcome
            on_progress(len(found), len(claims), outcome.claim.entry.name)
    except KeyboardInterrupt:
        interrupted = True
    return [found[claim] for claim in claims if claim in found], interrupted


def _references(claim: Claim) -> tuple[str, str, tuple[int, ...]]:
    return claim.entry.contract, claim.dtype, claim.seeds


def spread(
    work: Callable[[Task], Result],
    groups: Iterable[Sequence[Task]],
    jobs: int,
    on_wait: Callable[[], None],
) -> Iterator[Result]:
    """The results as they come in. `jobs` groups are in work at a time, of each one task, so that
    an interruption waits for no more than that."""
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
        raise UsageError(
            "a process of the self-test died (for want of memory?); try fewer --jobs"
        ) from None
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
