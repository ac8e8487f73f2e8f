"""The command `loracle adapters`."""

from __future__ import annotations

import shlex
from contextlib import ExitStack

import click

__all__ = ["adapters"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--judge", is_flag=True, help="Judge those that are installed, in place of a list.")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    metavar="D",
    help="With --judge: in this dtype. Repeatable; float32 and bfloat16 if omitted.",
)
@click.option("--cases", type=int, metavar="N", help="With --judge: cases per regime.")
@click.option("--seed", type=int, metavar="S", help="With --judge: 0 if omitted.")
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="With --judge: for one case; 60 if omitted."
)
@click.option(
    "--complete",
    "earlier_path",
    metavar="FILE",
    help="With --judge: keep the rows of this table of --markdown, but for other versions.",
)
@click.option(
    "--markdown", "markdown_path", metavar="FILE", help="With --judge: write the table there too."
)
def adapters(
    names: tuple[str, ...],
    judge: bool,
    dtypes: tuple[str, ...],
    cases: int | None,
    seed: int | None,
    timeout: float | None,
    earlier_path: str | None,
    markdown_path: str | None,
) -> int:
    """List the third-party kernels that can be judged by name, or those NAMEd: package and version
    found, contracts, what is declared, how to install.

    With --judge they are judged on the CPU, under each of their contracts. An interrupted run
    writes what was judged until then, and --complete goes on from there. Exits 1 if one in the
    table fails or is suspect, 2 if the usage is bad.
    """
    from loracle.adapters import ADAPTERS, Adapter, find_adapter
    from loracle.errors import UsageError
    from loracle.presentation.terminal import make_console

    known = [find_adapter(name) for name in dict.fromkeys(names)] or list(ADAPTERS.values())
    if not judge:
        options = {
            "--dtype": dtypes or None,
            "--cases": cases,
            "--seed": seed,
            "--timeout": timeout,
            "--complete": earlier_path,
            "--markdown": markdown_path,
        }
        for option, value in options.items():
            if value is not None:
                raise UsageError(f"{option} has a meaning with --judge alone")
        from loracle.presentation.listings import adapter_list

        make_console().print(adapter_list(known))
        return 0

    from loracle import validation
    from loracle.bench.sheet import markdown, show, wide_console
    from loracle.presentation.atomic_file import AtomicFile
    from loracle.presentation.progress import ProgressDisplay
    from loracle.report import Report
    from loracle.request import checked_count, checked_dtype, checked_seed
    from loracle.third_parties.judging import Outcome, judged, with_earlier
    from loracle.third_parties.table import Earlier, read_table, sheet

    count, start = checked_count(cases), checked_seed(seed or 0)
    wanted = tuple(checked_dtype(dtype) for dtype in dtypes or ("float32", "bfloat16"))
    earlier = read_table(earlier_path) if earlier_path else Earlier({}, ())

    def judge_one(adapter: Adapter, contract: str, dtype: str) -> Report:
        errors = make_console(stderr=True)
        judged = f"{adapter.name}, {contract}, {dtype}"
        errors.print(judged, style="dim")
        with ProgressDisplay(errors, judged) as display:
            report = validation.validate(
                adapter.name,
                contract=contract,
                dtype=dtype,
                cases=count,
                seed=start,
                timeout=60 if timeout is None else timeout,
                on_progress=display.update,
            )
        if report.reason == "interrupted":
            raise KeyboardInterrupt
        return report

    with ExitStack() as stack:
        file = stack.enter_context(AtomicFile(markdown_path)) if markdown_path else None
        outcomes: list[Outcome] = []
        try:
            for outcome in judged(known, wanted, judge_one, earlier.rows):
                outcomes.append(outcome)  # noqa: PERF402 (what was judged is kept at an interrupt)
        finally:
            table = sheet(with_earlier(outcomes, earlier.rows), earlier)
            if file is not None and table.rows:
                file.write(markdown([table], _shown(names, dtypes, cases, seed, earlier_path)))
    show([table], wide_console())
    verdicts = {row[table.columns.index("verdict")] for row in table.rows}
    return int(bool(verdicts - {"pass", "-"}))


def _shown(
    names: tuple[str, ...],
    dtypes: tuple[str, ...],
    cases: int | None,
    seed: int | None,
    earlier_path: str | None,
) -> str:
    """The command that makes the same table again."""
    words = ["loracle", "adapters", *names, "--judge"]
    for dtype in dtypes:
        words += ["--dtype", dtype]
    for option, value in (("--cases", cases), ("--seed", seed), ("--complete", earlier_path)):
        words += [] if value is None else [option, str(value)]
    return shlex.join(words)
