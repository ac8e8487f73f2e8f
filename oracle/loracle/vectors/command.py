"""The command `loracle vectors`: build, verify, list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loracle.command_group import CommandGroup
from loracle.options import CONTRACT_NAMES, DTYPE_NAMES, MACHINE_NAMES

# Everything else is imported when a command runs: `loracle --help` answers at once.

__all__ = ["vectors"]


@click.group(cls=CommandGroup)
def vectors() -> None:
    """Certified vectors, for kernels in any language.

    Cases with inputs, truth and radius, proven bound, and flags that say why a case is there and
    what a failure means: safetensors, and a manifest in JSON.
    """


@vectors.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--contract",
    "contracts",
    multiple=True,
    metavar="C",
    help=f"{CONTRACT_NAMES}; all if omitted. Repeatable.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    metavar="D",
    help=f"{DTYPE_NAMES}; all if omitted. Repeatable.",
)
@click.option(
    "--regime",
    "regimes",
    multiple=True,
    metavar="R",
    help="Only this; those of small sizes if omitted. Repeatable.",
)
@click.option(
    "--cases",
    type=int,
    metavar="N",
    help="Per regime; if omitted, one of every kind.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="S")
@click.option(
    "--machine",
    metavar="M",
    help=f"The arithmetic to bound errors for: {MACHINE_NAMES}; widest if omitted.",
)
def build(
    folder: str,
    contracts: tuple[str, ...],
    dtypes: tuple[str, ...],
    regimes: tuple[str, ...],
    cases: int | None,
    seed: int,
    machine: str | None,
) -> int:
    """Build a set of vectors in DIR, which appears whole or not at all.

    Every truth is checked by an independent path before it is written. The same command writes the
    same bytes.
    """
    from loracle.bench.progress import BenchProgress
    from loracle.presentation.terminal import make_console
    from loracle.vectors.building import build as build_set

    with BenchProgress(make_console(stderr=True)) as display:
        manifest = build_set(
            folder,
            contracts=contracts or None,
            dtypes=dtypes or None,
            regimes=regimes or None,
            cases=cases,
            seed=seed,
            machine=machine,
            on_progress=display.update,
        )
    make_console().print(
        f"{folder}: {_counted(manifest)}; every truth confirmed from the loss in multiprecision",
        soft_wrap=True,
    )
    return 0


@vectors.command()
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--quick", is_flag=True, help="Schema and checksums alone.")
def verify(folder: str | None, quick: bool) -> int:
    """Verify the vectors in DIR, or those that come with the package.

    Computes every truth again, from the loss, in multiprecision, and every bound; says what is
    wrong, one line each.

    Exits 0 if nothing is wrong, 1 if anything is, 2 if there are no vectors.
    """
    from loracle.bench.progress import BenchProgress
    from loracle.presentation.terminal import make_console
    from loracle.vectors.reading import read_manifest, shipped
    from loracle.vectors.verification import verify as verify_set

    root = shipped() if folder is None else Path(folder)
    with BenchProgress(make_console(stderr=True)) as display:
        complaints = verify_set(root, quick=quick, on_progress=display.update)
    console = make_console()
    for line in complaints:
        console.print(line, soft_wrap=True)
    if complaints:
        return 1
    said = "schema and checksums" if quick else "schema, checksums, truths and bounds"
    console.print(f"{_counted(read_manifest(root))}: {said} are right", soft_wrap=True)
    return 0


@vectors.command(name="list")
@click.argument("folder", metavar="[DIR]", required=False)
def list_(folder: str | None) -> int:
    """List the vectors in DIR, or those that come with the package."""
    from loracle.errors import UsageError
    from loracle.presentation.terminal import make_console
    from loracle.vectors.manifest import MANIFEST, schema_errors
    from loracle.vectors.reading import read_manifest, shipped
    from loracle.vectors.table import vector_tables

    root = shipped() if folder is None else Path(folder)
    manifest = read_manifest(root)
    errors = schema_errors(manifest)
    if errors:
        raise UsageError(f"{root / MANIFEST} is not of its schema: {errors[0]}")
    make_console().print(vector_tables(manifest, folder or "the set that comes with loracle"))
    return 0


def _counted(manifest: dict[str, Any]) -> str:
    files = manifest["files"]
    cases = sum(len(file["cases"]) for file in files)
    return f"{cases} cases in {len(files)} files"
