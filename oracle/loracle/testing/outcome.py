"""What becomes of a report under pytest: a pass, a failure in the words of the command line, or a
skip."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.presentation.expected import expected_line
from loracle.presentation.terminal import show, show_finding
from loracle.report import ExpectedFailure, Report
from loracle.testing.conformance import Part
from loracle.testing.kernel_tests import WHOLE
from loracle.testing.properties import EXPECTED, NOT_JUDGED, SUSPECT

__all__ = ["settle"]

_WIDTH = 100


def settle(part: Part, node: pytest.Item) -> Report:
    """Judge the part; returns its report if it passes.

    Ends the test by pytest's own means otherwise: it fails, without a traceback, or is skipped if
    nothing could be judged.
    """
    if part.part != WHOLE and (reason := part.tests.worn_out):
        pytest.fail(f"not run: {reason} in the tests before", pytrace=False)
    try:
        report = part.tests.judge(part.part)
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
    for skipped in report.skipped:
        _record(node, NOT_JUDGED, f"{report.kernel}: {skipped['what']}: {skipped['reason']}")
    if report.cases == 0 and not report.findings:
        pytest.skip(_why_nothing(report))
    if _fails(report, part):
        pytest.fail(_text(report, part), pytrace=False)
    failed = [one for one in _expected(report, part) if one.state == "failed"]
    for one in failed:
        _record(node, EXPECTED, f"{report.kernel}, {report.dtype}: {expected_line(one)}")
    if failed and part.part != WHOLE:
        pytest.xfail("; ".join(dict.fromkeys(one.reason for one in failed)))
    if report.findings or (report.verdict != "pass" and part.part == WHOLE):
        _record(
            node,
            SUSPECT,
            f"{report.kernel}, {part.name}: {_in_brief(report, _expected(report, part))}",
        )
    return report


def _record(node: pytest.Item, name: str, text: str) -> None:
    node.user_properties.append((name, text))


def _fails(report: Report, part: Part) -> bool:
    """The evidence of one regime is never enough: only the whole is asked for it."""
    if report.verdict == "fail" or any(one.outdated for one in _expected(report, part)):
        return True
    if part.only_proven:
        return False
    return bool(report.findings) or (part.part == WHOLE and report.verdict != "pass")


def _expected(report: Report, part: Part) -> list[ExpectedFailure]:
    """The entries that a test answers for: those of its regime that mean something, and the whole
    for all."""
    if part.part == WHOLE:
        return report.expected_failures
    return [e for e in report.expected_failures if e.regime == part.part and e.state != "unknown"]


def _why_nothing(report: Report) -> str:
    """The reasons that concern all outputs."""
    outputs = CONTRACTS[report.contract].outputs
    reasons = [f"{s['what']}: {s['reason']}" for s in report.skipped if s["what"] not in outputs]
    return "; ".join(dict.fromkeys(reasons))


def _in_brief(report: Report, expected: Sequence[ExpectedFailure]) -> str:
    """One line, which pytest repeats in its short summary."""
    if not report.findings:
        outdated = [f"{o.output} in {o.regime}: {o.problem}" for o in expected if o.outdated]
        reason = f"{report.verdict}: {report.reason}"
        return f"outdated expected failures: {'; '.join(outdated)}" if outdated else reason
    told = []
    for finding in report.findings:
        names = ", ".join(d.hypothesis for d in finding.diagnosis) or "unexplained"
        told.append(f"{finding.output or 'the call'} ({names})")
    return f"{report.verdict}: {'; '.join(dict.fromkeys(told))}"


def _text(report: Report, part: Part) -> str:
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
    console.print(_in_brief(report, _expected(report, part)), soft_wrap=True)
    console.print()
    if part.part == WHOLE:
        show(report, console)
        return _trimmed(stream)
    where = f"{report.dtype}, {report.device}, seed {report.seed}, regime {part.part}"
    console.print(f"{report.kernel} against {report.contract}, {where}", soft_wrap=True)
    for finding in report.findings:
        console.print()
        show_finding(finding, console)
    for note in report.notes:
        console.print(f"note: {note}")
    for expected in _expected(report, part):
        if expected.outdated:
            console.print(f"outdated: {expected_line(expected)}", soft_wrap=True)
    return _trimmed(stream)


def _trimmed(stream: io.StringIO) -> str:
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).rstrip()
