"""The classes that a whole validation names: by the number of batch axes, and past an overflow."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from loracle import validate
from loracle.adapters.autograd import lora_linear
from loracle.corpus.wrong.lora_attention_terms import scaling_is_alpha


@pytest.mark.parametrize("regime", ["two-dimensional", "four-dimensional"])
def test_any_number_of_batch_axes_is_diagnosed(regime: str) -> None:
    def without_scaling(**call: Any) -> dict[str, torch.Tensor]:
        return lora_linear(**call | {"scaling": 1.0})

    report = validate(without_scaling, "lora-linear", regimes=[regime], cases=3)
    found = {f.output: f.diagnosis[0].hypothesis for f in report.findings if f.diagnosis}
    assert found["grad_lora_b"] == "missing-scaling"


def test_an_overflow_is_not_blamed_on_the_maximum_where_a_larger_mistake_shows() -> None:
    """alpha for alpha / r makes scores that leave float16, as those of a kernel do that does not
    subtract the maximum; but such a kernel is right where its results are finite."""
    report = validate(
        scaling_is_alpha, "lora-attention", dtype="float16", regimes=["designed", "extreme"]
    )
    named = [d.hypothesis for finding in report.findings for d in finding.diagnosis]
    assert "non-finite" in named
    assert "wrong-scaling" in named
    assert "no-max-subtraction" not in named
    # Those that overflow are counted apart, so that the numbers of cases add up.
    told = [d.explanation for finding in report.findings for d in finding.diagnosis]
    assert any(re.search(r"explains \d+ of \d+ finite failing", text) for text in told)
