"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["report_file_options"]

F = TypeVar("F", bound=Callable[..., Any])

_FORMS = {
    "json": "Write the report there as JSON; - is stdout.",
    "html": "Write it there as a page of its own, with plots.",
    "junit": "Write it there as JUnit's XML, for CI.",
}


def report_file_options(command: F) -> F:
    """--json, --html and --junit, which become json_path, html_path and junit_path."""
    for form, text in reversed(_FORMS.items()):
        option = click.option(
            f"--{form}", f"{form}_path", metavar="FILE", help=text, type=click.Path()
        )
        command = option(command)
    return command
