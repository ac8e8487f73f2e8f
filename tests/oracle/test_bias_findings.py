"""What a bias across cases is called: by its mistake, by one factor, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.corpus.catalogue import WRONG
from loracle.diagnosis import Evidence, diagnose_together
from loracle.judgement.bias import BiasTest
from loracle.judgement.bias_findings import Leaning
from loracle.judgement.findings import Collector
from loracle.judgement.reference import CaseReference
from loracle.observation import Observation
from loracle.report import Diagnosis, Finding
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import round_to_format

from .core_cases import default_run, reference
from .other_evaluations import in_torch
from .planted import Plant, on, times, with_scalars

Array = npt.NDArray[np.float64]


def measured(biases: Array, deviations: float = 1.0, legal: float = 0.0) -> BiasTest:
    cases = len(biases)
    return BiasTest(list(biases), [np.array([legal])] * cases, [deviations] * cases, [0.0] * cases)


@pytest.mark.parametrize("cases", [8, 12, 64])
def test_one_factor_is_seldom_taken_for_several(cases: int) -> None:
    """The stated one in a thousand, from scatter as wide as the null allows."""
    generator = np.random.default_rng(cases)
    several = sum(
        not measured(10 + generator.standard_normal(cases)).in_common()[1] for _ in range(2000)
    )
    assert several <= 6


def test_several_factors_are_not_one() -> None:
    even, apart = np.full(12, 5.0), np.where(np.arange(12) % 2, 1.0, 9.0)
    assert measured(even).in_common() == (5.0, True)
    # By a scatter beyond that of the null, and, where the null says nothing, beyond half the mean.
    assert measured(np.where(np.arange(12) % 2, 3.0, 7.0)).in_common() == (5.0, False)
    assert measured(apart, deviations=100.0).in_common() == (5.0, False)
    assert measured(np.where(np.arange(12) % 2, 3.0, 7.0), deviations=100.0).in_common()[1]
    # What legal evaluations lean by is no sign of several.
    assert measured(np.where(np.arange(12) % 2, 3.0, 7.0), legal=3.0).in_common()[1]


def test_the_bits_by_which_a_case_leans() -> None:
    inputs = Inputs({}, {})
    truth = np.ones(4)
    one = Evidence(CONTRACTS["aloragc"], inputs, "grad_a", truth + 0.25, truth, 0.5, "float32")
    assert one.lean(truth + 0.3125) == pytest.approx(4 * 2)
    assert one.lean(truth - 0.75) == pytest.approx(-4 * 2)
    assert one.lean(truth) == 0
    assert one.lean(one.computed) == 4 * 16
    assert one.lean(np.full(4, np.nan)) == -4 * 16
    assert replace(one, computed=truth).lean(truth + 1) == -4 * 16
    assert one.allows(truth - 0.45)
    assert not one.allows(truth - 0.55)


def leaning_on(cases: int, size: int) -> Leaning:
    case = default_run("lora-linear", "float32", 0)[1]
    known, leaning = reference(case), Leaning(CONTRACTS["lora-linear"], "output")
    ones = np.ones((1, size))
    known = replace(known, truth={"output": Enclosure(ones, 0 * ones, 0 * ones)})
    for index in range(cases):
        numbered = replace(known, case=replace(case, index=index))
        leaning.add(numbered, ones)
    return leaning


def test_at_most_64_cases_are_kept_and_they_are_spread_evenly() -> None:
    """Not the first ones, which would be of one regime; nor any of a large result."""
    for cases, every in ((64, 1), (65, 2), (128, 2), (300, 8)):
        kept = [one.case.index for one in leaning_on(cases, 8)._kept]
        assert kept == list(range(0, cases, every))
        assert len(kept) <= 64
    large = leaning_on(3, 1 << 15)
    assert (len(large._kept), len(large.test.biases)) == (0, 3)


def biased(contract: str, dtype: str, output: str, plant: Plant, *regimes: str) -> list[Finding]:
    """The findings of one output in a default run, or of some regimes."""
    run = Collector(CONTRACTS[contract], (output,), None, lambda case: "again")
    for case in default_run(contract, dtype, 0):
        if not regimes or case.regime in regimes:
            known: CaseReference = reference(case)
            computed = plant(case, known.inputs, output)
            run.add(known, Observation(outputs={output: computed}))
    return run.findings()


def of_corpus(name: str) -> Plant:
    entry = next(entry for entry in WRONG if entry.name == name)

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        return in_torch(entry.load(), case, inputs)[output]

    return plant


def names(finding: Finding) -> list[str]:
    return [diagnosis.hypothesis for diagnosis in finding.diagnosis]


@pytest.mark.parametrize("output", ["grad_a", "grad_b"])
def test_a_doubled_tail_is_no_constant_factor(output: str) -> None:
    """The last of ten or twelve keys twice: in bfloat16 no case shows it, all twelve do."""
    plant = of_corpus("aloragc-last-key-counted-twice")
    (finding,) = biased("aloragc", "bfloat16", output, plant, "averaging")
    assert (finding.across_cases, names(finding)) == (True, ["doubled-tail"])
    (diagnosis,) = finding.diagnosis
    assert "(over 12 cases, none of which shows it alone: " in diagnosis.explanation
    assert diagnosis.term == "alpha of Definition 3.3"


def test_a_stale_scale_is_no_constant_factor() -> None:
    """It is near to 1/sqrt(head_dim), and to that of the table that is the nearest."""
    plant = on(lambda inputs: with_scalars(inputs, softmax_scale=0.5))
    regimes = ("typical", "averaging", "layouts", "structured")
    (finding,) = biased("lora-mha", "bfloat16", "output", plant, *regimes)
    assert finding.across_cases
    assert {*names(finding)} in ({"wrong-softmax-scale"}, {"wrong-softmax-scale", "stale-scalar"})


@pytest.mark.parametrize(
    ("contract", "dtype", "output", "factor"),
    [
        ("lora-mha", "float16", "grad_x", 1.002),
        ("aloragc", "float16", "grad_b", 1.002),
        ("aloragc", "bfloat16", "grad_a", 1.015),
        ("lora-linear", "float32", "output", 1 + 2**-21),
    ],
)
def test_one_factor_is_called_one(contract: str, dtype: str, output: str, factor: float) -> None:
    """The right name nearest to those: no mistake of the table may take its place."""
    plant = times(lambda known: factor)
    (finding,) = biased(contract, dtype, output, plant, "averaging")
    assert (finding.across_cases, names(finding)) == (True, ["constant-factor"])
    assert "; other regimes may show more" in finding.reason
    delta = f"{factor:.3g}" if factor > 1.001 else "1 + 4.8e-07"
    assert f"times {delta}" in finding.diagnosis[0].explanation


def by_turns(factor: Callable[[int], float]) -> Plant:
    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        truth = reference(case).truth[output].mid
        return round_to_format(truth * factor(case.index), case.dtype)

    return plant


def test_what_is_neither_has_no_name() -> None:
    """A factor in every second case: one factor would be the wrong name for it."""
    plant = by_turns(lambda index: 1 + 2**-21 * (index % 2))
    (finding,) = biased("lora-linear", "float32", "output", plant, "averaging")
    assert (finding.across_cases, finding.diagnosis, finding.too_few_numbers) == (True, (), False)
    assert "; on average the true value times 1 + " in finding.reason
    assert ", but not by one factor; other regimes may show more" in finding.reason


def case_of(scale: float, noise: float, seed: int) -> Evidence:
    """aloragc, all of whose gradients are scale times the truth, with noise."""
    case = default_run("aloragc", "float32", 0)[seed]
    known = reference(case)
    truth = known.truth["grad_a"].mid
    error = np.random.default_rng(seed).standard_normal(truth.shape) * np.abs(truth).max()
    computed = scale * truth + noise * error
    slack = 4 * float(np.abs(computed - truth).max())
    contract = CONTRACTS["aloragc"]
    return Evidence(contract, known.inputs, "grad_a", computed, truth, slack, "float32")


@pytest.mark.parametrize(
    ("factor", "noise", "one", "expected"),
    [
        (1.0, 0.01, False, []),
        (1.0, 0.01, True, ["constant-factor"]),
        (1.01, 0.001, True, ["constant-factor"]),
        (0.5, 0.001, True, ["constant-factor"]),
        (-1.0, 0.001, False, []),
    ],
)
def test_a_mistake_must_be_better_than_one_factor(
    factor: float, noise: float, one: Literal[True, False], expected: list[str]
) -> None:
    """Noise within what each case allows, and multiples that have a name of their own, leave
    nothing to be named beyond the factor."""
    cases = [case_of(factor, noise, seed) for seed in range(3, 20)]
    answer = Diagnosis("constant-factor", "") if one else None
    found = diagnose_together(cases, factor, answer)
    assert [diagnosis.hypothesis for diagnosis in found] == expected
    assert diagnose_together([], factor, answer) == (() if answer is None else (answer,))


def test_a_bias_beside_a_named_mistake_says_so() -> None:
    """Two outputs: one has a name, the other leans unevenly."""
    outputs = ("output", "grad_lora_a")
    run = Collector(CONTRACTS["lora-linear"], outputs, None, lambda case: "again")
    uneven = by_turns(lambda index: 1 + 2**-21 * (index % 2))
    for case in default_run("lora-linear", "float32", 0):
        if case.regime != "averaging":
            continue
        known = reference(case)
        wrong: dict[str, Any] = {
            "grad_lora_a": -round_to_format(known.truth["grad_lora_a"].mid, "float32"),
            "output": uneven(case, known.inputs, "output"),
        }
        run.add(known, Observation(outputs=wrong))
    sign, bias = run.findings()
    assert (names(sign), names(bias)) == (["wrong-sign"], [])
    assert bias.reason.endswith("; it may come of the mistake that is named elsewhere")
