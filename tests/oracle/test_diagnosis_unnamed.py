"""What the diagnosis leaves without a name: what no class explains, in every failing case, with
enough numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from loracle import validate
from loracle.adapters.autograd import lora_linear
from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.diagnosis import Evidence, are_too_few, diagnose

from .core_cases import CONTRACT_NAMES, default_run, reference
from .planted import Array, failing, honest, names, result_transposed, times, with_offset


@pytest.mark.parametrize(
    ("dtype", "output"),
    [
        *(("float32", output) for output in ("output", "grad_lora_b", "grad_a", "grad_b_q")),
        ("bfloat16", "grad_lora_a"),
        ("bfloat16", "grad_b"),
    ],
)
def test_an_unrelated_error_has_no_name(output: str, dtype: str) -> None:
    """Random numbers of the right size, sorted entries, and the truth plus noise. Catches a
    diagnosis that always has an answer."""
    contract = next(c for c in CONTRACT_NAMES if output in CONTRACTS[c].outputs)

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
    contract = next(c for c in CONTRACT_NAMES if output in CONTRACTS[c].outputs)

    def mixed(case: Case, inputs: Inputs, output: str) -> Array:
        return honest(case, inputs, output) * (-1.0 if case.index % 2 else 3.0)

    found = diagnose(failing(contract, "float32", 0, output, mixed))
    assert all("with a factor for each case" in diagnosis.explanation for diagnosis in found)


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
    output["lora-mha"] = "grad_lora_a_q"
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


def test_one_case_that_says_little_has_no_name() -> None:
    """A single number that is near to a wrong truth; with as much in three cases it is named."""
    evidence = failing("lora-linear", "float32", 0, "grad_lora_a", times(lambda k: -1))
    small = [e for e in evidence if e.truth.size <= 2][:3]
    assert len(small) == 3
    assert names(small[:1]) == []
    assert are_too_few(small[:1])
    assert names(small) == ["wrong-sign"]
    assert not are_too_few(small)


def test_many_numbers_that_nothing_explains_are_not_called_few() -> None:
    """Random entries: in the report of many cases nothing explains them, in that of the smallest
    case alone there are too few numbers to say so."""

    def noisy(**call: Any) -> Any:
        results = lora_linear(**call)
        shape = results["grad_x"].shape
        noise = np.random.default_rng(sum(shape)).standard_normal(tuple(shape))
        return {**results, "grad_x": results["grad_x"] + torch.tensor(noise, dtype=torch.float32)}

    (many,) = validate(noisy, "lora-linear", regimes=["designed"]).findings
    assert (many.diagnosis, many.too_few_numbers) == ((), False)
    least = "designed:0@batch=1,length=1,in=1,out=1,r=1"
    (one,) = validate(noisy, "lora-linear", only_cases=[least]).findings
    assert (one.diagnosis, one.too_few_numbers) == ((), True)
