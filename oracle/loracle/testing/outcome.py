"""What becomes of a report under pytest: a pass, a failure in the words of the command line, or a
skip."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import pytest

from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.presentation.expected import expected_line
from loracle.report import ExpectedFailure, Report, Verdict
from loracle.testing.conformance import Part
from loracle.testing.kernel_tests import WHOLE, Told, told_by
from loracle.testing.properties import EXPECTED, NOT_JUDGED, SUSPECT
from loracle.testing.words import failure_text, in_brief

__all__ = ["settle", "untold"]


def settle(part: Part, node: pytest.Item) -> Report:
    """Judge the part; returns its report if it passes.

    Ends the test by pytest's own means otherwise: it fails, without a traceback, or is skipped if
    nothing could be judged, or if the whole has nothing to add to what the tests of its regimes,
    which have failed, have shown.
    """
    if part.part != WHOLE and (reason := part.tests.worn_out):
        pytest.fail(f"not run: {reason} in the tests before", pytrace=False)
    if part.tests.refused:
        pytest.fail("not run: refused, as the test before says", pytrace=False)
    try:
        report = part.tests.judge(part.part)
    except UsageError as error:
        part.tests.refused = str(error)
    # Not where it is caught: pytest would show it again, as the cause.
    if part.tests.refused:
        pytest.fail(part.tests.refused, pytrace=False)
    for skipped in report.skipped:
        _record(node, NOT_JUDGED, f"{report.kernel}: {skipped['what']}: {skipped['reason']}")
    if report.cases == 0 and not report.findings:
        pytest.skip(_why_nothing(report))
    told = {n: part.tests.told[n] for n in part.tests.regimes if n in part.tests.told}
    if part.part != WHOLE or not told:
        return _settled(report, part, node)
    rest = untold(report, told)
    if _fails(rest, part):
        text = failure_text(rest, WHOLE, rest.expected_failures, told)
        pytest.fail(text + _spread_note(part), pytrace=False)
    _record_suspect(rest, part, node)
    brief = in_brief(report, report.expected_failures)
    pytest.skip(f"nothing to add to the tests of {', '.join(told)}: {brief}")


def _settled(report: Report, part: Part, node: pytest.Item) -> Report:
    if _fails(report, part):
        # One that is marked as xfail is green whatever it shows.
        if part.part != WHOLE and node.get_closest_marker("xfail") is None:
            part.tests.told[part.part] = told_by(report)
        text = failure_text(report, part.part, _expected(report, part))
        pytest.fail(text + _spread_note(part), pytrace=False)
    failed = [one for one in _expected(report, part) if one.state == "failed"]
    for one in failed:
        _record(node, EXPECTED, f"{report.kernel}, {report.dtype}: {expected_line(one)}")
    if failed and part.part != WHOLE:
        pytest.xfail("; ".join(dict.fromkeys(one.reason for one in failed)))
    _record_suspect(report, part, node)
    return report


def _spread_note(part: Part) -> str:
    """Where pytest-xdist had regimes tested elsewhere, what was found there may be told twice."""
    elsewhere = [name for name in part.tests.regimes if name not in part.tests.judged]
    if part.part != WHOLE or not elsewhere or "PYTEST_XDIST_WORKER" not in os.environ:
        return ""
    return (
        f"\nnote: {', '.join(elsewhere)} may have been tested in another worker of pytest-xdist,"
        " and told there: --dist loadfile keeps the tests of a kernel together"
    )


def _record_suspect(report: Report, part: Part, node: pytest.Item) -> None:
    if report.findings or (report.verdict != "pass" and part.part == WHOLE):
        brief = in_brief(report, _expected(report, part))
        _record(node, SUSPECT, f"{report.kernel}, {part.name}: {brief}")


def untold(report: Report, told: Mapping[str, Told]) -> Report:
    """What the report on the whole says beside what the tests of the regimes `told` have shown: a
    bias across cases, what has more cases than they have shown, and what all cases together name
    and none of them has. A pass if there is nothing."""
    shown, everything = sum(told.values(), Told()), told_by(report)
    findings = [f for f in report.findings if not shown.tells(f, everything)]
    expected = [e for e in report.expected_failures if e.state == "unknown" or e.regime not in told]
    outdated = any(one.outdated for one in expected)
    verdict: Verdict = "suspect" if findings or outdated else "pass"
    if any(finding.verdict == "fail" for finding in findings):
        verdict = "fail"
    return replace(report, verdict=verdict, findings=findings, expected_failures=expected)


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
