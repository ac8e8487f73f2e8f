"""What `--junit` writes: XML that CI systems read, with one test case per regime and output."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from loracle.presentation.junit import as_junit
from loracle.report import Diagnosis, OutputSummary, RegimeSummary, Report

from .validated import draws, forgets_scaling, raises, validate

MakeReport = Callable[..., Report]

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
"""All of them are in the schemas of Jenkins and of Apache Ant."""


def parsed(report: Report, *, only_proven: bool = False) -> ElementTree.Element:
    """The suite, once it is known to be well-formed and its numbers add up."""
    suites = ElementTree.fromstring(as_junit(report, only_proven=only_proven).encode())
    for element in suites.iter():
        allowed = ATTRIBUTES[element.tag] | ({"type"} if element.tag == "skipped" else set())
        assert set(element.attrib) <= allowed
    (suite,) = suites
    cases = suite.findall("testcase")
    assert int(suite.get("tests", "")) == len(cases)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute, "")) == sum(c.find(tag) is not None for c in cases)
    assert len({c.get("name") for c in cases}) == len(cases)
    return suite


def results(suite: ElementTree.Element) -> dict[str, str]:
    return {
        case.get("name", ""): next(iter(case)).tag if len(case) else "passed"
        for case in suite.findall("testcase")
    }


def test_a_wrong_output_fails_in_every_regime_and_the_others_pass() -> None:
    report = validate(forgets_scaling, regimes=["designed", "tiny"], cases=4)
    suite = parsed(report)
    assert results(suite) == {
        f"{regime}/{output}": "failure" if output == "grad_lora_b" else "passed"
        for regime in ("designed", "tiny")
        for output in ("output", "grad_x", "grad_lora_a", "grad_lora_b")
    }
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message", "").startswith("fail in 4 of 4 cases: missing-scaling")
    assert failure.get("type") == "fail"
    assert "times the proven bound" in (failure.text or "")
    assert "replay" in (failure.text or "")
    assert "\x1b" not in (failure.text or "")


def test_a_call_that_crashes_fails_for_every_output() -> None:
    report = validate(raises, regimes=["designed"], cases=2)
    suite = parsed(report)
    assert set(results(suite).values()) == {"failure"}
    for failure in suite.iter("failure"):
        assert failure.get("message") == "fail in 1 of 2 cases: crash"
        assert "ZeroDivisionError: no batch here" in (failure.text or "")


def test_a_finding_that_is_not_counted_belongs_to_its_regime() -> None:
    """The results of equal calls differ; each of them alone may be judged otherwise."""
    report = validate(draws, regimes=["tiny"], cases=2)
    assert "nondeterministic" in {d.hypothesis for f in report.findings for d in f.diagnosis}
    assert results(parsed(report))["tiny/grad_x"] == "failure"


def test_what_is_no_evidence_or_was_not_judged_is_skipped(make_passing: MakeReport) -> None:
    regimes = {
        "tiny": RegimeSummary(
            2, outputs={"output": OutputSummary(no_evidence=2), "grad_x": OutputSummary(1, 0, 0, 1)}
        )
    }
    skipped = [{"what": "saturated", "reason": "declared unsupported"}]
    suite = parsed(make_passing(regimes=regimes, skipped=skipped))
    expected = {"tiny/output": "skipped", "tiny/grad_x": "passed", "saturated": "skipped"}
    assert results(suite) == expected


@pytest.mark.parametrize(
    ("reason", "only_proven", "expected"),
    [
        ("insufficient-evidence", False, {"enough evidence": "failure"}),
        ("insufficient-evidence", True, {"enough evidence": "skipped"}),
        ("interrupted", False, {"whole run": "error"}),
        ("interrupted", True, {"whole run": "error"}),
    ],
)
def test_a_run_that_is_no_pass_has_no_suite_without_a_complaint(
    make_passing: MakeReport, reason: str, only_proven: bool, expected: dict[str, str]
) -> None:
    report = make_passing(verdict="suspect", reason=reason)
    assert results(parsed(report, only_proven=only_proven)) == expected


def test_a_bias_has_a_test_case_of_its_own(make_failing: MakeReport) -> None:
    bias = replace(make_failing().findings[2], across_cases=True)
    regimes = {"tiny": RegimeSummary(8, 8, outputs={"grad_x": OutputSummary(8)})}
    report = make_failing(verdict="suspect", findings=[bias], regimes=regimes, skipped=[])
    expected = {"tiny/grad_x": "passed", "across cases/grad_x": "failure"}
    assert results(parsed(report)) == expected
    lenient = parsed(report, only_proven=True)
    assert set(results(lenient).values()) == {"passed", "system-out"}


def test_what_xml_does_not_allow_is_spelled_out(make_failing: MakeReport) -> None:
    crash = replace(
        make_failing().findings[1],
        diagnosis=(Diagnosis("crash", "\x1b[31mred\x00 <b> & ]]> \ud800 \U0001f600"),),
    )
    regimes = {"ragged": RegimeSummary(1, outputs={"output": OutputSummary(fail=1)})}
    suite = parsed(make_failing(kernel="a\x07.py:f<g>", findings=[crash], regimes=regimes))
    (failure,) = suite.iter("failure")
    text = " ".join((failure.text or "").split())
    assert r"\x1b[31mred\x00 <b> & ]]> \ud800 😀" in text
    assert suite.get("name") == r"a\x07.py:f<g>"


def test_the_suite_has_no_failure_if_and_only_if_it_passes() -> None:
    report = validate("autograd", regimes=["designed", "tiny"])
    assert report.verdict == "pass"
    assert set(results(parsed(report)).values()) == {"passed"}
    properties = {p.get("name"): p.get("value") for p in parsed(report).iter("property")}
    assert properties["verdict"] == "pass"
    assert json.dumps(report.to_dict()["environment"]["torch"])[1:-1] in str(properties)
