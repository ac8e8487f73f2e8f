"""A report in the words of the command line, as the text of a test that fails."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

from rich.console import Console

from loracle.expectations.entries import WHOLE
from loracle.presentation.expected import outdated_lines
from loracle.presentation.terminal import show, show_finding
from loracle.presentation.wording import conditions
from loracle.report import ExpectedFailure, Report

__all__ = ["failure_text", "in_brief"]

_WIDTH = 100


def in_brief(report: Report, expected: Sequence[ExpectedFailure]) -> str:
    """One line, which pytest repeats in its short summary."""
    if not report.findings:
        outdated = outdated_lines(expected)
        reason = f"{report.verdict}: {report.reason}"
        return f"outdated expected failures: {'; '.join(outdated)}" if outdated else reason
    told = []
    for finding in report.findings:
        names = ", ".join(d.hypothesis for d in finding.diagnosis) or "unexplained"
        told.append(f"{finding.output or 'the call'} ({names})")
    return f"{report.verdict}: {'; '.join(dict.fromkeys(told))}"


def failure_text(
    report: Report,
    part: str,
    expected: Sequence[ExpectedFailure] = (),
    told: Collection[str] = (),
) -> str:
    """Why a test fails: in brief, and then as the command line says it. part: the regime, the case
    or the whole; expected: the entries that the test answers for; told: the regimes whose findings
    are shown elsewhere, and are not in a report of the whole."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        no_color=True,
        force_terminal=False,
    )
    console.print(in_brief(report, expected), soft_wrap=True)
    console.print()
    if part == WHOLE and not told:
        show(report, console)
        return _trimmed(stream)
    where = ", ".join([*conditions(report), part])
    console.print(f"{report.kernel} against {report.contract}, {where}", soft_wrap=True)
    for finding in report.findings:
        console.print()
        show_finding(finding, console)
    for note in report.notes:
        console.print(f"note: {note}")
    if told:
        console.print(f"note: what else was found the tests of {', '.join(told)} show")
    for line in outdated_lines(expected):
        console.print(f"outdated: {line}", soft_wrap=True)
    return _trimmed(stream)


def _trimmed(stream: io.StringIO) -> str:
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).rstrip()
