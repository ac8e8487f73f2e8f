"""The report as data: what `--json` writes is strict JSON and complete."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from loracle.report import RegimeSummary, Report

REQUIRED = {
    "schema",
    "verdict",
    "kernel",
    "contract",
    "dtype",
    "device",
    "machine",
    "plan",
    "seed",
    "cases",
    "regimes",
    "skipped",
    "findings",
    "environment",
}


def test_the_dictionary_is_strict_json(make_failing: Callable[..., Report]) -> None:
    regimes = {"tiny": RegimeSummary(1, 0, 0, 1, 0, float("inf"), float("nan"))}
    report = make_failing(regimes=regimes)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["regimes"]["tiny"]["worst_error_to_bound"] == "inf"
    assert data["regimes"]["tiny"]["worst_error_to_tolerance"] == "nan"


def test_nothing_required_is_missing(make_failing: Callable[..., Report]) -> None:
    data = make_failing().to_dict()
    assert set(data) >= REQUIRED
    numeric, structural, _ = data["findings"]
    assert numeric["diagnosis"] == [
        {
            "hypothesis": "missing-scaling",
            "explanation": "every element is G / s with s = 1.5",
            "term": None,
        }
    ]
    assert (numeric["count"], numeric["cases_total"], numeric["element"]) == (7, 8, [3, 1])
    assert structural["output"] is None
    assert structural["error"] is None
    assert structural["bound"] is None
    assert [finding["promise"] for finding in data["findings"]] == [None] * 3


def test_a_promise_and_what_was_declined_are_told(make_failing: Callable[..., Report]) -> None:
    promised = replace(make_failing().findings[0], promise="certificate")
    regimes = {"tiny": RegimeSummary(declined=3)}
    data = make_failing(findings=[promised], regimes=regimes, certified={"output": 2}).to_dict()
    assert data["findings"][0]["promise"] == "certificate"
    assert (data["regimes"]["tiny"]["declined"], data["regimes"]["tiny"]["cases"]) == (3, 0)
    assert data["certified"] == {"output": 2}


def test_a_report_prints_as_text(
    make_failing: Callable[..., Report], make_passing: Callable[..., Report]
) -> None:
    """Catches the representation of a dataclass, which is pages long."""
    report = make_failing()
    first, *lines = str(report).splitlines()
    assert first.startswith(
        "FAIL: my_kernels.py:lora_linear against lora-linear in bfloat16 on cpu"
    )
    told = "FAIL  grad_lora_b  in 7 of 8 cases: missing-scaling; error 0.62, bound 3.1e-05, tol"
    assert lines[0].startswith(told)
    assert lines[0].endswith(" (designed:3)")
    assert lines[1] == f"  replay  {report.findings[0].replay}"
    assert str(report.findings[1]).startswith("FAIL  the call  in ")
    assert any(line.startswith("skipped: regime saturated") for line in lines)
    assert repr(report) == (
        "<Report fail: my_kernels.py:lora_linear, lora-linear, bfloat16, 3 findings>"
    )
    assert "\n" not in str(make_passing())
    little = make_passing(verdict="suspect", reason="insufficient-evidence")
    assert str(little).startswith("SUSPECT (insufficient-evidence): peft against")
