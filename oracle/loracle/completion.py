"""What the shell completes, and the script that makes it do so. click does the work; the names come
from where the commands get them, imported when a completion is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click
from click.shell_completion import CompletionItem, get_completion_class

from loracle.errors import UsageError

__all__ = [
    "COMPLETE_VARIABLE",
    "SHELLS",
    "complete_cases",
    "complete_contracts",
    "complete_devices",
    "complete_dtypes",
    "complete_machines",
    "complete_plans",
    "complete_regimes",
    "complete_schemas",
    "complete_targets",
    "completion_script",
]

COMPLETE_VARIABLE = "_LORACLE_COMPLETE"
"""The environment variable by which the script asks `loracle` for completions."""

SHELLS = ("bash", "zsh", "fish")

_FIRST_CALL = "[[ $zsh_eval_context[-1] == loadautofunc ]]"
_ANY_CALL = '[[ "$funcstack[1]" == _loracle ]]'

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completion_script(shell: str, commands: click.Command) -> str:
    """The script for a shell; raises UsageError if it is not one of SHELLS."""
    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise UsageError(f"unknown shell {shell!r}; known: {', '.join(SHELLS)}")
    # Not its `source`, which for bash runs a bash to look at its version.
    script = kind(commands, {}, "loracle", COMPLETE_VARIABLE)
    text = script.source_template % script.source_vars()
    # Of a file in $fpath click's own condition holds at the first tab alone: later ones do nothing.
    return text.replace(_FIRST_CALL, _ANY_CALL)


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _completing(names: Callable[[], Sequence[str]]) -> Complete:
    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _items(names(), incomplete)

    return complete


def _contracts() -> Sequence[str]:
    from loracle.contracts import CONTRACTS

    return tuple(CONTRACTS)


def _dtypes() -> Sequence[str]:
    from loracle_reference.floating_point import FORMATS

    return tuple(FORMATS)


def _machines() -> Sequence[str]:
    from loracle_reference.floating_point import MACHINES

    return tuple(MACHINES)


def _plans() -> Sequence[str]:
    from loracle.plans import NO_PLAN, plan_names

    return (*plan_names(), NO_PLAN)


def _regimes(context: click.Context) -> Sequence[str]:
    """Those of the contract, if it is named already."""
    from loracle.generation.regimes import REGIMES

    contract = context.params.get("contract")
    return [name for name, r in REGIMES.items() if contract is None or contract in r.makers]


def complete_regimes(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The regimes of the contract, or of all."""
    return _items(_regimes(context), incomplete)


def complete_cases(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """REGIME:INDEX of the cases of a default run."""
    from loracle.generation.regimes import REGIMES

    names = [f"{name}:{n}" for name in _regimes(context) for n in range(REGIMES[name].cases)]
    return _items(names, incomplete)


def complete_targets(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Adapters, and where none has such a name files: bash shows either."""
    from loracle.adapters import ADAPTERS

    named = [a for a in ADAPTERS.values() if a.name.startswith(incomplete)]
    adapters = [CompletionItem(adapter.name, help=adapter.description) for adapter in named]
    return adapters or [CompletionItem(incomplete, type="file")]


def _schemas() -> Sequence[str]:
    from loracle.schema import schema_names

    return schema_names()


complete_contracts = _completing(_contracts)
complete_devices = _completing(lambda: ("cpu", "cuda"))
complete_dtypes = _completing(_dtypes)
complete_machines = _completing(_machines)
complete_plans = _completing(_plans)
complete_schemas = _completing(_schemas)
