"""A report as JUnit's XML, which every CI system can show: one test case per regime and output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from xml.etree import ElementTree

from loracle.expectations.entries import CALL, WHOLE
from loracle.presentation.expected import outdated_by_place, qualified
from loracle.presentation.terminal import finding_text
from loracle.presentation.wording import conditions, meaning, not_judged, subject, versions_of
from loracle.report import ExpectedFailure, Finding, OutputSummary, RegimeSummary, Report

__all__ = ["as_junit"]

Result = Literal["passed", "failure", "error", "skipped"]

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _TestCase:
    name: str
    result: Result = "passed"
    kind: str = ""
    message: str = ""
    text: str = ""


def as_junit(report: Report, *, only_proven: bool = False) -> str:
    """One suite. A test case is named REGIME/OUTPUT; what is biased across cases, too little
    evidence, an interruption and an outdated entry of the expected failures have one of their own.
    What was not judged, is no evidence or fails as expected is skipped. only_proven: what is
    merely suspect passes, and its finding is output."""
    cases = list(_test_cases(report, only_proven))
    attributes = {
        "name": _clean(report.kernel),
        "tests": str(len(cases)),
        "failures": _number_of(cases, "failure"),
        "errors": _number_of(cases, "error"),
        "skipped": _number_of(cases, "skipped"),
        "time": f"{report.seconds:.3f}",
    }
    suites = ElementTree.Element("testsuites", attributes)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = ElementTree.SubElement(suites, "testsuite", {**attributes, "timestamp": now})
    _add_properties(suite, report)
    kernel = f"{report.kernel}[{report.contract},{report.dtype},{report.device}]"
    for case in cases:
        _add(suite, _clean(kernel), case)
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _number_of(cases: list[_TestCase], result: Result) -> str:
    return str(sum(case.result == result for case in cases))


def _test_cases(report: Report, only_proven: bool) -> Iterator[_TestCase]:
    for name, regime in report.regimes.items():
        for output, counts in regime.outputs.items():
            yield _judged(report, name, regime, output, counts, only_proven)
    for finding in report.findings:
        if finding.across_cases:
            name = f"across cases/{subject(finding)}"
            yield _found(name, [finding], _headline(finding), only_proven)
    for expected in report.expected_failures:
        if expected.state == "failed" and expected.regime == WHOLE:
            yield _TestCase(f"across cases/{expected.output}", "skipped", message=_why(expected))
    for what, why in not_judged(report):
        yield _TestCase(what, "skipped", message=why)
    for place, line in outdated_by_place(report.expected_failures).items():
        yield _TestCase(f"expected failures/{place}", "failure", "outdated-expectations", line)
    if report.reason == "interrupted":
        yield _TestCase("whole run", "error", report.reason, meaning(report))
    elif report.reason == "insufficient-evidence":
        result: Result = "skipped" if only_proven else "failure"
        yield _TestCase("enough evidence", result, report.reason, meaning(report))


def _judged(
    report: Report,
    name: str,
    regime: RegimeSummary,
    output: str,
    counts: OutputSummary,
    only_proven: bool,
) -> _TestCase:
    """A finding that is not counted among the verdicts, as that of a stale cache, belongs to the
    regime where it was seen first."""
    title = f"{name}/{output}"
    own = [f for f in report.findings if f.output == output and not f.across_cases]
    here = [f for f in own if f.regime == name]
    expected = [
        one
        for one in report.expected_failures
        if one.state == "failed" and one.regime == name and one.output in (output, CALL)
    ]
    if expected and not here:
        return _TestCase(title, "skipped", message=_why(expected[0]))
    if counts.fail or counts.suspect:
        verdict = "fail" if counts.fail else "suspect"
        of_call = [f for f in report.findings if f.output is None] if counts.fail else []
        told = [f for f in (own or of_call) if f.verdict == verdict] or own or of_call
        number = counts.fail or counts.suspect
        return _found(title, told, f"{verdict} in {number} of {regime.cases} cases", only_proven)
    if here:
        return _found(title, here, _headline(here[0]), only_proven)
    if not counts.passed:
        return _TestCase(title, "skipped", message="no evidence: zeros would have passed too")
    return _TestCase(title)


def _why(expected: ExpectedFailure) -> str:
    return f"expected to fail: {expected.reason}"


def _found(title: str, findings: list[Finding], message: str, only_proven: bool) -> _TestCase:
    names = dict.fromkeys(d.hypothesis for finding in findings for d in finding.diagnosis)
    text = "\n".join(finding_text(finding) for finding in findings)
    message = f"{message}: {', '.join(names)}" if names else message
    proven = any(finding.verdict == "fail" for finding in findings)
    result: Result = "failure" if proven or not only_proven else "passed"
    return _TestCase(title, result, "fail" if proven else "suspect", message, text)


def _headline(finding: Finding) -> str:
    return f"{finding.verdict} in {finding.count} of {finding.cases_total} cases"


def _add(suite: ElementTree.Element, kernel: str, case: _TestCase) -> None:
    name = {"classname": kernel, "name": _clean(case.name)}
    element = ElementTree.SubElement(suite, "testcase", name)
    if case.result == "passed":
        if case.text:
            ElementTree.SubElement(element, "system-out").text = _clean(case.text)
        return
    attributes = {"message": _clean(case.message)}
    if case.kind:
        attributes["type"] = case.kind
    outcome = ElementTree.SubElement(element, case.result, attributes)
    outcome.text = _clean(case.text) or None


def _add_properties(suite: ElementTree.Element, report: Report) -> None:
    properties = {
        "verdict": report.verdict,
        "meaning": qualified(report, meaning(report)),
        "contract": report.contract,
        "conditions": ", ".join(conditions(report)),
        **{f"version of {name}": str(v) for name, v in versions_of(report.environment).items()},
    }
    parent = ElementTree.SubElement(suite, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(parent, "property", {"name": name, "value": _clean(value)})


def _clean(text: str) -> str:
    """XML has no control characters, not even escaped; they are shown as Python shows them."""
    return _NO_XML.sub(lambda found: ascii(found[0])[1:-1], text)
