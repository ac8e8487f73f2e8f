"""Two mistakes at once in one output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.diagnosis import diagnose
from loracle.evaluation import bind_sizes
from loracle_reference.floating_point import round_to_format

from .planted import (
    Array,
    Plant,
    failing,
    names,
    on,
    per_scaling,
    times,
    with_tensors,
    without_correction,
)

P2_MISSING = "missing-softmax-correction"


def product(plant: Plant, factor: Callable[[dict[str, float]], float]) -> Plant:
    """Another mistake, and a factor on top of it."""

    def planted(case: Case, inputs: Inputs, output: str) -> Array:
        known = {**bind_sizes(CONTRACTS[case.contract], inputs), **inputs.scalars}
        return round_to_format(plant(case, inputs, output) * factor(known), case.dtype)

    return planted


def without_target(inputs: Inputs) -> Inputs:
    return with_tensors(inputs, y=np.zeros_like(inputs.tensors["y"]))


def without_tail(inputs: Inputs) -> Inputs:
    """Rows beyond the last whole block of 16, where there is one, do not count."""
    g = inputs.tensors["grad_output"]
    rows = g.shape[0] * g.shape[1]
    mask = (np.arange(rows) < (rows // 16 * 16 or rows)).reshape(*g.shape[:2], 1)
    return with_tensors(inputs, grad_output=g * mask)


TWO_AT_ONCE = [
    ("lora-linear", "grad_lora_b", product(on(without_tail), per_scaling), "dropped-tail"),
    ("lora-linear", "grad_lora_a", times(lambda k: -1 / k["scaling"]), "wrong-sign"),
    ("lora-attention", "grad_b_q", product(on(without_target), per_scaling), "target-ignored"),
    ("lora-attention", "grad_a_k", product(without_correction, per_scaling), P2_MISSING),
]


@pytest.mark.parametrize(("contract", "output", "plant", "other"), TWO_AT_ONCE)
def test_two_mistakes_at_once_are_both_named(
    contract: str, output: str, plant: Plant, other: str
) -> None:
    """Catches a search that stops at single mistakes, and one that names one of two."""
    evidence = failing(contract, "float32", 0, output, plant)
    found = diagnose(evidence)
    assert {d.hypothesis for d in found} - {"constant-factor"} == {"missing-scaling", other}
    by_name = {d.hypothesis: d.explanation for d in found}
    assert f"together with {other}" in by_name["missing-scaling"]
    assert "together with missing-scaling" in by_name[other]
    # Three cases are not enough for two free choices.
    assert not [d for d in diagnose(evidence[:3]) if "together" in d.explanation]


def test_a_mean_on_top_of_another_mistake_is_named_in_bfloat16() -> None:
    """The slack shrinks with the factor for both questions, whether the pair explains a case and
    whether the factor alone does: else a mean alone seems to, where the slack is wide."""

    def without_last_row(inputs: Inputs) -> Inputs:
        g = inputs.tensors["grad_output"].copy()
        g[-1, -1] = 0 if g.shape[0] * g.shape[1] > 1 else g[-1, -1]
        return with_tensors(inputs, grad_output=g)

    plant = product(on(without_last_row), lambda k: 1 / (k["batch"] * k["length"]))
    evidence = [
        replace(one, slack=0.3 * float(np.abs(one.truth).max()))
        for one in failing("lora-linear", "bfloat16", 0, "grad_lora_b", plant)
    ]
    assert set(names(evidence)) == {"dropped-tail", "mean-instead-of-sum"}


def test_two_mistakes_of_which_none_is_a_factor_have_no_name() -> None:
    """p2 missing and the target ignored: neither alone fits, and nothing else may be said."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        return without_correction(case, without_target(inputs), output)

    for output in ("grad_a", "grad_b"):
        assert names(failing("aloragc", "float32", 0, output, plant)) == []
