"""`make bench-specification`: how fast the truths are, one arithmetic against another, and a whole
validation.

Each time is the best of several in one process; the ratios are those that the tests demand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from loracle import validate
from loracle_reference.arithmetic import Ball, Interval, Multiprecision
from loracle_reference.gradient import aloragc_gradient

PRECISION = 128


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of `repeats` wall times of `work`."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def problem(arithmetic: Any, length: int, d: int, r: int) -> dict[str, Any]:
    """An aloragc problem with L = M = length in the given arithmetic."""
    generator = np.random.default_rng(0)
    inputs = dict.fromkeys(("c1", "c2", "c3", "y"), (length, d))
    weights = {"w": (d, d), "b": (d, r), "a": (r, d)}
    arrays = {name: generator.standard_normal(shape) for name, shape in inputs.items()}
    arrays |= {name: generator.standard_normal(shape) / d for name, shape in weights.items()}
    return {name: arithmetic.matrix(array) for name, array in arrays.items()}


def gradient_seconds(arithmetic: Any, length: int, d: int, r: int, repeats: int) -> float:
    """Wall time of the whole aloragc gradient."""
    given = problem(arithmetic, length, d, r)
    return seconds(lambda: aloragc_gradient(**given), repeats)


def row(what: str, value: str, note: str = "") -> None:
    """One line of the table."""
    print(f"{what:<46} {value:>10}  {note}", flush=True)


def compare() -> None:
    """The truths against each other."""
    multiprecision = gradient_seconds(Multiprecision(PRECISION), 64, 8, 4, 1)
    ball = gradient_seconds(Ball(PRECISION), 64, 8, 4, 5)
    row("mpmath, L = 64, d = 8", f"{multiprecision:.3f} s", f"{PRECISION} bits")
    row("balls,  L = 64, d = 8", f"{ball:.3f} s", f"{multiprecision / ball:.0f} times faster")

    ball = gradient_seconds(Ball(PRECISION), 512, 8, 4, 2)
    interval = gradient_seconds(Interval(), 512, 8, 4, 10)
    row("balls,     L = 512, d = 8", f"{ball:.3f} s", f"{PRECISION} bits")
    row("intervals, L = 512, d = 8", f"{interval:.3f} s", f"{ball / interval:.0f} times faster")


def long_sequence() -> None:
    """How long, and how sharp, intervals are at L = 4096."""
    interval = Interval()
    given = problem(interval, 4096, 64, 8)
    start = time.perf_counter()
    outputs = aloragc_gradient(**given)
    elapsed = time.perf_counter() - start
    enclosures = [interval.enclosure(output) for output in outputs.values()]
    sharp = max(e.radius.max() / np.abs(e.mid).max() for e in enclosures)
    row("intervals, L = 4096, d = 64", f"{elapsed:.3f} s", f"radius {sharp:.1e} of the largest")


def validations() -> None:
    """A default validation of plain autograd, children and imports included."""
    for contract in ("lora-linear", "aloragc", "lora-attention"):
        for dtype in ("float32", "bfloat16"):
            found: list[float] = []
            start = time.perf_counter()
            report = validate(
                "autograd",
                contract=contract,
                dtype=dtype,
                on_progress=lambda *_, s=start, f=found: f.append(time.perf_counter() - s),
            )
            elapsed = time.perf_counter() - start
            what = f"validate autograd, {contract}, {dtype}"
            row(what, f"{elapsed:.3f} s", f"{report.verdict}, first case after {found[0]:.1f} s")


if __name__ == "__main__":
    compare()
    long_sequence()
    validations()
