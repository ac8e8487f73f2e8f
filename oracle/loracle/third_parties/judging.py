"""Judges the adapters that are installed, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loracle.adapters import ADAPTERS, Adapter, installed_version
from loracle.errors import UsageError
from loracle.report import Report
from loracle_reference.floating_point import FORMATS

__all__ = ["Key", "Outcome", "Row", "found", "judged", "with_earlier"]

Key = tuple[str, str, str]
"""Adapter, contract, dtype."""

Row = tuple[str, ...]
"""The cells of an outcome in the table."""


@dataclass(frozen=True)
class Outcome:
    """How one adapter fares under one contract in one dtype. report: None if it was not judged, for
    the reason, or was judged earlier, with that row."""

    adapter: Adapter
    contract: str
    dtype: str
    report: Report | None
    reason: str = ""
    row: Row | None = None

    @property
    def key(self) -> Key:
        """By which a table has it once."""
        return self.adapter.name, self.contract, self.dtype


def found(adapter: Adapter) -> str:
    """What is judged and its version."""
    package = adapter.packages[0]
    version = installed_version(package)
    return f"{package} {version}" if version else f"{package} missing"


def judged(
    adapters: Collection[Adapter],
    dtypes: Sequence[str],
    judge: Callable[[Adapter, str, str], Report],
    earlier: Mapping[Key, Row] | None = None,
) -> Iterator[Outcome]:
    """Every adapter under every contract of its in every dtype, on the CPU, by `judge` (adapter,
    contract, dtype). One that is not installed, cannot be loaded or does not support a dtype is an
    outcome without a report.

    earlier: rows of a table, of these adapters and of others, that are kept: all but those of other
    versions than are installed, where their adapters are asked for.
    """
    rows = earlier or {}
    known = {adapter.name: adapter for adapter in adapters}
    for name in dict.fromkeys([*ADAPTERS, *known]):
        adapter = known.get(name) or ADAPTERS[name]
        asked = dtypes if name in known else ()
        for contract in adapter.contracts:
            had = {key[2] for key in rows if key[:2] == (name, contract)}
            both = [dtype for dtype in FORMATS if dtype in had or dtype in asked]
            for dtype in both if had else asked:
                row = rows.get((name, contract, dtype))
                if row is not None and (dtype not in asked or _holds(row, adapter)):
                    yield Outcome(adapter, contract, dtype, None, row=row)
                else:
                    yield _judged(adapter, contract, dtype, judge)


def with_earlier(outcomes: Sequence[Outcome], earlier: Mapping[Key, Row]) -> list[Outcome]:
    """The outcomes of a run that ended early, and the rows that it did not come to."""
    done = {outcome.key for outcome in outcomes}
    rest = [
        Outcome(ADAPTERS[key[0]], key[1], key[2], None, row=row)
        for key, row in earlier.items()
        if key[0] in ADAPTERS and key not in done
    ]
    places = {name: place for place, name in enumerate(ADAPTERS)}
    return sorted([*outcomes, *rest], key=lambda o: places.get(o.adapter.name, len(places)))


def _holds(row: Row, adapter: Adapter) -> bool:
    """Whether it is of what is installed; where nothing is, there is no better one."""
    return bool(adapter.missing()) or row[1] == found(adapter)


def _judged(
    adapter: Adapter, contract: str, dtype: str, judge: Callable[[Adapter, str, str], Report]
) -> Outcome:
    missing = adapter.missing()
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        return Outcome(adapter, contract, dtype, None, reason)
    if dtype in adapter.declaration_on("cpu").unsupported:
        return Outcome(adapter, contract, dtype, None, "declares that it does not support it")
    try:
        return Outcome(adapter, contract, dtype, judge(adapter, contract, dtype))
    except UsageError as error:
        return Outcome(adapter, contract, dtype, None, " ".join(str(error).split()))
