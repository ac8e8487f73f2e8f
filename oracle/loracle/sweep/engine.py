"""Where the runs of a sweep take place: on this machine's cores or on those of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from loracle.errors import UsageError

__all__ = ["Engine", "dask_engine", "judge_one"]

Order = Mapping[str, Any]
Engine = Callable[[Sequence[Order]], Iterator[tuple[int, dict[str, Any]]]]
"""Runs all orders; yields the number of each and what `judge_one` makes of it, as they end."""


def judge_one(order: Order) -> dict[str, Any]:
    """The report of `loracle.validate(**order)` as data, or `{"error": why there is none}`."""
    from loracle.validation import validate

    try:
        return validate(**order).to_dict()
    except UsageError as error:
        return {"error": str(error)}


def dask_engine(scheduler: str | None, jobs: int | None) -> Engine:
    """scheduler: its address; None for processes of this machine, `jobs` of them, one for each core
    if None. Each runs one validation at a time.

    Raises UsageError if Dask is not installed, at once, or, when it runs, if no scheduler answers.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError(
            "a sweep runs on Dask, which is not installed: pip install 'loracle[sweep]'"
        ) from None

    def run(orders: Sequence[Order]) -> Iterator[tuple[int, dict[str, Any]]]:
        with ExitStack() as stack:
            if scheduler is None:
                address = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=jobs, threads_per_worker=1, dashboard_address=None
                    )
                )
            else:
                address = scheduler
            try:
                client = stack.enter_context(distributed.Client(address, timeout=20))
            except (OSError, ValueError) as error:
                why = " ".join(str(error).split())
                raise UsageError(f"no Dask scheduler at {scheduler}: {why}") from None
            # Not pure: equal orders are run each time, and nothing is taken from an earlier sweep.
            futures = client.map(judge_one, orders, pure=False)
            number = {future.key: index for index, future in enumerate(futures)}
            for future, data in distributed.as_completed(futures, with_results=True):
                yield number[future.key], data

    return run
