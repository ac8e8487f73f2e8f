"""The resolving power as tables."""

from __future__ import annotations

from collections.abc import Sequence

from loracle.bench.sheet import Sheet
from loracle.resolving_power.measure import Power

__all__ = ["sheets"]

_BY = {"bound": "!", "tolerance": "", "bias": "*", "": ""}


def sheets(powers: Sequence[Power]) -> list[Sheet]:
    """One for each contract, machine and kernel: a row for each output, and for each dtype what is
    proven wrong and what is suspect."""
    groups = dict.fromkeys((p.contract, p.machine, p.kernel) for p in powers)
    return [
        _sheet(title, [p for p in powers if (p.contract, p.machine, p.kernel) == title])
        for title in groups
    ]


def _sheet(title: tuple[str, str, str], powers: list[Power]) -> Sheet:
    contract, machine, kernel = title
    dtypes = list(dict.fromkeys(p.dtype for p in powers))
    outputs = list(dict.fromkeys(p.output for p in powers))
    found = {(p.output, p.dtype): p for p in powers}
    headers = [f"{dtype}\n{what}" for dtype in dtypes for what in ("fail", "suspect")]
    rows = []
    for output in outputs:
        row = [output]
        for dtype in dtypes:
            power = found[output, dtype]
            row += [_number(power.proven), _number(power.suspect) + _BY[power.suspect_by]]
        rows.append(tuple(row))
    return Sheet(
        f"{contract}, machine {machine}, in a kernel that is {kernel}",
        ("output", *headers),
        tuple(rows),
        notes=("* by the bias test, ! by the bound itself, else by the tolerance",),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
