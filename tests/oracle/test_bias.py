"""The bias test: errors of one sign in all cases are seen, honest kernels and noise are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients
from loracle.judgement import bias
from loracle.judgement.bias import BiasTest
from loracle.judgement.calibration import Null
from loracle.judgement.verdicts import judge
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated
from loracle_reference.floating_point import FORMATS, round_to_format

from .core_cases import CONTRACT_NAMES, RUNS, default_run, reference
from .other_evaluations import honest_evaluations


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
    ("aloragc", "float32", ("grad_a", "grad_b"), 5),
    ("aloragc", "bfloat16", ("grad_a", "grad_b"), 4),
    ("lora-attention", "float32", tuple(CONTRACTS["lora-attention"].outputs)[:5], 8),
    ("lora-attention", "bfloat16", tuple(CONTRACTS["lora-attention"].outputs), 5),
    ("lora-mha", "bfloat16", tuple(CONTRACTS["lora-mha"].outputs), 4),
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
        assert 38 <= found.cases <= len(test.biases) or contract == "lora-linear"


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


def precise(cases: int, bias: float, *, scatter: float, allowed: float = 0.0) -> BiasTest:
    """A kernel that scatters by that share of what the null does, and so little that no single case
    tells."""
    generator, test = np.random.default_rng(0), BiasTest()
    for _ in range(cases):
        error = 1e-3 * (bias + scatter * float(generator.standard_normal()))
        legal = 1e-3 * generator.standard_normal(8)
        test.add(np.array([[1 + error]]), np.ones((1, 1)), Null(1.0, legal, 1e-3, 1e-3 * allowed))
    return test


def test_a_precise_kernel_is_held_to_its_own_scatter() -> None:
    """A bias of half the null's deviation, which is lost in the null, but not in what this kernel
    does; a kernel as coarse as the null is left alone, and so are few cases."""
    found = precise(60, 0.5, scatter=0.1).result()
    assert found is not None
    null, itself = precise(60, 0.5, scatter=0.1).measured()
    assert (null.share < 1, itself.share > 1) == (True, True)
    assert found == itself
    assert precise(60, 0.5, scatter=1.0).result() is None
    assert precise(30, 0.5, scatter=0.1).result() is None


def test_what_is_allowed_is_allowed_to_precise_kernels_too() -> None:
    assert precise(60, 0.5, scatter=0.1, allowed=0.45).result() is None
    assert precise(60, 0.5, scatter=0.0, allowed=0.5).result() is None
    assert precise(60, 0.5, scatter=0.01, allowed=0.2).result() is not None


@pytest.mark.parametrize("degrees", [1.0, 2.0, 5.0])
def test_no_symmetric_noise_is_a_bias_however_heavy_its_tails(degrees: float) -> None:
    """Student's t, Cauchy's among them: catches a threshold that holds for normal noise alone."""
    generator = np.random.default_rng(1)
    for _ in range(2000):
        noise = generator.standard_t(degrees, 48)
        found = bias._against_itself(noise, np.zeros((48, 1)), 0.0)
        assert found is not None
        assert found.share < 1


def test_a_bias_of_legal_evaluations_raises_the_threshold() -> None:
    legal = np.full((60, 1), 1.0) + np.random.default_rng(2).standard_normal((60, 1))
    kernel = 1.0 + 0.7 * np.random.default_rng(3).standard_normal(60)
    strict = bias._against_itself(kernel, np.zeros((60, 1)), 0.0)
    lenient = bias._against_itself(kernel, legal, 0.0)
    assert strict is not None
    assert lenient is not None
    assert strict.z == lenient.z
    assert lenient.threshold > strict.threshold + 10
