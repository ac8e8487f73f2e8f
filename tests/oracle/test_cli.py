"""The command line, with a validation made up: options, exit status, errors."""

from __future__ import annotations

import pytest

from loracle.errors import UsageError

from .command_line import run
from .fake_validation import FakeValidation, MakeReport


def test_every_option_reaches_validate(
    validation: FakeValidation, make_passing: MakeReport
) -> None:
    validation.answer = make_passing()
    options = "--contract aloragc --dtype float64 --device cuda --machine tf32 --cases 3 --seed 7"
    options += " --regime tiny --regime ragged --case tiny:1 --epsilon 0.5 --timeout 9"
    options += " --repeats 5 --compile --plan merged --expected-failures known.toml"
    assert run("validate", "m:f", *options.split()) == 0
    assert validation.asked == {
        "kernel": "m:f",
        "contract": "aloragc",
        "dtype": "float64",
        "device": "cuda",
        "machine": "tf32",
        "plan": "merged",
        "cases": 3,
        "seed": 7,
        "regimes": ("tiny", "ragged"),
        "only_cases": ("tiny:1",),
        "epsilon": 0.5,
        "timeout": 9.0,
        "repeats": 5,
        "compile": True,
        "expected_failures": "known.toml",
    }


def test_the_defaults_are_those_of_validate(
    validation: FakeValidation, make_passing: MakeReport
) -> None:
    validation.answer = make_passing()
    run("validate", "peft")
    assert validation.asked == {
        "kernel": "peft",
        "contract": None,
        "dtype": "float32",
        "device": "cpu",
        "machine": None,
        "plan": None,
        "cases": None,
        "seed": 0,
        "regimes": None,
        "only_cases": None,
        "epsilon": None,
        "timeout": 60,
        "repeats": 2,
        "compile": False,
        "expected_failures": None,
    }


@pytest.mark.parametrize(
    ("verdict", "reason", "options", "status"),
    [
        ("pass", "", (), 0),
        ("suspect", "", (), 1),
        ("fail", "", (), 1),
        ("suspect", "", ("--only-proven",), 0),
        ("fail", "", ("--only-proven",), 1),
        ("suspect", "interrupted", ("--only-proven",), 130),
        ("fail", "interrupted", (), 1),
    ],
)
def test_exit_status(
    validation: FakeValidation,
    make_passing: MakeReport,
    verdict: str,
    reason: str,
    options: tuple[str, ...],
    status: int,
) -> None:
    validation.answer = make_passing(verdict=verdict, reason=reason)
    assert run("validate", "m:f", *options) == status


def test_a_usage_error_is_one_line_and_status_2(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str]
) -> None:
    validation.answer = UsageError("unknown regime 'x';\nknown: tiny")
    assert run("validate", "m:f") == 2
    assert capsys.readouterr() == ("", "Error: unknown regime 'x'; known: tiny\n")


@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("validate",), ("validate", "m:f", "--cases", "many"), ("demo", "--x")],
)
def test_what_click_refuses_is_one_line_too(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("valdate x", "no command 'valdate'; did you mean validate? (see loracle --help)"),
        ("xyz", "no command 'xyz' (see loracle --help)"),
        ("vectors buil", "no command 'buil'; did you mean build? (see loracle vectors --help)"),
        ("help valdate", "no command 'valdate'; did you mean validate?"),
        ("help validate it", "no command 'it'"),
    ],
)
def test_a_misspelt_command_is_answered_with_the_nearest(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments.split()) == 2
    assert capsys.readouterr().err == f"Error: {says}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("validate peft --plan merged --plan=unmerged", "--plan is given twice"),
        ("validate peft --seed 1 --seed 1", "--seed is given twice"),
        ("sweep peft --machine widest --machine ftz", "--machine is given twice"),
        ("vectors build nowhere --seed 1 --cases 1 --seed 2", "--seed is given twice"),
    ],
)
def test_an_option_with_one_value_is_given_once(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not that the last one counts and the first one seems to."""
    assert run(*arguments.split()) == 2
    assert capsys.readouterr().err.startswith(f"Error: {says} and takes one value (see loracle ")


def test_what_may_be_given_twice_may(validation: FakeValidation, make_passing: MakeReport) -> None:
    validation.answer = make_passing()
    twice = "--compile --only-proven --regime tiny --case tiny:1"
    assert run("validate", "m:f", *twice.split(), *twice.split()) == 0
    assert not run("validate", "m:f", "--seed", "1", "--seed", "2", "--help")


def test_a_stray_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        "validate m:f",
        "schema report",
        "contracts lora-mha",
        "replay r.json",
        "selftest",
    ):
        assert run(*command.split(), "stray") == 2
        assert "argument (stray)" in capsys.readouterr().err


def test_an_interruption_outside_the_validation_ends_quietly(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str]
) -> None:
    validation.answer = KeyboardInterrupt()
    assert run("validate", "m:f") == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_another_refusal_of_the_system_names_the_file(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str]
) -> None:
    validation.answer = OSError(13, "Permission denied", "kernel.so")
    assert run("validate", "m:f") == 2
    assert capsys.readouterr().err == "Error: kernel.so: Permission denied\n"
    validation.answer = OSError(11, "Resource temporarily unavailable")
    assert run("validate", "m:f") == 2
    assert capsys.readouterr().err == "Error: Resource temporarily unavailable\n"
