"""The command `loracle resolving-power`."""

from __future__ import annotations

from contextlib import ExitStack

import click

from loracle.options import CONTRACT_NAMES, DTYPE_NAMES, MACHINE_NAMES

__all__ = ["command"]

_FLOAT32_PRECISION = 24


@click.command("resolving-power")
@click.option(
    "--contract", "contracts", multiple=True, metavar="C", help=f"{CONTRACT_NAMES}. Repeatable."
)
@click.option("--dtype", "dtypes", multiple=True, metavar="D", help=f"{DTYPE_NAMES}. Repeatable.")
@click.option(
    "--machine", "machines", multiple=True, metavar="M", help=f"{MACHINE_NAMES}. Repeatable."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="S")
@click.option("--json", "json_path", metavar="FILE", help="Write the numbers there; - is stdout.")
@click.option("--markdown", "markdown_path", metavar="FILE", help="Write the tables there.")
def command(
    contracts: tuple[str, ...],
    dtypes: tuple[str, ...],
    machines: tuple[str, ...],
    seed: int,
    json_path: str | None,
    markdown_path: str | None,
) -> None:
    """How small an error in one output a default run finds.

    Multiplies one output of an honest kernel by 1 + delta, and searches for the smallest delta that
    is proven wrong and the smallest that is suspect. By default of every contract, in every dtype,
    on the widest machine and on the one that accumulates in float32.
    """
    import json
    from dataclasses import asdict

    from loracle.bench.progress import BenchProgress
    from loracle.bench.sheet import markdown, show, wide_console
    from loracle.contracts import CONTRACTS, contract_named
    from loracle.presentation.atomic_file import AtomicFile
    from loracle.request import checked_dtype, checked_machine, checked_seed
    from loracle.resolving_power.measure import KERNELS, Power, resolving_power
    from loracle.resolving_power.table import sheets
    from loracle_reference.floating_point import FORMATS

    checked_seed(seed)
    dtypes = tuple(checked_dtype(dtype) for dtype in dtypes)
    known = [contract_named(name) for name in contracts or tuple(CONTRACTS)]
    models = [
        checked_machine(machine, dtype)
        for machine in machines or ("widest", "f32-accumulate")
        for dtype in dtypes or tuple(FORMATS)
        # In a wider dtype it is the widest machine by another name.
        if machines or machine == "widest" or FORMATS[dtype].precision < _FLOAT32_PRECISION
    ]
    with ExitStack() as stack:
        paths = {"json": json_path, "markdown": markdown_path}
        files = {
            name: stack.enter_context(AtomicFile(path))
            for name, path in paths.items()
            if path is not None and path != "-"
        }
        steps = [(c, m, k) for c in known for m in dict.fromkeys(models) for k in KERNELS]
        powers: list[Power] = []
        with BenchProgress(wide_console(stderr=True)) as display:
            for done, (contract, model, kernel) in enumerate(steps):
                what = f"{contract.name} {model.storage.name} {model.name}"
                display.update(done, len(steps), what)
                powers += resolving_power(contract, model, kernel=kernel, seed=seed)
        text = json.dumps([asdict(power) for power in powers], indent=2) + "\n"
        if "json" in files:
            files["json"].write(text)
        if "markdown" in files:
            files["markdown"].write(
                markdown(sheets(powers), _shown(contracts, dtypes, machines, seed))
            )
    if json_path == "-":
        click.echo(text, nl=False)
    show(sheets(powers), wide_console(stderr=json_path == "-"))


def _shown(
    contracts: tuple[str, ...], dtypes: tuple[str, ...], machines: tuple[str, ...], seed: int
) -> str:
    """The command that makes the same tables again."""
    words = ["loracle resolving-power"]
    words += [f"--contract {name}" for name in contracts]
    words += [f"--dtype {name}" for name in dtypes]
    words += [f"--machine {name}" for name in machines]
    return " ".join([*words, *([f"--seed {seed}"] if seed else [])])
