"""What the command line says of itself: help, version, and the names that may be given."""

from __future__ import annotations

import re

import click
import pytest

import loracle
from loracle import options
from loracle.cli import _commands
from loracle.contracts import CONTRACTS
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import FORMATS, MACHINES

from .command_line import run


@pytest.mark.parametrize("command", ["validate", "sweep"])
def test_the_help_names_the_plans_of_every_contract(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(command, "--help")
    text = re.sub(r"-\s+", "-", capsys.readouterr().out)
    _, _, words = " ".join(text.split()).partition(" --plan NAME ")
    for contract, plans in PLANS.items():
        assert re.search(rf"{contract}[^:]*: {', '.join(plans)}[.;]", words)
    assert "none switches off a declared one" in words


def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("", "validate", "vectors", "vectors build"):
        assert not run("help", *command.split())
        told = capsys.readouterr().out
        assert not run(*command.split(), "--help")
        assert capsys.readouterr().out == told
        assert told.startswith(f"Usage: loracle {command}".rstrip())


def test_the_version_has_a_short_form(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("-V", "--version"):
        assert not run(option)
        assert capsys.readouterr().out == f"loracle {loracle.__version__}\n"


def test_the_names_in_the_help_are_those_that_there_are() -> None:
    assert options.CONTRACT_NAMES.split(", ") == list(CONTRACTS)
    assert options.DTYPE_NAMES.split(", ") == list(FORMATS)
    assert options.MACHINE_NAMES.split(", ") == list(MACHINES)
    plans = {
        contract: names.split(", ")
        for contracts, names in (of.split(": ") for of in options.PLAN_NAMES.split("; "))
        for contract in contracts.split(" and ")
    }
    assert plans == {contract: list(known) for contract, known in PLANS.items()}


def commands(group: click.Group, path: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        inner = commands(command, f"{path}{name} ") if isinstance(command, click.Group) else {}
        found |= inner or {path + name: command}
    return found


def test_every_option_with_fixed_choices_shows_them() -> None:
    """In its help, or in its default where that has all of them."""
    choices = {
        "--contract": "lora-attention",
        "--dtype": "float32",
        "--machine": "hopper",
        "--device": "cuda",
        "--plan": "unmerged-flash",
    }
    seen = 0
    for name, command in commands(_commands).items():
        for parameter in command.params:
            for option in set(parameter.opts) & set(choices):
                assert isinstance(parameter, click.Option)
                shown = f"{parameter.help} {parameter.default}"
                assert choices[option] in shown, (name, option)
                seen += 1
    assert seen > 15
