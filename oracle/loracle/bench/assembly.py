"""From answers to rows: laws, extrapolations, ratios, accuracies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loracle.bench.accuracy import accuracies, worst
from loracle.bench.catalogue import METHODS
from loracle.bench.laws import PowerLaw, fitted, through
from loracle.bench.messages import (
    Certificate,
    Failed,
    Measured,
    TooLong,
    TooMuchMemory,
    Truth,
    Unsupported,
)
from loracle.bench.request import BenchRequest
from loracle.bench.result import BenchResult, Row, Skipped

__all__ = ["Attempt", "Cell", "assemble"]

Cell = tuple[int, int, str]
"""Heads, length, method."""

Attempt = Measured | TooLong | TooMuchMemory | Unsupported | Failed
"""What became of a cell."""

Truths = Mapping[tuple[int, int], Truth | TooLong | Failed]
"""By distinct rows and head."""


def assemble(
    request: BenchRequest,
    environment: Mapping[str, Any],
    attempts: Mapping[Cell, Attempt],
    truths: Truths,
    *,
    interrupted: bool,
) -> BenchResult:
    """The result of what was attempted, whole or not."""
    laws = {heads: _laws(attempts, heads, request) for heads in request.heads}
    rows, skipped = [], []
    for heads in request.heads:
        for length in request.lengths:
            table = _Block(request, attempts, truths, laws[heads], heads, length)
            rows += table.rows()
            skipped += table.skipped()
    return BenchResult(
        request=request,
        environment=environment,
        rows=tuple(rows),
        skipped=tuple(skipped),
        laws={heads: found for heads, found in laws.items() if found},
        notes=tuple(_notes(request, truths, rows)),
        interrupted=interrupted,
    )


def _laws(
    attempts: Mapping[Cell, Attempt], heads: int, request: BenchRequest
) -> dict[str, PowerLaw]:
    """The laws of the methods measured at two lengths or more."""
    found = {}
    for method in request.methods:
        law = fitted(_measured_seconds(attempts, heads, method))
        if law is not None:
            found[method] = law
    return found


def _measured_seconds(
    attempts: Mapping[Cell, Attempt], heads: int, method: str
) -> dict[int, float]:
    return {
        length: min(attempt.seconds)
        for (h, length, name), attempt in attempts.items()
        if h == heads and name == method and isinstance(attempt, Measured)
    }


@dataclass(frozen=True)
class _Block:
    """The rows of one number of heads and one length."""

    request: BenchRequest
    attempts: Mapping[Cell, Attempt]
    truths: Truths
    laws: Mapping[str, PowerLaw]
    heads: int
    length: int

    def rows(self) -> list[Row]:
        """In the order of the methods, with ratios."""
        rows = [
            self._measured(method, attempt)
            if isinstance(attempt, Measured)
            else self._extrapolated(method, attempt)
            for method, attempt in self._own()
            if isinstance(attempt, Measured | TooLong)
        ]
        exact = [row for row in rows if METHODS[row.method].exact]
        if not exact:
            return rows
        fastest = min(exact, key=lambda row: row.seconds)
        return [
            replace(
                row,
                ratio=row.seconds / fastest.seconds,
                fastest_exact=fastest.method,
                ratio_extrapolated=row.extrapolated or fastest.extrapolated,
            )
            for row in rows
        ]

    def skipped(self) -> list[Skipped]:
        """The methods without a row."""
        return [
            Skipped(method, self.length, self.heads, attempt.reason)
            for method, attempt in self._own()
            if isinstance(attempt, TooMuchMemory | Unsupported | Failed)
        ]

    def _own(self) -> Iterator[tuple[str, Attempt]]:
        for method in self.request.methods:
            attempt = self.attempts.get((self.heads, self.length, method))
            if attempt is not None:
                yield method, attempt

    def _row(self, method: str, seconds: float, **others: Any) -> Row:
        setting = self.request.setting
        return Row(
            method=method,
            length=self.length,
            heads=self.heads,
            distinct=self.request.distinct_rows(self.length),
            data=setting.data,
            dtype=setting.dtype,
            device=setting.device,
            seconds=seconds,
            **others,
        )

    def _extrapolated(self, method: str, attempt: TooLong) -> Row:
        """By the law of what was measured; through one point, a trial if need be, by the square."""
        law = self.laws.get(method)
        if law is None:
            known = _measured_seconds(self.attempts, self.heads, method)
            at = max(known, default=attempt.at)
            law = through(at, known.get(at, attempt.seconds))
        return self._row(method, law(self.length), extrapolated=True, source=law.source)

    def _measured(self, method: str, attempt: Measured) -> Row:
        distinct = self.request.distinct_rows(self.length)
        truths = [self._truth(distinct, head) for head in range(self.heads)]
        found = accuracies(
            attempt.outputs,
            truths,
            copies=self.length // distinct,
            certificate=attempt.certificate,
            scales=attempt.certificate or self._scales(),
            epsilon=self.request.setting.epsilon,
        )
        shown, seconds = worst(found), min(attempt.seconds)
        facts = {
            name: attempt.facts.get(name)
            for name in ("matmul_flops", "backend", "block", "memory_source")
        }
        if attempt.certificate is not None:
            facts |= _plan(attempt.certificate, seconds, attempt.facts.get("matmul_flops"))
        kinds = {truth.kind for truth in truths if truth is not None}
        return self._row(
            method,
            seconds,
            extrapolated=False,
            repeats=attempt.seconds,
            peak_bytes=attempt.peak_bytes,
            max_error=shown.max_error,
            certificate=shown.certificate,
            natural_scale=shown.natural_scale,
            gradient_max=shown.gradient_max,
            output=shown.output,
            head=shown.head,
            within_certificate=_all(one.within_certificate for one in found),
            within_epsilon=_all(one.within_epsilon for one in found),
            finite=all(bool(np.isfinite(array).all()) for array in attempt.outputs.values()),
            truth=None if None in truths else " and ".join(sorted(kinds)),
            outputs=tuple(found),
            **facts,
        )

    def _truth(self, distinct: int, head: int) -> Truth | None:
        truth = self.truths.get((distinct, head))
        return truth if isinstance(truth, Truth) else None

    def _scales(self) -> Certificate | None:
        """Of the first certified method that was measured with the same inputs."""
        certificates = (
            attempt.certificate for _, attempt in self._own() if isinstance(attempt, Measured)
        )
        return next((one for one in certificates if one is not None), None)


def _plan(
    certificate: Certificate, seconds: float, matmul_flops: float | None
) -> dict[str, float | int | None]:
    rate = certificate.operations / seconds
    return {
        "rank": certificate.rank,
        "degree": certificate.degree,
        "probability_error": certificate.probability_error,
        "operations": certificate.operations,
        "share_of_matmul_rate": rate / matmul_flops if matmul_flops else None,
    }


def _all(answers: Iterator[bool | None]) -> bool | None:
    """False if one is; True if all are; else None."""
    found = list(answers)
    return False if False in found else True if None not in found else None


def _notes(request: BenchRequest, truths: Truths, rows: Sequence[Row]) -> Iterator[str]:
    """What is to be said of the truths, and of results that are no numbers."""
    for (distinct, head), truth in sorted(truths.items(), key=lambda item: item[0]):
        whose = f"head {head} of {distinct} rows"
        if isinstance(truth, TooLong):
            yield (
                f"no true error of {whose}: the truth would take about {truth.predicted:.0f} s,"
                f" more than --truth-limit {request.truth_limit:g}"
            )
        elif isinstance(truth, Failed):
            yield f"no true error of {whose}: {truth.reason}"
    for row in rows:
        if row.finite is False:
            yield f"{row.method} at {row.length}: the results are not all finite"
