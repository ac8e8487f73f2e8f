"""What is seen of a long run where no bar can be drawn, as in the log of a CI job."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

__all__ = ["LifeSigns"]

_EVERY = 30.0
"""Seconds between two lines; a shorter run prints none."""


class LifeSigns:
    """Prints now and then how far a run is."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._started = self._told = clock()

    def tell(self, done: int, total: int, what: str) -> None:
        """`done` of `total` steps are behind; `what` is in work or was the last. May be called as
        often as one likes."""
        now = self._clock()
        if now - self._told < _EVERY:
            return
        self._told = now
        minutes, seconds = divmod(int(now - self._started), 60)
        name = f" ({' '.join(what.split())})" if what.strip() else ""
        self._console.print(
            f"{done} of {total} done after {minutes}:{seconds:02}{name}", soft_wrap=True
        )
        self._console.file.flush()
