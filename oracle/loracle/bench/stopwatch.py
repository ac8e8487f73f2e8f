"""Wall times: of one call, of the best of several, of one that may take too long to try."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

from loracle.bench.messages import TooLong

__all__ = ["repeated", "seconds_of", "too_long"]

T = TypeVar("T")

_REPEATS = 3
_MOST_REPEATS = 12
_LONG = 10.0
"""Seconds beyond which one call is enough."""

_SHORT = 2.0
"""Seconds in all up to which calls are repeated: the best of few short ones is hardly the best."""

_GROWTH = 4
_TRIAL_SHARE = 1 / 8
"""What a trial may take of the limit that it is to tell of."""


def seconds_of(work: Callable[[], T], device: str) -> tuple[float, T]:
    """How long the work took, all that it queued on the device included, and its result."""
    _synchronize(device)
    start = time.perf_counter()
    result = work()
    _synchronize(device)
    return time.perf_counter() - start, result


def repeated(work: Callable[[], T], device: str) -> tuple[tuple[float, ...], T]:
    """The seconds of at least three calls, of one if that is long, and the last result."""
    seconds, result = seconds_of(work, device)
    found = [seconds]
    while found[0] <= _LONG and (
        len(found) < _REPEATS or (sum(found) < _SHORT and len(found) < _MOST_REPEATS)
    ):
        seconds, result = seconds_of(work, device)
        found.append(seconds)
    return tuple(found), result


def too_long(
    seconds_at: Callable[[int], float], *, length: int, limit: float, start: int
) -> TooLong | None:
    """Whether a call at `length` would take longer than `limit` by the square law; None if not.

    seconds_at(n): a call at length n, timed. Short ones exaggerate, for what does not depend on the
    length counts in them: while the answer is yes, a length four times as great is tried, as long
    as such a trial is cheap.
    """
    at = start
    while at < length:
        seconds = seconds_at(at)
        predicted = seconds * (length / at) ** 2
        if predicted <= limit:
            return None
        dearer = seconds * _GROWTH**2
        if at * _GROWTH >= length or dearer > limit * _TRIAL_SHARE:
            return TooLong(predicted, at, seconds)
        at *= _GROWTH
    return None


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
