"""The run: what is measured in which order, and what is not worth trying."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from loracle import __version__
from loracle.bench.assembly import Attempt, Cell, assemble
from loracle.bench.catalogue import METHODS, estimated_bytes
from loracle.bench.launch import Launch
from loracle.bench.messages import (
    Answer,
    Environment,
    EnvironmentOrder,
    Failed,
    Measured,
    MeasureOrder,
    Scaled,
    ScaleOrder,
    TooLong,
    TooMuchMemory,
    Truth,
    TruthOrder,
    Unsupported,
)
from loracle.bench.request import BenchRequest
from loracle.bench.result import BenchResult
from loracle.errors import UsageError

__all__ = ["OnProgress", "run_bench"]

OnProgress = Callable[[int, int, str], None]
"""Steps done, steps in all, and what comes next."""

_MEMORY_SHARE = 0.8
"""Of the free memory; the rest is for what the estimate leaves out."""

_GIB = 2**30


def run_bench(
    request: BenchRequest,
    launch: Launch,
    *,
    on_progress: OnProgress = lambda done, total, what: None,
) -> BenchResult:
    """Measures everything that was asked for; an interruption ends it early, with what there is.

    Raises UsageError if the device cannot be used, or if torch cannot be loaded.
    """
    run = _Run(request, launch, on_progress)
    interrupted = False
    try:
        run.all()
    except KeyboardInterrupt:
        interrupted = True
    return assemble(
        request,
        run.environment,
        run.attempts,
        run.truths,
        interrupted=interrupted,
    )


class _Run:
    """Answers as they come in; the shorter lengths first, for they tell what the longer cost."""

    def __init__(self, request: BenchRequest, launch: Launch, on_progress: OnProgress) -> None:
        self._request = request
        self._launch = launch
        self._on_progress = on_progress
        self._done = 0
        self._factors: dict[tuple[int, int], float] = {}
        self._block: int | None = None
        self._free_bytes: int | None = None
        self.environment: dict[str, Any] = {}
        self.attempts: dict[Cell, Attempt] = {}
        self.truths: dict[tuple[int, int], Truth | TooLong | Failed] = {}

    def all(self) -> None:
        """Every length for every number of heads, and then the truths."""
        self._step("the machine")
        answer = self._launch(EnvironmentOrder(self._request.setting))
        if not isinstance(answer, Environment):
            raise UsageError(f"cannot measure: {_reason(answer)}")
        self._free_bytes = answer.free_bytes
        today = datetime.now(UTC).date().isoformat()
        self.environment = {**answer.facts, "loracle": __version__, "date": today}
        cells = [(heads, n) for heads in self._request.heads for n in self._request.lengths]
        for heads, length in cells:
            self._length(heads, length)
        # Last, for they may take longest, and a row is worth something without.
        for heads, length in cells:
            self._step(f"{_where(heads, length)}: truth")
            distinct = self._request.distinct_rows(length)
            for head in range(heads):
                self._find_truth(distinct, head, self._factor(distinct, head))

    def _length(self, heads: int, length: int) -> None:
        distinct = self._request.distinct_rows(length)
        where = _where(heads, length)
        self._step(f"{where}: inputs")
        factors = tuple(self._factor(distinct, head) for head in range(heads))
        for method in self._request.methods:
            self._step(f"{where}: {method}")
            self.attempts[heads, length, method] = self._attempt(method, length, factors)

    def _step(self, what: str) -> None:
        steps = len(self._request.methods) + 2
        total = 1 + len(self._request.heads) * len(self._request.lengths) * steps
        self._on_progress(self._done, total, what)
        self._done += 1

    def _factor(self, distinct: int, head: int) -> float:
        if (distinct, head) not in self._factors:
            answer = self._launch(ScaleOrder(self._request.setting, distinct, head))
            if not isinstance(answer, Scaled):
                raise UsageError(f"cannot draw {distinct} rows of inputs: {_reason(answer)}")
            self._factors[distinct, head] = answer.factor
        return self._factors[distinct, head]

    def _attempt(self, method: str, length: int, factors: tuple[float, ...]) -> Attempt:
        request = self._request
        needed = estimated_bytes(
            method,
            length=length,
            heads=len(factors),
            dtype=request.setting.dtype,
            device=request.setting.device,
        )
        if needed and self._free_bytes and needed > _MEMORY_SHARE * self._free_bytes:
            free = self._free_bytes / _GIB
            return TooMuchMemory(f"needs about {needed / _GIB:.1f} GiB, {free:.1f} GiB are free")
        known = self._foreseen(method, length, len(factors))
        if known is not None:
            return known
        answer = self._launch(
            MeasureOrder(
                setting=request.setting,
                method=method,
                length=length,
                distinct=request.distinct_rows(length),
                factors=factors,
                limit=request.limit,
                block=self._block,
            )
        )
        if isinstance(answer, Measured) and method == "streaming":
            self._block = answer.facts.get("block")
        if isinstance(answer, Measured | TooLong | TooMuchMemory | Unsupported | Failed):
            return answer
        return Failed(_reason(answer))

    def _foreseen(self, method: str, length: int, heads: int) -> TooLong | None:
        """Whether the method is too slow at this length, by the square law from the length before;
        None if not, or if nothing is known."""
        if not METHODS[method].exact:
            return None
        shorter = [n for n in self._request.lengths if n < length]
        before = self.attempts.get((heads, shorter[-1], method)) if shorter else None
        if isinstance(before, TooLong):
            return TooLong(before.seconds * (length / before.at) ** 2, before.at, before.seconds)
        if not isinstance(before, Measured):
            return None
        seconds = min(before.seconds)
        predicted = seconds * (length / shorter[-1]) ** 2
        limit = self._request.limit
        return TooLong(predicted, shorter[-1], seconds) if predicted > limit else None

    def _find_truth(self, distinct: int, head: int, factor: float) -> None:
        """Once for all lengths that repeat the same rows, and for all numbers of heads."""
        if (distinct, head) in self.truths:
            return
        answer = self._launch(
            TruthOrder(self._request.setting, distinct, head, factor, self._request.truth_limit)
        )
        if isinstance(answer, Truth | TooLong):
            self.truths[distinct, head] = answer
        else:
            self.truths[distinct, head] = Failed(_reason(answer))


def _where(heads: int, length: int) -> str:
    return f"{length} tokens" if heads == 1 else f"{heads} x {length} tokens"


def _reason(answer: Answer) -> str:
    """Why an answer is not the one hoped for."""
    if isinstance(answer, Failed | Unsupported | TooMuchMemory):
        return answer.reason
    return f"the child answered with {type(answer).__name__}"
