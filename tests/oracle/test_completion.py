"""Shell completion: what is proposed, and that the script of bash works in bash."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from loracle import cli
from loracle.adapters import ADAPTERS
from loracle.cli import main
from loracle.completion import _ANY_CALL, _FIRST_CALL, COMPLETE_VARIABLE, SHELLS, completion_script
from loracle.contracts import CONTRACTS
from loracle.generation import REGIMES
from loracle.schema import schema_names
from loracle_reference.floating_point import FORMATS, MACHINES


def proposed(line: str) -> list[str]:
    """For the last word of the line, which may be empty."""
    *words, incomplete = line.split(" ")
    complete = ShellComplete(cli._commands, {}, "loracle", COMPLETE_VARIABLE)
    return [item.value for item in complete.get_completions(words, incomplete)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("validate --contract ", set(CONTRACTS)),
        ("validate --dtype ", set(FORMATS)),
        ("validate --machine ", set(MACHINES)),
        ("validate --device ", {"cpu", "cuda"}),
        ("validate --regime ", set(REGIMES)),
        ("validate ", set(ADAPTERS)),
        ("validate autog", {"autograd"}),
        ("validate my_ker", {"my_ker"}),
        ("completion ", set(SHELLS)),
        ("schema ", set(schema_names())),
    ],
)
def test_names_are_proposed(line: str, expected: set[str]) -> None:
    assert set(proposed(line)) == expected


def test_the_regimes_are_those_of_the_contract_that_is_named() -> None:
    regimes = set(proposed("validate --contract aloragc --regime "))
    assert regimes == {name for name, regime in REGIMES.items() if "aloragc" in regime.makers}
    assert regimes < set(REGIMES)
    assert "tiny:5" in proposed("validate --contract aloragc --case ")


def test_every_option_that_names_something_is_completed() -> None:
    """A new option of that kind is not forgotten."""
    free = {"epsilon", "cases", "seed", "timeout", "repeats", "help"}
    context = click.Context(cli.validate)
    for parameter in cli.validate.params:
        assert parameter.name is not None
        if parameter.name not in free and not getattr(parameter, "is_flag", False):
            assert parameter.shell_complete(context, ""), parameter.name


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", shell])
    assert not ended.value.code
    script = capsys.readouterr().out
    assert f"{COMPLETE_VARIABLE}={shell}_complete" in script
    assert "loracle" in script


def test_the_script_of_zsh_completes_at_every_tab() -> None:
    """click's own wording is what is replaced: under another one the replacement does nothing."""
    script = completion_script("zsh", cli._commands)
    assert _FIRST_CALL not in script
    assert _ANY_CALL in script


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "powershell"])
    assert ended.value.code == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which this loracle is a command."""
    command = tmp_path / "loracle"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m loracle "$@"\n')
    command.chmod(0o755)
    roots = os.pathsep.join(path for path in sys.path if path)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": roots}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(environment: dict[str, str]) -> None:
    script = """
        eval "$(loracle completion bash)"
        COMP_WORDS=(loracle validate --contract lora-) COMP_CWORD=3
        _loracle_completion loracle && echo "${COMPREPLY[*]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [name for name in CONTRACTS if name.startswith("lora-")]
    assert done.stdout.split() == expected
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes(environment: dict[str, str], tmp_path: Path) -> None:
    script = """
        loracle completion fish | source
        complete -C "loracle val"
        complete -C "loracle validate --contract lora-"
    """
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.partition("\t")[0] for line in done.stdout.splitlines() if line]
    assert names[0] == "validate"
    assert set(names[1:]) == {name for name in CONTRACTS if name.startswith("lora-")}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_completes(environment: dict[str, str], tmp_path: Path) -> None:
    """With a terminal of its own and a pressed tab: its completion does not work without."""
    done = subprocess.run(
        ["loracle", "completion", "zsh"], env=environment, stdout=subprocess.PIPE, check=True
    )
    (tmp_path / "_loracle").write_bytes(done.stdout)
    ours, theirs = os.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"],
        env=environment | {"HOME": str(tmp_path), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        begin = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u; print rea''dy\n"
        # What tab has made of the line is printed: control-A goes to its beginning.
        for line, answer in (
            (begin, "ready"),
            ("loracle val\t\x01print -r -- so: \n", "so: loracle validate"),
            ("loracle validate --dtype bfl\t\x01print -r -- so: \n", "--dtype bfloat16"),
        ):
            os.write(ours, line.encode())
            assert answer in read_until(ours, answer)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(terminal: int, answer: str, seconds: float = 60) -> str:
    """What comes from the terminal, until the answer is in it or the time is over."""
    text = ""
    end = time.monotonic() + seconds
    while answer not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 65536).decode(errors="replace")
    return text
