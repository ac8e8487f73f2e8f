"""What a benchmark shows and writes: tables, Markdown, plots, the transition."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loracle.bench import table, transition
from loracle.bench.messages import Answer, MeasureOrder, Order, TooLong, TruthOrder, Unsupported
from loracle.bench.output import Outputs
from loracle.bench.plot import draw_run, draw_transition
from loracle.bench.progress import BenchProgress
from loracle.bench.result import BenchResult
from loracle.bench.run import run_bench
from loracle.bench.sheet import Sheet, markdown, show
from loracle.bench.table import bytes_text, seconds_text, sheets, summary
from loracle.bench.transition import Transition, find_transition
from loracle.errors import UsageError

from .bench_results import Machine, request

ALL = "almost-linear,almost-linear-gradient,streaming,sdpa,sdpa-bf16,eager"


def text_of(found: list[Sheet]) -> str:
    file = io.StringIO()
    show(found, Console(file=file, width=100, highlight=False, markup=False))
    return file.getvalue()


def result(machine: Machine | None = None, **changes: Any) -> BenchResult:
    return run_bench(request(**changes), machine or Machine())


@pytest.fixture(scope="module")
def found_transition() -> Transition:
    return find_transition([16, 0.25, 1, 4], length=131072, dim=8, adapter_rank=4, epsilon=1e-2)


def test_the_table_has_a_line_for_each_length_and_method() -> None:
    text = text_of(sheets(result(lengths="1000,2000")))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "1000 almost-linear 100 ms 10 0.977 MiB 0.0025 0.005 495 (4) 10%" in lines
    assert "2000 streaming 40 ms 1 1.95 MiB 1e-8 - - -" in lines
    assert "1 head, d = 8, r = 4, float32, independent data, largest score 1" in text
    for note in (
        "time goes with the length to the power: almost-linear 1.00, streaming 2.00, eager 2.00",
        "streaming ran in blocks of 512, the fastest of those tried",
        "truth at 1000 to 2000: interval",
        "A Processor, 2 threads, torch 2.13.0, loracle",
    ):
        assert note in text
    assert lines[-2] == (
        "error <= certificate <= epsilon x scale for every output of every certified row"
    )


def test_nothing_is_wider_than_a_hundred_columns() -> None:
    slow = Machine(seconds=lambda method, length: 1234.5 if method == "eager" else 0.9999)
    wide = result(slow, lengths="131072,1048576", methods=ALL, limit=2.0, heads="1,16")
    text = text_of(sheets(wide))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "1048576  almost-linear-gradient" in text


def test_what_was_not_measured_is_marked_and_explained() -> None:
    def instead(order: Order) -> Answer | None:
        if isinstance(order, MeasureOrder) and order.method == "eager":
            return TooLong(500.0, 100, 5.0)
        if isinstance(order, MeasureOrder) and order.method == "streaming":
            return Unsupported("no streams here")
        return None

    text = text_of(sheets(result(Machine(instead=instead), lengths="1000")))
    assert "~500 s" in text
    assert "~ not measured: eager at 1000 by the square law through its times at 100" in text
    assert "skipped: streaming at 1000: no streams here" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["1000", "streaming", "skipped", *["-"] * 6] in lines


def test_columns_in_which_there_is_nothing_are_left_out() -> None:
    text = text_of(sheets(result(methods="streaming,eager")))
    for word in ("rank", "certified\n", "matmul", "scale"):
        assert word not in text
    assert "error" not in text
    assert "no certified method was measured" in text


def test_each_number_of_heads_has_a_table_and_what_is_common_is_said_once() -> None:
    found = sheets(result(heads="1,2"))
    assert [sheet.title.split(",")[0] for sheet in found] == ["1 head", "2 heads"]
    text = text_of(found)
    assert text.count("A Processor") == 1
    assert text.count("time goes with the length") == 2


def test_a_violation_is_said_and_marked() -> None:
    broken = result(Machine(error=0.7), lengths="1000")
    (sheet,) = sheets(broken)
    assert sheet.marked == {0}
    assert "VIOLATED" in summary(broken)
    assert "almost-linear at 1000" in summary(broken)
    assert "| **1000** | **almost-linear** |" in markdown([sheet], "loracle bench")


def test_an_unknown_error_is_not_called_small() -> None:
    def instead(order: Order) -> Answer | None:
        return TooLong(700.0, 100, 1.0) if isinstance(order, TruthOrder) else None

    partly = result(Machine(instead=instead), lengths="1000")
    assert summary(partly).endswith("some true errors are unknown")


def test_repeated_rows_and_an_interruption_are_said() -> None:
    def instead(order: Order) -> Answer | None:
        if isinstance(order, MeasureOrder) and (order.length, order.method) == (2000, "eager"):
            raise KeyboardInterrupt
        return None

    text = text_of(sheets(result(Machine(instead=instead), distinct=1000)))
    assert "above 1000, that many distinct rows are repeated" in text
    assert "interrupted; what was measured until then is above" in text


def test_an_interruption_at_once_still_has_a_table() -> None:
    def instead(order: Order) -> Answer | None:
        raise KeyboardInterrupt

    text = text_of(sheets(result(Machine(instead=instead))))
    assert "the machine was not looked at" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8.5e-4, "850 us"),
        (0.0123, "12.3 ms"),
        (0.99996, "1 s"),
        (1.036, "1.04 s"),
        (731.4, "731 s"),
        (12345.6, "12346 s"),
    ],
)
def test_seconds_have_a_unit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_bytes_have_a_unit() -> None:
    texts = [bytes_text(count) for count in (None, 0, 5 * 2**18, 2**30, 10 * 2**30)]
    assert texts == ["-", "0 MiB", "1.25 MiB", "1 GiB", "10 GiB"]


def test_markdown_has_the_command_and_escapes_its_own_marks() -> None:
    sheet = Sheet("a < b", ("method", "x\ny"), (("p|q", "1"),), notes=("p <= q",))
    assert markdown([sheet], "loracle bench --x") == (
        "```\nloracle bench --x\n```\n\n"
        "**a &lt; b**\n\n| method | x y |\n|:---|---:|\n| p\\|q | 1 |\n\n- p &lt;= q\n"
    )


def test_files_are_claimed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(lengths="1000")
    with Outputs(str(tmp_path / "a.json"), str(tmp_path / "a.md"), None) as outputs:
        outputs.write_run(found)
    assert json.loads((tmp_path / "a.json").read_text()) == found.to_dict()
    assert (tmp_path / "a.md").read_text() == markdown(sheets(found), found.request.command)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.md"]
    assert "almost-linear" in capsys.readouterr().out


def test_a_file_that_cannot_be_claimed_leaves_none_behind(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="there is no directory"),
        Outputs(str(tmp_path / "a.json"), str(tmp_path / "missing" / "a.md"), None),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_json_to_stdout_leaves_the_table_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Outputs("-", None, None) as outputs:
        outputs.write_run(result(lengths="1000"))
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"]
    assert "almost-linear" in err


def test_the_plots_are_the_same_every_time(tmp_path: Path, found_transition: Transition) -> None:
    pytest.importorskip("matplotlib")
    found = result(lengths="1000,2000,4000", limit=0.05, heads="1,2")
    assert any(row.extrapolated for row in found.rows)
    assert draw_run(found) == draw_run(found)
    drawing = draw_transition(found_transition)
    assert b"<svg" in drawing["svg"]
    assert b"<dc:date>" not in drawing["svg"]
    assert struct.unpack(">I", drawing["png"][16:20])[0] > 1000
    with Outputs(None, None, str(tmp_path / "plot")) as outputs:
        outputs.write_run(found)
    assert (tmp_path / "plot.svg").read_bytes() == draw_run(found)["svg"]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_row_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")

    def instead(order: Order) -> Answer | None:
        return Unsupported("no") if isinstance(order, MeasureOrder) else None

    assert draw_run(result(Machine(instead=instead), lengths="1000"))["svg"]


def test_the_transition_is_where_the_costs_cross(found_transition: Transition) -> None:
    rows = found_transition.rows
    assert [row.score for row in rows] == [0.25, 1, 4, 16]
    assert [row.degree for row in rows] == sorted(row.degree for row in rows)
    for row in rows:
        assert row.degree <= row.series_degree
        assert (row.cheaper == "almost-linear") == (
            row.operations < found_transition.exact_operations
        )
        assert (row.cheaper == "almost-linear") == (row.crossover <= found_transition.length)
        assert row.ratio == pytest.approx(row.operations / found_transition.exact_operations)
    assert {row.cheaper for row in rows} == {"almost-linear", "exact"}
    text = text_of([transition.sheet(found_transition)])
    assert max(map(len, text.splitlines())) <= 100
    assert "4292145" in text
    assert found_transition.command == (
        "loracle bench --transition --scores 0.25,1,4,16 --length 131072 --dim 8 --rank 4"
        " --epsilon 0.01"
    )
    data = json.loads(json.dumps(found_transition.to_dict(), allow_nan=False))
    assert data["rows"][0]["rank"] == 45


def test_a_score_that_is_out_of_reach_is_refused() -> None:
    with pytest.raises(
        UsageError, match="--scores must be at least 0 and at most 100, not 1e\\+06"
    ):
        find_transition([1e6], length=100, dim=2, adapter_rank=1, epsilon=0.1)


def test_progress_draws_a_bar_on_a_terminal_alone() -> None:
    texts = []
    for terminal in (False, True):
        file = io.StringIO()
        with BenchProgress(Console(file=file, width=100, force_terminal=terminal)) as display:
            display.update(3, 7, "4096 tokens: streaming")
            display.refresh()
        texts.append(file.getvalue())
    assert texts[0] == ""
    assert "3/7" in texts[1]
    assert "4096 tokens: streaming" in texts[1]


def test_the_names_of_the_columns_are_explained() -> None:
    text = " ".join(text_of(sheets(result(lengths="1000"))).split())
    for name in ("of fastest:", "matmul rate:", "error, certified:"):
        assert name in text
    assert table.bytes_text(None) == "-"
