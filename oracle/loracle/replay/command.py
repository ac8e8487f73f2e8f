"""The command `loracle replay`."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from loracle.completion import complete_targets
from loracle.options import report_file_options
from loracle.report import Diagnosis

# Everything else is imported when the command runs: `loracle --help` answers at once.
if TYPE_CHECKING:
    from rich.console import Console

    from loracle.replay.rerun import Outcome
    from loracle.report import Finding, Report

__all__ = ["command"]

_INTERRUPTED = 130


@click.command("replay")
@click.argument("report_path", metavar="REPORT", type=click.Path())
@click.option(
    "--finding",
    "number",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Which of its findings, as numbered from 1.",
)
@click.option(
    "--target",
    metavar="TARGET",
    shell_complete=complete_targets,
    help="Where the kernel is now, if not where it was.",
)
@click.option(
    "--inputs",
    "inputs_path",
    metavar="FILE",
    type=click.Path(),
    help="Write the inputs of the case there: .npz or .safetensors.",
)
@report_file_options
@click.option("--only-proven", is_flag=True, help="Exit 1 for a fail alone, not for a suspect.")
def command(
    report_path: str,
    number: int,
    target: str | None,
    inputs_path: str | None,
    json_path: str | None,
    html_path: str | None,
    junit_path: str | None,
    only_proven: bool,
) -> int:
    """Run the case of a finding again, exactly.

    REPORT is a file that `loracle validate --json` wrote. The contract, dtype, device, machine,
    plan, epsilon, seed and case are the report's, whatever the kernel declares now. A bias across
    cases replays all of them.

    Exits 1 if the replay finds anything, be it another error than the report's, or judges nothing,
    0 if it finds nothing, 2 if the usage is bad.
    """
    from loracle.presentation.atomic_file import AtomicFile
    from loracle.presentation.forms import report_forms
    from loracle.presentation.progress import ProgressDisplay
    from loracle.presentation.report_files import ReportFiles
    from loracle.presentation.terminal import make_console
    from loracle.replay import rerun
    from loracle.replay.inputs_file import check_inputs_path, inputs_as_bytes
    from loracle.replay.saved_report import finding_of, read_report

    data = read_report(report_path)
    finding = finding_of(report_path, data, number)
    case, inputs = rerun.case_and_inputs(data, finding)
    paths = {"json": json_path, "html": html_path, "junit": junit_path}
    with ExitStack() as stack:
        if inputs_path is not None:
            suffix = check_inputs_path(inputs_path)
            file = stack.enter_context(AtomicFile(inputs_path))
        files = stack.enter_context(ReportFiles(report_forms(only_proven=only_proven), paths))
        if inputs_path is not None:
            # Before the run, which may be that of a kernel that hangs.
            file.write(inputs_as_bytes(case, inputs, suffix))
        judged = target or str(data["kernel"])
        with ProgressDisplay(make_console(stderr=True), judged) as display:
            again = rerun.rerun(data, finding, target, display.update)
        files.write(again)
        console = make_console(stderr=files.to_stdout)
        console.print(f"Finding {number} of {len(data['findings'])} in {report_path}")
        _show(finding, again, rerun.compare(data, finding, again), console)
    return _status(again, only_proven=only_proven)


def _show(finding: dict[str, Any], again: Report, outcome: Outcome, console: Console) -> None:
    from rich.text import Text

    from loracle.presentation.terminal import headline, show_finding
    from loracle.presentation.wording import conditions, not_judged

    console.print(Text.assemble((again.kernel, "bold"), f" against {again.contract}"))
    console.print(", ".join(conditions(again)))
    if not again.findings:
        what = "all cases" if finding["across_cases"] else finding["case"]
        console.print(f"{what}: nothing found")
    if outcome.found is not None:
        console.print()
        show_finding(_named(outcome, finding), console)
    others = [found for found in again.findings if found is not outcome.found]
    if others:
        console.print()
    for other in others:
        console.print(Text("also  ", "dim").append_text(headline(other)))
    console.print()
    for what, why in not_judged(again):
        console.print(Text.assemble((f"skipped: {what}", "dim"), f": {why}"))
    for name, then, now in outcome.other_versions:
        console.print(f"{name} was {then or 'absent'}, and is {now or 'absent'} here")
    console.print(Text.assemble(*_conclusion(finding, again, outcome)))


def _named(outcome: Outcome, finding: dict[str, Any]) -> Finding:
    """One case may be too little for a name: the same error has that of the report."""
    found = outcome.found
    assert found is not None
    if found.diagnosis or outcome.differences:
        return found
    known = (
        Diagnosis(d["hypothesis"], _of_the_report(d["explanation"]), d["term"] or "")
        for d in finding["diagnosis"]
    )
    return replace(found, diagnosis=tuple(known))


def _of_the_report(explanation: str) -> str:
    """The cases that are counted in it are not those of the replay."""
    counted = r"(explains \d+ of \d+ (?:failing|suspect|failing or suspect) cases),"
    return re.sub(counted, r"\1 of the report's run,", explanation)


def _conclusion(
    finding: dict[str, Any], again: Report, outcome: Outcome
) -> list[tuple[str, str] | str]:
    from loracle.presentation.terminal import STYLES

    if outcome.found is None:
        if again.cases == 0:
            return [("NOT REPRODUCED", STYLES["suspect"]), ": no case was judged."]
        return [
            ("NOT REPRODUCED", STYLES["pass"]),
            f": {finding['verdict']} of {finding['output'] or 'the call'} is not found again.",
        ]
    changed = ", ".join(f"{n} was {_shown(a)}, is {_shown(b)}" for n, a, b in outcome.differences)
    style = STYLES[outcome.found.verdict]
    if not outcome.reproduced:
        return [("NOT REPRODUCED", style), f", but there is another finding: {changed}."]
    if changed:
        return [("REPRODUCED", style), f", with other numbers: {changed}."]
    same = "." if finding["error"] is None else ": the same error, bit for bit."
    return [("REPRODUCED", style), same]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _status(again: Report, *, only_proven: bool) -> int:
    verdicts = {finding.verdict for finding in again.findings}
    if "fail" in verdicts:
        return 1
    if again.reason == "interrupted":
        return _INTERRUPTED
    return int(bool(verdicts or again.cases == 0) and not only_proven)
