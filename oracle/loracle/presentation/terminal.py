"""A report as text: fit for a terminal of 80 columns and for the log of a CI job."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from typing import IO, TextIO, cast

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loracle.presentation.expected import expected_lines, qualified
from loracle.presentation.wording import (
    blocks_of,
    conditions,
    count_of_declined,
    element,
    error_lines,
    in_brief,
    meaning,
    not_judged,
    number,
    strength,
    subject,
    undiagnosed,
    versions_of,
)
from loracle.report import Finding, RegimeSummary, Report

__all__ = [
    "STYLES",
    "finding_text",
    "has_columns",
    "headline",
    "make_console",
    "show",
    "show_finding",
]

STYLES = {"pass": "bold green", "suspect": "bold yellow", "fail": "bold red"}

_MINIMUM_WIDTH = 72
_LOG_WIDTH = 100

_UNBROKEN = 10_000
"""Columns where nobody sees columns: in a file or a pipe a line ends where its text does."""

_WHAT_IS_COUNTED = "{} cases; the other columns count outputs of cases"


def make_console(*, stderr: bool = False) -> Console:
    """A console that takes text literally, with colours only on a terminal without NO_COLOR, or
    where FORCE_COLOR asks for them.

    In a file or a pipe lines are as long as their text, unless COLUMNS says otherwise, and have no
    blanks at the end."""
    terminal = Console(stderr=stderr).file.isatty()
    console = Console(
        stderr=stderr,
        # Else rich takes a pipe for a terminal where FORCE_COLOR is set, bars that move included.
        force_terminal=None if terminal else False,
        color_system="auto" if terminal or not os.environ.get("FORCE_COLOR") else "256",
        highlight=False,
        markup=False,
        emoji=False,
    )
    if not terminal:
        console.file = cast("IO[str]", _Trimmed(stderr=stderr))
        if "COLUMNS" not in os.environ:
            console.width = _UNBROKEN
    if console.width < _MINIMUM_WIDTH:
        console.width = _MINIMUM_WIDTH
    return console


def has_columns(console: Console) -> bool:
    """Whether lines are broken at its width: not in a file or a pipe."""
    return console.width < _UNBROKEN


class _Trimmed(io.TextIOBase):
    """stdout or stderr, whichever they are at the time, without blanks at the ends of lines."""

    _BLANKS = re.compile(r"[ \t]+(?=\n)")

    def __init__(self, *, stderr: bool) -> None:
        super().__init__()
        self._stderr = stderr

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream behind: rich draws lines as that allows."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self._stream.write(self._BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._stderr else sys.stdout


def show(report: Report, console: Console) -> None:
    """Prints the whole report: header, regimes, findings worst first, what was skipped, verdict."""
    _show_header(report, console)
    if report.regimes:
        console.print(_regime_table(report.regimes))
        counting = "cases and declined count" if count_of_declined(report) else "cases counts"
        console.print(Text(_WHAT_IS_COUNTED.format(counting), style="dim"))
    for finding, also in blocks_of(report.findings):
        console.print()
        show_finding(finding, console, also)
    _show_remarks(report, console)
    console.print()
    console.print(_verdict_line(report))


def headline(finding: Finding) -> Text:
    """One line for a finding: verdict, output, case, the size of the error."""
    line = Text.assemble(
        (finding.verdict.upper(), STYLES[finding.verdict]), "  ", (subject(finding), "bold"), "  "
    )
    if finding.error is None:
        line.append(_names(finding))
        return line
    line.append(f"error {number(finding.error)}")
    name: str = finding.promise or "bound"
    limit = finding.bound
    if finding.verdict == "suspect" and finding.promise is None and finding.tolerance is not None:
        # What is suspect lies within the bound.
        name, limit = "tolerance", finding.tolerance
    if limit is not None:
        line.append(f", {name} {number(limit)}")
    return line


def _show_header(report: Report, console: Console) -> None:
    console.print(Text.assemble((report.kernel, "bold"), f" against {report.contract}"))
    console.print(Text(", ".join(conditions(report))))
    versions = [f"{name} {version}" for name, version in versions_of(report.environment).items()]
    if versions:
        console.print(Text(", ".join(versions), style="dim"))
    console.print()


def _regime_table(regimes: dict[str, RegimeSummary]) -> Table:
    """With a column of declined cases where there are any, and then less space for each, as where
    a name is long."""
    declined = any(regime.declined for regime in regimes.values())
    longest = max(map(len, regimes), default=0)
    padding = (0, 0 if declined else 2 if longest < 15 else 1, 0, 0)
    # Close together, "no" must not be read with the next column's "error /".
    no_evidence = Text("no\nevidence", justify="left" if declined else "right")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=padding, show_edge=False)
    table.add_column("\nregime", no_wrap=True, min_width=longest)
    for header in (
        "\ncases",
        *(("\ndeclined",) if declined else ()),
        "\npass",
        "\nsuspect",
        "\nfail",
        no_evidence,
        "error /\nbound",
        "error /\ntolerance",
    ):
        table.add_column(header, justify="right")
    for name, regime in regimes.items():
        table.add_row(
            name,
            _count(regime.cases, ""),
            *((_count(regime.declined, ""),) if declined else ()),
            _count(regime.passed, ""),
            _count(regime.suspect, STYLES["suspect"]),
            _count(regime.fail, STYLES["fail"]),
            _count(regime.no_evidence, "dim"),
            _ratio(regime.worst_error_to_bound, STYLES["fail"]),
            _ratio(regime.worst_error_to_tolerance, STYLES["suspect"]),
        )
    return table


def _count(count: int, style: str) -> Text:
    return Text(str(count), style=style) if count else Text("·", style="dim")


def _ratio(ratio: float | None, style_above_one: str) -> Text:
    return Text(number(ratio), style=style_above_one if ratio is not None and ratio > 1 else "")


def show_finding(finding: Finding, console: Console, also: Sequence[Finding] = ()) -> None:
    """Prints one block. also: suspect findings of the same output, one line each."""
    title = Text.assemble(
        (finding.verdict.upper(), STYLES[finding.verdict]),
        "  ",
        (subject(finding), "bold"),
        f"  in {finding.count} of {finding.cases_total} cases",
    )
    console.print(title)
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for diagnosis in finding.diagnosis:
        rows.add_row(
            "diagnosis",
            Text.assemble((diagnosis.hypothesis, "bold"), f": {diagnosis.explanation}"),
        )
        if diagnosis.term:
            rows.add_row("affects", Text(diagnosis.term))
    if not finding.diagnosis:
        rows.add_row("diagnosis", undiagnosed(finding))
    if finding.reason:
        rows.add_row("reason", Text(finding.reason))
    if finding.case:
        rows.add_row("worst case", Text(finding.case))
    if finding.element is not None:
        rows.add_row("element", Text(element(finding)))
    if finding.error is not None:
        rows.add_row("error", Text("\n".join(error_lines(finding))))
    for other in also:
        rows.add_row("also", in_brief(other))
    console.print(Padding(rows, (0, 0, 0, 2), expand=False))
    if finding.replay:
        # A command that is to be copied must not be broken into lines.
        console.print(Text.assemble(("  replay      ", "dim"), finding.replay), soft_wrap=True)


def finding_text(finding: Finding) -> str:
    """The block of `show_finding` as plain text, for logs that others write."""
    console = Console(file=io.StringIO(), width=_LOG_WIDTH, highlight=False, markup=False)
    with console.capture() as captured:
        show_finding(finding, console)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _names(finding: Finding) -> str:
    return ", ".join(diagnosis.hypothesis for diagnosis in finding.diagnosis)


def _show_remarks(report: Report, console: Console) -> None:
    remarks = [(f"skipped: {what}", why) for what, why in not_judged(report)]
    remarks += [("note", note) for note in report.notes]
    remarks += expected_lines(report)
    if remarks:
        console.print()
    for what, why in remarks:
        console.print(Text.assemble((what, "dim"), f": {why}"))


def _verdict_line(report: Report) -> Text:
    line = Text.assemble((report.verdict.upper(), STYLES[report.verdict]), ": ")
    line.append(qualified(report, meaning(report)))
    facts = strength(report)
    if facts:
        line.append(f"\n{', '.join(facts)}", style="dim")
    return line
