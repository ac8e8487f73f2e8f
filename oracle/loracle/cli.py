"""The command `loracle`. Exit status: 0 pass, 1 fail or suspect, 2 bad usage or an output that
cannot be written, 130 interrupted, 141 when the reader of the output is gone."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

import click

from loracle import __version__
from loracle.bench.command import bench
from loracle.command_group import CommandGroup, help_command
from loracle.completion import (
    COMPLETE_VARIABLE,
    SHELLS,
    complete_cases,
    complete_contracts,
    complete_devices,
    complete_dtypes,
    complete_machines,
    complete_regimes,
    complete_schemas,
    complete_targets,
    completion_script,
)
from loracle.errors import UsageError
from loracle.options import (
    CONTRACT_NAMES,
    DEVICE_NAMES,
    DTYPE_NAMES,
    MACHINE_NAMES,
    plan_option,
    report_file_options,
)
from loracle.probe.command import probe
from loracle.replay.command import command as replay
from loracle.resolving_power.command import command as resolving_power
from loracle.selftest.command import selftest
from loracle.sweep.command import sweep
from loracle.third_parties.command import adapters
from loracle.vectors.command import vectors

# Everything else is imported by the command that needs it: `loracle --help` answers at once.
if TYPE_CHECKING:
    from loracle.report import Report

__all__ = ["main"]

_INTERRUPTED = 130

_READER_GONE = 141
"""What a shell reports of a program that SIGPIPE ended."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits. A bad argument, and an output that cannot be written, are
    one line on stderr and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = _commands.main(args=arguments, prog_name="loracle", standalone_mode=False)
    except (click.ClickException, UsageError) as error:
        click.echo(f"Error: {_one_line(error)}", err=True)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        status = _INTERRUPTED
    except SystemExit as ended:
        # No command exits by itself. click does when a shell has asked it for completions;
        # otherwise this is how it and rich answer a broken pipe.
        if COMPLETE_VARIABLE in os.environ:
            sys.exit(ended.code)
        _silence_what_cannot_be_written()
        status = _READER_GONE
    except OSError as error:
        _silence_what_cannot_be_written()
        with suppress(OSError):
            click.echo(f"Error: {_refusal(error)}", err=True)
        status = 2
    sys.exit(status)


def _silence_what_cannot_be_written() -> None:
    """What is left in a buffer would fail again when the interpreter ends, with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _point_at_nothing(stream)


def _point_at_nothing(stream: TextIO) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):
        os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _refusal(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{error.filename}: {what}"
    return f"cannot write the output: {what}" if error.errno in _NO_ROOM else what


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def _commands() -> None:
    """Proves fast-LoRA kernels right or wrong against rigorous ground truth."""


@_commands.command()
@click.argument("target", shell_complete=complete_targets)
@click.option(
    "--contract",
    metavar="NAME",
    shell_complete=complete_contracts,
    help=f"What TARGET promises: {CONTRACT_NAMES}; inferred from its parameters if omitted.",
)
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_dtypes,
    help=f"{DTYPE_NAMES}.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_devices,
    help=f"{DEVICE_NAMES}.",
)
@click.option(
    "--machine",
    metavar="NAME",
    shell_complete=complete_machines,
    help=f"The arithmetic to judge it by: {MACHINE_NAMES}, or one with +ftz; widest if omitted.",
)
@plan_option("it follows")
@click.option("--cases", type=int, metavar="N", help="Cases per regime.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="S")
@click.option(
    "--regime",
    "regimes",
    multiple=True,
    metavar="R",
    shell_complete=complete_regimes,
    help="Only this one of those that `loracle regimes` lists. Repeatable.",
)
@click.option(
    "--case",
    "only_cases",
    multiple=True,
    metavar="REGIME:INDEX",
    shell_complete=complete_cases,
    help="Replay this case alone. Repeatable.",
)
@click.option(
    "--epsilon", type=float, metavar="E", help="Promised error, absolute, in the max norm."
)
@report_file_options
@click.option(
    "--timeout",
    type=float,
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="For one case; the first one gets ten times as much.",
)
@click.option(
    "--repeats", type=int, default=2, show_default=True, metavar="N", help="Equal calls per case."
)
@click.option("--compile", "compile_", is_flag=True, help="Run the kernel under torch.compile.")
@click.option("--only-proven", is_flag=True, help="Exit 1 for a fail alone, not for a suspect.")
@click.option(
    "--expected-failures",
    metavar="FILE",
    type=click.Path(),
    help="What is known to fail, in TOML; that is listed, and does not count.",
)
def validate(
    target: str,
    contract: str | None,
    dtype: str,
    device: str,
    machine: str | None,
    plan: str | None,
    cases: int | None,
    seed: int,
    regimes: tuple[str, ...],
    only_cases: tuple[str, ...],
    epsilon: float | None,
    json_path: str | None,
    html_path: str | None,
    junit_path: str | None,
    timeout: float,
    repeats: int,
    compile_: bool,
    only_proven: bool,
    expected_failures: str | None,
) -> int:
    """Judge one kernel.

    TARGET is package.module:name, path/to/file.py:name, or the name of an adapter (see `loracle
    adapters`).

    Exits 0 if it passes, 1 if it fails or is suspect, 2 if the usage is bad.
    """
    from loracle import validation
    from loracle.presentation.forms import report_forms
    from loracle.presentation.progress import ProgressDisplay
    from loracle.presentation.report_files import ReportFiles
    from loracle.presentation.terminal import make_console, show

    paths = {"json": json_path, "html": html_path, "junit": junit_path}
    # Claimed first: nobody wants to learn after the run that its result cannot be kept.
    with ReportFiles(report_forms(only_proven=only_proven), paths) as files:
        with ProgressDisplay(make_console(stderr=True), target) as display:
            report = validation.validate(
                target,
                contract=contract,
                dtype=dtype,
                device=device,
                cases=cases,
                seed=seed,
                regimes=regimes or None,
                epsilon=epsilon,
                machine=machine,
                plan=plan,
                timeout=timeout,
                repeats=repeats,
                compile=compile_,
                only_cases=only_cases or None,
                expected_failures=expected_failures,
                on_progress=display.update,
            )
        files.write(report)
        show(report, make_console(stderr=files.to_stdout))
    return _status(report, only_proven=only_proven)


@_commands.command()
@click.argument("name", required=False, shell_complete=complete_contracts)
def contracts(name: str | None) -> None:
    """List the contracts, or all there is to know of one.

    Of every contract arguments, shapes and outputs; of the contract NAME also what --plan, --regime
    and --machine may be, and the adapters.
    """
    from loracle.contracts import contract_named
    from loracle.presentation.listings import contract_in_full, contract_text
    from loracle.presentation.terminal import make_console

    text = contract_text() if name is None else contract_in_full(contract_named(name))
    make_console().print(text)


@_commands.command()
def regimes() -> None:
    """List the regimes, and what each of them reveals."""
    from loracle.presentation.listings import regime_table
    from loracle.presentation.terminal import has_columns, make_console

    console = make_console()
    console.print(regime_table(in_lines=has_columns(console)))


@_commands.command()
@click.argument("label", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.option("--markdown", "as_markdown", is_flag=True, help="As Markdown on stdout.")
def ledger(label: str | None, as_json: bool, as_markdown: bool) -> None:
    """Show what became of each statement of the paper, or of one in full.

    LABEL is a label of the paper, such as "Lemma 3.2", "Equation (3.5)" or "Proof of Lemma 3.6".
    What is shown is the last full run, which ships with the package.
    """
    from loracle.presentation.ledger import print_ledger

    if as_json and as_markdown:
        raise UsageError("--json and --markdown exclude each other: give one of them")
    print_ledger(label, form="json" if as_json else "markdown" if as_markdown else "table")


@_commands.command()
@click.argument("name", default="report", shell_complete=complete_schemas)
def schema(name: str) -> None:
    """Print the JSON Schema of a file that loracle writes.

    NAME is report (what `loracle validate --json` and `loracle replay --json` write, and the
    default), vectors (the manifest of `loracle vectors build`), or the command whose --json it is:
    sweep, bench, bench-transition, probe, resolving-power, selftest, ledger.
    """
    from loracle.schema import schema_text

    click.echo(schema_text(name), nl=False)


@_commands.command()
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and names.

    \b
    bash:  loracle completion bash > ~/.local/share/bash-completion/completions/loracle
    zsh:   loracle completion zsh > a folder of $fpath/_loracle
    fish:  loracle completion fish > ~/.config/fish/completions/loracle.fish
    """
    click.echo(completion_script(shell, _commands), nl=False)


@_commands.command()
def demo() -> int:
    """Judge peft, loralib and torch, then two kernels that are wrong."""
    from loracle.demo.script import run_demo
    from loracle.presentation.terminal import make_console

    return run_demo(make_console())


_commands.add_command(adapters)
_commands.add_command(bench)
_commands.add_command(help_command)
_commands.add_command(probe)
_commands.add_command(replay)
_commands.add_command(selftest)
_commands.add_command(sweep)
_commands.add_command(resolving_power)
_commands.add_command(vectors)


def _one_line(error: click.ClickException | UsageError) -> str:
    if isinstance(error, UsageError):
        return " ".join(str(error).split())
    message = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message.rstrip('.')} (see {error.ctx.command_path} --help)"
    return message


def _status(report: Report, *, only_proven: bool) -> int:
    if report.verdict == "fail" or report.reason == "outdated-expectations":
        return 1
    if report.reason == "interrupted":
        return _INTERRUPTED
    return int(report.verdict == "suspect" and not only_proven)
