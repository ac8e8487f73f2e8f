"""The demonstration: its kernels are wrong where it says so, its status follows the verdicts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rich.console import Console

from loracle.demo import kernels
from loracle.demo.script import run_demo
from loracle.report import Diagnosis, Finding, Report

MakeReport = Callable[..., Report]
SCALING = 1.5


def inputs() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    shapes = {
        "x": (2, 3, 5),
        "weight": (4, 5),
        "lora_a": (2, 5),
        "lora_b": (4, 2),
        "grad_output": (2, 3, 4),
    }
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def truth() -> dict[str, torch.Tensor]:
    given = inputs()
    x, weight, a, b, upstream = given.values()
    rows, upstream_rows = x.flatten(0, 1), upstream.flatten(0, 1)
    merged = weight + SCALING * b @ a
    return {
        "output": x @ merged.T,
        "grad_x": upstream @ merged,
        "grad_lora_a": SCALING * (upstream_rows @ b).T @ rows,
        "grad_lora_b": SCALING * upstream_rows.T @ (rows @ a.T),
    }


def test_the_eager_layer_is_right() -> None:
    results = kernels.eager_alpha(**inputs(), scaling=SCALING)
    for name, value in truth().items():
        torch.testing.assert_close(results[name].detach(), value)


def test_the_forgetful_layer_lacks_the_scaling_in_one_gradient_alone() -> None:
    results = kernels.forgetful_backward(**inputs(), scaling=SCALING)
    for name, value in truth().items():
        factor = 1 / SCALING if name == "grad_lora_b" else 1.0
        torch.testing.assert_close(results[name].detach(), factor * value)


class Stage:
    """The demonstration with validations made up here, one per kernel, all as expected at first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, make_passing: MakeReport) -> None:
        self.changes: dict[str, dict[str, Any]] = {
            "forgetful_backward": wrong("grad_lora_b"),
            "compiled_alpha": wrong("output"),
        }
        self.judged: list[tuple[str, str, str]] = []
        self._make = make_passing
        monkeypatch.setattr("loracle.demo.script.validate", self.validate)

    def validate(self, kernel: str, *, contract: str, dtype: str, **_: Any) -> Report:
        name = kernel.rpartition(":")[2]
        self.judged.append((name, contract, dtype))
        changes = self.changes.get(name, {})
        return self._make(**({"kernel": kernel, "contract": contract, "dtype": dtype} | changes))

    def play(self) -> tuple[int, str]:
        file = io.StringIO()
        return run_demo(Console(file=file, width=80)), file.getvalue()


def wrong(output: str, hypothesis: str = "missing-scaling") -> dict[str, Any]:
    finding = Finding(
        "fail", output, "tiny", "tiny:0", 1, 8, (Diagnosis(hypothesis, "because"),), error=1.0
    )
    return {"verdict": "fail", "findings": [finding]}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, make_passing: MakeReport) -> Stage:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return Stage(monkeypatch, make_passing)


def test_everything_as_expected_is_status_0(stage: Stage) -> None:
    status, text = stage.play()
    assert status == 0, text
    assert "drops alpha" in text
    third_parties = {
        ("peft", "lora-linear"),
        ("loralib", "lora-linear"),
        ("torch-sdpa-math", "lora-attention"),
        ("torch-sdpa-flash", "lora-attention"),
        ("autograd", "lora-linear"),
        ("autograd", "aloragc"),
        ("autograd", "lora-attention"),
    }
    dtypes = ("float32", "bfloat16")
    assert set(stage.judged) >= {(*party, dtype) for party in third_parties for dtype in dtypes}


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [
        ("peft", wrong("output")),
        ("autograd", {"verdict": "suspect", "reason": "insufficient-evidence"}),
        ("forgetful_backward", {}),
        ("forgetful_backward", wrong("grad_lora_a")),
        ("forgetful_backward", wrong("grad_lora_b", "constant-factor")),
        ("eager_alpha", wrong("output")),
        ("compiled_alpha", wrong("grad_x")),
        ("compiled_alpha", wrong("output", "constant-factor")),
    ],
)
def test_any_other_verdict_is_status_1(stage: Stage, kernel: str, changes: dict[str, Any]) -> None:
    stage.changes[kernel] = changes
    status, text = stage.play()
    assert status == 1
    assert "NOT AS EXPECTED" in text


def test_a_torch_that_compiles_it_right_is_praised(stage: Stage) -> None:
    stage.changes["compiled_alpha"] = {}
    status, text = stage.play()
    assert status == 0
    assert "torch 2.13.0 compiles it right" in text


def test_a_machine_that_cannot_compile_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.changes["compiled_alpha"] = wrong("output", "crash")
    status, text = stage.play()
    assert status == 0
    assert "cannot compile here" in text

    monkeypatch.setattr("shutil.which", lambda name: None)
    stage.judged.clear()
    status, text = stage.play()
    assert status == 0
    assert "none is found" in text
    assert not any(name == "compiled_alpha" for name, _, _ in stage.judged)


def test_an_interruption_ends_it(stage: Stage, make_failing: MakeReport) -> None:
    stage.changes["peft"] = {"verdict": "suspect", "reason": "interrupted"}
    assert stage.play()[0] == 130
    assert len(stage.judged) == 1


def test_every_row_fits_80_columns(stage: Stage) -> None:
    stage.changes["torch-sdpa-flash"] = {"seconds": 123.4}
    assert max(map(len, stage.play()[1].splitlines())) <= 80


@pytest.mark.deep
def test_the_real_demonstration_meets_its_expectations() -> None:
    file = io.StringIO()
    assert run_demo(Console(file=file, width=80)) == 0, file.getvalue()
