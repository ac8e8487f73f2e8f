"""The demonstration: what is judged, what is expected of it, and the story that is told."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from loracle.adapters import ADAPTERS
from loracle.presentation.terminal import STYLES, show_finding
from loracle.presentation.wording import number
from loracle.report import Finding, Report
from loracle.validation import validate

__all__ = ["run_demo"]

DTYPES = ("float32", "bfloat16")
THIRD_PARTIES = ("peft", "loralib", "torch-sdpa-math", "torch-sdpa-flash", "autograd")
KERNELS = "loracle.demo.kernels"

_INTERRUPTED = 130


@dataclass(frozen=True)
class Outcome:
    """What was expected, and whether it came out so."""

    expectation: str
    met: bool


class _Interrupted(Exception):
    """The user stopped a validation."""


def run_demo(console: Console) -> int:
    """Judges everything, prints the story; 0 if and only if every verdict is as expected.

    130 if it is interrupted. Raises UsageError if a third party is not installed.
    """
    outcomes: list[Outcome] = []
    try:
        for act in (_third_parties, _forgotten_factor, _compiled_line):
            outcomes += act(console)
            console.print()
    except _Interrupted:
        console.print("interrupted")
        return _INTERRUPTED
    missed = [outcome for outcome in outcomes if not outcome.met]
    for outcome in missed:
        console.print(Text.assemble(("NOT AS EXPECTED", STYLES["fail"]), ": ", outcome.expectation))
    if missed:
        return 1
    console.print(f"All {len(outcomes)} expectations are met.")
    return 0


def _third_parties(console: Console) -> list[Outcome]:
    console.print(Text("Real kernels: every one should pass", style="bold"))
    console.print(
        Text(f"{'':<9}{'kernel':<20}{'contract':<16}{'dtype':<10}{'error/bound':>11}", style="dim")
    )
    outcomes = []
    for name in THIRD_PARTIES:
        for contract in ADAPTERS[name].contracts:
            for dtype in DTYPES:
                report = _judge(name, contract=contract, dtype=dtype)
                console.print(_row(name, report))
                _print_findings(report, console)
                outcomes.append(
                    Outcome(f"{name}, {contract}, {dtype}: pass", report.verdict == "pass")
                )
    return outcomes


def _forgotten_factor(console: Console) -> list[Outcome]:
    console.print(Text("A backward of its own that forgets the scaling", style="bold"))
    console.print("    grad_lora_b = upstream.T @ (x @ lora_a.T)          # scaling * is missing\n")
    report = _judge(f"{KERNELS}:forgetful_backward", contract="lora-linear", dtype="float32")
    console.print(_row("forgetful_backward", report))
    _print_findings(report, console)
    wrong = {finding.output for finding in report.findings}
    return [
        Outcome("forgetful_backward: fail", report.verdict == "fail"),
        Outcome("forgetful_backward: grad_lora_b alone is wrong", wrong == {"grad_lora_b"}),
        Outcome(
            "forgetful_backward: diagnosed as missing-scaling",
            "missing-scaling" in _diagnoses(report),
        ),
    ]


def _compiled_line(console: Console) -> list[Outcome]:
    console.print(Text("One line of torch, run eagerly and compiled", style="bold"))
    console.print("    output = torch.add(base, x_a @ lora_b.T, alpha=scaling)\n")
    eager = _judge(f"{KERNELS}:eager_alpha", contract="lora-linear", dtype="float32")
    console.print(_row("eager_alpha", eager))
    outcomes = [Outcome("eager_alpha: pass", eager.verdict == "pass")]
    if not _has_compiler():
        console.print("torch.compile needs a C++ compiler and none is found: not compiled here.")
        return outcomes
    console.print(Text("torch.compile at work; the first time takes half a minute", style="dim"))
    # Sizes that are one are compiled anew, and every regime has some: two regimes must do.
    compiled = _judge(
        f"{KERNELS}:compiled_alpha",
        contract="lora-linear",
        dtype="float32",
        regimes=("designed", "typical"),
        cases=4,
        timeout=300,
    )
    console.print(_row("compiled_alpha", compiled))
    _print_findings(compiled, console)
    story, told = story_of_compilation(compiled)
    console.print(story)
    return outcomes + told


def story_of_compilation(report: Report) -> tuple[str, list[Outcome]]:
    """What the verdict on the compiled line means; no version of torch is asked for.

    Right and wrong are both expected, since another torch may compile it right, but a wrong one
    must be wrong in the output and named missing-scaling.
    """
    torch = f"torch {report.environment.get('torch', '')}".strip()
    wrong = {finding.output for finding in report.findings if finding.verdict == "fail"}
    if not report.findings:
        return f"{torch} compiles it right.", []
    if all(_did_not_run(finding) for finding in report.findings):
        return f"{torch} cannot compile here, see above.", []
    named = "missing-scaling" in _diagnoses(report)
    return (
        f"Compiled by {torch}, the line silently drops alpha. Nobody sees it where alpha / r is 1.",
        [Outcome("compiled_alpha: output wrong, missing-scaling", named and wrong == {"output"})],
    )


def _judge(kernel: str, **options: object) -> Report:
    judge: Callable[..., Report] = validate
    report = judge(kernel, **options)
    if report.reason == "interrupted":
        raise _Interrupted
    return report


def _row(name: str, report: Report) -> Text:
    ratios = [
        summary.worst_error_to_bound
        for summary in report.regimes.values()
        if summary.worst_error_to_bound is not None
    ]
    return Text.assemble(
        (f"{report.verdict.upper():<9}", STYLES[report.verdict]),
        f"{name:<20}{report.contract:<16}{report.dtype:<10}",
        f"{number(max(ratios)) if ratios else '-':>11}",
        (f"{report.seconds:>8.1f} s", "dim"),
    )


def _print_findings(report: Report, console: Console) -> None:
    for finding in report.findings:
        show_finding(finding, console)


def _diagnoses(report: Report) -> set[str]:
    return {d.hypothesis for finding in report.findings for d in finding.diagnosis}


def _did_not_run(finding: Finding) -> bool:
    return any(diagnosis.hypothesis in {"crash", "timeout"} for diagnosis in finding.diagnosis)


def _has_compiler() -> bool:
    """Whether the compiler that torch.compile calls is there: $CXX, else the platform's own."""
    default = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX", default)) is not None
