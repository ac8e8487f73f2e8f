"""What a run was asked for, checked before anything is measured. Never imports torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from loracle.bench.catalogue import DTYPE_BYTES, method_named
from loracle.bench.data import DATA
from loracle.bench.messages import Setting
from loracle.errors import UsageError
from loracle.harness.devices import checked_device
from loracle.harness.words import nearest_dtype
from loracle_reference.floating_point import FORMATS

__all__ = ["BenchRequest", "between", "parse_request", "positive_integers"]


@dataclass(frozen=True)
class BenchRequest:
    """One run: every method at every length, for each number of heads a table of its own.

    lengths, heads: rising, each once. limit: seconds that one call of an exact method may take;
    truth_limit: the same for the truth. distinct: lengths above it are that many rows, repeated.
    """

    setting: Setting
    lengths: tuple[int, ...]
    heads: tuple[int, ...]
    methods: tuple[str, ...]
    distinct: int
    limit: float
    truth_limit: float

    @property
    def command(self) -> str:
        """The command that makes this request."""
        setting = self.setting
        options = {
            "lengths": _joined(self.lengths),
            "dim": setting.dim,
            "rank": setting.rank,
            "heads": _joined(self.heads),
            "epsilon": setting.epsilon,
            "methods": _joined(self.methods),
            "data": setting.data,
            "max-score": setting.max_score,
            "distinct": self.distinct,
            "device": setting.device,
            "dtype": setting.dtype,
            "seed": setting.seed,
            "threads": setting.threads,
            "limit": self.limit,
            "truth-limit": self.truth_limit,
        }
        words = [f"--{name} {value}" for name, value in options.items() if value is not None]
        return " ".join(["loracle bench", *words])

    def distinct_rows(self, length: int) -> int:
        """How many rows of a problem of that length are drawn; the others repeat them."""
        return min(length, self.distinct)


def parse_request(
    *,
    lengths: str,
    dim: int,
    rank: int,
    heads: str,
    epsilon: float,
    methods: str,
    data: str,
    max_score: float,
    distinct: int,
    device: str,
    dtype: str,
    seed: int,
    threads: int | None,
    limit: float,
    truth_limit: float,
) -> BenchRequest:
    """The request that the options make, lists being separated by commas.

    Raises UsageError, in one line, for whatever cannot be.
    """
    for name, value in (("--dim", dim), ("--rank", rank), ("--distinct", distinct)):
        between(name, value, 1, math.inf)
    between("--epsilon", epsilon, 0, 1, open_ended=True)
    between("--max-score", max_score, 0, math.inf, open_ended=True)
    between("--limit", limit, 0, math.inf, open_ended=True)
    between("--truth-limit", truth_limit, 0, math.inf, open_ended=True)
    between("--seed", seed, 0, math.inf)
    if threads is not None:
        between("--threads", threads, 1, math.inf)
    if data not in DATA:
        raise UsageError(f"unknown data {data!r}; known: {', '.join(DATA)}")
    if dtype not in DTYPE_BYTES:
        # One that others judge is no misspelling of these.
        hint = "" if dtype in FORMATS else nearest_dtype(dtype, DTYPE_BYTES)
        known = ", ".join(DTYPE_BYTES)
        raise UsageError(f"unknown dtype {dtype!r}; a run has one of {known}{hint}")
    checked_device(device)
    tokens = positive_integers("--lengths", lengths)
    for length in tokens:
        if length > distinct and length % distinct:
            raise UsageError(
                f"the length {length} is above --distinct {distinct}, so it must be a multiple of"
                f" it: {length - length % distinct} or {length + distinct - length % distinct}"
            )
    setting = Setting(
        dim=dim,
        rank=rank,
        data=data,
        max_score=max_score,
        epsilon=epsilon,
        seed=seed,
        dtype=dtype,
        device=device,
        threads=threads,
    )
    return BenchRequest(
        setting=setting,
        lengths=tokens,
        heads=positive_integers("--heads", heads),
        methods=_methods(methods),
        distinct=distinct,
        limit=limit,
        truth_limit=truth_limit,
    )


def positive_integers(option: str, text: str) -> tuple[int, ...]:
    """The numbers of a list separated by commas, rising, each once. Raises UsageError."""
    numbers = set()
    for word in text.split(","):
        try:
            numbers.add(int(word))
        except ValueError:
            raise UsageError(
                f"{option} takes integers separated by commas, not {word.strip()!r}"
            ) from None
    if min(numbers) < 1:
        raise UsageError(f"{option} must be at least 1, not {min(numbers)}")
    return tuple(sorted(numbers))


def between(
    option: str, value: float, low: float, high: float, *, open_ended: bool = False
) -> None:
    """Raises UsageError unless low <= value <= high, or low < value < high if open_ended, and the
    value is finite."""
    inside = low < value < high if open_ended else low <= value <= high
    if inside and math.isfinite(value):
        return
    above, below = ("above", "below") if open_ended else ("at least", "at most")
    limits = f"{above} {low:g}" + (f" and {below} {high:g}" if math.isfinite(high) else "")
    raise UsageError(f"{option} must be {limits}, not {value:g}")


def _joined(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


def _methods(text: str) -> tuple[str, ...]:
    names = [word.strip() for word in text.split(",") if word.strip()]
    if not names:
        raise UsageError("--methods names no method; `loracle bench --help` lists them")
    return tuple(dict.fromkeys(method_named(name).name for name in names))
