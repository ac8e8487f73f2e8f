"""Reports as the Markdown that a step of a GitHub workflow shows: `python -m
loracle.testing.step_summary FOLDER`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["markdown", "worst_verdict"]

_ORDER = ("pass", "suspect", "fail")
_SIGNS = {"pass": "✅", "suspect": "⚠️", "fail": "❌"}


def worst_verdict(reports: Sequence[Mapping[str, Any]], expected: int) -> str:
    """Of all reports; `error` if there are fewer than runs, or none."""
    if not reports or len(reports) < expected:
        return "error"
    return max((str(report["verdict"]) for report in reports), key=_ORDER.index)


def markdown(reports: Sequence[Mapping[str, Any]], expected: int) -> str:
    """A table of all runs, then the findings, each with its diagnosis and the line that replays it.

    expected: the number of runs; what left no report is told."""
    lines = ["## loracle", ""]
    if reports:
        lines += [
            "| verdict | kernel | contract | dtype | seed | cases |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(report) for report in reports]
        lines.append("")
    if missing := expected - len(reports):
        runs = "1 run has" if missing == 1 else f"{missing} runs have"
        lines += [f"❌ {runs} no report: see the log of the step.", ""]
    for report in reports:
        lines += _findings(report)
        lines += _expected(report)
    return "\n".join(lines)


def _row(report: Mapping[str, Any]) -> str:
    verdict = f"{_SIGNS[report['verdict']]} {report['verdict']}"
    if report["reason"]:
        verdict += f" ({report['reason']})"
    cells = [verdict, _code(report["kernel"]), report["contract"], report["dtype"]]
    return "| " + " | ".join([*cells, str(report["seed"]), str(report["cases"])]) + " |"


def _findings(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for finding in report["findings"]:
        output = finding["output"] or "the call"
        count = f"{finding['count']} of {finding['cases_total']} cases"
        lines += [f"### {finding['verdict']}: {_code(output)} in {count}", ""]
        lines += [
            f"- **{diagnosis['hypothesis']}**: {_plain(diagnosis['explanation'])}"
            for diagnosis in finding["diagnosis"]
        ] or [_undiagnosed(finding)]
        if finding["replay"]:
            lines += ["", "```", finding["replay"], "```"]
        lines.append("")
    return lines


def _undiagnosed(finding: Mapping[str, Any]) -> str:
    if finding.get("too_few_numbers") and finding["count"] < finding["cases_total"]:
        return "- too few numbers are far enough beyond rounding to tell a mistake by"
    if finding.get("too_few_numbers"):
        return "- too few numbers for a diagnosis: judge more cases"
    return "- none of the known mistakes explains it"


def _expected(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for entry in report["expected_failures"]:
        where = f"{_code(entry['output'])} in {_code(entry['regime'])}"
        if entry["state"] == "failed":
            lines.append(f"- expected failure: {where}: {_plain(entry['reason'])}")
        elif entry["state"] == "unknown":
            # For one reason, such as a misspelt name, of many outputs and regimes.
            lines.append(f"- ❌ outdated: {_plain(entry['problem'])}")
        elif entry["problem"]:
            lines.append(f"- ❌ outdated: {where}: {_plain(entry['problem'])}")
    return [*dict.fromkeys(lines), ""] if lines else []


def _code(text: str) -> str:
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def _plain(text: str) -> str:
    """Text in which Markdown and HTML see nothing of their own."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|" else c for c in " ".join(text.split()))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loracle.testing.step_summary")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--expected", type=int, default=0, help="the number of runs")
    parser.add_argument("--verdict", type=Path, help="a file to which verdict=... is appended")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.json"), key=lambda file: (len(file.name), file.name))
    reports = [json.loads(file.read_text()) for file in files]
    if arguments.verdict:
        with arguments.verdict.open("a") as file:
            file.write(f"verdict={worst_verdict(reports, arguments.expected)}\n")
    print(markdown(reports, arguments.expected))


if __name__ == "__main__":
    _main()
