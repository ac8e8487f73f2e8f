"""The resolving power: it is as small as is said, and a real run finds what is said to be found."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from loracle import validate
from loracle.adapters import autograd
from loracle.cli import main
from loracle.contracts import CONTRACTS
from loracle.judgement import bias
from loracle.resolving_power import measure
from loracle.resolving_power.measure import Power, Run, resolving_power
from loracle.resolving_power.table import sheets
from loracle_reference.floating_point import machine_model

from .core_cases import CONTRACT_NAMES

Key = tuple[str, str, str]

FOUND: dict[Key, tuple[float, float]] = {
    ("lora-linear", "float64", "widest"): (1e-12, 5e-16),
    ("lora-linear", "float32", "widest"): (1e-4, 1e-7),
    ("lora-linear", "float16", "widest"): (1e-2, 5e-4),
    ("lora-linear", "bfloat16", "widest"): (5e-2, 3e-3),
    ("aloragc", "float64", "widest"): (1e-12, 5e-16),
    ("aloragc", "float32", "widest"): (1e-4, 1e-7),
    ("aloragc", "float16", "widest"): (1e-1, 5e-4),
    ("aloragc", "bfloat16", "widest"): (0.5, 3e-3),
    ("aloragc", "float16", "f32-accumulate"): (2e-2, 5e-4),
    ("aloragc", "bfloat16", "f32-accumulate"): (0.13, 3e-3),
    ("lora-attention", "float64", "widest"): (1e-12, 5e-16),
    ("lora-attention", "float32", "widest"): (1e-4, 1e-7),
    ("lora-attention", "float16", "widest"): (0.06, 5e-4),
    ("lora-attention", "bfloat16", "widest"): (0.4, 3.1e-3),
    ("lora-mha", "float64", "widest"): (1e-12, 5e-16),
    ("lora-mha", "float32", "widest"): (1e-4, 1e-7),
    ("lora-mha", "float16", "widest"): (0.05, 5e-4),
    ("lora-mha", "bfloat16", "widest"): (0.35, 3.3e-3),
    ("lora-mha", "bfloat16", "f32-accumulate"): (0.25, 3.3e-3),
}
"""Contract, dtype, machine: an error of so much in any one output of a kernel that is exact but for
it is proven wrong, and one of so much is suspect."""

QUICK = [
    ("lora-linear", "bfloat16", "widest"),
    ("lora-linear", "float32", "widest"),
    ("aloragc", "float16", "f32-accumulate"),
    ("aloragc", "bfloat16", "widest"),
    ("lora-mha", "bfloat16", "widest"),
]


def default_run(key: Key, kernel: str = "exact") -> Run:
    contract, dtype, machine = key
    return Run(CONTRACTS[contract], machine_model(machine, dtype), kernel, seed=0)


def check_found(key: Key) -> None:
    run, (proven, suspect) = default_run(key), FOUND[key]
    for output in CONTRACTS[key[0]].outputs:
        for sign in (1, -1):
            assert run.proven_by(output, 1 + sign * proven), output
            assert run.suspect_by(output, 1 + sign * suspect), output
        assert not run.suspect_by(output, 1.0), output


@pytest.mark.parametrize("key", QUICK, ids="-".join)
def test_the_power_is_kept(key: Key) -> None:
    check_found(key)


@pytest.mark.deep
@pytest.mark.parametrize("key", FOUND, ids="-".join)
def test_the_power_of_every_contract_is_kept(key: Key) -> None:
    check_found(key)


def test_a_wider_null_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: with twice the threshold it does."""
    monkeypatch.setattr(bias, "_T", 2 * bias._T)
    with pytest.raises(AssertionError, match="grad_"):
        check_found(("aloragc", "bfloat16", "widest"))


def test_what_only_averaging_reveals() -> None:
    """A factor of 1.003 in bfloat16, less than one rounding: without that regime it passes."""
    run = default_run(("lora-linear", "bfloat16", "widest"))
    assert run.suspect_by("grad_lora_a", 1.003) == "bias"
    others = [i for i, known in enumerate(run.references) if known.case.regime != "averaging"]
    run.references = [run.references[i] for i in others]
    run.honest = [run.honest[i] for i in others]
    assert run.suspect_by("grad_lora_a", 1.003) == ""


def planted(output: str, delta: float) -> Callable[..., Any]:
    """lora_linear of the adapters in float64, one result times 1 + delta, rounded once."""

    def kernel(
        *,
        x: torch.Tensor,
        weight: torch.Tensor,
        lora_a: torch.Tensor,
        lora_b: torch.Tensor,
        scaling: float,
        grad_output: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        tensors = {"x": x, "weight": weight, "lora_a": lora_a, "lora_b": lora_b}
        tensors["grad_output"] = grad_output
        wide = {name: tensor.double() for name, tensor in tensors.items()}
        results = autograd.lora_linear(**wide, scaling=scaling)
        results[output] = results[output].detach() * (1 + delta)
        return {name: result.detach().to(x.dtype) for name, result in results.items()}

    return kernel


@pytest.mark.parametrize(("dtype", "output"), [("bfloat16", "grad_lora_b"), ("float16", "output")])
def test_a_real_run_finds_the_same(dtype: str, output: str) -> None:
    """Just beyond what is said to be found it is, just below it is not: catches a measurement of
    something else than `validate` does."""
    power = default_run(("lora-linear", dtype, "widest")).power(output)
    assert power.proven is not None
    assert power.suspect is not None
    assert power.suspect < power.proven
    for delta, verdict in (
        (1.05 * power.proven, "fail"),
        (0.8 * power.proven, "suspect"),
        (1.1 * power.suspect, "suspect"),
        (0.7 * power.suspect, "pass"),
    ):
        report = validate(planted(output, delta), "lora-linear", dtype)
        assert report.verdict == verdict, delta
        assert {finding.output for finding in report.findings} <= {output}


@pytest.mark.parametrize("limit", [1e-9, 0.03, 1.0, 3.99])
def test_bisection(limit: float) -> None:
    found = measure._smallest(lambda delta: delta >= limit, 1e-12)
    assert found is not None
    assert limit <= found <= limit * 1.02


def test_bisection_without_an_end() -> None:
    assert measure._smallest(lambda delta: False, 1e-9) is None
    assert measure._smallest(lambda delta: True, 1e-9) == 1e-9


def test_an_error_must_be_found_with_either_sign() -> None:
    """Catches a power that is that of the easier sign."""
    run = default_run(("lora-linear", "bfloat16", "widest"))
    assert run._both(lambda output, factor: "x", "output", 0.1)
    assert not run._both(lambda output, factor: "x" if factor > 1 else "", "output", 0.1)


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_the_table_has_every_output(contract: str) -> None:
    powers = [
        Power(contract, output, dtype, "widest", "exact", 0.5, "a:0", suspect, by)
        for output in CONTRACTS[contract].outputs
        for dtype, suspect, by in (("float32", 2e-7, "bias"), ("float16", None, ""))
    ]
    (sheet,) = sheets(powers)
    assert [row[0] for row in sheet.rows] == list(CONTRACTS[contract].outputs)
    assert sheet.rows[0][1:] == ("5.0e-01", "2.0e-07*", "5.0e-01", "-")
    assert contract in sheet.title


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, numbers = tmp_path / "power.md", tmp_path / "power.json"
    words = ["resolving-power", "--contract", "lora-linear", "--dtype", "float32"]
    words += ["--machine", "widest", "--markdown", str(table), "--json", str(numbers)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, None)
    assert table.read_text().startswith("```\nloracle resolving-power --contract lora-linear")
    powers = json.loads(numbers.read_text())
    assert {power["output"] for power in powers} == set(CONTRACTS["lora-linear"].outputs)
    for power in powers:
        assert 0 < power["suspect"] <= power["proven"] < 1e-4
        assert math.isfinite(power["proven"])
    assert "grad_lora_a" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["--dtype", "float8"], ["--contract", "nothing"], ["--machine", "abacus"], ["--seed", "-1"]],
)
def test_bad_words_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["resolving-power", *words])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.deep
@pytest.mark.parametrize("kernel", ["exact", "coarse"])
@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_something_is_found_in_every_output(contract: str, kernel: str) -> None:
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        model = machine_model("widest", dtype)
        for power in resolving_power(CONTRACTS[contract], model, kernel=kernel):
            assert power.proven is not None, power
            assert power.suspect is not None, power
            assert power.suspect <= power.proven < 0.5, power
