"""Sweeps: what is run, what the report has, and that a cluster finds what a plain run finds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import loracle
from loracle.cli import main
from loracle.errors import UsageError
from loracle.presentation.terminal import make_console
from loracle.sweep.command import _show_run
from loracle.sweep.engine import dask_engine, judge_one
from loracle.sweep.run import checked_seeds, orders_of, sweep

from .pytest_project import KERNELS, ROOTS

REPORTED = ("verdict", "reason", "seed", "cases", "regimes", "evidence", "findings", "skipped")


@pytest.fixture
def target(tmp_path: Path) -> str:
    (tmp_path / "my_kernels.py").write_text(KERNELS)
    return f"{tmp_path}/my_kernels.py:wrong"


def backwards(orders: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """An engine that ends the last order first, in this process."""
    for index in reversed(range(len(orders))):
        yield index, judge_one(orders[index])


def test_a_sweep_is_plain_runs_in_the_order_of_its_seeds(target: str) -> None:
    options = {"contract": "lora-linear", "regimes": ["tiny"]}
    seen: list[int] = []
    orders = orders_of([target, target], ["float32"], [0, 1], options)
    report = sweep(orders, backwards, lambda done, total, run: seen.append(run["seed"]))
    assert (report["verdict"], report["seeds"], seen) == ("fail", [0, 1], [1, 0])
    json.dumps(report, allow_nan=False)
    assert [run["seed"] for run in report["runs"]] == [0, 1]
    plain = loracle.validate(target, seed=1, **options).to_dict()
    assert {n: report["runs"][1][n] for n in REPORTED} == {n: plain[n] for n in REPORTED}


def test_a_cluster_finds_the_same_bit_for_bit(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", ":".join(map(str, ROOTS)))
    file = tmp_path / "sweep.json"
    options = ["--contract", "lora-linear", "--regime", "tiny", "--jobs", "2"]
    options += ["--seeds", "0,3", "--json", str(file)]
    with pytest.raises(SystemExit) as exit_:
        main(["sweep", target, *options])
    assert exit_.value.code == 1
    printed = capsys.readouterr().out
    assert "FAIL: 2 runs, 2 fail" in printed
    assert f"loracle validate {target}" in printed
    report = json.loads(file.read_text())
    for run, seed in zip(report["runs"], (0, 3), strict=True):
        plain = loracle.validate(target, "lora-linear", seed=seed, regimes=["tiny"]).to_dict()
        plain = json.loads(json.dumps(plain))
        assert {name: run[name] for name in REPORTED} == {name: plain[name] for name in REPORTED}


def test_without_dask_one_line_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"not installed: pip install 'loracle\[sweep\]'"):
        dask_engine(None, None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nowhere.py:f", "no file nowhere.py"),
        ("peft --dtype flaot32", "did you mean float32?"),
        ("peft --contract lora-liner", "did you mean lora-linear?"),
        ("peft --machine amper", "did you mean ampere?"),
        ("peft --regime tinny", "did you mean tiny?"),
        ("peft --plan mergd", "did you mean merged?"),
        ("peft --device tpu", "unknown device 'tpu'"),
        ("peft --seeds 3-1", "seeds are given as"),
        ("peft --expected-failures no.toml", "no.toml"),
        ("peft --json no/such/folder.json", "there is no directory"),
    ],
)
def test_arguments_are_checked_before_dask_is_asked_for(
    arguments: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *arguments.split()])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Dask" not in said


def test_no_scheduler_is_one_line() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match="no Dask scheduler at nowhere"):
        list(dask_engine("nowhere", None)([{}]))


def test_what_cannot_be_judged_ends_the_sweep() -> None:
    orders = orders_of(["nowhere.py:f"], ["float32"], [0], {})
    with pytest.raises(UsageError, match=r"no file nowhere\.py"):
        sweep(orders, backwards)


def test_seeds() -> None:
    assert checked_seeds("0-3") == [0, 1, 2, 3]
    assert checked_seeds("7, 0,4-5,4") == [7, 0, 4, 5]


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "0-999999999", "1.5"])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(UsageError, match="seeds"):
        checked_seeds(text)
    with pytest.raises(UsageError, match="unknown dtype"):
        orders_of(["m:f"], ["float9"], [0], {})


def test_what_is_no_verdict_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    run = {"kernel": "k", "dtype": "float32", "seed": 3, "verdict": "suspect", "findings": []}
    _show_run(make_console(), 1, 2, {**run, "reason": "insufficient-evidence"})
    told = capsys.readouterr().out
    assert told == "[1/2] SUSPECT  k, float32, seed 3: too few cases are evidence for a verdict\n"
