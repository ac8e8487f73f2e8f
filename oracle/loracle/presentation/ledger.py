"""The ledger on the terminal: a table of all statements, or one of them in full."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any, Literal

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loracle.errors import UsageError
from loracle.presentation.plain_formula import plain_formula
from loracle.presentation.terminal import make_console
from loracle_proofs.coq.evidence import coq_evidence, coq_lines, load_recorded
from loracle_proofs.coverage import SECTIONS
from loracle_proofs.markdown import index_page, record_section
from loracle_proofs.results import load_results, source_stamp
from loracle_proofs.wording import (
    counterexample_text,
    evidence_text,
    needs_final_form,
    problem_text,
)

__all__ = ["print_ledger"]

_STYLES = {
    "holds": "green",
    "holds under a stated reading": "green",
    "cited": "cyan",
    "vacuous": "yellow",
    "ill-typed": "red",
    "fails": "red",
}


def print_ledger(label: str | None, *, form: Literal["table", "json", "markdown"]) -> None:
    """Print all records, or the one with that label.

    Raises UsageError if the paper has no such label, or if there are no results to show.
    """
    try:
        document = load_results()
    except FileNotFoundError:
        raise UsageError("no results are installed: run `make proofs` in a checkout") from None
    record = None if label is None else _find(document, label)
    if document["sources"] != source_stamp():
        click.echo(
            "These results were obtained from other sources than those installed:"
            " run `make proofs` for results of these.",
            err=True,
        )
    if form == "json":
        recorded = load_recorded()
        records = [
            {**one, "coq": coq_evidence(one["label"], recorded)}
            for one in (document["records"] if record is None else [record])
        ]
        shown = {**document, "records": records}
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
    elif form == "markdown":
        click.echo(index_page(document) if record is None else _markdown(record))
    elif record is None:
        _print_table(document, make_console())
    else:
        _print_record(record, make_console())


def _markdown(record: dict[str, Any]) -> str:
    """The record's section, and what Coq has proved of it."""
    lines = coq_lines(coq_evidence(record["label"], load_recorded()))
    if not lines:
        return record_section(record)
    listed = [f"- {line}" for line in lines[1:]]
    return "\n".join([record_section(record), "", lines[0], "", *listed]).rstrip()


def _find(document: dict[str, Any], label: str) -> dict[str, Any]:
    records = {record["label"].casefold(): record for record in document["records"]}
    wanted = " ".join(label.split()).casefold()
    if wanted in records:
        found: dict[str, Any] = records[wanted]
        return found
    close = [records[one]["label"] for one in get_close_matches(wanted, records, n=3, cutoff=0.5)]
    hint = f"; did you mean {' or '.join(close)}?" if close else "; `loracle ledger` lists them"
    raise UsageError(f"the paper has no statement labelled {label!r}{hint}")


def _print_table(document: dict[str, Any], console: Console) -> None:
    """Label, title, what became of the text as it stands, and the evidence for what holds."""
    records = {record["label"]: record for record in document["records"]}
    console.print("statement, title, what became of it as printed, evidence for what holds\n")
    rows = {label: _row(record) for label, record in records.items()}
    widest = [max(len(cell) for cell in column) for column in zip(*rows.values(), strict=True)]
    # Shared by the tables of all sections; where it is too narrow, they are wrapped alike.
    fits = sum(widest) + 2 * len(widest) <= console.width
    for section, labels in SECTIONS.items():
        console.print(Text(section, style="bold"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(min_width=widest[0], no_wrap=True)
        for width, ratio in zip(widest[1:], (2, 1, 1), strict=True):
            table.add_column(min_width=width) if fits else table.add_column(ratio=ratio)
        table.expand = not fits
        for label in labels:
            table.add_row(*rows[label])
        console.print(table)
        console.print()
    counts: dict[str, int] = {}
    for record in records.values():
        counts[record["as_printed"]] = counts.get(record["as_printed"], 0) + 1
    listed = ", ".join(f"{counts[status]} {status}" for status in _STYLES if status in counts)
    console.print(f"{len(records)} statements as printed: {listed}.", soft_wrap=True)
    console.print('One of them in full: loracle ledger "Lemma 3.2"')


def _row(record: dict[str, Any]) -> tuple[Text, Text, Text, Text]:
    """Label, title, what became of it as printed, evidence for what holds."""
    status = Text(record["as_printed"], style=_STYLES.get(record["as_printed"], "red"))
    corrected = Text(record["evidence"]["corrected"])
    return Text(record["label"]), Text(record["title"]), status, corrected


def _print_record(record: dict[str, Any], console: Console) -> None:
    status = Text(record["as_printed"], style=_STYLES.get(record["as_printed"], "red"))
    severity = f" ({record['severity']})" if record["severity"] else ""
    console.print(Text(record["label"], style="bold"), Text(record["title"]), sep="  ")
    console.print(Text("As printed: "), status, Text(severity), sep="")
    console.print(f"What holds: {record['evidence']['corrected']}", markup=False)
    _print_formula("Printed (LaTeX with --markdown)", record["printed"], console)
    if record["corrected"]:
        _print_formula("Corrected", record["corrected"], console)
    if record["uses"]:
        console.print(f"Uses: {', '.join(record['uses'])}", markup=False)
    for name, key in (("Source text", "ocr"), ("Remark", "remark")):
        if record[key]:
            console.print(f"{name}: {record[key]}", markup=False, highlight=False)
    for part in record["parts"]:
        console.print()
        _print_part(part, console)
    if lines := coq_lines(coq_evidence(record["label"], load_recorded())):
        console.print()
        console.print(Text(lines[0], style="bold"))
        for line in lines[1:]:
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def _print_part(part: dict[str, Any], console: Console) -> None:
    console.print(Text(part["name"], style="bold"))
    lines = [f"as printed: {part['as_printed']}; what holds: {part['status']}"]
    if (problem := problem_text(part)) is not None:
        lines.append(problem)
    if part["cites"]:
        lines.append(f"taken on trust: {part['cites']}")
    for printed in part["printed"]:
        reading = f"read as: {printed['reading']}" if printed["reading"] else "as it stands"
        detail = f" ({printed['detail']})" if printed["detail"] else ""
        lines += [
            f"{reading}: {printed['outcome']}{detail}",
            f"    {plain_formula(printed['latex'])}",
        ]
    if (found := part["counterexample"]) is not None:
        lines.append(f"smallest counterexample: {'; '.join(counterexample_text(found))}")
    if needs_final_form(part):
        lines += ["what holds:", f"    {plain_formula(part['corrected'])}"]
    if (evidence := evidence_text(part)) is not None:
        lines.append(f"evidence: {evidence}")
    for line in lines:
        text = line.lstrip()
        indent = (0, 0, 0, 2 + len(line) - len(text))
        console.print(Padding(Text(text), indent, expand=False))


def _print_formula(name: str, latex: str, console: Console) -> None:
    console.print(f"{name}:", markup=False)
    console.print(Padding(Text(plain_formula(latex)), (0, 0, 0, 4), expand=False))
