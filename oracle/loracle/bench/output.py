"""Where the results of `loracle bench` go: the terminal, and the files that were named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import click

from loracle.bench import table, transition
from loracle.bench.plot import Drawing, draw_run, draw_transition, require_matplotlib
from loracle.bench.result import BenchResult
from loracle.bench.sheet import Sheet, markdown, show, wide_console
from loracle.presentation.atomic_file import AtomicFile

__all__ = ["Outputs"]

_STDOUT = "-"


class Outputs:
    """The files claimed on entering, each written whole or not at all.

    Raises UsageError on entering if a file cannot be written, or if there is to be a plot and
    matplotlib is missing.
    """

    def __init__(
        self, json_path: str | None, markdown_path: str | None, plot_prefix: str | None
    ) -> None:
        self._json_path = json_path
        self._markdown_path = markdown_path
        self._plot_prefix = plot_prefix
        self._stack = ExitStack()
        self._files: dict[str, AtomicFile] = {}

    def __enter__(self) -> Self:
        paths = {}
        if self._json_path is not None and self._json_path != _STDOUT:
            paths["json"] = self._json_path
        if self._markdown_path is not None:
            paths["markdown"] = self._markdown_path
        if self._plot_prefix is not None:
            require_matplotlib()
            paths |= {suffix: f"{self._plot_prefix}.{suffix}" for suffix in ("png", "svg")}
        with self._stack as stack:
            for name, path in paths.items():
                self._files[name] = stack.enter_context(AtomicFile(path))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def write_run(self, result: BenchResult) -> None:
        """The tables, the JSON, the plot. Raises UsageError if the system refuses a file."""
        drawing = draw_run(result) if self._plot_prefix is not None else {}
        self._write(result.to_dict(), table.sheets(result), result.request.command, drawing)

    def write_transition(self, found: transition.Transition) -> None:
        """The same for the transition."""
        drawing = draw_transition(found) if self._plot_prefix is not None else {}
        self._write(found.to_dict(), [transition.sheet(found)], found.command, drawing)

    def _write(
        self, data: dict[str, Any], sheets: Sequence[Sheet], command: str, drawing: Drawing
    ) -> None:
        as_json = json.dumps(data, indent=2, allow_nan=False) + "\n"
        if "json" in self._files:
            self._files["json"].write(as_json)
        if "markdown" in self._files:
            self._files["markdown"].write(markdown(sheets, command))
        for suffix, content in drawing.items():
            self._files[suffix].write(content)
        if self._json_path == _STDOUT:
            click.echo(as_json, nl=False)
        show(sheets, wide_console(stderr=self._json_path == _STDOUT))
