"""Where the result of a self-test goes: the terminal, and the files that were named."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from loracle.bench.sheet import markdown, show, wide_console
from loracle.presentation.atomic_file import AtomicFile
from loracle.selftest.summary import SelfTest
from loracle.selftest.tables import sheets

__all__ = ["write"]


def write(result: SelfTest, files: Mapping[str, AtomicFile], *, json_on_stdout: bool) -> None:
    """The tables on the terminal (on stderr if stdout has the JSON), JSON and Markdown where they
    were asked for. Raises UsageError if the system refuses a file."""
    as_json = json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n"
    tables = sheets(result)
    if "json" in files:
        files["json"].write(as_json)
    if "markdown" in files:
        files["markdown"].write(markdown(tables, result.command))
    if json_on_stdout:
        click.echo(as_json, nl=False)
    show(tables, wide_console(stderr=json_on_stdout))
