"""`python -m loracle_proofs.phase_transition IMAGES`: the phase transition of Theorem 3.1.

Printed as a table and drawn to IMAGES/phase-transition.svg.

For L = 2^n and d = n: the rank k in which `approximate_probabilities` has f to a relative error of
1 / L, as the exponent log k / log L. Only where it tends to zero is the algorithm almost linear;
at 1 and above the low rank saves nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from loracle_reference.norm_conditions import REGIMES, PhaseRow, phase_rows

__all__ = ["draw", "main", "table"]

LOG2_LENGTHS = tuple(2**power for power in range(2, 15))
"""log2 L, from L = 16 to where the trend shows."""

_TABLE_LENGTHS = (4, 16, 64, 256, 1024, 4096, 16384)

_STYLES = ("-", "-", "--", "--", "--", "-.", "-.")
"""beta = 1 solid, a share of log L dashed, beta = 1 / d with a dot."""

Curves = Sequence[tuple[str, Sequence[PhaseRow]]]


def curves() -> Curves:
    """The rows of every regime, under its label."""
    return [(regime.label, phase_rows(regime, LOG2_LENGTHS)) for regime in REGIMES]


def table(rows_by_label: Curves) -> str:
    """A Markdown table of a few lengths."""
    lines = [
        "| regime, d = log2 L | log2 L | Γ / √log L | β d Γ² / log L | degree | log k / log L |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {label} | {row.log2_length} | {row.printed_ratio:.3f} | {row.needed_ratio:.4f}"
        f" | {row.degree} | {row.exponent:.3f} |"
        for label, rows in rows_by_label
        for row in rows
        if row.log2_length in _TABLE_LENGTHS
    ]
    return "\n".join(lines)


def draw(rows_by_label: Curves, path: Path) -> None:
    """The plot, the same bytes for the same rows and version of matplotlib.

    Raises ModuleNotFoundError if matplotlib is missing.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "loracle", "svg.fonttype": "path"}):
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        axes = figure.add_subplot()
        for (label, rows), style in zip(rows_by_label, _STYLES, strict=True):
            lengths = [row.log2_length for row in rows]
            axes.plot(lengths, [row.exponent for row in rows], style, label=label)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0, 5)
        axes.set_xlabel("log₂ L")
        axes.set_ylabel("log k / log L")
        axes.set_title("Rank k = L^y of f to a relative error of 1/L, d = log₂ L")
        axes.legend(fontsize="small")
        figure.savefig(path, format="svg", metadata={"Date": None})


def main(images: Path) -> int:
    """Print the table and write the plot; 1 and one line if matplotlib is missing."""
    rows_by_label = curves()
    print(table(rows_by_label))
    images.mkdir(parents=True, exist_ok=True)
    try:
        draw(rows_by_label, images / "phase-transition.svg")
    except ModuleNotFoundError as missing:
        print(
            f"No plot: {missing.name} is missing; pip install 'loracle[plot]' brings it.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")))
