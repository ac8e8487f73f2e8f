"""The HTML report: complete in itself, true to the numbers, small."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from loracle.presentation.error_maps import LEVELS, pictures
from loracle.presentation.html import as_html
from loracle.presentation.scatter_plot import BOTTOM, GUTTER, LEFT, RIGHT, TOP, scatter_plots
from loracle.report import (
    Diagnosis,
    ErrorMap,
    ExpectedFailure,
    OutputSummary,
    RegimeSummary,
    Report,
)
from loracle.scatter import HIGHEST, LOWEST, Scatter

from .validated import forgets_scaling, raises, validate

MakeReport = Callable[..., Report]

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def failing() -> Report:
    return validate(forgets_scaling, regimes=["designed", "ragged"], cases=2)


def test_the_page_needs_nothing_beside_itself(failing: Report) -> None:
    text = as_html(failing)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert not {"src", "href"} & {name for _, name, _ in page.attributes}
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert len(text) < 300_000


def test_the_page_says_what_the_report_says_verdict_first(failing: Report) -> None:
    text = Page(as_html(failing)).text
    (finding,) = failing.findings
    order = ["fail", "Proven wrong", "Findings", "missing-scaling", "Replay", "Regimes"]
    order += ["Errors against bounds", "Environment", str(failing.environment["torch"])]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert finding.replay is not None
    assert finding.replay in text
    assert finding.case in text
    assert all(d.explanation in text for d in finding.diagnosis)
    assert all(output in text for output in failing.evidence)


def test_its_pictures_are_of_the_worst_and_of_the_largest_case(failing: Report) -> None:
    (finding,) = failing.findings
    worst, largest = finding.errors
    assert worst.case == finding.case
    assert worst.element == finding.element
    assert (worst.truth[worst.element], worst.computed[worst.element]) == (
        finding.truth,
        finding.computed,
    )
    assert largest.case.startswith("ragged:")
    assert largest.truth.size > worst.truth.size
    page = Page(as_html(failing))
    kinds = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "class")]
    assert kinds == ["cells signed", "cells signed", "cells errors fail"] * 2 + ["scatter"] * 4


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

MEASURED = """
<iframe src="report.html" style="width: 390px; height: 800px; border: 0"></iframe>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const widths = [page.documentElement, ...page.querySelectorAll(".scroll")].map(
    (part) => part.scrollWidth - part.clientWidth);
  document.body.textContent = "beyond: " + widths.join(" ");
};
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_on_a_phone_all_columns_are_seen(make_failing: MakeReport, tmp_path: Path) -> None:
    """Catches tables whose last columns, which are the ratios, lie beyond the edge."""
    assert CHROMIUM is not None
    names = ["output", "grad_x", "grad_lora_a", "grad_lora_b"]
    summary = RegimeSummary(12, 36, 3, 12, 6, 450000.0, 390000.0)
    for name in names:
        summary.outputs[name] = OutputSummary(6, 0, 6, 0, 450000.0, 390000.0)
    regimes = dict.fromkeys(["four-dimensional", "two-dimensional", "averaging"], summary)
    report = make_failing(regimes=regimes, evidence=dict.fromkeys(names, 9))
    (tmp_path / "report.html").write_text(as_html(report))
    (tmp_path / "measured.html").write_text(MEASURED)
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *("--virtual-time-budget=2000", "--dump-dom"),
            (tmp_path / "measured.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "beyond: 0 0 0<" in done.stdout


def test_a_report_without_numbers_has_no_pictures_and_no_empty_places() -> None:
    page = Page(as_html(validate(raises, regimes=["designed"], cases=1, only_cases=["designed:1"])))
    assert "svg" not in page.tags
    assert "ZeroDivisionError: no batch here" in page.text
    assert "Errors against bounds" not in page.text


def test_a_pass_has_no_findings(make_passing: MakeReport) -> None:
    text = Page(as_html(make_passing())).text
    assert text.index("pass") < text.index("Regimes")
    assert "Findings" not in text


def test_what_the_kernel_says_is_text(make_failing: MakeReport) -> None:
    evil = "<script>alert(1)</script> & \"'</code>"
    crash = replace(make_failing().findings[1], diagnosis=(Diagnosis("crash", evil),), replay=evil)
    report = make_failing(kernel=evil, findings=[crash], notes=[evil], environment={evil: evil})
    page = Page(as_html(report))
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") >= 4


@pytest.mark.parametrize(
    ("few", "cases_total", "told"),
    [
        (False, 8, "None of the known mistakes explains it."),
        (True, 2, "Too few numbers for a diagnosis: judge more cases."),
        (True, 8, "Too few numbers are far enough beyond rounding to tell a mistake by."),
    ],
)
def test_it_says_why_nothing_is_named(
    make_failing: MakeReport, few: bool, cases_total: int, told: str
) -> None:
    unnamed = replace(
        make_failing().findings[2],
        diagnosis=(),
        too_few_numbers=few,
        count=2,
        cases_total=cases_total,
    )
    text = Page(as_html(make_failing(findings=[unnamed]))).text
    assert told in text
    assert text.count("known mistakes") + text.count("Too few numbers") == 1


def test_infinities_and_missing_numbers_are_shown(make_failing: MakeReport) -> None:
    counts = OutputSummary(0, 0, 1, 0, float("inf"), None)
    regimes = {"tiny": RegimeSummary(1, 0, 0, 1, 0, float("inf"), float("nan"), 2)}
    regimes["tiny"].outputs["grad_x"] = counts
    text = Page(as_html(make_failing(regimes=regimes))).text
    assert "declined" in text
    assert "inf nan" in text


def test_expected_failures_are_told(make_passing: MakeReport) -> None:
    entry = ("known.toml, entry 1", "k.py:f", "grad_x", "tiny", None, None, "too old to mend")
    report = make_passing(expected_failures=[ExpectedFailure(*entry, "failed")])
    text = Page(as_html(report)).text
    assert "But for 1 expected failure, every error is" in text
    assert "expected grad_x in tiny: too old to mend (known.toml, entry 1)" in text


def scattered(error: list[float], bound: list[float], tolerance: float) -> Scatter:
    scatter = Scatter()
    scatter.add(np.array(error), np.array(bound), tolerance)
    return scatter


def test_a_scatter_is_in_units_of_the_tolerance_and_keeps_its_edges() -> None:
    inf = np.inf
    scatter = scattered([0.0, 1e-3, 2e-3, inf, 1e-9], [1.0, 1e-2, inf, 0.0, 1.0], 1e-3)
    assert (scatter.elements, scatter.exact) == (5, 1)
    expected = [[1e3, LOWEST], [10, 1], [HIGHEST, 2], [LOWEST, HIGHEST]]
    np.testing.assert_allclose(scatter.points, expected)
    nothing_allowed = scattered([1e-30], [0.0], 0.0)
    np.testing.assert_array_equal(nothing_allowed.points, [[LOWEST, HIGHEST]])
    everything_allowed = scattered([1.0], [inf], inf)
    np.testing.assert_array_equal(everything_allowed.points, [[HIGHEST, LOWEST]])


def test_a_scatter_is_bounded_and_spread_like_what_was_added() -> None:
    generator = np.random.default_rng(0)
    scatter = Scatter()
    for _ in range(20):
        error, bound = (
            10 ** generator.uniform(-4, 17, 10_000),
            10 ** generator.uniform(-4, 9, 10_000),
        )
        scatter.add(error, bound, 1.0)
    points = scatter.points
    assert scatter.elements == 200_000
    assert 500 < len(points) <= 1500
    assert points[:, 1].max() > 1e16
    assert points[:, 1].min() < 1e-3
    alone = Scatter()
    alone.add(np.full(10_000, 0.5), np.full(10_000, 3.0), 1.0)
    alone.add(np.array([7.0]), np.array([3.0]), 1.0)
    np.testing.assert_array_equal(alone.points, [[3.0, 0.5], [3.0, 7.0]])


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M(\S+) (\S+?)h", path)]


def test_a_plot_puts_every_dot_on_its_side_of_the_lines() -> None:
    scatter = scattered([0.5, 2.0, 50.0, np.inf], [10.0, 10.0, 10.0, np.inf], 1.0)
    (plot,) = scatter_plots({"output": scatter})
    ((x, inside),) = places(plot.inside)
    # Where no bound is claimed, what is not finite is suspect.
    (_, suspect), infinite = places(plot.above_tolerance)
    ((_, failing),) = places(plot.above_bound)
    assert infinite == (pytest.approx(RIGHT, abs=GUTTER), pytest.approx(TOP, abs=GUTTER))
    # Downwards, as on a screen.
    on_bound = plot.vertical.at(1)
    assert on_bound == pytest.approx(
        plot.bound[1]
        + (plot.bound[3] - plot.bound[1]) * ((x - plot.bound[0]) / (plot.bound[2] - plot.bound[0]))
    )
    assert TOP < failing < on_bound < suspect < plot.tolerance < inside < BOTTOM
    everything = places(plot.inside + plot.above_tolerance + plot.above_bound)
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in everything)
    ticks = plot.vertical.ticks
    assert "1" in {label for _, label in ticks}
    assert len(ticks) <= 8


def error_map(computed: np.ndarray, truth: np.ndarray, element: tuple[int, ...]) -> ErrorMap:
    error = np.where(np.isfinite(computed), np.abs(computed - truth), np.inf)
    return ErrorMap("tiny:0", truth, computed, error, np.full(truth.shape, 0.5), 0.25, element)


def cells(paths: dict[int, str]) -> dict[tuple[int, int], int]:
    """The level of every cell that has one."""
    found = {}
    for level, path in paths.items():
        for column, row, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
            for place in range(int(column), int(column) + int(width)):
                found[int(row), place] = level
    return found


def test_the_pictures_show_every_element_at_its_place() -> None:
    truth = np.array([[1.0, -1.0], [0.5, 0.0]])
    computed = np.array([[1.0, -0.9], [5.5, np.nan]])
    shown = pictures(error_map(computed, truth, (1, 0)))
    assert cells(shown.truth) == {(0, 0): LEVELS, (0, 1): -LEVELS, (1, 0): LEVELS // 2}
    assert cells(shown.computed)[1, 1] == LEVELS + 1
    errors = cells(shown.errors)
    assert (0, 0) not in errors
    assert errors[0, 1] < 0 < errors[1, 0] <= LEVELS
    assert errors[1, 1] == LEVELS + 1
    assert (shown.worst, shown.thinned) == ((1, 0), False)
    by_tolerance = pictures(error_map(truth + 0.3, truth, (0, 0)), by_tolerance=True)
    assert set(cells(by_tolerance.errors).values()) == {1}
    assert set(cells(pictures(error_map(truth + 0.3, truth, (0, 0))).errors).values()) == {-LEVELS}


def test_a_large_output_is_thinned_out_without_losing_its_worst_element() -> None:
    truth = np.ones((2, 130, 70))
    computed = truth.copy()
    computed[1, 129, 69] = -40.0
    shown = pictures(error_map(computed, truth, (1, 129, 69)))
    assert (shown.rows, shown.columns, shown.thinned) == (48, 48, True)
    assert shown.worst == (47, 47)
    assert cells(shown.errors) == {(47, 47): 2}
    assert cells(shown.computed)[47, 47] == -LEVELS
    assert set(cells(shown.truth).values()) == {LEVELS}


def test_the_vector_graphics_are_well_formed(failing: Report) -> None:
    graphics = re.findall(r"<svg.*?</svg>", as_html(failing), flags=re.DOTALL)
    assert len(graphics) == 10
    for graphic in graphics:
        ElementTree.fromstring(graphic)
