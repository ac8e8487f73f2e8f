"""The command `loracle selftest`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from loracle.errors import UsageError
from loracle.options import CONTRACT_NAMES, DEVICE_NAMES

# Everything else is imported when the command runs: `loracle --help` answers at once.
if TYPE_CHECKING:
    from loracle.selftest.summary import SelfTest

__all__ = ["selftest"]

_INTERRUPTED = 130
_DTYPES = "float64,float32,bfloat16,float16"


@click.command()
@click.option(
    "--full",
    is_flag=True,
    help="Every kernel in every dtype with every seed; otherwise one of each, drawn by its name.",
)
@click.option(
    "--seeds",
    default="0,1,2,3,4",
    show_default=True,
    metavar="S,...",
    help="Separated by commas.",
)
@click.option("--dtype", "dtypes", default=_DTYPES, show_default=True, metavar="D,...")
@click.option("--contract", metavar="C", help=f"Only the kernels of this one: {CONTRACT_NAMES}.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help=f"{DEVICE_NAMES}.")
@click.option("--jobs", type=int, metavar="N", help="Processes; one for each core if omitted.")
@click.option(
    "--compare",
    is_flag=True,
    help="Let gradcheck, assert_close and the rule of twice the eager error judge them too.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write everything there; - is stdout.")
@click.option("--markdown", "markdown_path", metavar="FILE", help="Write the tables there.")
@click.pass_context
def selftest(
    context: click.Context,
    /,
    full: bool,
    seeds: str,
    dtypes: str,
    contract: str | None,
    device: str,
    jobs: int | None,
    compare: bool,
    json_path: str | None,
    markdown_path: str | None,
) -> int:
    """Test the oracle itself on kernels known to be wrong or right.

    Prints how many of the wrong ones it catches, how many of the right ones it accuses, how often
    it names the defect, and how long it takes.

    Exits 0 if it catches all, accuses none, names nine in ten and none wrongly; 1 if not, 2 if the
    usage is bad, 130 if interrupted, with what was found until then.
    """
    from loracle.bench.progress import BenchProgress
    from loracle.bench.sheet import wide_console
    from loracle.harness.devices import checked_device
    from loracle.presentation.atomic_file import AtomicFile
    from loracle.selftest.output import write
    from loracle.selftest.request import numbers, words
    from loracle.selftest.whole import run_selftest
    from loracle.spreading import processes

    given_seeds, given_dtypes = numbers("--seeds", seeds), words("--dtype", dtypes)
    number_of_jobs = processes(jobs)
    checked_device(device)
    with ExitStack() as stack:
        # Claimed first: nobody wants to learn after the run that its result cannot be kept.
        paths = {"json": json_path, "markdown": markdown_path}
        files = {
            name: stack.enter_context(AtomicFile(path))
            for name, path in paths.items()
            if path is not None and not (name == "json" and path == "-")
        }
        with BenchProgress(wide_console(stderr=True)) as display:
            result = run_selftest(
                full=full,
                seeds=given_seeds,
                dtypes=given_dtypes,
                contract=contract,
                jobs=number_of_jobs,
                device=device,
                compare=compare,
                command=_typed(context),
                on_progress=display.update,
            )
        write(result, files, json_on_stdout=json_path == "-")
    return _status(result)


def _typed(context: click.Context) -> str:
    """The command with the options that change what is found."""
    default = click.core.ParameterSource.DEFAULT
    words = ["loracle", "selftest"]
    for name in ("full", "seeds", "dtypes", "contract", "device", "compare"):
        if context.get_parameter_source(name) is default:
            continue
        words.append("--" + {"dtypes": "dtype"}.get(name, name))
        if not isinstance(context.params[name], bool):
            words.append(str(context.params[name]))
    return " ".join(words)


def _status(result: SelfTest) -> int:
    if result.interrupted:
        return _INTERRUPTED
    if not result.outcomes:
        raise UsageError("no kernel of the corpus is left by these options")
    return int(not result.ok)
