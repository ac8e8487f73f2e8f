"""Judges the adapters that are installed, one after the other or side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loracle import validation
from loracle.adapters import ADAPTERS, Adapter, installed_version
from loracle.errors import UsageError
from loracle.report import Report
from loracle.spreading import spread
from loracle_reference.floating_point import FORMATS

__all__ = [
    "Asked",
    "Judge",
    "Outcome",
    "Row",
    "Rows",
    "Validate",
    "found",
    "judged",
    "with_earlier",
]

Row = tuple[str, ...]
"""The cells of an outcome in the table."""


@dataclass(frozen=True)
class Asked:
    """One adapter under one of its contracts in one dtype."""

    adapter: Adapter
    contract: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.adapter.name}, {self.contract}, {self.dtype}"


@dataclass(frozen=True)
class Outcome:
    """How it fares. report: None if it was not judged, for the reason, or was judged earlier, with
    that row."""

    asked: Asked
    report: Report | None
    reason: str = ""
    row: Row | None = None


Rows = Mapping[tuple[str, str, str], Row]
"""By adapter, contract and dtype."""


def found(adapter: Adapter) -> str:
    """What is judged and its version."""
    package = adapter.packages[0]
    version = installed_version(package)
    return f"{package} {version}" if version else f"{package} missing"


Judge = Callable[[Asked], Report]


@dataclass(frozen=True)
class Validate:
    """`loracle.validate`, with these arguments."""

    device: str = "cpu"
    cases: int | None = None
    seed: int = 0
    timeout: float = 60.0
    on_progress: validation.OnProgress | None = None

    def __call__(self, asked: Asked) -> Report:
        return validation.validate(
            asked.adapter.name,
            contract=asked.contract,
            dtype=asked.dtype,
            device=self.device,
            cases=self.cases,
            seed=self.seed,
            timeout=self.timeout,
            on_progress=self.on_progress,
        )


def judged(
    adapters: Sequence[Adapter],
    dtypes: Sequence[str],
    judge: Judge,
    *,
    device: str = "cpu",
    jobs: int = 1,
    on_outcome: Callable[[int, int, str], None] = lambda done, total, last: None,
    earlier: Rows | None = None,
) -> Iterator[Outcome]:
    """Every adapter under every contract of its in every dtype, by `judge`, in that order. One that
    is not installed, cannot be loaded or does not support a dtype is an outcome without a report.

    jobs: more than one are judged side by side, in processes of their own. on_outcome gets how many
    are judged, how many there are, and the last one. earlier: of these rows those are left out that
    still hold.
    """
    wanted = [
        Asked(a, contract, dtype)
        for a in adapters
        for contract in a.contracts
        for dtype in dtypes
        if not _holds((earlier or {}).get((a.name, contract, dtype)), a)
    ]
    work = partial(_judged, judge=judge, device=device)
    if jobs == 1:
        yield from map(work, wanted)
        return
    known: dict[str, Outcome] = {}
    for outcome in spread(work, [[asked] for asked in wanted], jobs, lambda: None):
        known[str(outcome.asked)] = outcome
        on_outcome(len(known), len(wanted), str(outcome.asked))
    yield from (known[str(asked)] for asked in wanted)


def _judged(asked: Asked, judge: Judge, device: str) -> Outcome:
    missing = asked.adapter.missing()
    if missing:
        return Outcome(asked, None, f"not installed: {', '.join(missing)}")
    if asked.dtype in asked.adapter.declaration_on(device).unsupported:
        return Outcome(asked, None, "declares that it does not support it")
    try:
        return Outcome(asked, judge(asked))
    except UsageError as error:
        return Outcome(asked, None, " ".join(str(error).split()))


def _holds(row: Row | None, adapter: Adapter) -> bool:
    """Whether it is of what is installed; where nothing is, there is no better one."""
    return row is not None and (bool(adapter.missing()) or row[1] == found(adapter))


def with_earlier(outcomes: Collection[Outcome], earlier: Rows) -> list[Outcome]:
    """The outcomes of a run and the rows for which it has none, in the order of a whole run. A row
    of what there is no more, be it adapter, contract or dtype, is left out."""
    done = {str(outcome.asked) for outcome in outcomes}
    kept = [
        Outcome(Asked(ADAPTERS[name], contract, dtype), None, row=row)
        for (name, contract, dtype), row in earlier.items()
        if name in ADAPTERS and contract in ADAPTERS[name].contracts and dtype in FORMATS
    ]
    return sorted([*outcomes, *(one for one in kept if str(one.asked) not in done)], key=_place)


def _place(outcome: Outcome) -> tuple[int, ...]:
    asked = outcome.asked
    orders = ((ADAPTERS, asked.adapter.name), (asked.adapter.contracts, asked.contract))
    return tuple(list(names).index(name) for names, name in (*orders, (FORMATS, asked.dtype)))
