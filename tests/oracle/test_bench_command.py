"""The command `loracle bench`: options, files, errors, exit status, and one real run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loracle.bench.catalogue import METHODS
from loracle.bench.command import bench
from loracle.bench.messages import Answer, MeasureOrder, Order, Unsupported
from loracle.bench.request import BenchRequest
from loracle.bench.run import run_bench
from loracle.cli import main

from .bench_results import Machine, request

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bench.md").read_text()
ROOTS = [ROOT / root for root in ("reference", "oracle")]


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as exit_:
        main(("bench", *arguments))
    return exit_.value.code


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Stands in for the children."""
    made_up = Machine()
    monkeypatch.setattr(
        "loracle.bench.launch.run_in_child", lambda order, *, on_wait: made_up(order)
    )
    return made_up


def test_every_option_reaches_the_request(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[BenchRequest] = []

    def remember(request: BenchRequest, *others: Any, **named: Any) -> Any:
        asked.append(request)
        return run_bench(request, *others, **named)

    monkeypatch.setattr("loracle.bench.run.run_bench", remember)
    options = "--lengths 64,32 --dim 4 --rank 2 --heads 2,1 --epsilon 0.1 --methods sdpa,streaming"
    options += " --data correlated --max-score 2.5 --distinct 32 --device cuda:1 --dtype float64"
    options += " --seed 7 --threads 3 --limit 9 --truth-limit 0.5"
    assert run(*options.split()) == 0
    assert asked == [
        request(
            lengths="32,64",
            dim=4,
            rank=2,
            heads="1,2",
            epsilon=0.1,
            methods="sdpa,streaming",
            data="correlated",
            max_score=2.5,
            distinct=32,
            device="cuda:1",
            dtype="float64",
            seed=7,
            threads=3,
            limit=9.0,
            truth_limit=0.5,
        )
    ]
    assert run() == 0
    assert asked[1] == request(
        lengths="4096,8192,16384", methods="almost-linear,streaming,sdpa,eager"
    )
    words = asked[0].command.split()
    assert words[:2] == ["loracle", "bench"]
    assert run(*words[2:]) == 0
    assert asked[2] == asked[0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--methods sdap", "unknown method 'sdap'; did you mean sdpa?"),
        ("--methods xyz", "unknown method 'xyz'; known: almost-linear, almost-linear-gradient,"),
        ("--methods ,", "--methods names no method"),
        ("--lengths 1k", "--lengths takes integers separated by commas, not '1k'"),
        ("--lengths 0", "--lengths must be at least 1, not 0"),
        ("--lengths 1000,2500 --distinct 1000", "the length 2500 is above --distinct 1000, so it"),
        ("--lengths 1000,2500 --distinct 1000", "must be a multiple of it: 2000 or 3000"),
        ("--heads 0", "--heads must be at least 1, not 0"),
        ("--heads two", "--heads takes integers separated by commas, not 'two'"),
        ("--dim 0", "--dim must be at least 1, not 0"),
        ("--rank -1", "--rank must be at least 1, not -1"),
        ("--epsilon 1", "--epsilon must be above 0 and below 1, not 1"),
        ("--max-score 0", "--max-score must be above 0, not 0"),
        ("--max-score nan", "--max-score must be above 0, not nan"),
        ("--max-score inf", "--max-score must be above 0, not inf"),
        ("--seed -3", "--seed must be at least 0, not -3"),
        ("--threads 0", "--threads must be at least 1, not 0"),
        ("--limit 0", "--limit must be above 0, not 0"),
        ("--truth-limit 0", "--truth-limit must be above 0, not 0"),
        ("--data random", "unknown data 'random'; known: independent, correlated"),
        ("--dtype bfloat16", "unknown dtype 'bfloat16'; a run has one of float32, float64\n"),
        ("--dtype flaot32", "one of float32, float64; did you mean float32?"),
        ("--dtype fp64", "one of float32, float64; did you mean float64?"),
        ("--device tpu", "unknown device 'tpu'; known: cpu, cuda, cuda:N"),
        ("--json missing/out.json", "cannot write missing/out.json: there is no directory"),
        ("--markdown .", "cannot write .: it is a directory; name a file"),
        ("--scores 1", "--scores belongs to --transition; give that too, or leave it out"),
        ("--transition --lengths 9", "--lengths means nothing with --transition"),
        ("--transition --scores 0,1", "--scores must be above 0, not 0"),
        ("--transition --scores a", "--scores takes numbers separated by commas, not 'a'"),
        ("--transition --length 1", "--length must be at least 2, not 1"),
        ("--dim many", "Invalid value for '--dim'"),
    ],
)
def test_bad_usage_is_one_line_and_nothing_is_measured(
    options: str,
    complaint: str,
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*options.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1
    assert machine.orders == []
    assert list(tmp_path.iterdir()) == []


def test_a_plot_without_matplotlib_is_refused_before_the_run(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "loracle.bench.plot.find_spec",
        lambda name: None if name == "matplotlib" else find_spec(name),
    )
    assert run("--plot", "somewhere") == 2
    assert capsys.readouterr().err == (
        "Error: --plot needs matplotlib, which is missing: pip install 'loracle[plot]' brings it\n"
    )
    assert machine.orders == []


def test_a_kept_promise_is_status_0_and_a_broken_one_1(machine: Machine) -> None:
    assert run("--lengths", "1000") == 0
    machine.error = 0.6
    assert run("--lengths", "1000") == 1
    machine.error, machine.certified = 0.25, 1.1
    assert run("--lengths", "1000") == 1


def test_nothing_measured_is_status_1(machine: Machine) -> None:
    def instead(order: Order) -> Answer | None:
        return Unsupported("no") if isinstance(order, MeasureOrder) else None

    machine.instead = instead
    assert run("--lengths", "1000") == 1


def test_an_interruption_is_status_130_and_keeps_the_rows(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def instead(order: Order) -> Answer | None:
        if isinstance(order, MeasureOrder) and order.length == 2000:
            raise KeyboardInterrupt
        return None

    machine.instead = instead
    file, page = tmp_path / "out.json", tmp_path / "out.md"
    files = ("--json", str(file), "--markdown", str(page))
    assert run("--lengths", "1000,2000", *files) == 130
    data = json.loads(file.read_text())
    assert data["interrupted"] is True
    assert {row["length"] for row in data["rows"]} == {1000}
    assert "interrupted" in page.read_text()
    assert "almost-linear" in capsys.readouterr().out


def test_the_transition_is_shown_and_written(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.json"
    assert run("--transition", "--scores", "1,2", "--length", "1000", "--json", str(file)) == 0
    assert machine.orders == []
    assert [row["score"] for row in json.loads(file.read_text())["rows"]] == [1, 2]
    assert "L = 1000, d = 8, r = 4" in capsys.readouterr().out


def first_column(text: str) -> set[str]:
    cells = re.findall(r"^\| ([^|]+) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w-]+)[^`]*`", cell)}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_page_names_every_option_method_and_field() -> None:
    options = {name for parameter in bench.params for name in parameter.opts if name[0] == "-"}
    assert first_column(section("Options")) == options
    assert first_column(section("Methods")) == set(METHODS)
    data = run_bench(request(lengths="1000"), Machine()).to_dict()
    json_section = section("The JSON file")
    assert first_column(json_section) == set(data["rows"][0])
    whole = set(re.findall(r"`(\w+)`", json_section.split("\n| ")[0]))
    assert set(data) - whole == {"loracle"}


@pytest.mark.parametrize(
    "module", ["run", "output", "request", "launch", "transition", "progress", "plot", "command"]
)
def test_the_parent_process_never_imports_torch(module: str) -> None:
    code = (
        f"import sys, loracle.bench.{module}; print({{'torch', 'matplotlib'}} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_a_real_run(tmp_path: Path) -> None:
    """Children and all: the promise is kept, and the truth is an enclosure."""
    file = tmp_path / "out.json"
    options = (
        "--lengths 192 --distinct 96 --methods almost-linear,sdpa --data correlated --threads 1"
    )
    assert run(*options.split(), "--json", str(file)) == 0
    certified, exact = json.loads(file.read_text())["rows"]
    assert certified["within_certificate"] is True
    assert certified["within_epsilon"] is True
    assert certified["truth"] == exact["truth"] == "interval"
    assert 0 < exact["max_error"] < 1e-5 * exact["natural_scale"]
    assert exact["backend"] == "FlashAttentionForCpu"
    assert all(row["seconds"] > 0 and row["peak_bytes"] >= 0 for row in (certified, exact))
