"""`--json`: where the report is written, and when it is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .command_line import run
from .fake_validation import FakeValidation, MakeReport


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
