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
