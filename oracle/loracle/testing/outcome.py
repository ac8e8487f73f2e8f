"""What becomes of a report under pytest: a pass, a failure in the words of the command line, or a
skip."""

from __future__ import annotations

import pytest

from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.presentation.expected import expected_line
from loracle.report import ExpectedFailure, Report
from loracle.testing.conformance import Part
from loracle.testing.kernel_tests import WHOLE
from loracle.testing.properties import EXPECTED, NOT_JUDGED, SUSPECT
from loracle.testing.words import failure_text, in_brief

__all__ = ["settle"]


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
        pytest.fail(failure_text(report, part.part, _expected(report, part)), pytrace=False)
    failed = [one for one in _expected(report, part) if one.state == "failed"]
    for one in failed:
        _record(node, EXPECTED, f"{report.kernel}, {report.dtype}: {expected_line(one)}")
    if failed and part.part != WHOLE:
        pytest.xfail("; ".join(dict.fromkeys(one.reason for one in failed)))
    if report.findings or (report.verdict != "pass" and part.part == WHOLE):
        _record(
            node,
            SUSPECT,
            f"{report.kernel}, {part.name}: {in_brief(report, _expected(report, part))}",
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
