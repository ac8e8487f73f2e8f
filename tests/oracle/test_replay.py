"""`loracle replay`: the finding of a saved report again, exactly, or a line that says why not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import loracle
from loracle.cli import main
from loracle.contracts import CONTRACTS
from loracle.generation import cases_of, generate
from loracle.replay.command import _named
from loracle.replay.inputs_file import inputs_as_bytes
from loracle.replay.rerun import Outcome, rerun
from loracle.report import Report

MakeReport = Callable[..., Report]

KERNELS = """
import inspect
import loracle
from loracle.adapters.autograd import lora_linear as right


def mended(*, x, weight, lora_a, lora_b, scaling, grad_output):
    return right(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                 grad_output=grad_output)


def wrong(*, x, weight, lora_a, lora_b, scaling, grad_output):
    outputs = mended(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                     grad_output=grad_output)
    return {**outputs, "grad_x": -outputs["grad_x"], "output": outputs["output"] * 1.5}


def otherwise(*, x, weight, lora_a, lora_b, scaling, grad_output):
    outputs = mended(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                     grad_output=grad_output)
    return {**outputs, "grad_x": 0 * outputs["grad_x"]}


def crashing(*, x, weight, lora_a, lora_b, scaling, grad_output):
    raise ValueError("never")


def biased(*, x, weight, lora_a, lora_b, scaling, grad_output):
    outputs = mended(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling,
                     grad_output=grad_output)
    return {**outputs, "grad_lora_b": outputs["grad_lora_b"] * (1 + 4e-7)}


@loracle.declare(epsilon=1000.0)
def promising(**arguments):
    return mended(**arguments)


@loracle.declare(unsupported=["designed"], machine="f32-accumulate")
def declining(**arguments):
    return mended(**arguments)
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("replayed") / "kernels.py"
    file.write_text(KERNELS)
    return file


@pytest.fixture(scope="module")
def named(kernels: Path) -> Any:
    """The kernels as a module."""
    spec = importlib.util.spec_from_file_location("replayed_kernels", kernels)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reports(kernels: Path, named: Any) -> Path:
    """The folder of reports on the kernels, as if they had been named as TARGETs."""
    for name, options in {
        "wrong": {"regimes": ["designed"], "cases": 2, "seed": 5, "machine": "f32-accumulate"},
        "crashing": {"regimes": ["tiny"], "cases": 1},
        "biased": {"regimes": ["typical", "ragged"], "cases": 7},
    }.items():
        report = loracle.validate(getattr(named, name), contract="lora-linear", **options)
        report.request["target"] = f"{kernels}:{name}"
        (kernels.parent / f"{name}.json").write_text(json.dumps(report.to_dict()))
    return kernels.parent


@pytest.fixture
def folder(reports: Path, named: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With TARGETs that are called in a fork of this process, which has torch already."""

    def validate(target: str, **options: Any) -> Report:
        return loracle.validate(getattr(named, target.rpartition(":")[2]), **options)

    monkeypatch.setattr("loracle.replay.rerun.validate", validate)
    return reports


def run(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", *map(str, arguments)])
    return ended.value.code


def test_a_target_is_loaded_again(
    kernels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the report that the command writes, with nothing made up."""
    file = tmp_path / "report.json"
    arguments = [f"{kernels}:wrong", "--dtype", "bfloat16", "--case", "tiny:1", "--json", str(file)]
    with pytest.raises(SystemExit):
        main(["validate", *arguments])
    capsys.readouterr()
    assert run(file) == 1
    assert "REPRODUCED: the same error, bit for bit." in capsys.readouterr().out


def test_a_finding_comes_again_bit_for_bit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = json.loads((folder / "wrong.json").read_text())
    for number, then in enumerate(saved["findings"], start=1):
        file = tmp_path / "again.json"
        assert run(folder / "wrong.json", "--finding", number, "--json", file) == 1
        out = capsys.readouterr().out
        assert f"Finding {number} of 2 in" in out
        assert "REPRODUCED: the same error, bit for bit." in out
        again = json.loads(file.read_text())
        assert (again["cases"], again["seed"], again["machine"]) == (1, 5, "f32-accumulate")
        (now,) = (found for found in again["findings"] if found["output"] == then["output"])
        for name in ("error", "bound", "tolerance", "truth", "computed", "inputs_sha256", "case"):
            assert now[name] == then[name]
    assert "wrong-sign" in {d["hypothesis"] for f in saved["findings"] for d in f["diagnosis"]}


@pytest.mark.parametrize("called", ["failing", "suspect", "failing or suspect"])
def test_a_name_that_the_report_gave_counts_the_cases_of_the_report(
    make_failing: MakeReport, called: str
) -> None:
    """The cases are not those of the replay, which had too few for a name."""
    found = replace(make_failing().findings[0], diagnosis=())
    told = f"is 0 (explains 52 of 52 {called} cases, to 0.1 of what rounding allows)"
    finding = {"diagnosis": [{"hypothesis": "dropped-tail", "explanation": told, "term": None}]}
    (named,) = _named(Outcome(found, [], []), finding).diagnosis
    assert f"explains 52 of 52 {called} cases of the report's run, to 0.1 of" in named.explanation


def test_a_crash_comes_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder / "crashing.json") == 1
    out = capsys.readouterr().out
    assert out.endswith("REPRODUCED.\n")
    assert "ValueError: never" in out


def test_a_bias_replays_the_whole_run(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(folder / "biased.json", "--json", tmp_path / "again.json") == 1
    assert "REPRODUCED: the same error, bit for bit." in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text())["cases"] == 14
    assert run(folder / "biased.json", "--only-proven") == 0


def test_a_mended_kernel_passes_with_status_0(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"{folder}/kernels.py:mended"
    assert run(folder / "wrong.json", "--target", target) == 0
    out = capsys.readouterr().out
    assert "nothing found" in out
    assert "\nNOT REPRODUCED: fail of" in out


def test_another_error_is_told_with_both_numbers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = json.loads((folder / "wrong.json").read_text())["findings"]
    number = [finding["output"] for finding in saved].index("grad_x") + 1
    target = f"{folder}/kernels.py:otherwise"
    assert run(folder / "wrong.json", "--finding", number, "--target", target) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "REPRODUCED, with other numbers: error was" in out
    assert f"computed was {saved[number - 1]['computed']}, is 0" in out
    # The other output is right now, and its finding is not there.
    assert run(folder / "wrong.json", "--finding", 3 - number, "--target", target) == 1
    out = capsys.readouterr().out
    assert "NOT REPRODUCED: fail of output is not found again." in out
    assert "also  FAIL  grad_x" in out


def test_what_the_kernel_declares_now_does_not_count_but_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"{folder}/kernels.py:declining"
    assert run(folder / "wrong.json", "--target", target) == 1
    out = capsys.readouterr().out
    assert "NOT REPRODUCED: no case was judged." in out
    assert "does not support this regime" in out
    assert run(folder / "crashing.json", "--target", target) == 0
    assert "widest machine" in capsys.readouterr().out


def changed(folder: Path, tmp_path: Path, **changes: Any) -> Path:
    data = json.loads((folder / "wrong.json").read_text())
    for name, value in changes.items():
        place = data["findings"][0] if name in data["findings"][0] and name != "verdict" else data
        place[name] = value
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(data))
    return file


def test_a_plan_that_is_declared_since_has_no_part(
    kernels: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None in the report is no plan, and not the plan that the kernel declares now."""
    asked: dict[str, Any] = {}
    nothing = SimpleNamespace(epsilon=None)
    monkeypatch.setattr(
        "loracle.replay.rerun.validate", lambda target, **o: asked.update(o) or nothing
    )
    data = json.loads((reports / "wrong.json").read_text())
    rerun(data, data["findings"][0])
    assert asked["plan"] == "none"
    rerun({**data, "plan": "merged"}, data["findings"][0])
    assert asked["plan"] == "merged"


def test_an_epsilon_that_is_declared_since_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By it the wrong gradient would pass, and the finding would seem to be gone."""
    assert run(folder / "wrong.json", "--target", f"{folder}/kernels.py:promising") == 2
    out = capsys.readouterr()
    assert "promising declares epsilon 1000 now, and the report has none" in out.err
    assert "reproduced" not in out.out.lower()


def test_another_version_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"loracle": "0.0.9", "torch": "2.1.0", "python": "3.9.1", "versions": {}}
    assert run(changed(folder, tmp_path, environment=environment)) == 1
    out = capsys.readouterr().out
    assert f"loracle was 0.0.9, and is {loracle.__version__} here\n" in out
    assert f"torch was 2.1.0, and is {torch.__version__} here\n" in out
    assert "numpy was absent" in out


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert len(err) < 500
    return err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"inputs_sha256": "0" * 64}, "are others here than in the report, which loracle"),
        ({"case": "designed:0 (batch=9)"}, "are others here than in the report"),
        ({"case": "nonsense:0 (batch=1)"}, "unknown regime 'nonsense'"),
        ({"case": "designed"}, "a case is named REGIME:INDEX"),
        ({"contract": "nonsense"}, "unknown contract 'nonsense'"),
        ({"machine": "nonsense"}, "unknown machine 'nonsense'"),
        ({"findings": []}, "has no findings, so that there is nothing to replay"),
        ({"schema": "loracle-report/9"}, "has the schema loracle-report/9, and loracle"),
        ({"schema": "loracle-probe/1"}, "has the schema loracle-probe/1, and loracle"),
        ({"schema": None}, "is no report of loracle; name a file that --json wrote"),
        ({"dtype": 7}, "is a broken report: dtype: 7 is not one of"),
        ({"regimes": ["x"] * 999}, "is a broken report: regimes:"),
        ({"element": "x"}, "is a broken report: findings[0].element: 'x' is not of type"),
        ({"request": {}}, "the report is of a callable"),
    ],
)
def test_a_report_that_cannot_be_replayed_is_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    expected: str,
) -> None:
    assert run(changed(folder, tmp_path, **changes)) == 2
    assert expected in complaint(capsys)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is no JSON (Expecting value, line 1, column 1)"),
        (b"{", "it is no JSON"),
        (b"\xff\xfe{}", "it is no JSON"),
        (b'{"schema": NaN}', "it is no JSON (NaN is no number of JSON)"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[]", "is no report of loracle"),
        (b'{"a": 1}', "is no report of loracle"),
        (b'{"schema": "loracle-report/1"}', "is a broken report: the whole: "),
    ],
)
def test_a_file_that_is_no_report_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, expected: str
) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(content)
    assert run(file) == 2
    assert expected in complaint(capsys)


def test_other_mistakes_are_one_line_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "missing.json") == 2
    assert "No such file or directory" in complaint(capsys)
    assert run(tmp_path) == 2
    assert "Is a directory" in complaint(capsys)
    for number in (0, 3, -1):
        assert run(folder / "wrong.json", f"--finding={number}") == 2
        assert f"has no finding {number}; it has 1: fail " in complaint(capsys)
    assert run(folder / "wrong.json", "--target", "moved.py:wrong") == 2
    assert "no file moved.py" in (err := complaint(capsys))
    assert "--target says where the kernel is now" in err
    assert run(folder / "wrong.json", "--inputs", "x.pkl") == 2
    assert "name a file that ends in .npz or .safetensors" in complaint(capsys)
    assert run(folder / "wrong.json", "--inputs", tmp_path / "no" / "x.npz") == 2
    assert "there is no directory" in complaint(capsys)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_inputs_are_written_out(folder: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"inputs{suffix}"
    assert run(folder / "wrong.json", "--inputs", file) == 1
    if suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            assert str(arrays["case"]).startswith('{"contract": "lora-linear", "case": "designed:')
    else:
        assert b"designed:" in file.read_bytes()


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("contract", ["lora-linear", "lora-attention"])
def test_the_files_hold_the_inputs_exactly(contract: str, dtype: str, tmp_path: Path) -> None:
    (case,) = cases_of(CONTRACTS[contract], dtype, 3, ["extreme"], 1)
    inputs = generate(case)
    npz, tensors = (tmp_path / f"inputs{suffix}" for suffix in (".npz", ".safetensors"))
    npz.write_bytes(inputs_as_bytes(case, inputs, ".npz"))
    with np.load(npz, allow_pickle=False) as loaded:
        arrays = dict(loaded)
    assert json.loads(str(arrays.pop("case")))["case"] == "extreme:0"
    assert set(arrays) == {*inputs.tensors, *inputs.scalars}
    for name, value in inputs.tensors.items():
        assert arrays[name].tobytes() == value.tobytes()
    assert all(arrays[name] == value for name, value in inputs.scalars.items())

    safetensors = pytest.importorskip("safetensors.torch")
    tensors.write_bytes(inputs_as_bytes(case, inputs, ".safetensors"))
    stored = safetensors.load_file(tensors)
    assert set(stored) == set(inputs.tensors)
    for name, value in inputs.tensors.items():
        assert stored[name].dtype == getattr(torch, dtype)
        np.testing.assert_array_equal(stored[name].double().numpy(), value)
        np.testing.assert_array_equal(np.signbit(stored[name].double().numpy()), np.signbit(value))


def test_a_missing_safetensors_names_the_remedy(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    assert run(folder / "wrong.json", "--inputs", tmp_path / "x.safetensors") == 2
    assert "pip install safetensors, or name a file that ends in .npz" in complaint(capsys)


def test_the_digest_tells_inputs_apart() -> None:
    (case,) = cases_of(CONTRACTS["lora-linear"], "bfloat16", 3, ["layouts"], 1)
    inputs = generate(case)
    digest = inputs.digest()
    assert generate(case).digest() == digest
    changed_scalar = {**inputs.scalars, "scaling": inputs.scalars["scaling"] * (1 + 2.0**-52)}
    negative_zero = {
        **inputs.tensors,
        "x": np.where(inputs.tensors["x"] == 0, -0.0, -inputs.tensors["x"]),
    }
    shape = {**inputs.tensors, "weight": inputs.tensors["weight"].T.copy()}
    others = [
        type(inputs)(inputs.tensors, changed_scalar, inputs.layouts),
        type(inputs)(negative_zero, inputs.scalars, inputs.layouts),
        type(inputs)(shape, inputs.scalars, inputs.layouts),
        type(inputs)(inputs.tensors, inputs.scalars, {}),
    ]
    assert inputs.layouts
    assert len({digest, *(other.digest() for other in others)}) == 5
