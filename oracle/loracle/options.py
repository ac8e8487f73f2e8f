"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from loracle.completion import complete_plans

__all__ = [
    "CONTRACT_NAMES",
    "DEVICE_NAMES",
    "DTYPE_NAMES",
    "MACHINE_NAMES",
    "plan_option",
    "report_file_options",
]

# Written out, as what knows them takes too long to import for a --help.
CONTRACT_NAMES = "lora-linear, aloragc, lora-attention, lora-mha"
DTYPE_NAMES = "float64, float32, bfloat16, float16"
MACHINE_NAMES = "widest, f32-accumulate, f16-accumulate, tf32, ampere, hopper"
DEVICE_NAMES = "cpu, cuda or cuda:N"

F = TypeVar("F", bound=Callable[..., Any])

_FORMS = {
    "json": "Write the report there as JSON; - is stdout.",
    "html": "Write it there as a page of its own, with plots.",
    "junit": "Write it there as JUnit's XML, for CI.",
}


class _PlanOption(click.Option):
    """Its help ends with the names, which are asked for when it is shown: a `loracle --help` has no
    time for them, and another command's help no need."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """As click's, with the plans of every contract."""
        from loracle.plans import plans_by_contracts

        record = super().get_help_record(ctx)
        assert record is not None
        names = plans_by_contracts().items()
        listed = "; ".join(f"{' and '.join(of)}: {', '.join(plans)}" for of, plans in names)
        return record[0], f"{record[1]} Of {listed}."


def plan_option(whose: str) -> Callable[[F], F]:
    """--plan. whose: "it follows" or "they follow"."""
    return click.option(
        "--plan",
        cls=_PlanOption,
        metavar="NAME",
        shell_complete=complete_plans,
        help=f"The evaluation plan {whose}, for a tighter bound (see `loracle contracts NAME`);"
        " none switches off a declared one.",
    )


def report_file_options(command: F) -> F:
    """--json, --html and --junit, which become json_path, html_path and junit_path."""
    for form, text in reversed(_FORMS.items()):
        option = click.option(
            f"--{form}", f"{form}_path", metavar="FILE", help=text, type=click.Path()
        )
        command = option(command)
    return command
