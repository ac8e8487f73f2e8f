"""The verdicts on third parties as a table."""

from __future__ import annotations

from collections.abc import Sequence

from loracle.adapters import Adapter, installed_version
from loracle.bench.sheet import Sheet
from loracle.report import Finding, Report
from loracle.third_parties.judging import Outcome

__all__ = ["found", "sheet"]

_COLUMNS = (
    "adapter",
    "version",
    "contract",
    "dtype",
    "verdict",
    "error /\nbound",
    "error /\ntolerance",
    "what was found",
)
_WORDS = frozenset({"adapter", "version", "contract", "dtype", "verdict", "what was found"})
_LONGEST = 160


def sheet(outcomes: Sequence[Outcome]) -> Sheet:
    """A row for each; those that are judged wrong are marked."""
    rows = [_row(outcome) for outcome in outcomes]
    verdicts = [outcome.report.verdict if outcome.report else "" for outcome in outcomes]
    names = [outcome.asked.adapter.name for outcome in outcomes]
    starts = [i for i, name in enumerate(names) if i and name != names[i - 1]]
    return Sheet(
        "Third parties, as installed",
        _COLUMNS,
        tuple(rows),
        marked=frozenset(i for i, verdict in enumerate(verdicts) if verdict == "fail"),
        breaks=frozenset(starts),
        notes=_notes(outcomes),
        left=_WORDS,
        long=frozenset({"what was found"}),
    )


def found(adapter: Adapter) -> str:
    """What is judged and its version."""
    package = adapter.packages[0]
    version = installed_version(package)
    return f"{package} {version}" if version else f"{package} missing"


def _row(outcome: Outcome) -> tuple[str, ...]:
    report = outcome.report
    start = (
        outcome.asked.adapter.name,
        found(outcome.asked.adapter),
        outcome.asked.contract,
        outcome.asked.dtype,
    )
    if report is None:
        return (*start, "-", "-", "-", _shortened(outcome.reason))
    return (
        *start,
        report.verdict,
        _worst([summary.worst_error_to_bound for summary in report.regimes.values()]),
        _worst([summary.worst_error_to_tolerance for summary in report.regimes.values()]),
        _words(report),
    )


def _worst(ratios: Sequence[float | None]) -> str:
    known = [ratio for ratio in ratios if ratio is not None]
    return f"{max(known):.2g}" if known else "-"


def _words(report: Report) -> str:
    """The findings in a few words, and what was left out."""
    words = [_finding(finding) for finding in report.findings] or [report.reason]
    declined = sum(summary.declined for summary in report.regimes.values())
    if declined:
        words.append(f"{declined} cases declined")
    outputs = [s["what"] for s in report.skipped if "output" in s["reason"]]
    if outputs:
        words.append(f"{len(outputs)} outputs declared away")
    return "; ".join(word for word in words if word)


def _finding(finding: Finding) -> str:
    hypotheses = ", ".join(d.hypothesis for d in finding.diagnosis) or "no hypothesis"
    where = f"{finding.output}: " if finding.output else ""
    told = finding.diagnosis[0].explanation if finding.output is None and finding.diagnosis else ""
    case = finding.case.partition(" ")[0]
    detail = f" ({_shortened(told)})" if told else ""
    return f"{where}{hypotheses}{detail}, {finding.count} of {finding.cases_total} cases, {case}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _notes(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    remarks = {
        o.asked.adapter.name: o.asked.adapter.remark for o in outcomes if o.asked.adapter.remark
    }
    environments = [o.report.environment for o in outcomes if o.report is not None]
    versions = [
        f"loracle {e.get('loracle')}, torch {e.get('torch')}, python {e.get('python')},"
        f" on {e.get('cuda_device', 'the CPU')}"
        for e in environments[:1]
    ]
    return (*versions, *(f"{name}: {remark}" for name, remark in remarks.items()))
