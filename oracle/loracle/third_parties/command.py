"""The command `loracle adapters`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import click

from loracle.options import DEVICE_NAMES, DTYPE_NAMES

__all__ = ["adapters"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "-v", "--verbose", is_flag=True, help="Also what each is, declares, and needs installed."
)
@click.option("--judge", is_flag=True, help="Judge those that are installed, in place of a list.")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    metavar="D",
    help=f"With --judge: {DTYPE_NAMES}. Repeatable; float32 and bfloat16 if omitted.",
)
@click.option("--cases", type=int, metavar="N", help="With --judge: cases per regime.")
@click.option("--seed", type=int, metavar="S", help="With --judge: 0 if omitted.")
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="With --judge: for one case; 60 if omitted."
)
@click.option("--device", metavar="NAME", help=f"With --judge: {DEVICE_NAMES}; cpu if omitted.")
@click.option(
    "--jobs", type=int, metavar="N", help="With --judge: so many side by side; 1 if omitted."
)
@click.option(
    "--complete",
    "earlier_path",
    metavar="FILE",
    help="With --judge: keep the rows of this table of --markdown, of any --seed and --cases, but"
    " for other versions.",
)
@click.option(
    "--markdown", "markdown_path", metavar="FILE", help="With --judge: write the table there too."
)
def adapters(
    names: tuple[str, ...],
    verbose: bool,
    judge: bool,
    dtypes: tuple[str, ...],
    cases: int | None,
    seed: int | None,
    timeout: float | None,
    device: str | None,
    jobs: int | None,
    earlier_path: str | None,
    markdown_path: str | None,
) -> int:
    """List the third-party kernels that can be judged by name, or tell all of those NAMEd.

    The list has contracts and the versions found; a NAME or --verbose also tells what is judged,
    what is declared, and how to install.

    With --judge they are judged, under each of their contracts. An interrupted run writes what was
    judged until then (unless it has several --jobs), and --complete goes on from there. Exits 1 if
    one in the table fails or is suspect, 2 if the usage is bad.
    """
    from loracle.adapters import ADAPTERS, find_adapter
    from loracle.errors import UsageError
    from loracle.presentation.terminal import make_console

    known = [find_adapter(name) for name in dict.fromkeys(names)] or list(ADAPTERS.values())
    if verbose and judge:
        raise UsageError("--verbose has a meaning without --judge alone")
    if not judge:
        options = {
            "--dtype": dtypes or None,
            "--cases": cases,
            "--seed": seed,
            "--timeout": timeout,
            "--device": device,
            "--jobs": jobs,
            "--complete": earlier_path,
            "--markdown": markdown_path,
        }
        for option, value in options.items():
            if value is not None:
                raise UsageError(f"{option} has a meaning with --judge alone")
        from loracle.presentation.listings import adapter_list, adapter_table

        make_console().print((adapter_list if names or verbose else adapter_table)(known))
        return 0

    from loracle.bench.progress import BenchProgress
    from loracle.bench.sheet import markdown, show, wide_console
    from loracle.harness.devices import checked_device, settle_device
    from loracle.harness.limits import checked_timeout
    from loracle.presentation.atomic_file import AtomicFile
    from loracle.presentation.progress import ProgressDisplay
    from loracle.report import Report
    from loracle.request import checked_count, checked_dtype, checked_seed
    from loracle.spreading import processes
    from loracle.third_parties.judging import Asked, Outcome, Validate, judged, with_earlier
    from loracle.third_parties.table import Earlier, read_table, sheet

    where, side_by_side = checked_device(device or "cpu"), 1 if jobs is None else processes(jobs)
    validate = Validate(
        device=where,
        cases=checked_count(cases),
        seed=checked_seed(seed or 0),
        timeout=checked_timeout(60 if timeout is None else timeout),
    )
    wanted = tuple(checked_dtype(dtype) for dtype in dtypes or ("float32", "bfloat16"))
    earlier = read_table(earlier_path) if earlier_path else Earlier({}, ())
    if earlier.rows and earlier.on_cpu != (where == "cpu"):
        raise UsageError(
            f"--complete {earlier_path}: it was not made on {where}; name another file"
        )
    errors = make_console(stderr=True)
    if where != "cpu":
        settle_device(where)

    def judge_one(asked: Asked) -> Report:
        errors.print(str(asked), style="dim")
        with ProgressDisplay(errors, str(asked)) as display:
            report = replace(validate, on_progress=display.update)(asked)
        if report.reason == "interrupted":
            raise KeyboardInterrupt
        return report

    def outcomes_of() -> Iterator[Outcome]:
        if side_by_side == 1:
            yield from judged(known, wanted, judge_one, device=where, earlier=earlier.rows)
            return
        with BenchProgress(errors) as display:
            yield from judged(
                known,
                wanted,
                validate,
                device=where,
                jobs=side_by_side,
                on_outcome=display.update,
                earlier=earlier.rows,
            )

    with ExitStack() as stack:
        file = stack.enter_context(AtomicFile(markdown_path)) if markdown_path else None
        outcomes: list[Outcome] = []
        try:
            for outcome in outcomes_of():
                outcomes.append(outcome)  # noqa: PERF402 (what was judged is kept at an interrupt)
        finally:
            table = sheet(with_earlier(outcomes, earlier.rows), earlier)
            if file is not None and table.rows:
                given = {"--cases": cases, "--seed": seed, "--device": device}
                command = _shown(names, dtypes, {**given, "--complete": earlier_path})
                file.write(markdown([table], command))
    show([table], wide_console())
    verdicts = {row[table.columns.index("verdict")] for row in table.rows}
    return int(bool(verdicts - {"pass", "-"}))


def _shown(
    names: tuple[str, ...], dtypes: tuple[str, ...], options: Mapping[str, int | str | None]
) -> str:
    """The command that makes the same table again."""
    words = ["loracle", "adapters", *names, "--judge"]
    for dtype in dtypes:
        words += ["--dtype", dtype]
    for option, value in options.items():
        words += [] if value is None else [option, str(value)]
    return shlex.join(words)
