"""`loracle adapters`: the list, and the table of verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loracle.adapters import ADAPTERS, Adapter, installed_version
from loracle.bench.sheet import markdown
from loracle.cli import main
from loracle.declaration import Declaration
from loracle.errors import UsageError
from loracle.presentation.listings import adapter_list
from loracle.presentation.terminal import make_console
from loracle.report import Report
from loracle.third_parties.judging import Asked, Outcome, Validate, judged
from loracle.third_parties.table import Earlier, read_table, sheet

from .conftest import failing_report, passing_report

THERE = Adapter(
    "there",
    ("torch",),
    {"lora-linear": "m:f", "lora-mha": "m:g"},
    "pip install torch",
    "what is there",
    declaration=Declaration(unsupported=("float64", "layouts")),
    unsupported_on={"cuda": ("float16",)},
    outputs_on={"cpu": ("output",)},
    remark="It is there.",
)
TABLE = Path(__file__).parents[2] / "docs/measured/adapters.md"
HEAD = (
    "| adapter | version | contract | dtype | verdict | error / bound | error / tolerance"
    " | what was found |\n"
)
GONE = Adapter("gone", ("no-such-thing", "torch"), {"aloragc": "m:h"}, "pip install it", "not here")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    status = ended.value.code
    assert isinstance(status, int) or status is None
    return status or 0


def shown(*adapters: Adapter) -> str:
    console = make_console()
    console.width = 200
    with console.capture() as capture:
        console.print(adapter_list(adapters))
    return capture.get()


def test_the_list_says_what_is_found_declared_and_how_to_install() -> None:
    text = shown(THERE, GONE)
    assert f"torch {installed_version('torch')}" in text
    assert "lora-linear, lora-mha" in text
    for words in (
        "unsupported: float64, layouts",
        "unsupported on cuda: float16",
        "outputs on cpu: output",
        "It is there.",
        "no-such-thing missing",
        "pip install it",
    ):
        assert words in text


def test_named_adapters_alone_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("adapters", "peft-dora", "loralib") == 0
    text = capsys.readouterr().out
    assert "peft-dora" in text
    assert "norm is detached" in text.replace("\n", " ")
    assert "torch-sdpa" not in text


@pytest.mark.parametrize("option", [["--dtype", "float32"], ["--cases", "1"], ["--seed", "0"]])
def test_options_of_the_judgement_need_it(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("adapters", *option) == 2
    assert capsys.readouterr().err == f"Error: {option[0]} has a meaning with --judge alone\n"
    assert run("adapters", "pefd") == 2
    assert "did you mean peft" in capsys.readouterr().err
    assert run("adapters", "--judge", "--dtype", "int8", "peft") == 2


def outcomes_of(judge: Callable[[Asked], Report]) -> list[Outcome]:
    return list(judged([THERE, GONE], ["float32", "float64"], judge))


def test_every_contract_and_dtype_is_judged_and_what_is_not_says_why() -> None:
    def judge(asked: Asked) -> Report:
        if asked.contract == "lora-mha":
            raise UsageError("cannot load it:\n no GPU")
        return passing_report()

    outcomes = outcomes_of(judge)
    told = [
        (o.asked.adapter.name, o.asked.contract, o.asked.dtype, o.report is None, o.reason)
        for o in outcomes
    ]
    declared, missing = "declares that it does not support it", "not installed: no-such-thing"
    assert told == [
        ("there", "lora-linear", "float32", False, ""),
        ("there", "lora-linear", "float64", True, declared),
        ("there", "lora-mha", "float32", True, "cannot load it: no GPU"),
        ("there", "lora-mha", "float64", True, declared),
        ("gone", "aloragc", "float32", True, missing),
        ("gone", "aloragc", "float64", True, missing),
    ]


def test_the_table_has_verdict_numbers_and_findings() -> None:
    report = failing_report()
    table = sheet(outcomes_of(lambda *_: report))
    assert table.rows[0][:5] == (
        "there",
        f"torch {installed_version('torch')}",
        "lora-linear",
        "float32",
        "fail",
    )
    for finding in report.findings:
        for diagnosis in finding.diagnosis:
            assert diagnosis.hypothesis in table.rows[0][-1]
    assert table.marked == {0, 2}
    assert table.rows[4][4:] == ("-", "-", "-", "not installed: no-such-thing")
    assert "there: It is there." in table.notes
    assert table.notes[0] == "loracle None, torch 2.13.0, python 3.11.7, on the CPU"
    report.environment["cuda_device"] = "a GPU"
    assert sheet(outcomes_of(lambda *_: report)).notes[0].endswith("python 3.11.7, on a GPU")


def test_what_is_declared_for_the_device_counts() -> None:
    def run_on(device: str) -> list[bool]:
        outcomes = judged([THERE], ["float16"], lambda _: passing_report(), device=device)
        return [outcome.report is None for outcome in outcomes]

    assert run_on("cuda:1") == [True, True]
    assert run_on("cpu") == [False, False]


def test_side_by_side_they_keep_their_order() -> None:
    """What is missing and what is declared is told without a run."""
    told: list[tuple[int, int, str]] = []
    outcomes = judged(
        [GONE, THERE],
        ["float64", "layouts"],
        Validate(),
        jobs=2,
        on_outcome=lambda *seen: told.append(seen),
    )
    names = ["gone", "gone", "there", "there", "there", "there"]
    assert [outcome.asked.adapter.name for outcome in outcomes] == names
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert {total for _, total, _ in told} == {6}


def test_judging_writes_the_table_and_counts_what_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str, str]] = []

    def validate(kernel: str, **options: Any) -> Report:
        asked.append((kernel, options["contract"], options["dtype"]))
        return failing_report() if kernel == "loralib" else passing_report()

    monkeypatch.setattr("loracle.validation.validate", validate)
    path = tmp_path / "table.md"
    given = ("adapters", "peft", "--judge", "--dtype", "float16", "--markdown", str(path))
    assert run(*given) == 0
    assert asked == [("peft", "lora-linear", "float16")]
    text = path.read_text()
    assert "loracle adapters peft --judge --dtype float16" in text
    assert f"| peft | peft {installed_version('peft')} | lora-linear | float16 | pass |" in text
    assert run("adapters", "peft", "loralib", "--judge") == 1
    assert asked[1:] == [
        (name, "lora-linear", dtype)
        for name in ("peft", "loralib")
        for dtype in ("float32", "bfloat16")
    ]
    assert "fail" in capsys.readouterr().out
    assert run("adapters", "peft", "--judge", "--device", "tpu") == 2
    assert "unknown device 'tpu'" in capsys.readouterr().err
    assert run("adapters", "peft", "--judge", "--jobs", "0") == 2
    assert "--jobs must be at least 1" in capsys.readouterr().err
    for timeout in ("0", "-1", "nan"):
        assert run("adapters", "peft", "--judge", "--timeout", timeout) == 2
        assert "the timeout must be a positive number" in capsys.readouterr().err


def test_every_adapter_says_what_it_is_and_names_known_things() -> None:
    from loracle.contracts import CONTRACTS
    from loracle.generation import REGIMES
    from loracle_reference.floating_point import FORMATS

    for adapter in ADAPTERS.values():
        assert adapter.description
        assert "pip install" in adapter.install
        assert set(adapter.contracts) <= set(CONTRACTS)
        for device in ("cpu", "cuda"):
            declared = adapter.declaration_on(device)
            assert set(declared.unsupported) <= set(FORMATS) | set(REGIMES)
            for contract in adapter.contracts:
                assert set(declared.outputs or ()) <= set(CONTRACTS[contract].outputs)


def test_a_table_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it has of these versions is kept, of whichever adapter; the rest is judged."""
    asked: list[tuple[str, str]] = []

    def validate(kernel: str, **options: Any) -> Report:
        if options["dtype"] == "float64":
            raise KeyboardInterrupt
        asked.append((kernel, options["dtype"]))
        report = failing_report if kernel == "loralib" else passing_report
        return report(request={"cases": options["cases"]})

    monkeypatch.setattr("loracle.validation.validate", validate)
    path = tmp_path / "table.md"
    made = ("--judge", "--markdown", str(path))
    assert run("adapters", "loralib", *made, "--cases", "1") == 1
    first = path.read_text().splitlines()
    (failed,) = [line for line in first if line.startswith("| **loralib") and "float32" in line]
    assert "1 case a regime" in failed
    asked.clear()
    more = (*made, "--complete", str(path))
    assert run("adapters", "peft", *more, "--dtype", "float32") == 1
    assert asked == [("peft", "float32")]
    lines = path.read_text().splitlines()
    assert lines[1] == f"loracle adapters peft --judge --dtype float32 --complete {path}"
    assert [line.split(" | ")[0].strip("| *") for line in lines if line.startswith("| ")] == [
        "adapter",
        "peft",
        "loralib",
        "loralib",
    ]
    assert failed in lines
    assert [line for line in first if line.startswith("- ")] == [
        line for line in lines if line.startswith("- ")
    ]

    old = path.read_text().replace(f"loralib {installed_version('loralib')}", "loralib 0.0.1", 1)
    path.write_text(old)
    asked.clear()
    assert run("adapters", "loralib", *more) == 1
    assert asked == [("loralib", "float32")]
    assert "0.0.1" not in path.read_text()

    before = [line for line in path.read_text().splitlines() if line.startswith("| ")]
    assert run("adapters", "peft", "loralib", *more, "--dtype", "float64") == 130
    after = [line for line in path.read_text().splitlines() if line.startswith("| ")]
    assert after == before
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        ("| a | b |\n", "is no table that"),
        ("", "no table"),
        (f"{HEAD}| peft | peft 1 |\n", "a row of peft has 2 cells, and the table 8 columns"),
        (f"{HEAD}| \n", "a row has no cells"),
    ],
)
def test_what_is_no_table_is_not_completed(
    text: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.md"
    if text is not None:
        path.write_text(text)
    assert run("adapters", "peft", "--judge", "--complete", str(path)) == 2
    assert says in capsys.readouterr().err


def test_tables_of_two_devices_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.md"
    path.write_text(TABLE.read_text().replace("on the CPU", "on a GPU"))
    assert run("adapters", "peft", "--judge", "--complete", str(path)) == 2
    assert "it was not made on cpu" in capsys.readouterr().err
    assert run("adapters", "--judge", "--device", "cuda", "--complete", str(TABLE)) == 2
    assert "it was not made on cuda" in capsys.readouterr().err


def test_rows_of_what_is_no_more_cost_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loracle.validation.validate", lambda *_, **__: passing_report())
    path = tmp_path / "table.md"
    rows = [("peft", "aloragc", "float32"), ("peft", "lora-linear", "int8"), ("pefd", "a", "b")]
    lines = [f"| {a} | {a} 1 | {c} | {d} | pass | 1 | 1 |  |\n" for a, c, d in rows]
    path.write_text(HEAD + "".join(lines) + "\n- loracle 0, on the CPU\n")
    given = ("adapters", "peft", "--judge", "--dtype", "float32", "--markdown", str(path))
    assert run(*given, "--complete", str(path)) == 0
    assert [key for key, _ in read_table(str(path)).rows.items()] == [
        ("peft", "lora-linear", "float32")
    ]


def test_a_table_is_completed_as_often_as_one_likes(tmp_path: Path) -> None:
    """What Markdown would read as its own is masked once; and a version is noted as long as there
    is a row that may be of it."""
    version = "loracle <1|2>, on the CPU"
    peft = Asked(ADAPTERS["peft"], "lora-linear", "float32")
    row = ("peft", "peft 1", "lora-linear", "float32", "pass", "1", "1", "x < y | z")
    kept = [Outcome(peft, None, row=row)]
    text = markdown([sheet(kept, Earlier({}, (version,)))], "loracle")
    assert "- loracle &lt;1\\|2>, on the CPU" in text.splitlines()
    (path := tmp_path / "table.md").write_text(text)
    earlier = read_table(str(path))
    assert earlier == Earlier({("peft", "lora-linear", "float32"): row}, (version,))
    new = sheet([Outcome(peft, passing_report())], Earlier({}, (version,)))
    assert version not in new.notes


def test_a_row_says_which_seed_it_is_of() -> None:
    """Rows of any are kept when a table is completed."""
    peft = Asked(ADAPTERS["peft"], "lora-linear", "float32")
    rows = sheet([Outcome(peft, passing_report(seed=seed)) for seed in (0, 5)]).rows
    assert [row[-1] for row in rows] == ["", "seed 5"]


def test_the_table_of_the_documentation_can_be_completed() -> None:
    earlier = read_table(str(TABLE))
    assert earlier.on_cpu
    assert earlier.rows["axolotl-qkv", "lora-linear", "float32"][4] == "fail"


def test_the_table_of_the_documentation_has_every_adapter() -> None:
    assert set(read_table(str(TABLE)).rows) == {
        (name, contract, dtype)
        for name, adapter in ADAPTERS.items()
        for contract in adapter.contracts
        for dtype in ("float32", "bfloat16")
    }
