"""The table and the plot of the phase transition."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loracle_proofs import phase_transition
from loracle_proofs.phase_transition import curves, draw, main, table
from loracle_reference.norm_conditions import REGIMES


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase_transition, "LOG2_LENGTHS", (4, 8, 16))


def test_the_table_has_a_line_for_every_regime_and_listed_length() -> None:
    lines = table(curves()).splitlines()
    assert len(lines) == 2 + 2 * len(REGIMES)
    assert "| β = 1/d, Γ = 1 | 16 | 0.300 | 0.0902 | 6 | 1.012 |" in lines


def test_the_plot_is_the_same_every_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = []
    for name in ("first.svg", "second.svg"):
        draw(curves(), tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0]


def test_a_missing_matplotlib_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(tmp_path) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("| regime")
    assert len(printed.err.splitlines()) == 1
    assert "matplotlib is missing" in printed.err
