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
    "PLAN_NAMES",
    "plan_option",
    "report_file_options",
]

# Written out, as what knows them takes too long to import for a --help.
CONTRACT_NAMES = "lora-linear, aloragc, lora-attention, lora-mha"
DTYPE_NAMES = "float64, float32, bfloat16, float16"
MACHINE_NAMES = "widest, f32-accumulate, f16-accumulate, tf32, ampere, hopper"
DEVICE_NAMES = "cpu, cuda or cuda:N"
PLAN_NAMES = (
    "lora-linear: merged, unmerged;"
    " aloragc and lora-attention: merged, unmerged, merged-flash, unmerged-flash, as-written;"
    " lora-mha: merged, unmerged, merged-flash, unmerged-flash"
)

F = TypeVar("F", bound=Callable[..., Any])

_FORMS = {
    "json": "Write the report there as JSON; - is stdout.",
    "html": "Write it there as a page of its own, with plots.",
    "junit": "Write it there as JUnit's XML, for CI.",
}


def plan_option(whose: str) -> Callable[[F], F]:
    """--plan. whose: "it follows" or "they follow"."""
    return click.option(
        "--plan",
        metavar="NAME",
        shell_complete=complete_plans,
        help=f"The evaluation plan {whose}, for a tighter bound (see `loracle contracts NAME`);"
        f" none switches off a declared one. Of {PLAN_NAMES}.",
    )


def report_file_options(command: F) -> F:
    """--json, --html and --junit, which become json_path, html_path and junit_path."""
    for form, text in reversed(_FORMS.items()):
        option = click.option(
            f"--{form}", f"{form}_path", metavar="FILE", help=text, type=click.Path()
        )
        command = option(command)
    return command
