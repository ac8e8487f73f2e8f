"""The result of a run as tables, one for each number of heads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from loracle.bench.result import BenchResult, Row, Skipped
from loracle.bench.sheet import Sheet
from loracle.presentation.wording import number

__all__ = ["bytes_text", "seconds_text", "sheets", "summary"]

_COLUMNS = (
    "length",
    "method",
    "time",
    "of\nfastest",
    "peak\nmemory",
    "error /\nscale",
    "certified\n/ scale",
    "rank\n(degree)",
    "matmul\nrate",
)


def sheets(result: BenchResult) -> list[Sheet]:
    """A sheet for each number of heads; what holds for all of them stands under the last."""
    found = [_sheet(result, heads) for heads in result.request.heads]
    last = found[-1]
    found[-1] = Sheet(
        last.title,
        last.columns,
        last.rows,
        last.marked,
        last.breaks,
        (*last.notes, *_closing_notes(result)),
    )
    return found


def summary(result: BenchResult) -> str:
    """What came of the promises, in one line."""
    certified = [row for row in result.rows if row.certificate is not None]
    if result.violations:
        rows = ", ".join(f"{row.method} at {row.length}" for row in result.violations)
        return f"VIOLATED: error <= certificate <= epsilon x scale does not hold for {rows}"
    if not certified:
        return "no certified method was measured"
    if all(row.within_certificate and row.within_epsilon for row in certified):
        return "error <= certificate <= epsilon x scale for every output of every certified row"
    return "certificate <= epsilon x scale for every certified row; some true errors are unknown"


def seconds_text(seconds: float) -> str:
    """Three digits with a unit: 850 us, 12.3 ms, 1.04 s, 731 s."""
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < 1000 * size * (1 - 5e-4):
            return f"{number(seconds / size, 3)} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1000 else f"{number(seconds, 3)} s"


def bytes_text(count: int | None) -> str:
    """Three digits in MiB or GiB."""
    if count is None:
        return "-"
    mebibytes = count / 2**20
    if mebibytes < 1000:
        return f"{number(mebibytes, 3)} MiB"
    return f"{number(mebibytes / 1024, 3)} GiB"


def _sheet(result: BenchResult, heads: int) -> Sheet:
    place = {method: i for i, method in enumerate(result.request.methods)}
    lines = [
        (row.length, place[row.method], _cells(row), row.violates)
        for row in result.rows
        if row.heads == heads
    ]
    lines += [
        (skip.length, place[skip.method], _skip_cells(skip), False)
        for skip in result.skipped
        if skip.heads == heads
    ]
    lines.sort(key=lambda line: line[:2])
    lengths = [line[0] for line in lines]
    sheet = Sheet(
        title=_title(result, heads),
        columns=_COLUMNS,
        rows=tuple(cells for _, _, cells, _ in lines),
        marked=frozenset(i for i, line in enumerate(lines) if line[3]),
        breaks=frozenset(map(lengths.index, lengths)),
        notes=tuple(_notes(result, heads)),
    )
    return sheet.without_empty_columns() if lines else sheet


def _title(result: BenchResult, heads: int) -> str:
    setting = result.request.setting
    return (
        f"{heads} head{'s' if heads > 1 else ''}, d = {setting.dim}, r = {setting.rank},"
        f" {setting.dtype}, {setting.data} data, largest score {setting.max_score:g},"
        f" epsilon = {setting.epsilon:g}"
    )


def _cells(row: Row) -> tuple[str, ...]:
    mark = "~" if row.extrapolated else ""
    ratio_mark = "~" if row.ratio_extrapolated else ""
    return (
        str(row.length),
        row.method,
        mark + seconds_text(row.seconds),
        "-" if row.ratio is None else ratio_mark + number(row.ratio),
        bytes_text(row.peak_bytes),
        _share(row.max_error, row.natural_scale),
        _share(row.certificate, row.natural_scale),
        "-" if row.rank is None else f"{row.rank} ({row.degree})",
        _percent(row.share_of_matmul_rate),
    )


def _skip_cells(skip: Skipped) -> tuple[str, ...]:
    return (str(skip.length), skip.method, "skipped", *["-"] * (len(_COLUMNS) - 3))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{number(100 * share)}%"


def _share(value: float | None, scale: float | None) -> str:
    return number(value / scale) if value is not None and scale else "-"


def _notes(result: BenchResult, heads: int) -> Iterator[str]:
    rows = [row for row in result.rows if row.heads == heads]
    laws = result.laws.get(heads, {})
    if laws:
        text = ", ".join(f"{method} {law.exponent:.2f}" for method, law in laws.items())
        yield f"time goes with the length to the power: {text}"
    extrapolated = [row for row in rows if row.extrapolated]
    for method, group in groupby(sorted(extrapolated, key=_method), key=_method):
        some = list(group)
        lengths = ", ".join(str(row.length) for row in some)
        source = ", ".join(str(length) for length in some[0].source)
        law = "the square law" if len(some[0].source) == 1 else "the power law"
        yield f"~ not measured: {method} at {lengths} by {law} through its times at {source}"
    for skip in result.skipped:
        if skip.heads == heads:
            yield f"skipped: {_skip_text(skip)}"
    for method, backends in _used(rows, "backend").items():
        yield f"{method} ran torch's backend {backends}"
    for method, blocks in _used(rows, "block").items():
        yield f"{method} ran in blocks of {blocks}, the fastest of those tried"


def _used(rows: list[Row], name: str) -> dict[str, str]:
    """What the rows of each method say under that name, where they say something."""
    found: dict[str, set[str]] = {}
    for row in rows:
        value = getattr(row, name)
        if value is not None:
            found.setdefault(row.method, set()).add(str(value))
    return {method: " and ".join(sorted(values)) for method, values in found.items()}


def _method(row: Row) -> str:
    return row.method


def _skip_text(skip: Skipped) -> str:
    return f"{skip.method} at {skip.length}: {skip.reason}"


def _closing_notes(result: BenchResult) -> Iterator[str]:
    """What is the same for all tables: columns, truths, the machine, what came of the promises."""
    rows = result.rows
    if any(row.ratio is not None for row in rows):
        yield "of fastest: time over that of the fastest exact method at the same length"
    if any(row.share_of_matmul_rate is not None for row in rows):
        yield "matmul rate: useful operations per second over those of one large product"
    if any(row.natural_scale for row in rows):
        yield "error, certified: of the worst output of the worst head, over its natural scale"
    kinds: dict[str, list[int]] = {}
    for row in rows:
        if row.truth is not None:
            kinds.setdefault(row.truth, []).append(row.length)
    for kind, lengths in kinds.items():
        span = sorted(set(lengths))
        where = str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}"
        yield f"truth at {where}: {kind}"
    repeated = sorted({row.distinct for row in rows if row.length > row.distinct})
    for distinct in repeated:
        yield f"above {distinct}, that many distinct rows are repeated"
    yield from result.notes
    yield _machine(result)
    if result.interrupted:
        yield "interrupted; what was measured until then is above"
    yield summary(result)


def _machine(result: BenchResult) -> str:
    facts = result.environment
    if not facts:
        return "the machine was not looked at"
    return (
        f"{facts['device_name']}, {facts['threads']} threads, torch {facts['torch']},"
        f" loracle {facts['loracle']}, {facts['date']}"
    )
