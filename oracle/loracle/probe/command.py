"""The command `loracle probe`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from loracle.options import DEVICE_NAMES, DTYPE_NAMES

# Everything else is imported when the command runs: `loracle --help` answers at once.
if TYPE_CHECKING:
    from rich.table import Table

    from loracle.probe.observing import Observations
    from loracle.probe.probing import Probed

__all__ = ["probe"]


@click.command()
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help=f"{DEVICE_NAMES}.")
@click.option("--dtype", metavar="D", help=f"{DTYPE_NAMES}; all of them if omitted.")
@click.option("--json", "json_path", metavar="FILE", help="Write it there too; - is stdout.")
def probe(device: str, dtype: str | None, json_path: str | None) -> int:
    """Tell which machine model fits a device.

    Designed products reveal how torch.matmul sums on the device: precision, rounding, blocks, TF32
    operands, flushes to zero. The machines are what --machine of `loracle validate` takes. What a
    kernel does that does not call torch.matmul is its own affair.

    Exits 0, or 2 if the usage is bad.
    """
    import json

    from loracle.presentation.atomic_file import AtomicFile
    from loracle.presentation.terminal import make_console
    from loracle.probe.probing import probe_device

    with ExitStack() as stack:
        file = None if json_path in (None, "-") else stack.enter_context(AtomicFile(json_path))
        probed = probe_device(device, dtype)
        text = json.dumps(_as_data(probed, device), indent=2, allow_nan=False) + "\n"
        if file is not None:
            file.write(text)
    if json_path == "-":
        click.echo(text, nl=False)
    make_console(stderr=json_path == "-").print(_table(probed))
    return 0


def _as_data(probed: list[Probed], device: str) -> dict[str, Any]:
    from loracle.harness.environment import environment

    return {
        "schema": "loracle-probe/1",
        "device": device,
        "dtypes": [one.to_dict() for one in probed],
        "environment": environment(device),
    }


def _table(probed: list[Probed]) -> Table:
    from rich import box
    from rich.table import Table

    headers = ("dtype", "sums keep", "at once", "operands", "subnormal", "machines that fit")
    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for one in probed:
        table.add_row(*_row(one.observations), ", ".join(one.machines) or "none: use --epsilon")
    return table


def _row(seen: Observations) -> tuple[str, ...]:
    at_once = str(seen.block)
    if seen.aligned_bits is not None:
        at_once += f", {seen.aligned_bits} bits"
    operands = "whole"
    if seen.operand_rounding != "exact":
        operands = f"{seen.operand_bits} bits, {seen.operand_rounding}"
    flushed = [] if seen.subnormal_operands else ["operands"]
    flushed += [] if seen.subnormal_results else ["results"]
    return (
        seen.dtype,
        f"{seen.accumulator_bits} bits, {seen.accumulator_rounding}",
        at_once,
        operands,
        f"{' and '.join(flushed)} flushed" if flushed else "kept",
    )
