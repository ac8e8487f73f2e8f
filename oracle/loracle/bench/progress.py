"""What is seen while a run is under way: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loracle.presentation.life_signs import LifeSigns

__all__ = ["BenchProgress"]


class BenchProgress:
    """A context manager whose `update` is the `on_progress` of `run_bench`.

    It starts no thread: a thread of this process would take its share of the cores that are being
    measured. `refresh` is to be called while a child works.
    """

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._life = None if console.is_terminal else LifeSigns(console)
        self._seen: tuple[int, int, str] | None = None
        self._task = self._bar.add_task("starting", total=None)

    def update(self, done: int, total: int, what: str) -> None:
        """`done` of `total` steps are behind, `what` comes next."""
        self._bar.update(self._task, completed=done, total=total, description=f"{what:<38}")
        self._seen = (done, total, what)
        self.refresh()

    def refresh(self) -> None:
        """Lets the clock go on."""
        self._bar.refresh()
        if self._life is not None and self._seen is not None:
            self._life.tell(*self._seen)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
