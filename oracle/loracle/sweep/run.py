"""A sweep: every target in every dtype with every seed, and one report of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loracle.errors import UsageError
from loracle.harness import KernelProcess
from loracle.request import check_arguments, checked_dtype, checked_seed
from loracle.sweep.engine import Engine

__all__ = ["SCHEMA", "check_order", "checked_seeds", "orders_of", "sweep"]

SCHEMA = "loracle-sweep/1"

_ORDER = ("pass", "suspect", "fail")
_MOST_SEEDS = 100_000
_OF_THE_PROCESS = ("device", "timeout")


def checked_seeds(text: str) -> list[int]:
    """The seeds of a text such as `0-31` or `0,4,7-9`, each once; UsageError on another one."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last) if dash else (first, first)
        if not all(number.isdecimal() for number in numbers) or int(numbers[0]) > int(numbers[1]):
            raise UsageError(f"seeds are given as 0-31 or 0,4,7-9, not as {text!r}")
        if int(numbers[1]) - int(numbers[0]) >= _MOST_SEEDS:
            raise UsageError(f"at most {_MOST_SEEDS} seeds, not {text!r}")
        seeds |= dict.fromkeys(range(int(numbers[0]), int(numbers[1]) + 1))
    return list(seeds)


def orders_of(
    targets: Sequence[str], dtypes: Sequence[str], seeds: Sequence[int], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The arguments of `loracle.validate` of every run, in the order of the report.

    Raises UsageError on a dtype or a seed that means nothing.
    """
    return [
        {**options, "kernel": target, "dtype": checked_dtype(dtype), "seed": checked_seed(seed)}
        for target in dict.fromkeys(targets)
        for dtype in dict.fromkeys(dtypes)
        for seed in seeds
    ]


def check_order(order: Mapping[str, Any]) -> None:
    """Raises UsageError on what a run would refuse before it has loaded its kernel: no machine need
    be asked for that."""
    asked = check_arguments(**{n: value for n, value in order.items() if n not in _OF_THE_PROCESS})
    process = {name: order[name] for name in _OF_THE_PROCESS if name in order}
    KernelProcess(order["kernel"], contract=asked.contract, dtype=asked.dtype, **process)


def sweep(
    orders: Sequence[Mapping[str, Any]],
    engine: Engine,
    on_progress: Callable[[int, int, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Runs all orders; the report has those of all runs, in the order of the orders, each as a
    plain run with its seed has it.

    Raises UsageError if a run is not possible: then none is of use.
    """
    reports: dict[int, dict[str, Any]] = {}
    for index, data in engine(orders):
        if "error" in data:
            raise UsageError(data["error"])
        reports[index] = data
        if on_progress is not None:
            on_progress(len(reports), len(orders), data)
    runs = [reports[index] for index in range(len(orders))]
    return {
        "schema": SCHEMA,
        "verdict": max((run["verdict"] for run in runs), key=_ORDER.index),
        "targets": list(dict.fromkeys(order["kernel"] for order in orders)),
        "dtypes": list(dict.fromkeys(order["dtype"] for order in orders)),
        "seeds": list(dict.fromkeys(order["seed"] for order in orders)),
        "runs": runs,
    }
