"""The table of theorems in proofs_check/coq/README.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loracle_proofs.coq.sources import Theorem

__all__ = ["table", "write_table"]

_START, _END = "<!-- --8<-- [start:table] -->\n", "<!-- --8<-- [end:table] -->\n"

_SIGNS = (("||", "‖"), ("|->", "↦"), ("|", "∣"))
"""A vertical bar would end the cell of a table."""


def table(theorems: Sequence[Theorem]) -> str:
    """One line a theorem: statement of the paper, form, theorem, what it says."""
    lines = ["| statement | form | theorem | what it says |", "|---|---|---|---|"]
    for theorem in theorems:
        says = theorem.text
        for ascii_form, sign in _SIGNS:
            says = says.replace(ascii_form, sign)
        lines.append(
            f"| {', '.join(theorem.labels)} | {theorem.form} | `{theorem.name}` | `{says}` |"
        )
    return "\n".join(lines) + "\n"


def write_table(path: Path, theorems: Sequence[Theorem]) -> None:
    """Put the table between its two marks. Raises ValueError if the file has no marks."""
    text = path.read_text(encoding="utf-8")
    if text.count(_START) != 1 or text.count(_END) != 1:
        raise ValueError(f"{path.name} has no place for the table")
    before, rest = text.split(_START)
    after = rest.split(_END)[1]
    path.write_text(f"{before}{_START}\n{table(theorems)}\n{_END}{after}", encoding="utf-8")
