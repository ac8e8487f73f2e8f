"""Which entries of a file a run is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loracle.errors import UsageError, nearest
from loracle.expectations.entries import Entry, twice
from loracle.expectations.names import exists, same_kernel
from loracle.report import ExpectedFailure
from loracle.request import checked_dtype

__all__ = ["applying", "homeless"]


def applying(
    entries: Sequence[Entry], kernel: Callable[..., Any] | str, name: str, dtype: str
) -> list[Entry]:
    """The entries for this kernel, whose TARGET or name it is, in this dtype.

    Raises UsageError on a dtype that there is not, and on two entries that are one, since they
    name the kernel in two ways.
    """
    mine = [
        entry
        for entry in entries
        if _is_of(entry, kernel, name)
        and (entry.dtype is None or checked_dtype(entry.dtype) == dtype)
    ]
    known: dict[tuple[str | None, ...], Entry] = {}
    for entry in mine:
        first = known.setdefault((entry.output, entry.regime, entry.dtype), entry)
        if first is not entry:
            raise UsageError(twice(entry, first))
    return mine


def homeless(
    entries: Sequence[Entry], kernel: Callable[..., Any] | str, name: str
) -> list[ExpectedFailure]:
    """The entries that are for no kernel: neither for this one nor for any that can be found. One
    that is near the name of this one, or any where none is for this one, is most likely its name
    misspelt."""
    own = any(_is_of(entry, kernel, name) for entry in entries)
    this = kernel if isinstance(kernel, str) else name

    def hint(entry: Entry) -> str:
        return nearest(entry.kernel, [this]) or ("" if own else f"; this one is {this}")

    return [
        ExpectedFailure(
            entry.place,
            entry.kernel,
            entry.output,
            entry.regime,
            entry.dtype,
            entry.hypothesis,
            entry.reason,
            state="unknown",
            problem=f"there is no kernel {entry.kernel}{hint(entry)}",
        )
        for entry in entries
        if not _is_of(entry, kernel, name) and not exists(entry.kernel)
    ]


def _is_of(entry: Entry, kernel: Callable[..., Any] | str, name: str) -> bool:
    return same_kernel(entry.kernel, kernel if isinstance(kernel, str) else name)
