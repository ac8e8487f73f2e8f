"""The command `loracle sweep`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from loracle.options import (
    CONTRACT_NAMES,
    DEVICE_NAMES,
    DTYPE_NAMES,
    MACHINE_NAMES,
    plan_option,
)

# Everything else is imported when the command runs: `loracle --help` answers at once.
if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["sweep"]


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--contract",
    metavar="NAME",
    help=f"What they promise: {CONTRACT_NAMES}; inferred from their parameters if omitted.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    default=("float32",),
    show_default=True,
    metavar="D",
    help=f"{DTYPE_NAMES}. Repeatable.",
)
@click.option("--seeds", default="0-7", show_default=True, metavar="S", help="0-31 or 0,4,7-9.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help=f"{DEVICE_NAMES}.")
@click.option(
    "--machine",
    metavar="NAME",
    help=f"The arithmetic to judge them by: {MACHINE_NAMES}, or one with +ftz; widest if omitted.",
)
@plan_option("they follow")
@click.option("--regime", "regimes", multiple=True, metavar="R", help="Only this one. Repeatable.")
@click.option("--expected-failures", metavar="FILE", help="What is known to fail, in TOML.")
@click.option(
    "--scheduler", metavar="ADDRESS", help="Of Dask; processes of this machine if omitted."
)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="How many; one for each core.")
@click.option("--json", "json_path", metavar="FILE", help="Write the reports of all runs there.")
@click.option("--only-proven", is_flag=True, help="Exit 1 for a fail alone, not for a suspect.")
def sweep(
    targets: tuple[str, ...],
    contract: str | None,
    dtypes: tuple[str, ...],
    seeds: str,
    device: str,
    machine: str | None,
    plan: str | None,
    regimes: tuple[str, ...],
    expected_failures: str | None,
    scheduler: str | None,
    jobs: int | None,
    json_path: str | None,
    only_proven: bool,
) -> int:
    """Judge kernels in many dtypes and with many seeds, on many cores or machines.

    Every run is a `loracle validate` with its seed, and has the same findings. A machine of a
    --scheduler finds the TARGETs where this one does. Runs are spread by Dask, also over the cores
    of this machine: pip install 'loracle[sweep]'.

    Exits 0 if all pass, 1 if one fails or is suspect, 2 if the usage is bad.
    """
    import json

    from loracle.presentation.atomic_file import AtomicFile
    from loracle.presentation.life_signs import LifeSigns
    from loracle.presentation.terminal import make_console
    from loracle.sweep.engine import dask_engine
    from loracle.sweep.run import check_order, checked_seeds, orders_of
    from loracle.sweep.run import sweep as run_sweep

    options = {
        "contract": contract,
        "device": device,
        "machine": machine,
        "plan": plan,
        "regimes": regimes or None,
        "expected_failures": expected_failures,
    }
    seeds_ = checked_seeds(seeds)
    orders = orders_of(targets, dtypes, seeds_, options)
    for order in orders[:: len(seeds_)]:
        check_order(order)
    console = make_console()
    with ExitStack() as stack:
        file = None if json_path is None else stack.enter_context(AtomicFile(json_path))
        engine = dask_engine(scheduler, jobs)
        life = LifeSigns(make_console(stderr=True))

        def show(done: int, total: int, run: dict[str, Any]) -> None:
            _show_run(console, done, total, run)
            life.tell(done, total, f"{run['kernel']}, {run['dtype']}, seed {run['seed']}")

        report = run_sweep(orders, engine, show)
        if file is not None:
            file.write(json.dumps(report, indent=2, allow_nan=False) + "\n")
    _show_whole(console, report)
    return int(any(_is_bad(run, only_proven=only_proven) for run in report["runs"]))


_REASONS = {"insufficient-evidence": "too few cases are evidence for a verdict"}


def _is_bad(run: dict[str, Any], *, only_proven: bool) -> bool:
    if run["verdict"] == "fail" or run["reason"] == "outdated-expectations":
        return True
    return run["verdict"] == "suspect" and not only_proven


def _show_run(console: Console, done: int, total: int, run: dict[str, Any]) -> None:
    """Nothing of what passes; of the others a line for each finding, and how to run it again."""
    where = f"{run['kernel']}, {run['dtype']}, seed {run['seed']}"
    if run["verdict"] != "pass" and not run["findings"]:
        reason = _REASONS.get(run["reason"], run["reason"])
        console.print(f"[{done}/{total}] {run['verdict'].upper()}  {where}: {reason}")
    for finding in run["findings"]:
        names = ", ".join(d["hypothesis"] for d in finding["diagnosis"]) or "unexplained"
        verdict, output = finding["verdict"].upper(), finding["output"] or "the call"
        console.print(f"[{done}/{total}] {verdict}  {output} ({names}) of {where}")
        if finding["replay"]:
            console.print(f"  replay      {finding['replay']}", soft_wrap=True)


def _show_whole(console: Console, report: dict[str, Any]) -> None:
    counts = dict.fromkeys(("pass", "suspect", "fail"), 0)
    for run in report["runs"]:
        counts[run["verdict"]] += 1
    runs = len(report["runs"])
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    console.print(f"{report['verdict'].upper()}: {runs} run{'s' * (runs != 1)}, {told}")
