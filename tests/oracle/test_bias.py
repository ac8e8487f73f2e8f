"""The bias test: errors of one sign in all cases are seen, honest kernels and noise are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients
from loracle.judgement.bias import BiasTest
from loracle.judgement.calibration import Null
from loracle.judgement.verdicts import judge
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated
from loracle_reference.floating_point import FORMATS, round_to_format

from .core_cases import CONTRACT_NAMES, DTYPES, default_run, reference
from .other_evaluations import honest_evaluations

RUNS = [(contract, dtype) for contract in CONTRACT_NAMES for dtype in DTYPES]


def flagged(contract: str, dtype: str, seed: int) -> list[str]:
    """Outputs of honest kernels in whose errors the test sees a bias."""
    tests: dict[tuple[str, str], BiasTest] = {}
    for case in default_run(contract, dtype, seed):
        known = reference(case)
        for name, evaluation in honest_evaluations(case, known.inputs).items():
            for output, computed in evaluation.items():
                test = tests.setdefault((name, output), BiasTest())
                test.add(computed, known.truth[output].mid, known.null[output])
    assert all(len(test.biases) >= 8 for test in tests.values())
    return [f"{key} {test.result()}" for key, test in tests.items() if test.result()]


@pytest.mark.parametrize(("contract", "dtype"), RUNS)
def test_honest_kernels_are_unbiased(contract: str, dtype: str) -> None:
    assert not flagged(contract, dtype, seed=0)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 105))
@pytest.mark.parametrize(("contract", "dtype"), RUNS)
def test_honest_kernels_are_unbiased_with_many_seeds(contract: str, dtype: str, seed: int) -> None:
    assert not flagged(contract, dtype, seed)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_the_ensemble_is_unbiased(contract: str, strategy: object) -> None:
    """In bfloat16, where sums kept in storage stagnate: catches a threshold that forgets it."""
    tests = {output: BiasTest() for output in CONTRACTS[contract].outputs}
    simulated = Simulated("bfloat16", strategy)  # type: ignore[arg-type]
    for case in default_run(contract, "bfloat16", 0):
        known = reference(case)
        results = gradients(CONTRACTS[contract], known.inputs, simulated)
        for output, test in tests.items():
            truth = known.truth[output].mid
            test.add(
                simulated.array(results[output]).reshape(truth.shape), truth, known.null[output]
            )
    assert not [output for output, test in tests.items() if test.result()]


DEVIATIONS = [
    ("lora-linear", "float32", ("grad_lora_a", "grad_lora_b"), 4),
    ("lora-linear", "bfloat16", ("grad_lora_a", "grad_lora_b"), 2),
    ("aloragc", "float32", ("grad_a", "grad_b"), 32),
    ("aloragc", "bfloat16", ("grad_a", "grad_b"), 16),
    ("lora-attention", "float32", tuple(CONTRACTS["lora-attention"].outputs)[:5], 20),
    ("lora-attention", "bfloat16", tuple(CONTRACTS["lora-attention"].outputs), 16),
]
"""Contract, dtype, outputs, and the deviation in units of roundoff."""


@pytest.mark.parametrize(("contract", "dtype", "outputs", "units"), DEVIATIONS)
def test_a_bias_that_no_single_case_shows(
    contract: str, dtype: str, outputs: tuple[str, ...], units: int
) -> None:
    """An honest kernel times 1 + delta: within the tolerance of every case, biased over all, and
    the mean says by how much."""
    delta = units * FORMATS[dtype].unit_roundoff
    tests = {output: BiasTest() for output in outputs}
    for case in default_run(contract, dtype, 0):
        known = reference(case)
        honest = honest_evaluations(case, known.inputs)["autograd"]
        for output, test in tests.items():
            wrong = round_to_format(honest[output] * (1 + delta), dtype)
            truth, null = known.truth[output], known.null[output]
            judgement = judge(wrong, truth, known.proven[output], null.tolerance)
            assert judgement.verdict in ("pass", "no_evidence"), judgement
            test.add(wrong, truth.mid, null)
    for output, test in tests.items():
        found = test.result()
        assert found is not None, output
        assert found.z > found.threshold
        assert found.bias == pytest.approx(delta, rel=0.5)
        assert found.cases == len(test.biases)


def synthetic(
    cases: int, bias: float, *, legal: float = 0.0, noise: float = 1.0, seed: int = 0
) -> BiasTest:
    """Cases of truth 1 whose errors have mean `bias` and deviation `noise`, in units of what Monte
    Carlo arithmetic gives; one legal strategy is biased by `legal`."""
    generator = np.random.default_rng(seed)
    test = BiasTest()
    for _ in range(cases):
        deviation = 1e-6 * float(generator.uniform(0.5, 2))
        error = deviation * (bias + noise * float(generator.standard_normal()))
        null = Null(1.0, np.array([deviation * legal, 0.0]), deviation)
        test.add(np.array([[1 + error]]), np.ones((1, 1)), null)
    return test


def test_noise_is_no_bias() -> None:
    """The rate of false alarms is at most 1e-6: none in 800 runs of 40 cases."""
    assert not any(synthetic(40, 0.0, seed=seed).result() for seed in range(800))


def test_a_constant_error_of_two_deviations_is_seen() -> None:
    """Either sign; catches a one-sided test."""
    for sign in (1, -1):
        found = synthetic(40, 2.0 * sign).result()
        assert found is not None
        assert found.bias * sign > 0


def test_a_bias_that_legal_evaluations_have_is_allowed() -> None:
    """Up to twice theirs; beyond, it is not."""
    assert synthetic(40, 2.0, legal=2.0).result() is None
    assert synthetic(40, 8.0, legal=2.0).result() is not None


def test_few_cases_prove_nothing() -> None:
    assert synthetic(7, 100.0).result() is None
    assert synthetic(8, 100.0).result() is not None
    assert BiasTest().result() is None


@pytest.mark.parametrize(
    ("computed", "truth", "null"),
    [
        (1.0, 0.0, Null(1.0, np.zeros(2), 1e-6)),
        (math.nan, 1.0, Null(1.0, np.zeros(2), 1e-6)),
        (math.inf, 1.0, Null(1.0, np.zeros(2), 1e-6)),
        (1.7e308, 100.0, Null(1.0, np.zeros(2), 1e-6)),
        (2.0, 1.0, Null(math.inf, np.array([math.nan]), 1e-6)),
        (2.0, 1.0, Null(math.inf, np.zeros(2), math.nan)),
        (2.0, 1.0, Null(math.inf, np.zeros(2), math.inf)),
        (2.0, 1.0, Null(1.0, np.zeros(2), 0.0)),
    ],
    ids=[
        "zero truth",
        "nan",
        "inf",
        "overflow",
        "strategy overflows",
        "no sigma",
        "inf sigma",
        "no noise",
    ],
)
def test_cases_without_a_null_do_not_count(computed: float, truth: float, null: Null) -> None:
    """Catches a division by zero, or one NaN that hides all biases."""
    test = synthetic(20, 100.0)
    before = test.result()
    test.add(np.array([[computed]]), np.array([[truth]]), null)
    assert test.result() == before
    assert before is not None
