"""The promised ratios, measured in one run; each is the best of several, against noise."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from loracle_reference.arithmetic import Ball, Interval, Multiprecision

from .problems import ALORAGC, make_problem


def _seconds(arithmetic: Any, sizes: dict[str, int], repeats: int) -> float:
    problem = make_problem(ALORAGC, sizes, 1.0, seed=0)
    matrices = {name: arithmetic.matrix(array) for name, array in problem.tensors.items()}
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        ALORAGC.gradient(**matrices)
        best = min(best, time.perf_counter() - start)
    return best


def test_interval_is_15_times_faster_than_ball() -> None:
    sizes = {"L": 512, "M": 512, "d": 8, "r": 4}
    assert _seconds(Ball(128), sizes, 2) >= 15 * _seconds(Interval(), sizes, 10)


def test_ball_is_10_times_faster_than_multiprecision() -> None:
    sizes = {"L": 64, "M": 64, "d": 8, "r": 4}
    assert _seconds(Multiprecision(128), sizes, 2) >= 10 * _seconds(Ball(128), sizes, 5)


def test_long_sequences_in_seconds_and_sharp() -> None:
    """L = 4096, d = 64: a radius below 1e-8 of the largest gradient, within 20 s even on a busy
    machine (alone it takes about 2 s)."""
    generator = np.random.default_rng(0)
    length, d, r = 4096, 64, 8
    shapes = {"c1": (length, d), "c2": (length, d), "c3": (length, d), "y": (length, d)}
    weights = {"w": (d, d), "b": (d, r), "a": (r, d)}
    tensors = {name: generator.standard_normal(shape) for name, shape in shapes.items()}
    tensors |= {name: generator.standard_normal(shape) / d for name, shape in weights.items()}
    interval = Interval()
    start = time.perf_counter()
    outputs = ALORAGC.gradient(**{name: interval.matrix(array) for name, array in tensors.items()})
    assert time.perf_counter() - start < 20
    for matrix in outputs.values():
        enclosure = interval.enclosure(matrix)
        assert enclosure.radius.max() < 1e-8 * np.abs(enclosure.mid).max()
