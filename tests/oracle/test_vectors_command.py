"""`loracle vectors` as it is typed: what it prints, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from loracle.cli import main

from .command_line import in_a_fresh_process


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | str | None, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(["vectors", *arguments])
    captured = capsys.readouterr()
    return exit_.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("command") / "set"
    with pytest.raises(SystemExit) as exit_:
        main(f"vectors build {path} --contract aloragc --dtype float16 --regime tiny".split())
    assert exit_.value.code == 0
    return path


def test_build_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--contract aloragc --dtype float16 --dtype float32 --regime tiny --cases 2 --seed 3"
    status, out, err = run(capsys, "build", str(tmp_path / "set"), *options.split())
    assert (status, err) == (0, "")
    assert out == (
        f"{tmp_path}/set: 4 cases in 2 files; every truth confirmed from the loss in"
        " multiprecision\n"
    )


def test_verify_exits_1_and_says_why(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "verify", str(folder))
    assert (status, err) == (0, "")
    assert out == "1 cases in 1 files: schema, checksums, truths and bounds are right\n"
    assert run(capsys, "verify", "--quick", str(folder))[1].endswith(
        "schema and checksums are right\n"
    )
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes().replace(b"tiny", b"tidy"))
    status, out, err = run(capsys, "verify", str(copy))
    assert (status, err) == (1, "")
    assert "its SHA-256 is not the one that is listed" in out
    assert "unknown flag 'tidy'" in out


def test_list_shows_files_and_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "list", str(folder))
    assert status == 0
    assert f"{folder}" in out.replace("\n", "")
    assert "aloragc" in out
    assert "a single query, key, row or rank" in out


def test_without_a_folder_it_is_the_shipped_set(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert "comes with loracle" in out
    assert run(capsys, "verify", "--quick")[0] == 0


@pytest.mark.parametrize("command", ["list", "verify"])
def test_no_vectors_is_one_line_and_status_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, command, str(tmp_path))
    assert (status, out) == (2, "")
    assert err.startswith("Error: there are no vectors in")
    assert err.count("\n") == 1


def test_bad_usage_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["build"],
        ["build", str(tmp_path / "set"), "--contract", "loar"],
        ["build", str(tmp_path / "set"), "--cases", "0"],
        ["build", str(tmp_path / "no" / "set")],
        ["verify", "--quik"],
    ):
        status, out, err = run(capsys, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments


def test_building_and_reading_never_import_torch() -> None:
    code = (
        "import sys; import loracle.vectors as v; v.load, v.build, v.verify;"
        "print({'torch', 'hypothesis'} & set(sys.modules))"
    )
    assert in_a_fresh_process(code).strip() == "set()"
