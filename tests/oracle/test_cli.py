"""The command line, with a validation made up here: options, exit status, files, errors."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest

import loracle
from loracle import options
from loracle.adapters import ADAPTERS
from loracle.cli import _commands, main
from loracle.contracts import CONTRACTS, Contract
from loracle.errors import UsageError
from loracle.generation import REGIMES
from loracle.report import Report
from loracle_reference.evaluation_plans import PLANS
from loracle_reference.floating_point import FORMATS, MACHINES

MakeReport = Callable[..., Report]
ROOTS = [Path(__file__).parents[2] / root for root in ("reference", "oracle")]


class FakeValidation:
    """Stands in for `loracle.validate`: remembers what it was asked, answers what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, Any] = {}
        self.answer: Report | BaseException = UsageError("no answer was set")
        monkeypatch.setattr("loracle.validation.validate", self.validate)

    def validate(self, kernel: str, *, on_progress: Callable[..., None], **options: Any) -> Report:
        self.asked = {"kernel": kernel, **options}
        on_progress(1, 2, "designed", "pass", None)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def validation(monkeypatch: pytest.MonkeyPatch) -> FakeValidation:
    return FakeValidation(monkeypatch)


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


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


def test_json_is_written_whole(
    validation: FakeValidation, make_failing: MakeReport, tmp_path: Path
) -> None:
    validation.answer = make_failing()
    file = tmp_path / "out.json"
    file.write_text("old")
    assert run("validate", "m:f", "--json", str(file)) == 1
    assert json.loads(file.read_text()) == make_failing().to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert file.stat().st_mode & 0o444 == 0o444 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_json_to_stdout_leaves_the_report_to_stderr(
    validation: FakeValidation, make_passing: MakeReport, capsys: pytest.CaptureFixture[str]
) -> None:
    validation.answer = make_passing()
    assert run("validate", "m:f", "--json", "-") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == make_passing().to_dict()
    assert "PASS" in err


@pytest.mark.parametrize(
    ("place", "complaint"),
    [("missing/out.json", "there is no directory"), (".", "it is a directory")],
)
def test_a_json_file_that_cannot_be_is_refused_before_the_run(
    validation: FakeValidation,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    place: str,
    complaint: str,
) -> None:
    assert run("validate", "m:f", "--json", str(tmp_path / place)) == 2
    assert validation.asked == {}
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1


def test_a_folder_one_may_not_write_to_is_refused_before_the_run(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The superuser may write everywhere, so the refusal comes from here and not from permissions.
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("loracle.presentation.atomic_file.tempfile.mkstemp", refuse)
    assert run("validate", "m:f", "--json", "out.json") == 2
    assert validation.asked == {}
    said = capsys.readouterr().err
    assert f"cannot write out.json: no file can be made in {Path.cwd()}: Permission denied" in said


def test_a_folder_of_the_system_itself_is_not_said_to_be_missing(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc, in which no file can be made, answers as if it were not there."""

    def refuse(**_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("loracle.presentation.atomic_file.tempfile.mkstemp", refuse)
    assert run("validate", "m:f", "--json", "out.json") == 2
    said = capsys.readouterr().err
    assert said == f"Error: cannot write out.json: no file can be made in {Path.cwd()}\n"


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


def test_an_old_file_survives_a_run_that_ends_badly(
    validation: FakeValidation, tmp_path: Path
) -> None:
    file = tmp_path / "out.json"
    file.write_text("old")
    assert run("validate", "m:f", "--json", str(file)) == 2
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_json_follows_a_link_and_writes_into_a_device(
    validation: FakeValidation, make_passing: MakeReport, tmp_path: Path
) -> None:
    validation.answer = make_passing()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    assert run("validate", "m:f", "--json", str(link)) == 0
    assert link.is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["verdict"] == "pass"
    assert run("validate", "m:f", "--json", os.devnull) == 0


def test_an_interruption_outside_the_validation_ends_quietly(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str]
) -> None:
    validation.answer = KeyboardInterrupt()
    assert run("validate", "m:f") == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_adapters_are_a_line_each_and_all_is_told_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not run("adapters")
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["adapter", "contracts", "found"]
    assert [line.split()[0] for line in lines] == list(ADAPTERS)
    assert lines[0].split() == ["peft", "lora-linear", "peft", version("peft")]
    for arguments in (("adapters", "-v"), ("adapters", "peft", "loralib")):
        assert not run(*arguments)
        text = capsys.readouterr().out
        for word in ("judges", "peft.tuners.lora.Linear", "loralib", "pip install"):
            assert word in text
    assert run("adapters", "-v", "--judge") == 2


def test_a_missing_package_is_called_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loracle.presentation.listings.installed_version", lambda name: None)
    run("adapters", "loralib")
    assert "loralib missing" in capsys.readouterr().out
    monkeypatch.setattr("loracle.adapters.adapter.Adapter.missing", lambda self: ["loralib"])
    run("adapters")
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_a_contract_is_told_in_full(contract: Contract, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("contracts", contract.name)
    text = capsys.readouterr().out
    assert text.startswith(contract.name)
    regimes = [n for n, regime in REGIMES.items() if contract.name in regime.makers]
    adapters = [a.name for a in ADAPTERS.values() if contract.name in a.contracts]
    words = [*contract.parameters, *contract.outputs, *PLANS.get(contract.name, {}), *MACHINES]
    for word in [*words, *regimes, *adapters]:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), word
    assert len([other for other in CONTRACTS if text.startswith(other + "\n")]) == 1


def test_an_unknown_contract_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("contracts", "lora-linaer") == 2
    assert "did you mean lora-linear?" in capsys.readouterr().err


def test_the_names_in_the_help_are_those_that_there_are() -> None:
    assert options.CONTRACT_NAMES.split(", ") == list(CONTRACTS)
    assert options.DTYPE_NAMES.split(", ") == list(FORMATS)
    assert options.MACHINE_NAMES.split(", ") == list(MACHINES)


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


def test_regimes_are_a_line_each_where_nobody_sees_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    run("regimes")
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["regime", "contracts", "reveals"]
    assert [line.split()[0] for line in lines] == list(REGIMES)
    for line, regime in zip(lines, REGIMES.values(), strict=True):
        assert line.endswith(regime.reveals)
    monkeypatch.setenv("COLUMNS", "80")
    run("regimes")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_contracts_and_regimes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run("contracts")
    text = capsys.readouterr().out
    assert "lora_a (r, in)" in text
    assert "grad_b_q" in text
    assert "q_width = num_heads * head_dim, kv_width = num_kv_heads * head_dim" in text
    assert "causal: bool" in text
    assert "reads kv head h // (num_heads / num_kv_heads)" in text
    assert "docs/validate-a-kernel.md" in text
    run("regimes")
    assert "designed" in capsys.readouterr().out


def in_a_fresh_process(code: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def command(*arguments: str, stdout: int, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Exit status and stderr of a process of its own, which alone has streams that fail."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    result = subprocess.run(
        [sys.executable, "-m", "loracle", *arguments],
        env=environment,
        stdout=stdout,
        stderr=stderr,
        text=True,
        check=False,
    )
    return result.returncode, result.stderr or ""


LISTINGS = ["contracts", "adapters", "regimes", "--help"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize("argument", [*LISTINGS, "demo"])
def test_an_output_that_cannot_be_written_is_one_line_and_status_2(argument: str) -> None:
    with open("/dev/full", "w") as full:
        status, err = command(argument, stdout=full.fileno())
        assert (status, err) == (2, "Error: cannot write the output: No space left on device\n")
        assert command(argument, stdout=full.fileno(), stderr=full.fileno())[0] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_report_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    kernel = tmp_path / "kernels.py"
    kernel.write_text("def f(*, c1, c2, c3, w, a, b, y): return {}")
    case = ("--case", "tiny:0")
    with open("/dev/full", "w") as full:
        for options in ((), ("--json", "-")):
            status, err = command("validate", f"{kernel}:f", *case, *options, stdout=full.fileno())
            assert status == 2
            assert err.splitlines()[-1].startswith("Error: cannot write the output")
            assert "Traceback" not in err


@pytest.mark.parametrize("argument", LISTINGS)
def test_a_reader_that_goes_away_is_met_with_silence(argument: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert command(argument, stdout=writing) == (141, "")
    finally:
        os.close(writing)


def test_another_refusal_of_the_system_names_the_file(
    validation: FakeValidation, capsys: pytest.CaptureFixture[str]
) -> None:
    validation.answer = OSError(13, "Permission denied", "kernel.so")
    assert run("validate", "m:f") == 2
    assert capsys.readouterr().err == "Error: kernel.so: Permission denied\n"
    validation.answer = OSError(11, "Resource temporarily unavailable")
    assert run("validate", "m:f") == 2
    assert capsys.readouterr().err == "Error: Resource temporarily unavailable\n"


@pytest.mark.parametrize(
    "module",
    [
        "loracle",
        "loracle.cli",
        "loracle.presentation.terminal",
        "loracle.presentation.progress",
        "loracle.presentation.listings",
    ],
)
def test_the_parent_process_never_imports_torch(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'hypothesis'}} & set(sys.modules))"
    assert in_a_fresh_process(code) == "set()"


def test_help_answers_at_once() -> None:
    """Processor time, as other work may hold the cores; what is imported for it has no numpy."""
    best = min(_seconds_of("--help") for _ in range(3))
    assert best < 0.3
    code = (
        "import sys, loracle.cli\n"
        "print({'numpy', 'scipy', 'rich', 'flint', 'jsonschema'} & set(sys.modules))"
    )
    assert in_a_fresh_process(code) == "set()"


def _seconds_of(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert command(*arguments, stdout=subprocess.DEVNULL) == (0, "")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_public_names_are_there() -> None:
    assert all(getattr(loracle, name) is not None for name in loracle.__all__)
    assert set(loracle.__all__) <= set(dir(loracle))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = loracle.nonsense
