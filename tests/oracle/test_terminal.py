"""The report as text: complete, narrow enough, without colours in a file, and literal."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from loracle.bench.progress import BenchProgress
from loracle.generation import REGIMES
from loracle.presentation.life_signs import LifeSigns
from loracle.presentation.progress import ProgressDisplay
from loracle.presentation.terminal import headline, make_console, show
from loracle.presentation.wording import number
from loracle.report import Diagnosis, RegimeSummary, Report

MakeReport = Callable[..., Report]


def shown(report: Report, *, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=terminal, highlight=False, markup=False, emoji=False
    )
    show(report, console)
    return file.getvalue()


def test_a_pass_says_what_was_judged_and_how(make_passing: MakeReport) -> None:
    text = shown(make_passing())
    for part in ("peft against lora-linear", "bfloat16, cpu, widest machine, seed 0"):
        assert part in text
    assert "torch 2.13.0" in text
    row = next(line for line in text.splitlines() if line.startswith("super-threshold"))
    assert row.split() == ["super-threshold", "4", "12", "·", "·", "4", "2.4e-7", "-"]
    assert "\nPASS: " in text
    assert "at least 8 cases are evidence for each output" in text


def test_a_declared_plan_is_named(make_passing: MakeReport, make_failing: MakeReport) -> None:
    """Beside the machine, and in the sentence that calls the kernel wrong."""
    assert "widest machine, plan merged, seed 0" in shown(make_passing(plan="merged"))
    said = " ".join(shown(make_failing(plan="merged")).split())
    assert "on this machine that follows the plan merged makes such an error." in said
    assert "plan" not in shown(make_failing())


def test_a_finding_shows_everything_that_is_needed_to_act(make_failing: MakeReport) -> None:
    report = make_failing()
    text = shown(report)
    for part in (
        "FAIL  grad_lora_b  in 7 of 8 cases",
        "missing-scaling: every element is G / s with s = 1.5",
        "designed:3 (batch=1 length=3 in=4 out=4 r=2)",
        "[3, 1]: computed 1.23438, true value 1.85156",
        "20000 times the proven bound, 3.1e-5",
        "510000 times the calibrated tolerance, 1.2e-6",
        "crash: RuntimeError: [bad] shapes at my_kernels.py:12",
        "none of the known mistakes explains it",
        "biased upwards in 8 of 8 cases",
        "skipped: regime saturated: declared unsupported",
        "note: extra output 'cache' ignored",
        "FAIL: proven wrong",
    ):
        assert part in text
    assert text.index("FAIL  grad_lora_b") < text.index("SUSPECT  grad_x")


def test_the_replay_command_can_be_copied(make_failing: MakeReport) -> None:
    report = make_failing()
    replay = report.findings[0].replay
    assert replay is not None
    assert replay in shown(report)


def test_all_but_the_replay_command_fits_80_columns(make_failing: MakeReport) -> None:
    for declined in (0, 1000):
        crowded = RegimeSummary(1000, 99999, 99999, 99999, 99999, 1.2e-17, 1e-17, declined)
        lines = shown(make_failing(regimes={"super-threshold": crowded})).splitlines()
        for line in lines:
            assert len(line) <= 80 or line.lstrip().startswith("replay")
    assert any(line.startswith("super-threshold  1000") for line in lines)


def test_numbers_are_told_apart_where_the_error_is_small(make_failing: MakeReport) -> None:
    suspect = make_failing().findings[2]
    text = shown(make_failing(findings=[suspect]))
    assert "computed 1.0000001, true value 1" in text


def test_a_file_gets_no_escapes_and_a_terminal_gets_colours(make_failing: MakeReport) -> None:
    assert "\x1b" not in shown(make_failing())
    assert "\x1b" in shown(make_failing(), terminal=True)


def test_no_color_is_respected(
    make_failing: MakeReport, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    show(make_failing(), make_console())
    assert "\x1b[31m" not in capsys.readouterr().out


def test_markup_in_a_name_is_printed_literally(make_passing: MakeReport) -> None:
    assert "kernels.py:[red]f[/red] :smile:" in shown(
        make_passing(kernel="kernels.py:[red]f[/red] :smile:")
    )


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        (
            {"verdict": "suspect", "reason": "insufficient-evidence"},
            "no finding in these 4 cases; too few for a verdict (judge all regimes).",
        ),
        ({"verdict": "suspect", "reason": "interrupted"}, "interrupted"),
        ({"verdict": "suspect"}, "larger than rounding makes them"),
        ({"epsilon": 1e-3}, "declared epsilon, 0.001"),
    ],
)
def test_the_last_words_say_what_the_verdict_means(
    make_passing: MakeReport, changes: dict[str, object], meaning: str
) -> None:
    assert meaning in " ".join(shown(make_passing(**changes)).split())


TOO_LITTLE: dict[str, object] = {"verdict": "suspect", "reason": "insufficient-evidence"}


def test_a_replayed_case_without_a_finding_is_told_what_would_help(
    make_passing: MakeReport,
) -> None:
    regimes = {"designed": RegimeSummary(1, 4, 0, 0, 0, 0.1, 0.1)}
    text = " ".join(shown(make_passing(cases=1, regimes=regimes, **TOO_LITTLE)).split())
    assert "no finding in this case; too few for a verdict (judge all regimes)." in text


def test_more_cases_are_advised_only_where_no_regime_is_left(make_passing: MakeReport) -> None:
    names = [name for name, regime in REGIMES.items() if "lora-linear" in regime.makers]
    regimes = {name: RegimeSummary(1, 4, 0, 0, 0, 0.1, 0.1) for name in names[1:]}
    skipped = [{"what": names[0], "reason": "the kernel declares that it does not support it"}]
    report = make_passing(cases=3, regimes=regimes, skipped=skipped, **TOO_LITTLE)
    assert "too few for a verdict (judge more, with --cases)" in " ".join(shown(report).split())
    assert "(judge all regimes)" in " ".join(shown(replace(report, skipped=[])).split())


def test_what_is_declared_unsupported_is_not_judged_and_gets_no_advice(
    make_passing: MakeReport,
) -> None:
    skipped = [{"what": "bfloat16", "reason": "the kernel declares so"}]
    text = shown(
        make_passing(
            cases=0, regimes={}, evidence={"output": 0}, skipped=skipped, seconds=0, **TOO_LITTLE
        )
    )
    assert text.endswith("SUSPECT: not judged: declared unsupported.\n")
    assert "--cases" not in text
    assert "evidence" not in text


def test_what_is_suspect_of_a_failing_output_is_a_line_of_its_block(
    make_failing: MakeReport,
) -> None:
    fail, _, suspect = make_failing().findings
    same = replace(suspect, output=fail.output, count=3, cases_total=32)
    unsteady = replace(same, diagnosis=(Diagnosis("nondeterministic", "they differ"),))
    text = shown(make_failing(findings=[same, fail, unsteady, suspect]))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert text.count("grad_lora_b  in") == 1
    assert "also suspect in 3 of 32 cases" in lines
    assert "also suspect in 3 of 32 cases: nondeterministic" in lines
    assert text.index("also ") < text.index("replay")
    assert "SUSPECT  grad_x  in 2 of 8 cases" in text


def test_what_the_columns_count_is_said_under_the_table(make_passing: MakeReport) -> None:
    assert "cases counts cases; the other columns count outputs of cases" in shown(make_passing())
    assert "outputs of cases" not in shown(make_passing(regimes={}))


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        ({"output": 3, "grad_x": 0}, "no case is evidence for every output"),
        ({"output": 3, "grad_x": 1}, "at least 1 case is evidence for each output"),
    ],
)
def test_little_evidence_is_said(
    make_passing: MakeReport, evidence: dict[str, int], text: str
) -> None:
    assert text in shown(make_passing(evidence=evidence))


def test_too_few_numbers_are_not_called_unexplained(make_failing: MakeReport) -> None:
    suspect = replace(
        make_failing().findings[2], diagnosis=(), too_few_numbers=True, count=2, cases_total=2
    )
    text = shown(make_failing(findings=[suspect]))
    assert "diagnosis   too few numbers for one: judge more cases" in text
    assert "none of the known mistakes" not in text
    text = shown(make_failing(findings=[replace(suspect, cases_total=55)]))
    assert "too few numbers are far enough beyond rounding to tell one" in text
    assert "judge more cases" not in text


def test_where_nothing_was_measured_there_is_no_word_of_evidence(make_failing: MakeReport) -> None:
    """Of a kernel that raises in every case; where one output of one case came, it is told."""
    crash = make_failing().findings[1]
    nothing = {"output": 0, "grad_x": 0}
    raises = {"tiny": RegimeSummary(6, 0, 0, 12)}
    text = shown(make_failing(findings=[crash], evidence=nothing, regimes=raises))
    assert "evidence for" not in text
    assert "false alarms" not in text
    some = {"tiny": RegimeSummary(6, 0, 0, 11, 1, 0.0, 0.0)}
    text = shown(make_failing(findings=[crash], evidence=nothing, regimes=some))
    assert "no case is evidence for every output, false alarms at most" in text


def test_a_broken_contract_is_not_called_an_error_too_large(make_failing: MakeReport) -> None:
    crash = make_failing().findings[1]
    text = shown(make_failing(findings=[crash]))
    assert "FAIL: the kernel breaks the contract lora-linear." in text
    assert "no implementation" not in text


@pytest.mark.parametrize(
    ("promise", "name"),
    [("epsilon", "declared epsilon"), ("certificate", "kernel's own certificate")],
)
def test_a_promise_takes_the_place_of_bound_and_tolerance(
    make_failing: MakeReport, promise: Any, name: str
) -> None:
    wrong = replace(make_failing().findings[0], bound=0.1, tolerance=0.1, promise=promise)
    epsilon = 0.1 if promise == "epsilon" else None
    text = shown(make_failing(epsilon=epsilon, findings=[wrong]))
    assert f"6.2 times the {name}, 0.1" in text
    assert "proven bound" not in text
    assert f"FAIL: an error exceeds the {name}" in text
    assert headline(wrong).plain == f"FAIL  grad_lora_b  error 0.62, {promise} 0.1"
    # Of an output of which nothing is promised, the proof stands.
    unpromised = make_failing().findings[0]
    assert "FAIL: proven wrong" in shown(make_failing(findings=[wrong, unpromised]))
    exact = replace(wrong, bound=0.0, tolerance=0.0)
    lines = shown(make_failing(epsilon=epsilon, findings=[exact])).splitlines()
    assert name + " 0" in [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({}, "every error is one that a legal evaluation of lora-linear in bfloat16 makes."),
        (
            {"certified": {"output": 3, "grad_x": 0}},
            "every error is within the kernel's own certificate, or is one that a legal evaluation",
        ),
        (
            {"certified": {"output": 3}, "false_alarm_probability": None},
            "PASS: no error exceeds the kernel's own certificate.",
        ),
        (
            {"certified": {"output": 3}, "false_alarm_probability": None, "epsilon": 0.1},
            "declared epsilon, 0.1, nor the kernel's own certificate where that is smaller.",
        ),
        (
            {"certified": {"output": 3}, "verdict": "suspect"},
            "no error exceeds the proven bound or its own certificate, but some are",
        ),
    ],
)
def test_a_verdict_says_what_it_rests_on(
    make_passing: MakeReport, changes: dict[str, object], meaning: str
) -> None:
    """Catches a pass by the kernel's own word that reads as one by the oracle's measure."""
    assert meaning in " ".join(shown(make_passing(**changes)).split())


def declined(regime: str, *reasons: str) -> list[dict[str, str]]:
    return [{"what": f"{regime}:{i}", "reason": reason} for i, reason in enumerate(reasons)]


def test_declined_cases_are_a_column_and_a_line_for_each_regime(make_passing: MakeReport) -> None:
    regimes = {
        "designed": RegimeSummary(4, 16, 0, 0, 0, 0.013, 0.31, declined=2),
        "tiny": RegimeSummary(declined=3),
        "ragged": RegimeSummary(4, 16, 0, 0, 0, 0.2, 0.3, declined=1),
    }
    skipped = [
        *declined("designed", "no r of 7", "no r of 8"),
        {"what": "long", "reason": "the kernel declares so"},
        *declined("tiny", "one row", "one row", "one row"),
        *declined("ragged", "odd sizes"),
    ]
    lines = shown(make_passing(regimes=regimes, skipped=skipped)).splitlines()
    assert [line.split() for line in lines if line.startswith(("designed", "tiny"))] == [
        ["designed", "4", "2", "16", "·", "·", "·", "0.013", "0.31"],
        ["tiny", "·", "3", "·", "·", "·", "·", "-", "-"],
    ]
    assert any(line.split()[:4] == ["regime", "cases", "declined", "pass"] for line in lines)
    assert "cases and declined count cases; the other columns count outputs of cases" in lines
    assert [line for line in lines if line.startswith("skipped")] == [
        "skipped: long: the kernel declares so",
        "skipped: 2 cases of designed, declined: no r of 7 (and others)",
        "skipped: 3 cases of tiny, declined: one row",
        "skipped: ragged:0, declined: odd sizes",
    ]


def test_what_was_declined_is_told_where_it_is_too_much(make_passing: MakeReport) -> None:
    """More cases would be declined too: that is no advice."""
    regimes = {"tiny": RegimeSummary(1, 4, declined=5)}
    some = shown(make_passing(cases=1, regimes=regimes, **TOO_LITTLE))
    assert "no finding in this case; too few for a verdict (5 declined)." in some
    regimes = {"tiny": RegimeSummary(declined=6)}
    none = shown(make_passing(cases=0, regimes=regimes, seconds=0, **TOO_LITTLE))
    assert none.endswith("SUSPECT: not judged: every case was declined.\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.0131, "0.013"),
        (19909.0, "20000"),
        (5e9, "5e9"),
        (2.4e-7, "2.4e-7"),
        (-3.0, "-3"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_headline(make_failing: MakeReport) -> None:
    numeric, structural, _ = make_failing().findings
    assert headline(numeric).plain == "FAIL  grad_lora_b  error 0.62, bound 3.1e-5"
    assert headline(structural).plain == "FAIL  the call  crash"
    suspect = replace(numeric, verdict="suspect", error=1e-5, tolerance=2e-6)
    assert headline(suspect).plain == "SUSPECT  grad_lora_b  error 1e-5, tolerance 2e-6"


def test_progress_tells_each_finding_once_and_starts_no_thread(make_failing: MakeReport) -> None:
    finding = make_failing().findings[0]
    worse = replace(finding, diagnosis=(Diagnosis("wrong-sign", ""),), error=2.0)
    file = io.StringIO()
    before = threading.active_count()
    with ProgressDisplay(Console(file=file, width=80, force_terminal=True), "k") as display:
        display.update(0, 8, "designed", "pass", None)
        display.update(1, 8, "designed", "fail", finding)
        display.update(2, 8, "tiny", "fail", worse)
        assert threading.active_count() == before
    text = file.getvalue()
    assert text.count("grad_lora_b") == 1
    assert "2/8" in text


def test_progress_draws_no_bar_in_a_file(make_failing: MakeReport) -> None:
    file = io.StringIO()
    with ProgressDisplay(Console(file=file, width=80), "k.py:f") as display:
        display.update(1, 8, "designed", "pass", None)
        assert file.getvalue() == ""
        display.update(2, 8, "designed", "fail", make_failing().findings[0])
    said = "k.py:f, case 2 of 8: FAIL  grad_lora_b  error 0.62, bound 3.1e-5\n"
    assert file.getvalue() == said


def test_a_line_now_and_then_where_no_bar_is_drawn() -> None:
    """Not for a run that is over soon, and not for every step."""
    now = 100.0
    file = io.StringIO()
    life = LifeSigns(Console(file=file, width=80), clock=lambda: now)
    for second in range(75):
        now = 100.0 + second
        life.tell(second, 90, f"kernel {second}   ")
    assert file.getvalue().splitlines() == [
        "30 of 90 done after 0:30 (kernel 30)",
        "60 of 90 done after 1:00 (kernel 60)",
    ]
    now = 300.0
    life.tell(89, 90, "")
    assert file.getvalue().splitlines()[2:] == ["89 of 90 done after 3:20"]


@pytest.mark.parametrize("watched", [False, True])
def test_both_displays_show_that_they_live(watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loracle.presentation.life_signs._EVERY", 0.0)
    texts = []
    for display in (ProgressDisplay, lambda console, _: BenchProgress(console)):
        file = io.StringIO()
        with display(Console(file=file, width=80, force_terminal=watched), "k.py:f") as shown:
            if isinstance(shown, ProgressDisplay):
                shown.update(1, 8, "designed", "pass", None)
            else:
                shown.refresh()
                shown.update(1, 8, "sdpa")
        texts.append(file.getvalue())
    if watched:
        assert not any("done after" in text for text in texts)
    else:
        assert texts[0] == "1 of 8 done after 0:00 (k.py:f, designed, pass so far)\n"
        assert texts[1] == "1 of 8 done after 0:00 (sdpa)\n"


def test_colours_in_a_log_draw_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FORCE_COLOR is set in many a CI."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("loracle.presentation.life_signs._EVERY", 0.0)
    with BenchProgress(make_console(stderr=True)) as display:
        display.update(1, 2, "sdpa")
    assert capsys.readouterr().err == "1 of 2 done after 0:00 (sdpa)\n"


def test_in_a_pipe_lines_end_where_their_text_does(
    make_failing: MakeReport, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sentence is cut where a terminal would have ended, and no line has blanks at its end."""
    monkeypatch.delenv("COLUMNS", raising=False)
    explanation = "a sentence that is longer than any terminal is wide, " * 5 + "1e-3 s"
    long = Diagnosis("missing-scaling", explanation)
    report = make_failing(findings=[replace(make_failing().findings[0], diagnosis=(long,))])
    show(report, make_console())
    lines = capsys.readouterr().out.splitlines()
    assert f"  diagnosis   missing-scaling: {explanation}" in lines
    assert [line for line in lines if line != line.rstrip()] == []
    monkeypatch.setenv("COLUMNS", "90")
    show(report, make_console())
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "replay" not in line) <= 90
    assert [line for line in lines if line != line.rstrip()] == []
