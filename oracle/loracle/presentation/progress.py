"""What is seen while a validation works: a bar on a terminal, and findings as soon as known."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from loracle.presentation.life_signs import LifeSigns
from loracle.presentation.terminal import STYLES, headline
from loracle.report import Finding, Verdict

__all__ = ["ProgressDisplay"]


class ProgressDisplay:
    """A context manager whose `update` is the `on_progress` of `loracle.validate`.

    On a terminal it draws a bar, which is gone at the end; elsewhere it prints the first finding of
    each output and verdict, and now and then how far it is. It starts no thread: a kernel's process
    may be forked from this one, and a thread that holds a lock at that moment would hold it for
    ever.
    """

    def __init__(self, console: Console, judged: str) -> None:
        """judged: what is, which every line on stderr begins with."""
        self._console = console
        self._judged = judged
        self._told: set[tuple[str, str | None]] = set()
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
        self._task = self._bar.add_task("starting", total=None)

    def update(
        self, done: int, total: int, regime: str, worst: Verdict, latest: Finding | None
    ) -> None:
        """`done` of `total` cases are judged, the last one of `regime`; `worst` verdict so far."""
        description = f"[{STYLES[worst]}]{worst:<7}[/] {regime:<15}"
        self._bar.update(self._task, completed=done, total=total, description=description)
        if latest is not None and (latest.verdict, latest.output) not in self._told:
            self._told.add((latest.verdict, latest.output))
            where = f"{self._judged}, case {done} of {total}: "
            self._console.print(Text(where, style="dim").append_text(headline(latest)))
        self._bar.refresh()
        if self._life is not None:
            self._life.tell(done, total, f"{self._judged}, {regime}, {worst} so far")

    def __enter__(self) -> ProgressDisplay:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
