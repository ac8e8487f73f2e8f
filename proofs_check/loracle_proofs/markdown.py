"""The ledger as pages: an index with one line a statement, and one page a section."""

from __future__ import annotations

import re
from typing import Any

from loracle_proofs.coverage import SECTIONS, section_of
from loracle_proofs.wording import (
    counterexample_text,
    evidence_text,
    needs_final_form,
    problem_text,
)

__all__ = ["anchor", "index_page", "record_section", "section_file", "section_page"]


def section_file(section: str) -> str:
    """The name of a section's page."""
    return re.sub(r"[^a-z0-9]+", "-", section.lower()).strip("-") + ".md"


def anchor(label: str) -> str:
    """The anchor of a label within its page."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def index_page(document: dict[str, Any]) -> str:
    """Counts, and a table of all records by section."""
    records = {record["label"]: record for record in document["records"]}
    lines = [
        "# Ledger",
        "",
        "Every numbered statement of the paper, with what became of it when it was run. Made by"
        " `make proofs` from the records in `proofs_check/loracle_proofs`; the same is shown by"
        ' `loracle ledger` and, for one statement, by `loracle ledger "Lemma 3.2"`.'
        " [What the words mean](../specification.md#the-ledger).",
        "",
        *_counts(document["records"]),
        "",
    ]
    for section, labels in SECTIONS.items():
        page = section_file(section)
        lines += [f"## {section}", "", "| statement | | as printed | severity | what holds |"]
        lines.append("|---|---|---|---|---|")
        for label in labels:
            record = records[label]
            cells = (
                f"[{label}]({page}#{anchor(label)})",
                _prose(record["title"]),
                record["as_printed"],
                record["severity"] or "",
                record["evidence"]["corrected"],
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _counts(records: list[dict[str, Any]]) -> list[str]:
    statuses: dict[str, int] = {}
    for record in records:
        statuses[record["as_printed"]] = statuses.get(record["as_printed"], 0) + 1
    mutants = sum(record["evidence"]["mutants"] for record in records)
    killed = sum(record["evidence"]["killed"] for record in records)
    equivalent = sum(record["evidence"]["equivalent"] for record in records)
    parts = sum(record["evidence"]["parts"] for record in records)
    lines = [f"{len(records)} statements in {parts} parts. As printed:", ""]
    lines += [
        f"- {status}: {count}"
        for status, count in sorted(statuses.items(), key=lambda item: -item[1])
    ]
    lines += [
        "",
        f"Of {mutants} small changes made to the code of the forms that hold, the checks refuse"
        f" {killed}; {equivalent} change nothing, and are listed with the reason.",
    ]
    return lines


def section_page(document: dict[str, Any], section: str) -> str:
    """The records of one section in full."""
    records = {record["label"]: record for record in document["records"]}
    lines = [f"# {section}", ""]
    for label in SECTIONS[section]:
        lines += [record_section(records[label]), ""]
    return "\n".join(lines)


def record_section(record: dict[str, Any]) -> str:
    """One record in full."""
    label = record["label"]
    lines = [f"## {label} {{ #{anchor(label)} }}", "", f"*{_prose(record['title'])}*", ""]
    status = f"As printed: **{record['as_printed']}**"
    status += f" ({record['severity']})." if record["severity"] else "."
    lines += [f"{status} What holds: {record['evidence']['corrected']}.", ""]
    lines += [*_formula("Printed", record["printed"])]
    if record["corrected"]:
        lines += [*_formula("Corrected", record["corrected"])]
    if record["uses"]:
        lines += [f"Uses: {', '.join(_link(label, used) for used in record['uses'])}.", ""]
    for name, key in (("Source text", "ocr"), ("Remark", "remark")):
        if record[key]:
            lines += [f"{name}: {_prose(record[key])}", ""]
    for part in record["parts"]:
        lines += _part(part)
    return "\n".join(lines).rstrip()


def _link(label: str, used: str) -> str:
    here, there = section_of(label), section_of(used)
    page = "" if here == there else section_file(there)
    return f"[{used}]({page}#{anchor(used)})"


def _formula(name: str, latex: str) -> list[str]:
    return [f"{name}:", "", f"$$\n{latex}\n$$", ""]


def _prose(text: str) -> str:
    """Plain text: what Markdown would take for markup is not."""
    return re.sub(r"([\\\\`*_\[\]<>])", r"\\\1", text)


def _part(part: dict[str, Any]) -> list[str]:
    name = _prose(part["name"])
    name = name[0].upper() + name[1:]
    lines = [f"**{name}.** As printed: {part['as_printed']}. What holds: {part['status']}.", ""]
    if (problem := problem_text(part)) is not None:
        lines += [_prose(problem), ""]
    if part["cites"]:
        lines += [f"Taken on trust: {_prose(part['cites'])}", ""]
    for printed in part["printed"]:
        reading = "As it stands"
        if printed["reading"]:
            reading = f"Read as: {_prose(printed['reading'])}"
        detail = f" ({_prose(printed['detail'])})" if printed["detail"] else ""
        lines += [
            f"{reading}: {printed['outcome']}{detail}.",
            "",
            f"$$\n{printed['latex']}\n$$",
            "",
        ]
    if part["counterexample"]:
        sizes, entries, sides = counterexample_text(part["counterexample"])
        lines += [f"Smallest counterexample: {sizes}; `{entries}`: {_prose(sides)}.", ""]
    if needs_final_form(part):
        lines += ["What holds:", "", f"$$\n{part['corrected']}\n$$", ""]
    if (evidence := evidence_text(part)) is not None:
        lines += [f"Evidence: {evidence}.", ""]
    if part["mutation"] and part["mutation"]["equivalent"]:
        lines += ["Changes that change nothing:", ""]
        equivalent = part["mutation"]["equivalent"]
        lines += [*(f"- `{name}`: {_prose(reason)}" for name, reason in equivalent.items()), ""]
    return lines
