"""`--json`, `--html` and `--junit` together: claimed before the run, each whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loracle.cli import main
from loracle.errors import UsageError
from loracle.report import Report

MakeReport = Callable[..., Report]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What stands in for a validation is asked `calls` times, and answers with `report`."""
    told: dict[str, Any] = {"calls": 0}

    def validate(kernel: str, **options: Any) -> Report:
        told["calls"] += 1
        if isinstance(told["report"], BaseException):
            raise told["report"]
        report: Report = told["report"]
        return report

    monkeypatch.setattr("loracle.validation.validate", validate)
    return told


def run(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", "m:f", *map(str, arguments)])
    return ended.value.code


def test_all_three_are_written(
    answer: dict[str, Any], make_failing: MakeReport, tmp_path: Path
) -> None:
    answer["report"] = make_failing()
    files = [tmp_path / name for name in ("r.json", "r.html", "r.xml")]
    options = zip(("--json", "--html", "--junit"), files, strict=True)
    assert run(*(word for pair in options for word in pair)) == 1
    assert json.loads(files[0].read_text())["verdict"] == "fail"
    assert files[1].read_text().startswith("<!doctype html>")
    assert ElementTree.parse(files[2]).getroot().tag == "testsuites"
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("form", ["html", "junit"])
def test_one_that_cannot_be_is_refused_before_the_run_and_leaves_nothing(
    answer: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    place = tmp_path / "missing" / "report"
    assert run("--json", tmp_path / "r.json", f"--{form}", place) == 2
    assert answer["calls"] == 0
    assert "there is no directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("same", ["-", "r.json", "./sub/../r.json"])
def test_two_forms_in_one_place_are_refused(
    answer: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    same: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    assert run("--json", "-" if same == "-" else "r.json", "--html", same) == 2
    assert answer["calls"] == 0
    err = capsys.readouterr().err
    assert err == f"Error: --json and --html both write to {same}; name two files\n"


def test_a_device_takes_several(answer: dict[str, Any], make_passing: MakeReport) -> None:
    answer["report"] = make_passing()
    assert run("--json", os.devnull, "--html", os.devnull) == 0


@pytest.mark.parametrize("form", ["html", "junit"])
def test_stdout_is_for_one_form_and_the_report_goes_to_stderr(
    answer: dict[str, Any],
    make_passing: MakeReport,
    capsys: pytest.CaptureFixture[str],
    form: str,
) -> None:
    answer["report"] = make_passing()
    assert run(f"--{form}", "-") == 0
    out, err = capsys.readouterr()
    assert out.startswith("<")
    assert "PASS" in err


def test_an_old_file_survives_a_run_that_ends_badly(answer: dict[str, Any], tmp_path: Path) -> None:
    answer["report"] = UsageError("no such kernel")
    file = tmp_path / "r.html"
    file.write_text("old")
    assert run("--html", file, "--junit", tmp_path / "r.xml") == 2
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"r.html": "old"}


def test_only_proven_reaches_the_junit_report(
    answer: dict[str, Any], make_passing: MakeReport, tmp_path: Path
) -> None:
    answer["report"] = make_passing(verdict="suspect", reason="insufficient-evidence")
    for options, failures in ((["--only-proven"], "0"), ([], "1")):
        run("--junit", tmp_path / "r.xml", *options)
        assert ElementTree.parse(tmp_path / "r.xml").getroot().get("failures") == failures


KERNEL = """
import os, signal
from loracle.adapters.autograd import lora_linear as right


def kernel(*, x, weight, lora_a, lora_b, scaling, grad_output):
    outputs = right(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                    grad_output=grad_output)
    with open("calls", "a+") as calls:
        calls.write("x")
        if calls.tell() == 20:
            os.kill(os.getppid(), signal.SIGINT)
    return {**outputs, "grad_x": -outputs["grad_x"]}
"""


def test_an_interrupted_run_keeps_what_it_had(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNEL)
    command = [sys.executable, "-m", "loracle", "validate", "kernels.py:kernel", "--regime", "tiny"]
    files = ["--json", "r.json", "--html", "r.html", "--junit", "r.xml"]
    roots = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [*command, "--cases", "50", *files],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["reason"] == "interrupted"
    assert 0 < data["cases"] < 50
    assert data["findings"][0]["output"] == "grad_x"
    assert done.returncode == 1
    assert "interrupted after" in (tmp_path / "r.html").read_text()
    root = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase") if case.find("error") is not None]
