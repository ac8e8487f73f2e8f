"""A cache of references of the session's own, and reports made up by hand, for the tests of what
shows and writes them; a validation that answers with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loracle.report import Diagnosis, Finding, RegimeSummary, Report

from .fake_validation import FakeValidation


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache. The workers of pytest-xdist share theirs, whose
    files are written whole or not at all."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORACLE_CACHE_DIR", str(folder / "references"))
        yield


ENVIRONMENT = {"torch": "2.13.0", "python": "3.11.7", "versions": {"numpy": "2.4.6"}}


def passing_report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "verdict": "pass",
        "kernel": "peft",
        "contract": "lora-linear",
        "dtype": "bfloat16",
        "device": "cpu",
        "machine": "widest",
        "seed": 0,
        "cases": 4,
        "regimes": {
            "designed": RegimeSummary(4, 16, 0, 0, 0, 0.013, 0.31),
            "super-threshold": RegimeSummary(4, 12, 0, 0, 4, 2.4e-7, None),
        },
        "findings": [],
        "evidence": {"output": 8, "grad_lora_b": 9},
        "false_alarm_probability": 1e-6,
        "seconds": 3.42,
        "environment": dict(ENVIRONMENT),
    }
    return Report(**(values | changes))


def wrong_scaling() -> Finding:
    return Finding(
        verdict="fail",
        output="grad_lora_b",
        regime="designed",
        case="designed:3 (batch=1 length=3 in=4 out=4 r=2)",
        count=7,
        cases_total=8,
        diagnosis=(Diagnosis("missing-scaling", "every element is G / s with s = 1.5"),),
        error=0.617188,
        bound=3.1e-5,
        tolerance=1.2e-6,
        element=(3, 1),
        truth=1.8515625,
        computed=1.234375,
        replay="loracle validate /a/rather/long/path/to/my_kernels.py:lora_linear_fused_backward"
        " --contract lora-linear --dtype bfloat16 --seed 0 --case designed:3",
    )


def crash() -> Finding:
    return Finding(
        verdict="fail",
        output=None,
        regime="ragged",
        case="ragged:1",
        count=1,
        cases_total=8,
        diagnosis=(Diagnosis("crash", "RuntimeError: [bad] shapes at my_kernels.py:12"),),
    )


def suspect() -> Finding:
    return Finding(
        verdict="suspect",
        output="grad_x",
        regime="tiny",
        case="tiny:0 (batch=1 length=1 in=1 out=1 r=1)",
        count=2,
        cases_total=8,
        diagnosis=(),
        error=1e-7,
        bound=2e-6,
        tolerance=8e-8,
        element=(0, 0, 0),
        truth=1.0,
        computed=1.0000001,
        reason="biased upwards in 8 of 8 cases",
    )


def failing_report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "verdict": "fail",
        "kernel": "my_kernels.py:lora_linear",
        "regimes": {
            "designed": RegimeSummary(4, 12, 0, 4, 0, 1.99e4, 5.1e5),
            "tiny": RegimeSummary(4, 11, 2, 3, 0, float("inf"), 1.25),
        },
        "findings": [wrong_scaling(), crash(), suspect()],
        "skipped": [{"what": "regime saturated", "reason": "declared unsupported"}],
        "notes": ["extra output 'cache' ignored"],
    }
    return passing_report(**(values | changes))


@pytest.fixture
def make_passing() -> Callable[..., Report]:
    return passing_report


@pytest.fixture
def make_failing() -> Callable[..., Report]:
    return failing_report


@pytest.fixture
def validation(monkeypatch: pytest.MonkeyPatch) -> FakeValidation:
    return FakeValidation(monkeypatch)
