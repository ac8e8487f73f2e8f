"""A table with what belongs above and below it, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loracle.presentation.terminal import make_console

__all__ = ["Sheet", "markdown", "show", "unescaped", "wide_console"]

_WIDTH = 100


@dataclass(frozen=True)
class Sheet:
    """title: one line. columns: headers, in one or two lines. rows: cells of text; a row that is
    marked is shown in red. breaks: rows that a new group begins with. notes: one line each. left:
    headers of the columns that are words. long: of those whose text may take several lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    left: frozenset[str] = frozenset({"method", "output"})
    long: frozenset[str] = frozenset()

    def without_empty_columns(self, empty: str = "-") -> Sheet:
        """The same without columns in which there is nothing but `empty`."""
        kept = [i for i in range(len(self.columns)) if any(row[i] != empty for row in self.rows)]
        return replace(
            self,
            columns=tuple(self.columns[i] for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in self.rows),
        )


def wide_console(*, stderr: bool = False) -> Console:
    """The console of the other commands, but 100 columns wide where it would be narrower."""
    console = make_console(stderr=stderr)
    console.width = max(console.width, _WIDTH)
    return console


def show(sheets: Sequence[Sheet], console: Console) -> None:
    """Prints them one after the other."""
    for sheet in sheets:
        console.print(Text(sheet.title, style="bold"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        two_lines = any("\n" in header for header in sheet.columns)
        for header in sheet.columns:
            text = f"\n{header}" if two_lines and "\n" not in header else header
            justify: Literal["left", "right"] = "left" if header in sheet.left else "right"
            table.add_column(text, justify=justify, no_wrap=header not in sheet.long)
        for number, row in enumerate(sheet.rows):
            if number in sheet.breaks and number:
                table.add_section()
            table.add_row(*row, style="bold red" if number in sheet.marked else "")
        console.print(table)
        for note in sheet.notes:
            console.print(Text(note, style="dim"))
        console.print()


def markdown(sheets: Sequence[Sheet], command: str) -> str:
    """As Markdown: the command that they come from; of each the title in bold, table, notes."""
    parts = [f"```\n{command}\n```"]
    for sheet in sheets:
        headers = [header.replace("\n", " ") for header in sheet.columns]
        rules = [":---" if header in sheet.left else "---:" for header in sheet.columns]
        lines = [_line(headers), "|" + "|".join(rules) + "|"]
        for number, row in enumerate(sheet.rows):
            lines.append(_line([f"**{c}**" if number in sheet.marked else c for c in row]))
        notes = [f"- {_escaped(note)}" for note in sheet.notes]
        parts.append("\n".join([f"**{_escaped(sheet.title)}**", "", *lines, "", *notes]))
    return "\n\n".join(parts) + "\n"


def unescaped(text: str) -> str:
    """A cell or a note that `markdown` has written, as it was."""
    return text.replace("\\|", "|").replace("&lt;", "<")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """What Markdown would read as marks of its own."""
    return text.replace("|", "\\|").replace("<", "&lt;")
