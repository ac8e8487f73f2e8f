"""What the diagnosis names, what it does not name, and what it says of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.diagnosis import Evidence, diagnose

from .core_cases import CONTRACT_NAMES, default_run, reference
from .planted import failing, honest, names, result_transposed, times, with_offset

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize("output", ["output", "grad_lora_b", "grad_a", "grad_b_q", "grad_a_v"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_unrelated_error_has_no_name(output: str, dtype: str) -> None:
    """Random numbers of the right size, sorted entries, and the truth plus noise. Catches a
    diagnosis that always has an answer."""
    (contract,) = [c for c in CONTRACT_NAMES if output in CONTRACTS[c].outputs]

    def random(case: Case, inputs: Inputs, output: str) -> Array:
        result = honest(case, inputs, output)
        generator = np.random.default_rng(case.index)
        return np.asarray(generator.standard_normal(result.shape) * (np.abs(result).max() + 1))

    def sorted_entries(case: Case, inputs: Inputs, output: str) -> Array:
        result = honest(case, inputs, output)
        return np.sort(result, axis=None).reshape(result.shape)

    def noisy(case: Case, inputs: Inputs, output: str) -> Array:
        result = honest(case, inputs, output)
        generator = np.random.default_rng(case.index)
        noise = generator.standard_normal(result.shape) * np.abs(result).max()
        return np.asarray(result + 0.5 * noise)

    for plant in (random, sorted_entries, noisy):
        evidence = failing(contract, dtype, 0, output, plant)
        assert len(evidence) >= 8
        assert names(evidence) == []


@pytest.mark.parametrize("output", ["grad_lora_b", "grad_a", "grad_b_q"])
def test_a_bug_in_half_of_the_cases_is_not_explained_by_one_case(output: str) -> None:
    """A hypothesis that explains some failing cases and not the others is no explanation."""
    (contract,) = [c for c in CONTRACT_NAMES if output in CONTRACTS[c].outputs]

    def mixed(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, inputs, output) * (-1.0 if case.index % 2 else 3.0)

    found = diagnose(failing(contract, "float32", 0, output, mixed))
    assert all("a factor that varies" in diagnosis.explanation for diagnosis in found)


def test_a_class_that_applies_to_few_cases_leaves_the_others_unexplained() -> None:
    """Transposed where the result is square, which is rare, and something else where it is not."""

    def is_square(evidence: Evidence) -> bool:
        return evidence.truth.shape == evidence.truth.T.shape

    transposed = failing("aloragc", "float32", 0, "grad_b", result_transposed)
    other = failing("aloragc", "float32", 0, "grad_b", with_offset)
    few = [e for e in transposed if is_square(e)][:3]
    many = [e for e in other if not is_square(e)][:9]
    assert (len(few), len(many)) == (3, 9)
    assert names(few) == ["transposed"]
    assert names(many) == []
    assert names(few + many) == []


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


def test_nothing_to_explain() -> None:
    assert diagnose([]) == ()
    (one, *_) = failing("lora-linear", "float32", 0, "output", times(lambda k: 2))
    assert names([replace(one, computed=np.full_like(one.computed, np.nan))]) == []
    assert names([replace(one, slack=math.inf)]) == []


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_a_zero_truth_is_not_near_to_everything(contract: str) -> None:
    """Noise where the truth is exactly zero: a single key, whose softmax has no gradient, or
    B = 0. Catches a slack that grows without limit with the hypothesis (p1 is not zero there)."""
    output = {"lora-linear": "grad_lora_a", "aloragc": "grad_b", "lora-attention": "grad_b_q"}
    evidence = []
    for case in default_run(contract, "float32", 0):
        known, name = reference(case), output[contract]
        truth = known.truth[name].mid
        if truth.any() or truth.size < 3:
            continue
        noise = np.random.default_rng(case.index).standard_normal(truth.shape)
        slack = min(known.null[name].tolerance, float(known.proven[name].bound.max()))
        evidence.append(
            Evidence(
                CONTRACTS[contract], known.inputs, name, noise, truth, max(slack, 1e-9), "float32"
            )
        )
    assert evidence
    assert names(evidence) == []


def test_closeness_is_measured_in_slack() -> None:
    """One and a half units of rounding are allowed to a hypothesis, three are not."""
    (one, *_) = failing("lora-linear", "float32", 0, "output", times(lambda k: 2))
    for units, explained in ((0.0, True), (1.4, True), (3.0, False)):
        moved = replace(one, computed=2 * one.truth + 2 * units * one.slack)
        assert moved.explained_by(2 * one.truth) is explained
    assert one.clarity() > 100
    # Where the truth has cancelled to almost nothing, the slack is that of the terms: a result that
    # is nearer to the hypothesis, but far from it in such units, is not explained.
    ones = np.ones_like(one.truth)
    cancelled = replace(one, truth=ones * 1e-20, computed=ones * 0.7, slack=1e-7)
    assert not cancelled.explained_by(ones)
    assert replace(cancelled, computed=ones * (1 - 1e-7)).explained_by(ones)
    assert not one.explained_by(one.truth)
