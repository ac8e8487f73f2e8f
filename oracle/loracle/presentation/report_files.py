"""The files that a report is written to: all are claimed before the work, each appears whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from loracle.errors import UsageError
from loracle.presentation.atomic_file import AtomicFile

if TYPE_CHECKING:
    from loracle.report import Report

__all__ = ["STDOUT", "Form", "ReportFiles"]

STDOUT = "-"

Form = Callable[["Report"], str]


class ReportFiles:
    """A context manager; its `write` writes the report in every form that was asked for.

    paths: the file of each form by the form's name, None where it is not wanted, "-" for stdout.
    Entering raises UsageError if a file cannot be written, or if two forms would share a place.
    """

    def __init__(self, forms: Mapping[str, Form], paths: Mapping[str, str | None]) -> None:
        self._forms = forms
        self._paths = {name: path for name, path in paths.items() if path is not None}
        self._files: dict[str, AtomicFile] = {}
        self._stack = ExitStack()

    @property
    def to_stdout(self) -> bool:
        """Whether stdout is taken."""
        return STDOUT in self._paths.values()

    def __enter__(self) -> ReportFiles:
        places: dict[str, str] = {}
        for name, path in self._paths.items():
            place = path if path == STDOUT else os.path.realpath(path)
            other = places.setdefault(place, name)
            if other != name and (path == STDOUT or not _takes_several(place)):
                raise UsageError(f"--{other} and --{name} both write to {path}; name two files")
        with ExitStack() as stack:
            for name, path in self._paths.items():
                if path != STDOUT:
                    self._files[name] = stack.enter_context(AtomicFile(path))
            self._stack = stack.pop_all()
        return self

    def write(self, report: Report) -> None:
        """Raises UsageError if the system refuses a file, after it has written the others, and
        OSError if it refuses stdout."""
        refused: list[UsageError] = []
        for name, file in self._files.items():
            try:
                file.write(self._forms[name](report))
            except UsageError as error:
                refused.append(error)
        if refused:
            raise refused[0]
        for name, path in self._paths.items():
            if path == STDOUT:
                import click

                click.echo(self._forms[name](report), nl=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def _takes_several(place: str) -> bool:
    """A device such as /dev/null."""
    return os.path.exists(place) and not os.path.isfile(place)
