"""Declined calls: skipped out loud with the reason, no crash, and never counted as passed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import loracle
from loracle.adapters import autograd
from loracle.cli import main
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.generation import REGIMES
from loracle.generation.generate import generate
from loracle.harness import KernelProcess
from loracle.observation import Observation

from .core_cases import a_case, default_run
from .validated import LINEAR, Outputs, hypotheses, single, strict_json, validate

TARGET = """
import loracle, os
from loracle.adapters import autograd

def declines(*, x, weight, lora_a, lora_b, scaling, grad_output):
    raise loracle.Declined(f"a batch of {len(x)}\\nis   out of reach")

def declines_some(*, x, weight, lora_a, lora_b, scaling, grad_output):
    if len(x) == 1:
        raise loracle.Declined("a batch of one is not supported")
    return autograd.lora_linear(
        x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling, grad_output=grad_output
    )
"""


def declines_some(**call: Any) -> Outputs:
    if single(call["x"].shape[0]):
        raise loracle.Declined("a batch of one is not supported")
    return autograd.lora_linear(**call)


def declines(**call: Any) -> Outputs:
    raise loracle.Declined(f"a batch of {len(call['x'])}\nis   out of reach")


def one_of_two(which: int) -> Callable[..., Outputs]:
    """Declines every first (0) or every second (1) call."""
    calls: list[int] = []

    def kernel(**call: Any) -> Outputs:
        calls.append(1)
        if (len(calls) - 1) % 2 == which:
            raise loracle.Declined("not now")
        return autograd.lora_linear(**call)

    return kernel


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("declining") / "declining.py"
    path.write_text(TARGET)
    return str(path)


def observed(kernel: Callable[..., Any] | str) -> list[Observation]:
    """Two calls on the same inputs, in one process."""
    inputs = generate(a_case("lora-linear", "float32", "typical"))
    with KernelProcess(kernel, contract=LINEAR, timeout=30) as process:
        seen = [process.observe(inputs), process.observe(inputs)]
        assert process.deaths == 0
    return seen


def test_both_kinds_of_children_decline_in_one_line_and_live_on(target: str) -> None:
    batch = len(generate(a_case("lora-linear", "float32", "typical")).tensors["x"])
    for kernel in (declines, f"{target}:declines"):
        for seen in observed(kernel):
            assert seen == Observation(declined=f"a batch of {batch} is out of reach")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("x" * 10_000, "x" * 197 + "..."),
        ("x" * 200, "x" * 200),
        (" \n ", "the kernel gave no reason"),
    ],
)
def test_a_huge_reason_is_cut_and_an_empty_one_is_said(message: str, reason: str) -> None:
    def kernel(**call: Any) -> Outputs:
        raise loracle.Declined(message)

    assert observed(kernel)[0].declined == reason


def test_only_the_exception_itself_declines() -> None:
    """Another UsageError is a crash, as is what comes of a Declined that was caught."""

    def misuses(**call: Any) -> Outputs:
        raise UsageError("a mistake of the kernel's own")

    def wraps(**call: Any) -> Outputs:
        try:
            declines(**call)
        except loracle.Declined as error:
            raise RuntimeError("no") from error
        raise AssertionError

    for kernel in (misuses, wraps):
        (problem,) = observed(kernel)[0].problems
        assert problem.hypothesis == "crash"
    assert issubclass(loracle.Declined, loracle.UsageError)


def test_what_is_declined_is_skipped_and_the_rest_is_judged(target: str) -> None:
    for kernel in (declines_some, f"{target}:declines_some"):
        report = validate(kernel)
        assert (report.verdict, report.findings, report.notes) == ("pass", [], [])
        plan = default_run("lora-linear", "float32", 0)
        alone = [case.key for case in plan if dict(case.sizes)["batch"] == 1]
        assert len(alone) > 2
        reason = "a batch of one is not supported"
        assert report.skipped == [{"what": key, "reason": reason} for key in alone]
        assert report.cases == len(plan) - len(alone)
        for name, summary in report.regimes.items():
            here = sum(key.startswith(f"{name}:") for key in alone)
            assert (summary.declined, summary.cases) == (here, REGIMES[name].cases - here)
            judged = summary.passed + summary.suspect + summary.fail + summary.no_evidence
            assert judged == summary.cases * len(LINEAR.outputs)
        assert max(report.evidence.values()) <= report.cases
        plain = strict_json(report)
        assert [entry["what"] for entry in plain["skipped"]] == alone
        assert plain["regimes"]["tiny"]["declined"] == report.regimes["tiny"].declined


def test_a_kernel_that_declines_everything_is_no_pass(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = validate(declines)
    assert (report.verdict, report.reason) == ("suspect", "insufficient-evidence")
    assert (report.findings, report.cases) == ([], 0)
    assert set(report.evidence.values()) == {0}
    assert [entry["what"] for entry in report.skipped] == [
        case.key for case in default_run("lora-linear", "float32", 0)
    ]
    with pytest.raises(SystemExit) as exit_:
        main(["validate", f"{target}:declines", "--regime", "typical"])
    assert exit_.value.code == 1
    text = capsys.readouterr().out
    assert "skipped: 6 cases of typical, declined: a batch of " in text
    assert "SUSPECT: not judged: every case was declined." in text


def test_too_little_is_left_for_a_pass() -> None:
    """Catches a declined case that counts as evidence: fourteen cases, of which seven run."""
    report = validate(declines_some, regimes=["designed"], cases=14)
    assert (report.cases, report.regimes["designed"].declined) == (7, 7)
    assert (report.verdict, report.reason) == ("suspect", "insufficient-evidence")
    assert validate(declines_some, regimes=["designed"], cases=16).verdict == "pass"


def test_a_wrong_result_is_not_excused_by_what_was_declined() -> None:
    def kernel(**call: Any) -> Outputs:
        outputs = declines_some(**call)
        return {**outputs, "grad_x": 2 * outputs["grad_x"]}

    report = validate(kernel, cases=2)
    assert report.verdict == "fail"
    assert {finding.output for finding in report.findings} == {"grad_x"}
    assert {finding.cases_total for finding in report.findings} == {report.cases}


@pytest.mark.parametrize(("which", "word"), [(0, "first"), (1, "second")])
def test_declining_one_of_two_equal_calls_is_a_finding(which: int, word: str) -> None:
    report = validate(one_of_two(which), cases=1)
    assert report.verdict == "fail"
    (finding,) = report.findings
    assert (finding.output, finding.error, finding.count) == (None, None, report.cases)
    assert hypotheses(finding) == ["nondeterministic"]
    explanation = f"declined only the {word} of two calls with equal inputs: not now"
    assert finding.diagnosis[0].explanation == explanation
    assert report.skipped == []
    for summary in report.regimes.values():
        assert (summary.passed, summary.declined) == (0, 0)
        assert summary.fail == summary.cases * len(LINEAR.outputs)


def test_progress_goes_on_and_an_interrupt_counts_what_was_declined() -> None:
    seen: list[int] = []

    def on_progress(done: int, total: int, regime: str, worst: str, latest: object) -> None:
        seen.append(done)
        assert (worst, latest) == ("pass", None)
        if done == 3:
            raise KeyboardInterrupt

    report = validate(declines_some, on_progress=on_progress)
    assert seen == [1, 2, 3]
    assert "interrupted after 3 of 52 cases" in report.notes


def test_other_contracts_decline_too() -> None:
    for name in CONTRACTS:
        report = loracle.validate(declines_any, contract=name, regimes=["tiny"], cases=1)
        assert report.skipped == [{"what": "tiny:0", "reason": "no"}]


def declines_any(**call: Any) -> Outputs:
    raise loracle.Declined("no")
