"""What the diagnosis says of the class that it names: factors, cases, the next best, the term."""

from __future__ import annotations

import re

import pytest

from loracle.cases import Case, Inputs
from loracle.diagnosis import Evidence, diagnose
from loracle.diagnosis.hypotheses import table_of
from loracle.diagnosis.matching import Match, said

from .planted import Array, failing, honest, names, per_scaling, times, with_scalars


def test_factors_that_are_nearly_one_are_told_as_one_with_its_range() -> None:
    def nearly(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, inputs, output) * (1.05 + 0.002 * case.index)

    (found,) = diagnose(failing("lora-linear", "float32", 0, "grad_lora_b", nearly))
    assert found.hypothesis == "constant-factor"
    assert "the true value times 1.05 to 1.06, by case" in found.explanation


def test_two_outputs_are_diagnosed_by_themselves() -> None:
    doubled = failing("lora-linear", "float32", 0, "grad_lora_a", times(lambda k: 2))
    flipped = failing("lora-linear", "float32", 0, "grad_lora_b", times(lambda k: -1))
    assert names(doubled) == ["factor-two", "constant-factor"]
    assert names(flipped) == ["wrong-sign"]


def test_the_factor_is_told() -> None:
    """The explanations carry the numbers and the output's name."""
    (fitted,) = diagnose(failing("aloragc", "float32", 0, "grad_b", times(lambda k: 1.375)))
    assert "grad_b" in fitted.explanation
    assert "1.375" in fitted.explanation
    (by_rank,) = diagnose(failing("aloragc", "float32", 0, "grad_b", times(lambda k: 1 / k["r"])))
    assert "1/r" in by_rank.explanation
    first = diagnose(
        failing("lora-attention", "float32", 0, "grad_a_q", times(lambda k: 1 / k["beta"]))
    )[0]
    assert "1 in place of beta, in the backward pass alone" in first.explanation


def test_the_evidence_is_told() -> None:
    found = diagnose(failing("lora-linear", "float32", 0, "grad_lora_b", times(per_scaling)))
    text = found[0].explanation
    assert re.search(r"explains (\d+) of \1 failing cases, to 0\.\d+ of what rounding", text)
    assert re.search(r"next best [\w-]+, in \d+\)$", text)
    assert found[0].term == "s of dB = s G^T (X A^T)"


def test_what_explains_all_cases_as_well_is_no_next_best() -> None:
    """Where the scaling is 3/2, r = 1 tells alpha from alpha / r by nothing: both are named."""

    def one_scaling(evidence: list[Evidence]) -> list[Evidence]:
        return [e for e in evidence if e.inputs.scalars["scaling"] == 1.25]

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, with_scalars(inputs, scaling=1.5), output)

    evidence = one_scaling(failing("lora-linear", "float32", 0, "grad_lora_a", plant))
    assert len(evidence) >= 4
    (stale, factor) = diagnose(evidence)
    assert (stale.hypothesis, factor.hypothesis) == ("stale-scalar", "constant-factor")
    assert "1.2" in factor.explanation


@pytest.mark.parametrize(
    ("closeness", "how"),
    [
        (1.5, "to 1.5 of what rounding allows"),
        (1.1e4, "to a few roundings of the larger numbers that it gives"),
    ],
)
def test_a_mistake_that_dwarfs_the_truth_is_not_measured_by_it(closeness: float, how: str) -> None:
    """Eleven thousand times what rounding does to the truth would read as no explanation."""
    found = Match(table_of("lora-mha").mistakes[0], 4, 5, closeness)
    assert said(found, "finite failing", "") == f" (explains 4 of 5 finite failing cases, {how})"
