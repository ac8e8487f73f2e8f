"""The result of a self-test as tables."""

from __future__ import annotations

from collections.abc import Iterator

from loracle.bench.sheet import Sheet
from loracle.corpus.defects import DEFECTS
from loracle.corpus.entry import ALL_DTYPES
from loracle.presentation.wording import number
from loracle.selftest.comparison import OURS, Judged, Score, behind, judged, scores
from loracle.selftest.rivals.result import RULES
from loracle.selftest.summary import NAMED_AT_LEAST, Counts, SelfTest

__all__ = ["sheets", "verdict"]

_COLUMNS = ("wrong", "caught", "right", "accused", "has a name", "named", "misnamed", "seconds")
_WORDS = frozenset({"contract", "dtype", "defect", "rule", "kernel", "what is not as claimed"})


def sheets(result: SelfTest) -> list[Sheet]:
    """By contract and dtype, by class of defects, what went wrong, and the comparison if there is
    one; what holds for all of them stands under the last."""
    tables = [_counts(result), _defects(result)]
    if result.problems:
        tables.append(_problems(result))
    if result.rivals:
        everything = judged(result.outcomes, result.rivals)
        tables += [_missed(everything), _rejected(everything), _missed_by_defect(everything)]
    return tables


def verdict(result: SelfTest) -> str:
    """All in one line."""
    counts = result.counts
    if result.interrupted:
        return f"interrupted after {len(result.outcomes)} of {result.planned} runs"
    state = "as required" if result.ok else "NOT AS REQUIRED"
    return (
        f"{state}: {counts.caught} of {counts.wrong} runs on wrong kernels caught,"
        f" {counts.accused} of {counts.right} runs on right ones accused,"
        f" {counts.named} of {counts.nameable} named"
    )


def _counts(result: SelfTest) -> Sheet:
    groups = [
        *result.by(lambda o: o.claim.entry.contract).items(),
        *result.by(lambda o: o.claim.dtype).items(),
    ]
    contracts = len(result.by(lambda o: o.claim.entry.contract))
    rows = [(name, *_cells(counts)) for name, counts in (*groups, ("all", result.counts))]
    return Sheet(
        title="The corpora, judged by loracle",
        columns=("contract", *_COLUMNS),
        rows=tuple(rows),
        breaks=frozenset({0, contracts, len(groups)}),
        notes=tuple(_notes(result)),
        left=_WORDS,
    )


def _cells(counts: Counts) -> tuple[str, ...]:
    return (
        str(counts.wrong),
        str(counts.caught),
        str(counts.right),
        str(counts.accused),
        str(counts.nameable),
        str(counts.named),
        str(counts.misnamed),
        number(counts.seconds, 3),
    )


def _notes(result: SelfTest) -> Iterator[str]:
    kernels = {o.claim.entry.name for o in result.outcomes if o.claim.expected == "caught"}
    right = {o.claim.entry.name for o in result.outcomes if o.claim.expected == "passes"} - kernels
    yield f"{len(kernels)} wrong kernels, {len(right)} right ones; the columns count runs"
    yield (
        "required: every run on a wrong kernel caught, none on a right one accused, at least"
        f" {number(100 * NAMED_AT_LEAST)} % named of those whose defect has a class, none misnamed"
    )
    exempt = [o for o in result.outcomes if o.claim.is_exemption]
    if exempt:
        expired = sum(bool(o.problem) for o in exempt)
        yield f"{len(exempt)} exemptions tried, {expired} of them no longer needed"
    yield f"{number(result.wall, 3)} seconds with {result.jobs} process{'es' * (result.jobs != 1)}"
    if result.environment:
        yield ", ".join(f"{name} {version}" for name, version in result.environment.items())
    yield verdict(result)


def _defects(result: SelfTest) -> Sheet:
    groups = result.by_defect()
    return Sheet(
        title="By class of defects",
        columns=("defect", "wrong", "caught", "has a name", "named", "misnamed"),
        rows=tuple(
            (name, *map(str, (c.wrong, c.caught, c.nameable, c.named, c.misnamed)))
            for name, c in groups.items()
        ),
        marked=frozenset(
            i for i, c in enumerate(groups.values()) if c.caught < c.wrong or c.misnamed
        ),
        notes=(f"{len(groups)} of {len(DEFECTS)} classes",),
        left=_WORDS,
    )


def _problems(result: SelfTest) -> Sheet:
    return Sheet(
        title="Not as claimed",
        columns=("kernel", "dtype", "seed", "what is not as claimed"),
        rows=tuple(
            (o.claim.entry.name, o.claim.dtype, ",".join(map(str, o.seeds)), o.problem)
            for o in result.problems
        ),
        left=_WORDS,
        long=frozenset({"what is not as claimed"}),
    )


def _missed(everything: list[Judged]) -> Sheet:
    return _comparison("Wrong kernels that are missed", everything, wrong=True)


def _rejected(everything: list[Judged]) -> Sheet:
    table = _comparison("Right kernels that are rejected", everything, wrong=False)
    lost = behind(everything)
    closing = (
        [f"loracle is behind: {line}" for line in lost]
        if lost
        else ["no rule makes a smaller share of mistakes than loracle in any column"]
    )
    notes = [f"{rule}: {what}" for rule, what in RULES.items()]
    return Sheet(table.title, table.columns, table.rows, notes=(*notes, *closing), left=table.left)


def _comparison(title: str, everything: list[Judged], *, wrong: bool) -> Sheet:
    table = scores(everything, wrong=wrong)
    columns = (*ALL_DTYPES, "all")
    return Sheet(
        title=title,
        columns=("rule", *columns),
        rows=tuple((rule, *(str(by[c]) for c in columns)) for rule, by in table.items()),
        left=_WORDS,
    )


def _missed_by_defect(everything: list[Judged]) -> Sheet:
    rules = (OURS, *RULES)
    defects = sorted({j.defect for j in everything if j.wrong})

    def score(rule: str, defect: str) -> Score:
        group = [j for j in everything if j.rule == rule and j.wrong and j.defect == defect]
        return Score(sum(j.mistaken for j in group), len(group))

    return Sheet(
        title="Wrong kernels that are missed, by class of defects, all dtypes together",
        columns=("defect", *rules),
        rows=tuple((d, *(str(score(rule, d)) for rule in rules)) for d in defects),
        left=_WORDS,
    )
