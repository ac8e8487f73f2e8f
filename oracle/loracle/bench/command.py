"""The command `loracle bench`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from loracle.errors import UsageError

# Everything else is imported when the command runs: `loracle --help` answers at once.
if TYPE_CHECKING:
    from loracle.bench.output import Outputs

__all__ = ["bench"]

_INTERRUPTED = 130

_TRANSITION_ONLY = ("scores", "length")
_RUN_ONLY = (
    "lengths",
    "heads",
    "methods",
    "data",
    "max_score",
    "distinct",
    "device",
    "dtype",
    "seed",
    "threads",
    "limit",
    "truth_limit",
)


@click.command()
@click.option(
    "--lengths",
    default="4096,8192,16384",
    show_default=True,
    metavar="L,...",
    help="Numbers of tokens, separated by commas.",
)
@click.option("--dim", type=int, default=8, show_default=True, metavar="D", help="Of a head.")
@click.option(
    "--rank", type=int, default=4, show_default=True, metavar="R", help="Of the adapters."
)
@click.option(
    "--heads",
    default="1",
    show_default=True,
    metavar="H,...",
    help="Numbers of heads, each with a table of its own.",
)
@click.option(
    "--epsilon",
    type=float,
    default=1e-2,
    show_default=True,
    metavar="E",
    help="Promised by the certified methods, relative to the natural scale.",
)
@click.option(
    "--methods",
    default="almost-linear,streaming,sdpa,eager",
    show_default=True,
    metavar="M,...",
    help="Also almost-linear-gradient and sdpa-bf16.",
)
@click.option(
    "--data",
    default="independent",
    show_default=True,
    metavar="KIND",
    help="independent or correlated.",
)
@click.option(
    "--max-score",
    type=float,
    default=1,
    show_default=True,
    metavar="S",
    help="The largest |beta <q, k>| of all pairs.",
)
@click.option(
    "--distinct",
    type=int,
    default=131072,
    show_default=True,
    metavar="N",
    help="Longer inputs repeat that many rows, so that their truth is known.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--dtype", default="float32", show_default=True, help="float32 or float64.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="S")
@click.option("--threads", type=int, metavar="N", help="torch's default if omitted.")
@click.option(
    "--limit",
    type=float,
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="An exact method that would take longer for a call is extrapolated.",
)
@click.option(
    "--truth-limit",
    type=float,
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="A truth that would take longer is left out.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write everything there; - is stdout.")
@click.option("--markdown", "markdown_path", metavar="FILE", help="Write the tables there.")
@click.option(
    "--plot", "plot_prefix", metavar="PREFIX", help="Draw PREFIX.png and PREFIX.svg (matplotlib)."
)
@click.option(
    "--transition", is_flag=True, help="Instead: rank and cost against the largest score."
)
@click.option(
    "--scores",
    default="0.25,0.5,1,2,4,8,16",
    show_default=True,
    metavar="S,...",
    help="Of --transition: the values of beta d Γ².",
)
@click.option(
    "--length",
    type=int,
    default=131072,
    show_default=True,
    metavar="L",
    help="Of --transition: the number of tokens.",
)
@click.pass_context
def bench(
    context: click.Context,
    /,
    json_path: str | None,
    markdown_path: str | None,
    plot_prefix: str | None,
    transition: bool,
    **options: Any,
) -> int:
    """Time the almost-linear gradient against exact ones.

    Time, peak memory and true error of each method at each length, every measurement in a process
    of its own, and the certificates of the almost-linear kernel. What an exact method would take
    too long for is extrapolated, and marked.

    Exits 0 if error <= certificate <= epsilon x scale on every row, 1 if not, 2 if the usage is
    bad, 130 if interrupted, with what was measured until then.
    """
    from loracle.bench.output import Outputs

    _refuse_options_of_the_other_mode(context, transition)
    with ExitStack() as stack:
        # Claimed first: nobody wants to learn after the run that its result cannot be kept.
        outputs = stack.enter_context(Outputs(json_path, markdown_path, plot_prefix))
        return _transition(outputs, options) if transition else _run(outputs, options)


def _run(outputs: Outputs, options: dict[str, Any]) -> int:
    from functools import partial

    from loracle.bench.launch import run_in_child
    from loracle.bench.progress import BenchProgress
    from loracle.bench.request import parse_request
    from loracle.bench.run import run_bench
    from loracle.bench.sheet import wide_console

    given = {name: options[name] for name in options if name not in _TRANSITION_ONLY}
    request = parse_request(**given)
    with BenchProgress(wide_console(stderr=True)) as display:
        result = run_bench(
            request,
            partial(run_in_child, on_wait=display.refresh),
            on_progress=display.update,
        )
    outputs.write_run(result)
    if result.interrupted:
        return _INTERRUPTED
    return int(bool(result.violations) or not result.rows)


def _transition(outputs: Outputs, options: dict[str, Any]) -> int:
    from loracle.bench.transition import find_transition, positive_numbers

    outputs.write_transition(
        find_transition(
            positive_numbers("--scores", options["scores"]),
            length=options["length"],
            dim=options["dim"],
            adapter_rank=options["rank"],
            epsilon=options["epsilon"],
        )
    )
    return 0


def _refuse_options_of_the_other_mode(context: click.Context, transition: bool) -> None:
    """Raises UsageError for an option that was given and would be ignored."""
    default = click.core.ParameterSource.DEFAULT
    for name in _RUN_ONLY if transition else _TRANSITION_ONLY:
        if context.get_parameter_source(name) is not default:
            option = "--" + name.replace("_", "-")
            if transition:
                raise UsageError(f"{option} means nothing with --transition; leave one of them out")
            raise UsageError(f"{option} belongs to --transition; give that too, or leave it out")
