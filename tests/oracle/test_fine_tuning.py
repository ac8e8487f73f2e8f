"""Training with `almost_linear.attention`: within what is certified, as the docs show it, and the
script that measures it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from loracle.kernels.almost_linear import function
from loracle.kernels.almost_linear.projections import Problem

from ..benchmarks import fine_tuning
from .almost_linear_layers import a_layer
from .almost_linear_mistakes import WRONG, Wrong, forgets_the_correction, put_in, wrong_sign


def check_training(length: int, steps: int, every: int) -> fine_tuning.Comparison:
    """What holds of a run that the kernel is right in."""
    found = fine_tuning.compare(fine_tuning.make_layer(length), steps, every)
    assert found.certified
    assert found.within == steps
    return found


# Catches: those of WRONG that the test after it shows.
def test_a_short_training_run_stays_within_what_is_certified() -> None:
    found = check_training(length=256, steps=30, every=3)
    above = [loss - found.layer.floor for loss in found.almost.losses]
    assert above[-1] < above[0] / 10, "there was something to learn, and it was learnt"
    # The certificate is not vacuous: it is far below what was learnt.
    assert max(found.checks.loss_error) < (above[0] - above[-1]) / 10
    assert len(found.checks.gradient_shares) == 10


@pytest.mark.parametrize("wrong", [w for w in WRONG if w is not forgets_the_correction])
def test_training_with_wrong_gradients_is_noticed(wrong: Wrong) -> None:
    with put_in(wrong):
        found = fine_tuning.compare(fine_tuning.make_layer(256), steps=20, every=1)
    assert not found.certified
    # The value is right, so its certificate holds; the curve has left that of exact gradients.
    pairs = zip(found.measured, found.checks.loss_error, strict=True)
    assert all(error <= certified for error, certified in pairs)


# Catches: a wrong Z, the gradients being right for what comes from above.
def test_training_with_a_wrong_value_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(problem: Problem, columns: Any, sums: Tensor) -> tuple[Tensor, Tensor]:
        mean_z, value = expected_values(problem, columns, sums)
        return mean_z, value + 0.1

    expected_values = function.expected_values
    monkeypatch.setattr(function, "expected_values", wrong)
    found = fine_tuning.compare(fine_tuning.make_layer(256), steps=5, every=5)
    assert not found.certified
    assert found.within < 5


@pytest.mark.deep
def test_the_training_run_of_the_docs_stays_within_what_is_certified() -> None:
    found = check_training(length=4096, steps=200, every=20)
    losses = found.almost.losses
    assert losses[-1] - found.layer.floor < (losses[0] - found.layer.floor) / 100


# Catches: a page that shows what does not run.
def test_the_code_of_the_docs_runs() -> None:
    page = (Path(__file__).parents[2] / "docs/fine-tuning.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    layer = a_layer()
    inputs = {**layer.frozen, **layer.adapters}
    exec(code, {"inputs": inputs, "beta": layer.beta, "y": layer.y})
    assert all(adapter.grad is not None for adapter in layer.adapters.values())


# Catches: a plot of other bytes each time, and figures that are not those of the run.
def test_the_script_prints_a_table_and_draws_the_same_plot_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    options = ["--steps", "3", "--length", "64", "--every", "2", "--longer", "96"]
    drawn = []
    for name in ("first", "second"):
        page = tmp_path / f"{name}.md"
        images = tmp_path / name
        assert fine_tuning.main([str(images), *options, "--markdown", str(page)]) == 0
        drawn.append((images / "fine-tuning.svg").read_bytes())
        printed = capsys.readouterr().out
        assert "| steps at which the curves are within the certified error | 3 of 3 |" in printed
        assert page.read_text().endswith(printed)
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0]


def test_the_script_says_what_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tmp_path), "--steps", "3", "--length", "64", "--longer", "96"]
    monkeypatch.setattr(fine_tuning, "draw", lambda found, path: None)
    with put_in(wrong_sign):
        assert fine_tuning.main(arguments) == 1
    assert capsys.readouterr().err == "An error exceeds what is certified.\n"

    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert fine_tuning.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "matplotlib is missing" in line
