"""Judges the adapters that are installed, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loracle.adapters import Adapter
from loracle.errors import UsageError
from loracle.report import Report

__all__ = ["Outcome", "judged"]


@dataclass(frozen=True)
class Outcome:
    """How one adapter fares under one contract in one dtype. report: None if it was not judged, for
    the reason."""

    adapter: Adapter
    contract: str
    dtype: str
    report: Report | None
    reason: str = ""


def judged(
    adapters: Sequence[Adapter],
    dtypes: Sequence[str],
    judge: Callable[[Adapter, str, str], Report],
) -> Iterator[Outcome]:
    """Every adapter under every contract of its in every dtype, on the CPU, by `judge` (adapter,
    contract, dtype). One that is not installed, cannot be loaded or does not support a dtype is an
    outcome without a report."""
    for adapter in adapters:
        for contract in adapter.contracts:
            for dtype in dtypes:
                yield _judged(adapter, contract, dtype, judge)


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
