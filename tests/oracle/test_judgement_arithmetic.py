"""The numbers of the bias test and of the null, against their formulas written out once more."""

from __future__ import annotations

import math
import warnings
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loracle.cases import Inputs
from loracle.contracts import CONTRACTS, Contract
from loracle.evaluation import gradients, rows
from loracle.generation import generate
from loracle.judgement import calibration
from loracle.judgement.bias import BiasTest, FoundBias, _against_itself, _student
from loracle.judgement.calibration import Null, _null, _of_format, calibrate
from loracle.judgement.distributed import Distributed
from loracle.judgement.truth import enclose
from loracle_reference.arithmetic.simulated import Simulated, strategies_of
from loracle_reference.arithmetic.stochastic import Stochastic
from loracle_reference.enclosure import Enclosure
from loracle_reference.floating_point import MachineModel, machine_model

from .core_cases import a_case

T_BIAS = math.sqrt(2 * math.log(2 * 32 / 0.5e-6))
"""32 tests, half of a probability of 1e-6."""

T_CASES = math.sqrt(2 * math.log(2 * 100_000 / 0.5e-6))
SIGMA = 1.36
ALLOWED = (0.0, 0.02, 0.125, 0.05)


def drawn(cases: int, seed: int = 0) -> BiasTest:
    """Cases with a bias, a deviation and legal evaluations of their own."""
    generator, test = np.random.default_rng(seed), BiasTest()
    for number in range(cases):
        truth = generator.uniform(-2, 2, (2, 3))
        error = truth * generator.uniform(0.2, 0.6) + 0.1 * generator.standard_normal((2, 3))
        null = Null(
            1.0,
            generator.uniform(-0.4, 0.3, 3) + np.array([0.1, -0.3, 0.0]),
            float(generator.uniform(0.1, 0.2)),
            ALLOWED[number % len(ALLOWED)],
        )
        test.add(truth + error, truth, null)
        expected = (error * truth).sum() / (truth * truth).sum()
        assert test.biases[-1] == pytest.approx(expected, rel=1e-9)
        assert test.allowed[-1] == null.allowed_bias
        assert test.deviations[-1] == null.bias_deviation
    return test


def student(biases: list[float], allowed: float) -> float:
    mean = sum(biases) / len(biases)
    if abs(mean) <= allowed:
        return 0.0
    rest = [b - math.copysign(allowed, mean) for b in biases]
    t = abs(sum(rest)) / math.sqrt(sum(r * r for r in rest))
    return t / math.sqrt(1 - t * t / len(rest))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("cases", [8, 37, 38, 60])
def test_both_statistics_are_what_their_formulas_say(cases: int, sign: int) -> None:
    """Of signed biases, with what is allowed. The second one needs more cases than t squared."""
    test = drawn(cases)
    test.biases = [sign * b for b in test.biases]
    weights, allowed = [], max(ALLOWED)
    for deviation, legal in zip(test.deviations, test.legal, strict=True):
        weights.append(1 / (deviation**2 + max(b * b for b in legal)))
    spread = math.sqrt(sum((w * s) ** 2 for w, s in zip(weights, test.deviations, strict=True)))
    free = allowed * sum(weights)

    def z(biases: list[float]) -> float:
        weighted = sum(w * b for w, b in zip(weights, biases, strict=True))
        return max(abs(weighted) - free, 0) / spread

    columns = [[float(legal[s]) for legal in test.legal] for s in range(3)]
    null, *itself = test.measured()
    assert null.z == pytest.approx(z(test.biases), rel=1e-9)
    assert null.threshold == pytest.approx(T_BIAS + 2 * max(map(z, columns)), rel=1e-9)
    mean = sum(w * b for w, b in zip(weights, test.biases, strict=True)) / sum(weights)
    assert null.bias == pytest.approx(mean, rel=1e-9)
    assert null.cases == cases
    assert null.share == null.z / null.threshold
    assert len(itself) == (cases > 37.4)
    for found in itself:
        assert found.z == pytest.approx(student(test.biases, allowed), rel=1e-9)
        legal = max(student(column, allowed) for column in columns)
        least = T_BIAS / math.sqrt(1 - T_BIAS**2 / cases)
        assert legal > 1
        assert found.threshold == pytest.approx(least + 2 * legal, rel=1e-9)
        assert found.bias == pytest.approx(sum(test.biases) / cases, rel=1e-9)
        assert found.cases == cases


def test_what_is_allowed_counts_for_legal_evaluations_too() -> None:
    """A threshold is never below t: catches what is left to every kernel taken off it."""
    test = drawn(40)
    test.legal = [np.zeros(3)] * 40
    null, itself = test.measured()
    assert null.threshold == pytest.approx(T_BIAS)
    assert itself.threshold == pytest.approx(T_BIAS / math.sqrt(1 - T_BIAS**2 / 40))
    # Within what is allowed neither sees anything.
    test.biases = [0.99 * max(ALLOWED)] * 40
    assert [found.z for found in test.measured()] == [0, 0]


def test_the_second_statistic_leaves_out_cases_whose_null_is_far_wider() -> None:
    """More than eight times the median; a bias that counts for little in the first would count in
    full there."""
    for deviation, left in ((2.0, 60), (2.01, 59)):
        test = BiasTest()
        for number in range(60):
            scale = deviation if number == 7 else 0.25
            error = 0.5 + 0.1 * (-1) ** number if number != 7 else 100.0
            null = Null(1.0, np.zeros(2), scale)
            test.add(np.array([[1 + error]]), np.ones((1, 1)), null)
        first, second = test.measured()
        assert (first.cases, second.cases) == (60, left)
        assert (second.bias > 1) == (left == 60)


def test_the_width_of_a_null_is_that_of_its_worst_strategy() -> None:
    for legal, left in ((3.0, 60), (9.0, 59)):
        test = BiasTest()
        for number in range(60):
            biases = np.array([0.0, -legal if number == 3 else 0.0])
            test.add(np.array([[1.1]]), np.ones((1, 1)), Null(1.0, biases, 1.0))
        assert test.measured()[1].cases == left


def test_biases_that_are_all_one_number_have_a_finite_z() -> None:
    assert _student(np.full(4, -0.5), 0.5) == 0.0
    assert _student(np.full(4, 0.5), 0.25) == pytest.approx(math.sqrt(4 * (2.0**40 - 1)))
    found = _against_itself(np.full(40, -0.5), np.zeros((40, 2)), 0.25)
    assert found is not None
    assert found.z == pytest.approx(math.sqrt(40 * (2.0**40 - 1)))
    assert found.bias == -0.5


def test_the_worst_of_what_is_beyond_its_threshold_is_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[FoundBias] = []
    monkeypatch.setattr(BiasTest, "measured", lambda self: measured)
    assert BiasTest().result() is None
    measured[:] = [FoundBias(0.1, 5.0, 5.0, 9)]
    assert BiasTest().result() is None
    less, most = FoundBias(0.3, 50.0, 20.0, 9), FoundBias(0.2, 11.0, 4.0, 8)
    for measured[:] in ([less, most], [most, less]):
        assert BiasTest().result() is most


def test_a_truth_whose_square_vanishes_does_not_count() -> None:
    """And says nothing of a division by zero."""
    test = BiasTest()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test.add(np.ones((1, 1)), np.full((1, 1), 1e-200), Null(1.0, np.zeros(2), 1e-6))
        test.add(np.full((1, 1), 1e300), np.full((1, 1), 1e9), Null(1.0, np.zeros(2), 1e-6))
        test.add(np.full((1, 1), np.inf), np.zeros((1, 1)), Null(1.0, np.zeros(2), 1e-6))
        test.add(np.array([[np.inf, -np.inf]]), np.ones((1, 2)), Null(1.0, np.zeros(2), 1e-6))
    assert not test.biases
    assert not test.legal
    assert not test.deviations
    assert not test.allowed


def test_a_case_says_whether_it_counts() -> None:
    test, one = BiasTest(), np.ones((1, 1))
    assert test.add(one * 1.5, one, Null(1.0, np.zeros(2), 1e-6)) is True
    for computed, truth, null in (
        (one, 0 * one, Null(1.0, np.zeros(2), 1e-6)),
        (one, one, Null(1.0, np.zeros(2), math.inf)),
        (one * math.inf, one, Null(1.0, np.zeros(2), 1e-6)),
    ):
        assert test.add(computed, truth, null) is False
    assert test.biases == [0.5]


def two_halves(away: float, deviation: float, mean: float = 1000.0) -> BiasTest:
    """Twelve cases, half of them above the mean and half below."""
    biases = [mean + away * (-1) ** number for number in range(12)]
    return BiasTest(biases, [np.zeros(2)] * 12, [deviation] * 12, [0.0] * 12)


def test_one_factor_has_the_scatter_that_chi_squared_may_have() -> None:
    """At most n - 1 + 2 sqrt((n - 1) x) + 2 x, x = log 1000, in units of the null's variance."""
    x = math.log(1000)
    limit = math.sqrt((11 + 2 * math.sqrt(11 * x) + 2 * x) / 12)
    for deviation in (1.0, 3.0):
        mean, is_one = two_halves(limit * deviation * (1 - 1e-9), deviation).in_common()
        assert (mean, is_one) == (pytest.approx(1000), True)
        assert not two_halves(limit * deviation * (1 + 1e-9), deviation).in_common()[1]


@pytest.mark.parametrize("sign", [1, -1])
def test_one_factor_scatters_by_half_of_itself_at_most(sign: int) -> None:
    """However wide the null is."""
    assert two_halves(2.0, 1e6, sign * 4.0).in_common() == (sign * 4.0, True)
    assert two_halves(2.0 * (1 + 1e-9), 1e6, sign * 4.0).in_common() == (sign * 4.0, False)


def test_the_mean_and_its_scatter_are_weighted_as_the_test_is() -> None:
    """By 1 / (s^2 + l^2) with the largest l, here of cases that are more and less certain."""
    test = drawn(30)
    test.deviations = [100 * deviation for deviation in test.deviations]
    pairs = zip(test.deviations, test.legal, strict=True)
    weights = np.array([1 / (s * s + max(b * b for b in legal)) for s, legal in pairs])
    mean = (weights * test.biases).sum() / weights.sum()
    scatter = math.sqrt((weights * (test.biases - mean) ** 2).sum() / weights.sum())
    assert test.in_common()[0] == pytest.approx(mean, rel=1e-12)
    for sign in (1, -1):
        for times, is_one in ((2 * (1 + 1e-9), True), (2 * (1 - 1e-9), False)):
            moved = replace(test, biases=[b - mean + sign * times * scatter for b in test.biases])
            assert moved.in_common() == (pytest.approx(sign * times * scatter), is_one)


def arrays(seed: int = 0) -> tuple[Any, Any, Any]:
    """Truth (2, 3), four strategies, two softmaxes of five samples."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(-2, 2, (2, 3))
    legal = truth + generator.standard_normal((4, 2, 3)) * 0.5
    sampled = (
        truth + generator.standard_normal((2, 5, 2, 3)) * np.array([0.1, 0.3])[:, None, None, None]
    )
    return truth, legal, sampled


def test_a_null_is_what_its_formulas_say() -> None:
    """3/2 of the largest legal error and t sigma, of the worse softmax and the worst element; the
    biases along the truth."""
    truth, legal, sampled = arrays()
    null = _null(truth, legal, sampled, 0.25)
    errors = [sampled[s] - truth for s in range(2)]
    sigma = max(
        math.sqrt((e[:, i, j] ** 2).sum() / 5) for e in errors for i in range(2) for j in range(3)
    )
    envelope = max(abs(legal[k] - truth).max() for k in range(4))
    assert null.systematic == pytest.approx(1.5 * envelope, rel=1e-12)
    assert null.tolerance == pytest.approx(1.5 * envelope + T_CASES * SIGMA * sigma, rel=1e-12)
    norm = (truth**2).sum()
    for k in range(4):
        assert null.biases[k] == pytest.approx(((legal[k] - truth) * truth).sum() / norm)
    spreads = [
        math.sqrt(sum(((e[n] * truth).sum() / norm) ** 2 for n in range(5)) / 5) for e in errors
    ]
    assert null.bias_deviation == pytest.approx(SIGMA * max(spreads), rel=1e-12)
    assert null.allowed_bias == 0.25


def test_a_null_of_zeros_and_of_what_overflows() -> None:
    """A zero truth has no bias; where an evaluation is not finite every error is tolerated."""
    truth, legal, sampled = arrays()
    zero = _null(0 * truth, legal, sampled, 0.0)
    assert not zero.biases.any()
    assert zero.bias_deviation == 0
    assert 0 < zero.systematic < zero.tolerance < math.inf
    for value in (math.inf, math.nan):
        broken = legal.copy()
        broken[1, 0, 2] = value
        null = _null(truth, broken, sampled, 0.0)
        assert null.systematic == null.tolerance == math.inf
        broken = sampled.copy()
        broken[1, 3, 0, 2] = value
        null = _null(truth, legal, broken, 0.0)
        assert null.systematic < null.tolerance == math.inf


def legal_evaluations(known: Contract, inputs: Inputs, model: MachineModel) -> list[dict[str, Any]]:
    """Every strategy's, output by output."""
    legal = []
    for strategy in strategies_of(model):
        simulated = Simulated(model.storage.name, strategy, model)
        results = gradients(known, inputs, simulated)
        legal.append({name: simulated.array(matrix) for name, matrix in results.items()})
    return legal


@pytest.mark.parametrize(
    ("contract", "softmaxes"), [("lora-linear", 1), ("aloragc", 2)], ids=["linear", "softmax"]
)
@pytest.mark.parametrize(
    ("machine", "dtype"),
    [("widest", "bfloat16"), ("f32-accumulate", "bfloat16"), ("hopper", "float32")],
)
def test_the_null_is_of_all_strategies_and_of_64_samples(
    contract: str, softmaxes: int, machine: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the machine asked for, from a seed that every tensor enters; with softmaxes in both ways
    where there is one, and not twice for nothing where there is none."""
    known, model = CONTRACTS[contract], machine_model(machine, dtype)
    inputs = generate(a_case(contract, dtype, "tiny", 3))
    truth = enclose(known, inputs, dtype)
    seed = zlib.crc32(b"".join(inputs.tensors[name].tobytes() for name in known.tensors))
    sampled = [
        gradients(known, inputs, Stochastic(model, samples=64, seed=seed, softmax=softmax))
        for softmax in calibration._SOFTMAXES[:softmaxes]
    ]
    assert calibration._SOFTMAXES == ("quotient", "log-sum-exp")
    legal = legal_evaluations(known, inputs, model)
    sampled_with: list[str] = []

    def counted(*arguments: Any, **options: Any) -> Stochastic:
        sampled_with.append(options["softmax"])
        return Stochastic(*arguments, **options)

    monkeypatch.setattr(calibration, "Stochastic", counted)
    found = calibrate(known, inputs, model, truth)
    assert sampled_with == list(calibration._SOFTMAXES[:softmaxes])
    assert set(found) == set(truth)
    for name, enclosure in truth.items():
        expected = _null(
            rows(enclosure.mid),
            np.stack([evaluation[name] for evaluation in legal]),
            np.stack([evaluation[name].samples for evaluation in sampled]),
            0.25 * model.storage.unit_roundoff,
        )
        assert found[name].tolerance == expected.tolerance
        assert found[name].systematic == expected.systematic
        assert found[name].bias_deviation == expected.bias_deviation
        assert found[name].allowed_bias == expected.allowed_bias
        assert np.array_equal(found[name].biases, expected.biases)


@pytest.mark.parametrize("contract", ["aloragc", "lora-attention"])
def test_where_all_cancels_sums_that_are_distributed_count_too(contract: str) -> None:
    """Of one key, whose softmax is constant: the gradients of the scores are zero, and the samples
    of a kernel that distributes its sums are those of the same machine and seed."""
    known, model = CONTRACTS[contract], machine_model("f32-accumulate", "bfloat16")
    inputs = generate(a_case(contract, "bfloat16", "tiny", 1))
    truth = enclose(known, inputs, "bfloat16")
    seed = zlib.crc32(b"".join(inputs.tensors[name].tobytes() for name in known.tensors))
    ways = [
        gradients(known, inputs, Stochastic(model, samples=64, seed=seed, softmax=softmax))
        for softmax in calibration._SOFTMAXES
    ]
    legal = legal_evaluations(known, inputs, model)
    distributed = gradients(known, inputs, Distributed(Stochastic(model, samples=64, seed=seed)))
    # In the order of the outputs, as the random stream goes on.
    vanishing = [name for name, enclosure in truth.items() if not enclosure.mid.any()]
    apart = {name: distributed[name].formed.samples for name in vanishing}
    assert any(np.abs(apart[n]).max() > np.abs(ways[0][n].samples).max() for n in vanishing)
    found = calibrate(known, inputs, model, truth)
    for name, enclosure in truth.items():
        samples = [way[name].samples for way in ways]
        samples += [apart[name]] if name in apart else []
        legal_ones = np.stack([evaluation[name] for evaluation in legal])
        expected = _null(rows(enclosure.mid), legal_ones, np.stack(samples), 0.0)
        assert found[name].tolerance == expected.tolerance, name


def test_a_result_that_may_stray_beyond_the_format_may_be_infinite() -> None:
    """From the largest magnitude of the truth, not from the largest number."""
    machine = machine_model("widest", "float16")
    half, zeros = machine.storage.largest / 2, np.zeros((1, 2))
    truth = Enclosure(np.array([[half / 2, -half]]), zeros, zeros)
    null = Null(half, np.zeros(2), 1e-3, 1e-4, 2.0)
    assert _of_format(null, truth, machine) == null
    beyond = replace(null, tolerance=half * (1 + 2.0**-40))
    found = _of_format(beyond, truth, machine)
    assert found.tolerance == math.inf
    assert replace(found, tolerance=beyond.tolerance) == beyond


def test_overflow_of_an_evaluation_is_no_warning() -> None:
    """It is a tolerance without limit, said by the number."""
    inputs = generate(a_case("aloragc", "float16", "tiny", 3))
    tensors = {name: tensor * 256.0 for name, tensor in inputs.tensors.items()}
    inputs = type(inputs)(tensors, inputs.scalars)
    truth = enclose(CONTRACTS["aloragc"], inputs, "float16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        null = calibrate(CONTRACTS["aloragc"], inputs, machine_model("widest", "float16"), truth)
    assert null["grad_a"].tolerance == math.inf
