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
    "--markdown", "markdown_path", metavar="FILE", help="With --judge: write the table there too."
)
def adapters(
    names: tuple[str, ...],
    judge: bool,
    dtypes: tuple[str, ...],
    cases: int | None,
    seed: int | None,
    timeout: float | None,
    markdown_path: str | None,
) -> int:
    """List the third-party kernels that can be judged by name, or those NAMEd: package and version
    found, contracts, what is declared, how to install.

    With --judge they are judged on the CPU, under each of their contracts. Exits 1 if one of them
    fails or is suspect, 2 if the usage is bad.
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
    from loracle.third_parties.judging import judged
    from loracle.third_parties.table import sheet

    count, start = checked_count(cases), checked_seed(seed or 0)
    wanted = tuple(checked_dtype(dtype) for dtype in dtypes or ("float32", "bfloat16"))

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
        outcomes = list(judged(known, wanted, judge_one))
        if file is not None:
            file.write(markdown([sheet(outcomes)], _shown(names, dtypes, cases, seed)))
    show([sheet(outcomes)], wide_console())
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    return int(any(report.verdict != "pass" for report in reports))


def _shown(
    names: tuple[str, ...], dtypes: tuple[str, ...], cases: int | None, seed: int | None
) -> str:
    """The command that makes the same table again."""
    words = ["loracle", "adapters", *names, "--judge"]
    for dtype in dtypes:
        words += ["--dtype", dtype]
    for option, value in (("--cases", cases), ("--seed", seed)):
        words += [] if value is None else [option, str(value)]
    return shlex.join(words)
