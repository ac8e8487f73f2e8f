"""A report as text: fit for a terminal of 80 columns and for the log of a CI job."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loracle.generation import REGIMES
from loracle.presentation.expected import expected_lines, qualified
from loracle.report import Finding, RegimeSummary, Report

__all__ = ["STRUCTURAL", "STYLES", "headline", "make_console", "number", "show", "show_finding"]

STYLES = {"pass": "bold green", "suspect": "bold yellow", "fail": "bold red"}

STRUCTURAL = {
    "crash",
    "false-certificate",
    "invalid-certificate",
    "missing-output",
    "mutates-input",
    "nondeterministic",
    "non-finite",
    "second-backward",
    "stale-cache",
    "timeout",
    "uninitialised-memory",
    "writes-out-of-bounds",
    "wrong-dtype",
    "wrong-shape",
}
"""Diagnoses of what was seen before, or beside, the size of the error."""
_MINIMUM_WIDTH = 72

_WHAT_IS_COUNTED = "{} cases; the other columns count outputs of cases"

_PROMISED = {"certificate": "kernel's own certificate", "epsilon": "declared epsilon"}


def make_console(*, stderr: bool = False) -> Console:
    """A console that takes text literally, with colours only on a terminal without NO_COLOR."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.width < _MINIMUM_WIDTH:
        console.width = _MINIMUM_WIDTH
    return console


def show(report: Report, console: Console) -> None:
    """Prints the whole report: header, regimes, findings worst first, what was skipped, verdict."""
    _show_header(report, console)
    if report.regimes:
        console.print(_regime_table(report.regimes))
        counting = "cases and declined count" if _declined(report) else "cases counts"
        console.print(Text(_WHAT_IS_COUNTED.format(counting), style="dim"))
    for finding, also in _blocks(report.findings):
        console.print()
        show_finding(finding, console, also)
    _show_remarks(report, console)
    console.print()
    console.print(_verdict_line(report))


def _blocks(findings: Sequence[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """The findings to show, each with those told in the same block: what is suspect of an output
    that also fails."""
    shown: list[tuple[Finding, list[Finding]]] = []
    first_fail: dict[str | None, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: f.verdict != "fail"):
        if finding.verdict == "suspect" and finding.output in first_fail:
            first_fail[finding.output].append(finding)
            continue
        also: list[Finding] = []
        shown.append((finding, also))
        if finding.verdict == "fail":
            first_fail.setdefault(finding.output, also)
    return shown


def headline(finding: Finding) -> Text:
    """One line for a finding: verdict, output, case, the size of the error."""
    line = Text.assemble(
        (finding.verdict.upper(), STYLES[finding.verdict]), "  ", (_subject(finding), "bold"), "  "
    )
    if finding.error is None:
        line.append(_names(finding))
        return line
    line.append(f"error {number(finding.error)}")
    if finding.bound is not None:
        line.append(f", {finding.promise or 'bound'} {number(finding.bound)}")
    return line


def number(value: float | None, digits: int = 2) -> str:
    """A number in `digits` significant digits, as short as can be: 0.31, 2.4e-7, inf."""
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{float(text):.0f}" if 0 <= int(exponent) < 6 else f"{mantissa}e{int(exponent)}"


def _show_header(report: Report, console: Console) -> None:
    console.print(Text.assemble((report.kernel, "bold"), f" against {report.contract}"))
    machine = report.machine if "machine" in report.machine else f"{report.machine} machine"
    facts = [report.dtype, report.device, machine, *_plan(report), f"seed {report.seed}"]
    facts += ["compiled"] if report.compiled else []
    facts += [f"{report.repeats} calls a case"] if report.repeats != 2 else []
    if report.epsilon is not None:
        facts.append(f"declared epsilon {number(report.epsilon)}")
    console.print(Text(", ".join(facts)))
    versions = [f"{name} {version}" for name, version in _versions(report.environment).items()]
    if versions:
        console.print(Text(", ".join(versions), style="dim"))
    console.print()


def _plan(report: Report) -> list[str]:
    return [] if report.plan is None else [f"plan {report.plan}"]


def _versions(environment: dict[str, object]) -> dict[str, object]:
    packages = environment.get("versions")
    found: dict[str, object] = {
        name: environment[name] for name in ("loracle", "torch", "python") if name in environment
    }
    return found | (packages if isinstance(packages, dict) else {})


def _regime_table(regimes: dict[str, RegimeSummary]) -> Table:
    """With a column of declined cases where there are any, and then less space for each."""
    declined = any(regime.declined for regime in regimes.values())
    padding = (0, 0 if declined else 2, 0, 0)
    # Close together, "no" must not be read with the next column's "error /".
    no_evidence = Text("no\nevidence", justify="left" if declined else "right")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=padding, show_edge=False)
    table.add_column("\nregime")
    for header in (
        "\ncases",
        *(("\ndeclined",) if declined else ()),
        "\npass",
        "\nsuspect",
        "\nfail",
        no_evidence,
        "error /\nbound",
        "error /\ntolerance",
    ):
        table.add_column(header, justify="right")
    for name, regime in regimes.items():
        table.add_row(
            name,
            _count(regime.cases, ""),
            *((_count(regime.declined, ""),) if declined else ()),
            _count(regime.passed, ""),
            _count(regime.suspect, STYLES["suspect"]),
            _count(regime.fail, STYLES["fail"]),
            _count(regime.no_evidence, "dim"),
            _ratio(regime.worst_error_to_bound, STYLES["fail"]),
            _ratio(regime.worst_error_to_tolerance, STYLES["suspect"]),
        )
    return table


def _count(count: int, style: str) -> Text:
    return Text(str(count), style=style) if count else Text("·", style="dim")


def _ratio(ratio: float | None, style_above_one: str) -> Text:
    return Text(number(ratio), style=style_above_one if ratio is not None and ratio > 1 else "")


def show_finding(finding: Finding, console: Console, also: Sequence[Finding] = ()) -> None:
    """Prints one block. also: suspect findings of the same output, one line each."""
    title = Text.assemble(
        (finding.verdict.upper(), STYLES[finding.verdict]),
        "  ",
        (_subject(finding), "bold"),
        f"  in {finding.count} of {finding.cases_total} cases",
    )
    console.print(title)
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for diagnosis in finding.diagnosis:
        rows.add_row(
            "diagnosis",
            Text.assemble((diagnosis.hypothesis, "bold"), f": {diagnosis.explanation}"),
        )
        if diagnosis.term:
            rows.add_row("affects", Text(diagnosis.term))
    if not finding.diagnosis:
        rows.add_row("diagnosis", "none of the known mistakes explains it")
    if finding.reason:
        rows.add_row("reason", Text(finding.reason))
    if finding.case:
        rows.add_row("worst case", Text(finding.case))
    if finding.element is not None:
        rows.add_row("element", _element(finding))
    if finding.error is not None:
        rows.add_row("error", _error(finding, finding.error))
    for other in also:
        rows.add_row("also", _in_brief(other))
    console.print(Padding(rows, (0, 0, 0, 2)))
    if finding.replay:
        # A command that is to be copied must not be broken into lines.
        console.print(Text.assemble(("  replay      ", "dim"), finding.replay), soft_wrap=True)


def _in_brief(finding: Finding) -> str:
    where = f"{finding.verdict} in {finding.count} of {finding.cases_total} cases"
    structural = [d.hypothesis for d in finding.diagnosis if d.hypothesis in STRUCTURAL]
    return f"{where}: {', '.join(structural)}" if structural else where


def _subject(finding: Finding) -> str:
    return finding.output or "the call"


def _names(finding: Finding) -> str:
    return ", ".join(diagnosis.hypothesis for diagnosis in finding.diagnosis)


def _element(finding: Finding) -> Text:
    index = ", ".join(str(i) for i in finding.element or ())
    digits = _telling_digits(finding)
    return Text(
        f"[{index}]: computed {number(finding.computed, digits)}"
        f", true value {number(finding.truth, digits)}"
    )


def _telling_digits(finding: Finding) -> int:
    """Enough digits for the computed and the true value to look different."""
    error, truth = finding.error, finding.truth
    if not error or not truth or not math.isfinite(error) or not math.isfinite(truth):
        return 6
    return min(17, max(6, 3 + math.ceil(math.log10(abs(truth)) - math.log10(error))))


def _error(finding: Finding, error: float) -> Text:
    limits = [("proven bound", finding.bound), ("calibrated tolerance", finding.tolerance)]
    if finding.promise is not None:
        limits = [(_PROMISED[finding.promise], finding.bound)]
    lines = [number(error, 3)]
    for name, limit in limits:
        if limit is None:
            continue
        if 0 < limit < math.inf and math.isfinite(error):
            lines.append(f"{number(error / limit)} times the {name}, {number(limit)}")
        else:
            lines.append(f"{name} {number(limit)}")
    return Text("\n".join(lines))


def _show_remarks(report: Report, console: Console) -> None:
    remarks = [(f"skipped: {what}", why) for what, why in _skipped(report)]
    remarks += [("note", note) for note in report.notes]
    remarks += expected_lines(report)
    if remarks:
        console.print()
    for what, why in remarks:
        console.print(Text.assemble((what, "dim"), f": {why}"))


def _skipped(report: Report) -> list[tuple[str, str]]:
    """What was not judged, with the reason; the declined cases of one regime as one."""
    plain: list[tuple[str, str]] = []
    declined: dict[str, list[dict[str, str]]] = {}
    for entry in report.skipped:
        regime, colon, _ = entry["what"].partition(":")
        if colon and regime in report.regimes:
            declined.setdefault(regime, []).append(entry)
        else:
            plain.append((entry["what"], entry["reason"]))
    for regime, entries in declined.items():
        (reason, *others) = dict.fromkeys(entry["reason"] for entry in entries)
        what = entries[0]["what"] if len(entries) == 1 else f"{len(entries)} cases of {regime}"
        plain.append((f"{what}, declined", f"{reason} (and others)" if others else reason))
    return plain


def _declined(report: Report) -> int:
    """The number of cases that the kernel declined."""
    return sum(regime.declined for regime in report.regimes.values())


def _verdict_line(report: Report) -> Text:
    line = Text.assemble((report.verdict.upper(), STYLES[report.verdict]), ": ")
    line.append(qualified(report, _meaning(report)))
    facts = []
    if report.evidence and report.cases:
        facts.append(_evidence(min(report.evidence.values())))
    if report.false_alarm_probability is not None and report.cases:
        facts.append(f"false alarms at most {number(report.false_alarm_probability)}")
    if report.seconds:
        facts.append(f"{report.seconds:.1f} s")
    if facts:
        line.append(f"\n{', '.join(facts)}", style="dim")
    return line


def _evidence(cases: int) -> str:
    if cases == 0:
        return "no case is evidence for every output"
    return f"at least {cases} {'case is' if cases == 1 else 'cases are'} evidence for each output"


def _meaning(report: Report) -> str:
    what = f"{report.contract} in {report.dtype}"
    if report.verdict == "fail":
        return _meaning_of_fail(report, what)
    if report.reason == "insufficient-evidence":
        return _meaning_of_too_little(report)
    if report.reason == "interrupted":
        return "interrupted; what was judged until then is above."
    certified = any(report.certified.values())
    if report.verdict == "suspect":
        limit = f"the proven bound{' or its own certificate' if certified else ''}"
        return (
            f"no error exceeds {limit}, but some are larger than rounding makes them in "
            f"legal evaluations of {what}."
        )
    if report.epsilon is not None:
        also = f", nor the {_PROMISED['certificate']} where that is smaller" if certified else ""
        return f"no error exceeds the declared epsilon, {number(report.epsilon)}{also}."
    legal = f"one that a legal evaluation of {what} makes"
    if not certified:
        return f"every error is {legal}."
    if report.false_alarm_probability is None:
        return f"no error exceeds the {_PROMISED['certificate']}."
    return f"every error is within the {_PROMISED['certificate']}, or is {legal}."


def _meaning_of_too_little(report: Report) -> str:
    declined = _declined(report)
    if report.cases == 0:
        return f"not judged: {'every case was declined' if declined else 'declared unsupported'}."
    cases = "this case" if report.cases == 1 else f"these {report.cases} cases"
    if declined:
        return f"no finding in {cases}; too few for a verdict ({declined} declined)."
    advice = "judge all regimes" if _regimes_left_out(report) else "judge more, with --cases"
    return f"no finding in {cases}; too few for a verdict ({advice})."


def _regimes_left_out(report: Report) -> set[str]:
    """Regimes that were neither judged nor skipped: the user chose others."""
    known = {
        name
        for name, regime in REGIMES.items()
        if report.contract in regime.makers and not regime.on_request
    }
    return known - set(report.regimes) - {skipped["what"] for skipped in report.skipped}


def _meaning_of_fail(report: Report, what: str) -> str:
    fails = [f for f in report.findings if f.verdict == "fail"]
    if (
        fails
        and all(d.hypothesis in STRUCTURAL for f in fails for d in f.diagnosis[:1])
        and all(f.error is None for f in fails)
    ):
        return f"the kernel breaks the contract {report.contract}."
    promised = {f.promise for f in fails if f.error is not None}
    if promised == {"epsilon"}:
        return f"an error exceeds the declared epsilon, {number(report.epsilon)}."
    if promised and None not in promised:
        return f"an error exceeds the {_PROMISED['certificate']}."
    by = "" if report.plan is None else f" that follows the plan {report.plan}"
    return f"proven wrong; no implementation of {what} on this machine{by} makes such an error."
