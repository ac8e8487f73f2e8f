"""The verdicts on third parties as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loracle.bench.sheet import Sheet, unescaped
from loracle.errors import UsageError
from loracle.report import Finding, Report
from loracle.third_parties.judging import Outcome, Row, Rows, found

__all__ = ["Earlier", "read_table", "sheet"]

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
_VERDICT = _COLUMNS.index("verdict")

_ON_CPU = "on the CPU"


@dataclass(frozen=True)
class Earlier:
    """What a table has that was made before. versions: its notes on what it was made with."""

    rows: Rows
    versions: tuple[str, ...]

    @property
    def on_cpu(self) -> bool:
        """Whether it was made there, and not on a GPU."""
        return all(version.endswith(_ON_CPU) for version in self.versions)


def sheet(outcomes: Sequence[Outcome], earlier: Earlier | None = None) -> Sheet:
    """A row for each; those that are judged wrong are marked. earlier: where rows come from."""
    rows = [_row(outcome) for outcome in outcomes]
    names = [outcome.asked.adapter.name for outcome in outcomes]
    kept = any(outcome.row is not None for outcome in outcomes)
    starts = [i for i, name in enumerate(names) if i and name != names[i - 1]]
    return Sheet(
        "Third parties, as installed",
        _COLUMNS,
        tuple(rows),
        marked=frozenset(i for i, row in enumerate(rows) if row[_VERDICT] == "fail"),
        breaks=frozenset(starts),
        notes=_notes(outcomes, earlier.versions if earlier and kept else ()),
        left=_WORDS,
        long=frozenset({"what was found"}),
    )


def read_table(path: str) -> Earlier:
    """A table that was written as Markdown; rows of what was not judged are left out.

    Raises UsageError, in one line, if it cannot be read or is another table.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read {path}: {why}") from None
    cells = [_cells(line) for line in lines if line.startswith("| ")]
    if not cells or cells[0] != tuple(column.replace("\n", " ") for column in _COLUMNS):
        raise UsageError(f"{path} is no table that `loracle adapters --judge --markdown` has made")
    for row in cells[1:]:
        if len(row) != len(_COLUMNS):
            text = f"of {row[0]} has {len(row)} cells" if row else "has no cells"
            raise UsageError(f"{path}: a row {text}, and the table {len(_COLUMNS)} columns")
    rows = {(row[0], row[2], row[3]): row for row in cells[1:] if row[_VERDICT] != "-"}
    versions = [unescaped(line[2:]) for line in lines if line.startswith("- loracle ")]
    return Earlier(rows, tuple(versions))


def _cells(line: str) -> Row:
    """Of a line that `markdown` has written."""
    cells = re.split(r"(?<!\\)\|", line)[1:-1]
    plain = [unescaped(cell.strip()) for cell in cells]
    return tuple(re.sub(r"^\*\*(.*)\*\*$", r"\1", cell) for cell in plain)


def _row(outcome: Outcome) -> Row:
    if outcome.row is not None:
        return outcome.row
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
    if (cases := report.request.get("cases")) is not None:
        words.append(f"{cases} {'case' if cases == 1 else 'cases'} a regime")
    if report.seed:
        words.append(f"seed {report.seed}")
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


def _notes(outcomes: Sequence[Outcome], earlier: tuple[str, ...]) -> tuple[str, ...]:
    remarks = {
        o.asked.adapter.name: o.asked.adapter.remark for o in outcomes if o.asked.adapter.remark
    }
    environments = [o.report.environment for o in outcomes if o.report is not None]
    versions = [
        f"loracle {e.get('loracle')}, torch {e.get('torch')}, python {e.get('python')},"
        f" {'on ' + e['cuda_device'] if 'cuda_device' in e else _ON_CPU}"
        for e in environments[:1]
    ]
    versions = list(dict.fromkeys([*earlier, *versions]))
    return (*versions, *(f"{name}: {remark}" for name, remark in remarks.items()))
