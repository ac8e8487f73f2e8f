"""The file of expected failures, in TOML; docs/continuous-integration.md says what each key means.

[[expected]]
kernel = "my_kernels.py:lora_linear"
output = "grad_x"               # or a list of outputs; an input's name; "the call"
regime = ["ragged", "long"]     # or one; "whole" for a bias across cases
dtype = "bfloat16"              # or a list; may be left out: then in every dtype
hypothesis = "dropped-tail"     # may be left out: then whatever the diagnosis is
reason = "issue 123"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loracle.errors import UsageError, nearest
from loracle.expectations.hypotheses import known_hypotheses

__all__ = ["CALL", "OPTIONAL", "REQUIRED", "WHOLE", "Entry", "read_entries", "twice"]

CALL = "the call"
"""Stands for the output of a finding that has none, such as a crash."""

WHOLE = "whole"
"""Stands for the regime of what only all cases together show."""

REQUIRED = ("kernel", "output", "regime", "reason")
OPTIONAL = ("dtype", "hypothesis")
_LISTS = ("output", "regime", "dtype")


@dataclass(frozen=True)
class Entry:
    """One failure that is expected. place: the file and the number of its table, from 1; a table
    that lists several outputs, regimes or dtypes is several entries."""

    place: str
    kernel: str
    output: str
    regime: str
    reason: str
    dtype: str | None = None
    hypothesis: str | None = None

    def __str__(self) -> str:
        where = f"{self.output} in {self.regime}"
        return where if self.hypothesis is None else f"{where} ({self.hypothesis})"


def read_entries(path: str | os.PathLike[str]) -> tuple[Entry, ...]:
    """All entries of a file.

    Raises UsageError, in one line with the place, if it cannot be read, is no TOML, or has an entry
    without reason, with an unknown key or hypothesis or a value of another type, or one thing
    twice.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read the expected failures {name}: {why}") from None
    tables = data.pop("expected", [])
    listed = isinstance(tables, list) and all(isinstance(table, dict) for table in tables)
    if data or not listed:
        raise UsageError(f"{name}: expected failures are tables [[expected]], and nothing else")
    entries = [
        entry
        for number, table in enumerate(tables, start=1)
        for entry in _entries(f"{name}, entry {number}", table)
    ]
    known: dict[tuple[str | None, ...], Entry] = {}
    for entry in entries:
        key = (entry.kernel, entry.output, entry.regime, entry.dtype)
        first = known.setdefault(key, entry)
        if first is not entry:
            raise UsageError(twice(entry, first))
    return tuple(entries)


def twice(entry: Entry, first: Entry) -> str:
    """The complaint about an entry that is there already."""
    return f"{entry.place}: {entry} is in {first.place.rpartition(', ')[2]} too"


def _entries(place: str, table: Mapping[str, Any]) -> list[Entry]:
    for key in table:
        if key not in (*REQUIRED, *OPTIONAL):
            keys = (*REQUIRED, *OPTIONAL)
            known = nearest(key, keys) or f"; known: {', '.join(keys)}"
            raise UsageError(f"{place}: unknown key {key!r}{known}")
    for key in REQUIRED:
        if not _texts(key, table.get(key)):
            form = "a text or a list of texts" if key in _LISTS else "a text"
            raise UsageError(f"{place}: {key} is missing; it must be {form} that is not empty")
    for key in OPTIONAL:
        if key in table and not _texts(key, table[key]):
            raise UsageError(f"{place}: {key} must be a text, not {table[key]!r}")
    _check_hypothesis(place, table.get("hypothesis"))
    return [
        Entry(
            place,
            kernel=table["kernel"],
            output=output,
            regime=regime,
            reason=" ".join(table["reason"].split()),
            dtype=dtype,
            hypothesis=table.get("hypothesis"),
        )
        for output in _texts("output", table["output"])
        for regime in _texts("regime", table["regime"])
        for dtype in (_texts("dtype", table["dtype"]) if "dtype" in table else (None,))
    ]


def _check_hypothesis(place: str, name: str | None) -> None:
    if name is not None and name not in (known := known_hypotheses()):
        hint = nearest(name, known) or "; docs/diagnosis.md lists them"
        raise UsageError(f"{place}: unknown hypothesis {name!r}{hint}")


def _texts(key: str, value: Any) -> Sequence[str]:
    """The texts that a value is, none if it is not what the key takes."""
    several = value if isinstance(value, list) and key in _LISTS else [value]
    right = all(isinstance(one, str) and one.strip() for one in several)
    return tuple(dict.fromkeys(several)) if right else ()
