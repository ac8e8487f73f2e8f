"""The replay of a finding, executed, shows the same finding again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import loracle
from loracle.adapters import autograd
from loracle.cli import main
from loracle.report import Finding

from .validated import (
    Outputs,
    draws,
    forgets_scaling,
    hypotheses,
    raises,
    validate,
    writes_into_x,
)


def namespace(kernel: Callable[..., Any]) -> dict[str, Any]:
    """What a reader of the replay has imported: loracle and the kernel's module."""
    found: Any = SimpleNamespace(**{kernel.__name__: kernel})
    first, *rest = kernel.__module__.split(".")
    for part in reversed(rest):
        found = SimpleNamespace(**{part: found})
    return {"loracle": loracle, first: found}


def numbers(finding: Finding) -> dict[str, Any]:
    """All but what a single case cannot know: counts, and the diagnosis over many."""
    of_many = ("count", "cases_total", "diagnosis", "too_few_numbers")
    return {k: v for k, v in finding.to_dict().items() if k not in of_many}


@pytest.mark.parametrize("kernel", [forgets_scaling, raises, writes_into_x, draws])
def test_replay_of_a_callable(kernel: Callable[..., Any]) -> None:
    """The text of the finding, executed, gives the finding again."""
    report = validate(kernel, dtype="float64", seed=5, cases=2)
    finding = report.findings[0]
    assert finding.replay is not None
    again = eval(finding.replay, namespace(kernel))
    assert again.cases == 1
    same = [f for f in again.findings if f.output == finding.output]
    assert numbers(finding) in [numbers(f) for f in same]
    # One case may be too little for a name, never for another one.
    assert set(hypotheses(same[0])) <= set(hypotheses(finding))


def test_replay_of_a_callable_of_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raises, "__module__", "__main__")
    report = validate(raises, regimes=["designed"], cases=2)
    replay = report.findings[0].replay
    assert replay is not None
    assert replay.startswith("loracle.validate(raises, contract=")
    assert eval(replay, {"loracle": loracle, "raises": raises}).verdict == "fail"


def slightly_too_large(**call: Any) -> Outputs:
    outputs = autograd.lora_linear(**call)
    return {**outputs, "grad_lora_b": outputs["grad_lora_b"] * (1 + 4e-7)}


def test_replay_of_a_bias() -> None:
    """No single case shows it: the whole run is replayed, with the regimes that were chosen, also
    if they came from an iterator."""
    report = validate(slightly_too_large, regimes=iter(["typical", "ragged"]), cases=7)
    (finding,) = report.findings
    assert report.verdict == finding.verdict == "suspect"
    assert finding.reason.startswith("biased across cases")
    assert finding.replay is not None
    again = eval(finding.replay, namespace(slightly_too_large))
    assert again.cases == 14
    assert [f.to_dict() for f in again.findings] == [finding.to_dict()]


TARGET = """
import torch


def kernel(*, x, weight, lora_a, lora_b, scaling, grad_output):
    n = x.shape[0] * x.shape[1]
    rows, g = x.reshape(n, -1), grad_output.reshape(n, -1)
    output = rows @ weight.T + scaling * (rows @ lora_a.T) @ lora_b.T
    return {
        "output": output.reshape(grad_output.shape),
        "grad_x": (g @ weight + scaling * (g @ lora_b) @ lora_a).reshape(x.shape),
        "grad_lora_a": scaling * (g @ lora_b).T @ rows,
        "grad_lora_b": g.T @ (rows @ lora_a.T),
    }
"""


def test_replay_of_a_target(tmp_path: Path) -> None:
    """The command of the finding, run, gives the finding again, in a path with a space."""
    path = tmp_path / "my kernels.py"
    path.write_text(TARGET)
    report = loracle.validate(
        f"{path}:kernel",
        dtype="bfloat16",
        seed=3,
        cases=2,
        machine="f32-accumulate",
        plan="unmerged",
    )
    (finding,) = report.findings
    assert (finding.output, report.verdict) == ("grad_lora_b", "fail")
    assert hypotheses(finding)[0] == "missing-scaling"
    assert finding.replay is not None
    program, *words = shlex.split(finding.replay)
    assert program == "loracle"
    written = tmp_path / "again.json"
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json", str(written)])
    assert ended.value.code == 1
    plain = json.loads(written.read_text())
    assert (plain["machine"], plain["plan"]) == ("f32-accumulate", "unmerged")
    (again,) = plain["findings"]
    assert {key: again[key] for key in numbers(finding)} == numbers(finding)
