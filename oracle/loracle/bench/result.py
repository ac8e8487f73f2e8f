"""What a run found, as the JSON file has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from loracle import __version__
from loracle.bench.accuracy import OutputAccuracy
from loracle.bench.laws import PowerLaw
from loracle.bench.request import BenchRequest

__all__ = ["SCHEMA", "BenchResult", "Row", "Skipped", "plain"]

SCHEMA = "loracle-bench/1"
"""The name of the form of `BenchResult.to_dict`; `loracle schema bench` describes it."""


@dataclass(frozen=True)
class Row:
    """One method at one length. None stands for what is not known or has no meaning.

    seconds: the best of `repeats`; extrapolated by the law of the lengths `source` where that is
    set. peak_bytes: above what the inputs take. max_error, certificate, natural_scale and
    gradient_max: of the output and head named, the worst one; within_*: of all of them, each in
    `outputs`. ratio: seconds over those of the fastest exact method, `fastest_exact`, whose own may
    be extrapolated. operations: of the contractions; matmul_flops: operations per second of one
    large product in the same process; share_of_matmul_rate: operations / seconds / matmul_flops.
    """

    method: str
    length: int
    heads: int
    distinct: int
    data: str
    dtype: str
    device: str
    seconds: float
    extrapolated: bool
    source: tuple[int, ...] = ()
    repeats: tuple[float, ...] = ()
    peak_bytes: int | None = None
    max_error: float | None = None
    certificate: float | None = None
    natural_scale: float | None = None
    gradient_max: float | None = None
    output: str | None = None
    head: int | None = None
    within_certificate: bool | None = None
    within_epsilon: bool | None = None
    finite: bool | None = None
    truth: str | None = None
    ratio: float | None = None
    fastest_exact: str | None = None
    ratio_extrapolated: bool = False
    rank: int | None = None
    degree: int | None = None
    probability_error: float | None = None
    operations: int | None = None
    matmul_flops: float | None = None
    share_of_matmul_rate: float | None = None
    backend: str | None = None
    block: int | None = None
    memory_source: str | None = None
    outputs: tuple[OutputAccuracy, ...] = ()

    @property
    def violates(self) -> bool:
        """Whether an error exceeds its certificate, or a certificate epsilon x natural scale."""
        return self.within_certificate is False or self.within_epsilon is False


@dataclass(frozen=True)
class Skipped:
    """A method that was not run at a length, and why."""

    method: str
    length: int
    heads: int
    reason: str


@dataclass(frozen=True)
class BenchResult:
    """Rows by heads and length, in the order of the request; laws by heads and method."""

    request: BenchRequest
    environment: Mapping[str, Any]
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    laws: Mapping[int, Mapping[str, PowerLaw]]
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def violations(self) -> tuple[Row, ...]:
        """The rows that break `max_error <= certificate <= epsilon * natural_scale`."""
        return tuple(row for row in self.rows if row.violates)

    def to_dict(self) -> dict[str, Any]:
        """As plain data: what is not finite is None. `exponents` are those of the first number of
        heads, `exponents_by_heads` has all."""
        by_heads = {
            str(heads): {method: law.exponent for method, law in laws.items()}
            for heads, laws in self.laws.items()
        }
        found = {
            "schema": SCHEMA,
            "loracle": __version__,
            "command": self.request.command,
            "request": _request_dict(self.request),
            "environment": dict(self.environment),
            "rows": [_row_dict(row) for row in self.rows],
            "exponents": by_heads.get(str(self.request.heads[0]), {}),
            "exponents_by_heads": by_heads,
            "skipped": [asdict(one) for one in self.skipped],
            "notes": list(self.notes),
            "violations": len(self.violations),
            "interrupted": self.interrupted,
        }
        data: dict[str, Any] = plain(found)
        return data


def plain(value: Any) -> Any:
    """The same with lists for tuples and None for numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def _request_dict(request: BenchRequest) -> dict[str, Any]:
    found = asdict(request)
    setting: dict[str, Any] = found.pop("setting")
    return setting | found


def _row_dict(row: Row) -> dict[str, Any]:
    found = asdict(row)
    found["outputs"] = {}
    for one in row.outputs:
        found["outputs"].setdefault(one.output, []).append(
            {name: value for name, value in asdict(one).items() if name not in ("output", "head")}
        )
    return found
