"""What is in a set of vectors, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

__all__ = ["vector_tables"]


def vector_tables(manifest: Mapping[str, Any], where: str) -> Group:
    """One row per file, then one per flag. manifest: of the schema."""
    files = manifest["files"]
    cases = sum(len(file["cases"]) for file in files)
    title = Text.assemble(
        (where, "bold"),
        f"  {cases} cases, seed {manifest['seed']}, machine {manifest['machine']},"
        f" loracle {manifest['loracle']}",
    )
    return Group(title, Text(), _files(manifest), Text(), _flags(manifest))


def _files(manifest: Mapping[str, Any]) -> Table:
    """proving: the number of cases in which a known mistake is proven wrong."""
    rows, files = manifest["reveals"], manifest["files"]
    table = _table("contract", "dtype", "cases", "proving", "numbers", "KiB")
    for column in (2, 3, 4, 5):
        table.columns[column].justify = "right"
    for file in files:
        outputs = [output for case in file["cases"] for output in case["outputs"].values()]
        proving = sum(
            any(rows[output["reveals"]]["proves"] for output in case["outputs"].values())
            for case in file["cases"]
        )
        table.add_row(
            Text(file["contract"], style="bold"),
            file["dtype"],
            str(len(file["cases"])),
            str(proving),
            str(sum(_entries(output["shape"]) for output in outputs)),
            str(-(-file["bytes"] // 1024)),
        )
    return table


def _flags(manifest: Mapping[str, Any]) -> Table:
    counted = Counter(
        flag for file in manifest["files"] for case in file["cases"] for flag in case["flags"]
    )
    table = _table("flag", "cases", "why")
    table.columns[1].justify = "right"
    for flag, entry in manifest["flags"].items():
        table.add_row(Text(flag, style="bold"), str(counted[flag]), entry["why"])
    return table


def _entries(shape: list[int]) -> int:
    entries = 1
    for size in shape:
        entries *= size
    return entries


def _table(*headers: str) -> Table:
    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.padding = (0, 2, 0, 0)
    return table
