"""Plots of a run and of the transition, as PNG and SVG. Needs matplotlib, the extra `plot`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from loracle.bench.result import BenchResult, Row
from loracle.bench.transition import Transition
from loracle.errors import UsageError

__all__ = ["Drawing", "draw_run", "draw_transition", "require_matplotlib"]

Drawing = dict[str, bytes]
"""The files' contents by suffix, `png` and `svg`."""

_DPI = 160

_MARKERS = "osD^vP"
"""A shape for each method, for those who cannot tell the colours apart."""


def require_matplotlib() -> None:
    """Raises UsageError, with the command that helps, if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise UsageError(
            "--plot needs matplotlib, which is missing: pip install 'loracle[plot]' brings it"
        )


def draw_run(result: BenchResult) -> Drawing:
    """Time against length, both in logarithms, a panel for each number of heads.

    A line for each method, its exponent in the legend; what is extrapolated has hollow points.
    """
    figure = _figure(len(result.request.heads))
    panels = figure.subplots(1, len(result.request.heads), sharey=True, squeeze=False)[0]
    for axes, heads in zip(panels, result.request.heads, strict=True):
        laws = result.laws.get(heads, {})
        for number, method in enumerate(result.request.methods):
            rows = [row for row in result.rows if (row.heads, row.method) == (heads, method)]
            if rows:
                exponent = f", L^{laws[method].exponent:.2f}" if method in laws else ""
                _draw_method(axes, rows, f"{method}{exponent}", number)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("length L")
        axes.set_title(f"{heads} head{'s' if heads > 1 else ''}")
        axes.grid(which="major", alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    panels[0].set_ylabel("seconds")
    setting = result.request.setting
    machine = result.environment.get("device_name", setting.device)
    figure.suptitle(
        f"Six adapter gradients, d = {setting.dim}, {setting.dtype}, {machine}", fontsize="medium"
    )
    return _drawn(figure)


def draw_transition(transition: Transition) -> Drawing:
    """Rank, and operations of both evaluations, against the largest score."""
    figure = _figure(2)
    left, right = figure.subplots(1, 2)
    scores = [row.score for row in transition.rows]
    left.plot(scores, [row.rank for row in transition.rows], "o-", label="rank k = C(d + g, g)")
    left.axhline(transition.length, color="black", linewidth=0.8, label="k = L")
    right.plot(scores, [row.operations for row in transition.rows], "o-", label="almost-linear")
    right.axhline(transition.exact_operations, color="black", linewidth=0.8, label="exact")
    left.set_title("Rank")
    right.set_title("Operations")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("β d Γ²")
        axes.grid(which="major", alpha=0.3)
        axes.legend(fontsize="small")
    figure.suptitle(
        f"L = {transition.length}, d = {transition.dim}, ε = {transition.epsilon:g}",
        fontsize="medium",
    )
    return _drawn(figure)


def _figure(panels: int) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(1.6 + 4.8 * panels, 4.4), layout="constrained", facecolor="white")


def _draw_method(axes: Any, rows: Sequence[Row], label: str, number: int) -> None:
    colour, marker = f"C{number}", _MARKERS[number % len(_MARKERS)]
    lengths, seconds = [row.length for row in rows], [row.seconds for row in rows]
    axes.plot(lengths, seconds, "-", color=colour, linewidth=1.2)
    # Filled points carry the name in the legend; a method all of whose points are hollow keeps it.
    for hollow in (False, True):
        some = [row for row in rows if row.extrapolated is hollow]
        if some:
            face = "white" if hollow else colour
            name = label if hollow is rows[0].extrapolated else None
            axes.plot(
                [row.length for row in some],
                [row.seconds for row in some],
                marker,
                color=colour,
                markerfacecolor=face,
                label=name,
            )


def _drawn(figure: Any) -> Drawing:
    """The same bytes for the same figure and version of matplotlib."""
    from matplotlib import rc_context

    found = {}
    with rc_context({"svg.hashsalt": "loracle", "svg.fonttype": "path"}):
        for suffix, options in (
            ("png", {"dpi": _DPI, "metadata": {"Software": None}}),
            ("svg", {"metadata": {"Date": None}}),
        ):
            file = io.BytesIO()
            figure.savefig(file, format=suffix, **options)
            found[suffix] = file.getvalue()
    return found
