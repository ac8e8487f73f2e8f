"""What only one regime reveals: for each a kernel that no other case of a default run catches."""

from __future__ import annotations

from typing import Any

import pytest

import loracle
from loracle.adapters import autograd
from loracle.contracts import CONTRACTS
from loracle.corpus import closed_form
from loracle.generation import REGIMES, regimes_of
from loracle.report import Finding, Report

from .core_cases import default_run
from .regime_mutants import MUTANTS, Mutant
from .validated import LINEAR, Outputs, validate

ON_REQUEST = ("two-dimensional", "four-dimensional")

KEPT = {"designed", "averaging", "sub-threshold", "threshold", "super-threshold"}
"""Regimes that are there for how much they prove (`designed`) or suspect (`averaging`), and for
what the paper says."""


def _told(report: Report) -> str:
    found = [(f.verdict, f.case, f.output, f.error, f.tolerance) for f in report.findings]
    return f"{report.verdict} {report.reason} {found}"


def caught(mutant: Mutant) -> set[str]:
    """The cases of a default run in which the mutant has a finding."""
    run = default_run(mutant.contract, mutant.dtype, 0)
    found = set()

    def on_progress(done: int, total: int, regime: str, worst: str, latest: Finding | None) -> None:
        if latest is not None:
            found.add(run[done - 1].key)

    kernel, contract, dtype = mutant.kernel, mutant.contract, mutant.dtype
    report = validate(kernel, contract=contract, dtype=dtype, on_progress=on_progress)
    assert report.cases == len(run)
    assert report.verdict == ("fail" if found else "pass"), _told(report)
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_that_no_other_case_catches(mutant: Mutant) -> None:
    """By the cases of one regime that are named, and by each of them; by some of it if none is."""
    found = caught(mutant)
    if mutant.cases:
        assert found == {f"{mutant.regime}:{index}" for index in mutant.cases}
    assert {key.partition(":")[0] for key in found} == {mutant.regime}


def test_the_others_let_it_pass() -> None:
    """The same with the others alone: no test across cases sees it either."""
    mutant = next(m for m in MUTANTS if m.regime == "layouts")
    others = [regime for regime in regimes_of(LINEAR) if regime != "layouts"]
    assert validate(mutant.kernel, regimes=others).verdict == "pass"
    assert validate(mutant.kernel, regimes=["layouts"]).verdict == "fail"


def test_every_regime_reveals_something() -> None:
    """A regime without a mutant of its own costs time and reveals nothing."""
    for name, contract in CONTRACTS.items():
        assert set(regimes_of(contract)) - KEPT <= {m.regime for m in MUTANTS}, name


def right_for_three_axes(**call: Any) -> Outputs:
    """Makes rows of the first two axes, whatever there is besides."""
    return closed_form.lora_linear(call)  # type: ignore[arg-type]


def test_what_a_default_run_does_not_ask_for() -> None:
    """Catches outputs of three axes asked for where the inputs have another number."""
    assert validate(right_for_three_axes, cases=2).verdict == "pass"
    for regime in ON_REQUEST:
        assert validate(right_for_three_axes, regimes=[regime], cases=3).verdict == "fail"
    report = validate(autograd.lora_linear, regimes=ON_REQUEST)
    assert report.verdict == "pass", _told(report)


def test_on_request_is_not_by_default() -> None:
    assert {name for name, regime in REGIMES.items() if regime.on_request} == set(ON_REQUEST)
    assert not set(ON_REQUEST) & set(regimes_of(LINEAR))
    assert set(regimes_of(LINEAR)) | set(ON_REQUEST) == set(regimes_of(LINEAR, on_request=True))
    report = validate(autograd.lora_linear, cases=1, regimes=None)
    assert set(report.regimes) == set(regimes_of(LINEAR))


def test_a_kernel_declares_that_it_needs_a_contiguous_gradient() -> None:
    @loracle.declare(unsupported=["layouts"])
    def kernel(**call: Any) -> Outputs:
        assert call["grad_output"].is_contiguous()
        return autograd.lora_linear(**call)

    report = validate(kernel, cases=2)
    assert report.verdict == "pass"
    assert [entry["what"] for entry in report.skipped] == ["layouts"]
