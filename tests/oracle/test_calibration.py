"""The calibrated tolerance: honest kernels stay below it, and it is no wider than it must be.

Seeds are those with which the corpus is run, so that both share their references.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients, output_shapes, rows
from loracle.generation import generate
from loracle.judgement.calibration import calibrate
from loracle.judgement.verdicts import judge
from loracle.selftest.plan import drawn_seed
from loracle.validation import ENOUGH_EVIDENCE
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated, strategies_of
from loracle_reference.arithmetic.stochastic import Stochastic
from loracle_reference.floating_point import FORMATS, machine_model, round_to_format

from .core_cases import CONTRACT_NAMES, PAIRS_IN_DTYPES, RUNS, a_case, default_run, reference
from .other_evaluations import honest_evaluations


@pytest.mark.parametrize(("contract", "regime", "dtype"), PAIRS_IN_DTYPES)
def test_every_strategy_is_within_the_tolerance(contract: str, regime: str, dtype: str) -> None:
    """Catches an envelope over a part of the ensemble."""
    case = a_case(contract, dtype, regime, 1, drawn_seed(contract, dtype))
    known = reference(case)
    for strategy in STRATEGIES:
        simulated = Simulated(dtype, strategy)
        results = gradients(CONTRACTS[contract], known.inputs, simulated)
        for output, enclosure in known.truth.items():
            error = np.abs(simulated.array(results[output]) - rows(enclosure.mid)).max()
            assert error <= known.null[output].tolerance, (strategy.name, output)


@pytest.mark.parametrize(("contract", "regime", "dtype"), PAIRS_IN_DTYPES)
def test_fresh_monte_carlo_samples_are_within_it(contract: str, regime: str, dtype: str) -> None:
    """100 samples from another seed than those that sigma was estimated from; the largest reaches
    a 200th of the tolerance somewhere, so that the tolerance is not merely enormous."""
    # Even cases of `extreme` have scores of 10^4, whose tolerance is that of a stored log-sum-exp.
    index, seed = 1 if regime == "extreme" else 2, drawn_seed(contract, dtype)
    case = a_case(contract, dtype, regime, index, seed)
    known = reference(case)
    machine = machine_model("widest", dtype)
    sampled = gradients(
        CONTRACTS[contract], known.inputs, Stochastic(machine, samples=100, seed=987654321)
    )
    ratios = []
    for output, enclosure in known.truth.items():
        error = float(np.abs(sampled[output].samples - rows(enclosure.mid)).max())
        tolerance = known.null[output].tolerance
        assert error <= tolerance, output
        if 0 < tolerance < math.inf:
            ratios.append(error / tolerance)
    assert max(ratios) >= 0.005


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_says_whether_its_formulas_have_a_softmax(contract: str) -> None:
    """Catches a log-sum-exp that is left out where there is one, or sampled twice for nothing."""
    known, machine = CONTRACTS[contract], machine_model("widest", "float32")
    inputs = generate(a_case(contract, "float32", "designed"))
    one, other = (
        gradients(known, inputs, Stochastic(machine, samples=2, softmax=softmax))
        for softmax in ("quotient", "log-sum-exp")
    )
    differs = any(not np.array_equal(one[n].samples, other[n].samples) for n in one)
    assert differs == known.softmax


def alarms(contract: str, dtype: str, seed: int) -> tuple[int, list[str]]:
    """Judged outputs, and those suspect or failed, of honest kernels on the cases of a default
    run."""
    judged, raised = 0, []
    for case in default_run(contract, dtype, seed):
        known = reference(case)
        for name, evaluation in honest_evaluations(case, known.inputs).items():
            for output, computed in evaluation.items():
                tolerance = known.null[output].tolerance
                judgement = judge(computed, known.truth[output], known.proven[output], tolerance)
                judged += 1
                # Not a coin's edge: the honest stay below half of what is allowed.
                if judgement.verdict in ("suspect", "fail") or judgement.error_to_tolerance > 0.5:
                    raised.append(f"{name} {case} {output} {judgement}")
    return judged, raised


@pytest.mark.parametrize(("contract", "dtype"), RUNS)
def test_no_false_alarm(contract: str, dtype: str) -> None:
    """Evaluations that are not in the ensemble: pairwise sums, 2^x for e^x, autograd, streaming."""
    judged, raised = alarms(contract, dtype, drawn_seed(contract, dtype))
    assert judged >= 100
    assert not raised, "\n".join(raised)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 105))
@pytest.mark.parametrize(("contract", "dtype"), RUNS)
def test_no_false_alarm_with_many_seeds(contract: str, dtype: str, seed: int) -> None:
    assert not alarms(contract, dtype, seed)[1]


DEVIATION = {"lora-linear": 32, "aloragc": 512, "lora-attention": 512, "lora-mha": 512}
"""Units of roundoff that a relative error must reach for most cases to be suspect or failed."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_a_small_relative_error_is_suspect(contract: str, dtype: str) -> None:
    """An honest kernel times 1 + delta. Catches a tolerance as wide as a fixed 1e-3 would be: delta
    is at most 6e-5 in float32."""
    delta = DEVIATION[contract] * FORMATS[dtype].unit_roundoff
    caught = dict.fromkeys(CONTRACTS[contract].outputs, 0)
    cases = default_run(contract, dtype, 0)
    for case in cases:
        known = reference(case)
        for output, computed in honest_evaluations(case, known.inputs)["pairwise"].items():
            wrong = round_to_format(computed * (1 + delta), dtype)
            tolerance = known.null[output].tolerance
            judgement = judge(wrong, known.truth[output], known.proven[output], tolerance)
            caught[output] += judgement.verdict in ("suspect", "fail")
    assert min(caught.values()) >= len(cases) / 4, caught


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_a_tolerance_follows_the_dtype(contract: str) -> None:
    """In proportion to the unit roundoff, within a factor of eight: the exponential of a 16-bit
    kernel errs by less than its roundoff, that of float32 by more. (Of sixteen where it is all that
    counts, in the output of attention.)"""
    case = a_case(contract, "bfloat16", "designed", 1)  # inputs exact in every wider format
    known = reference(case)
    inputs = known.inputs
    coarse = known.null
    for dtype in ("float32", "float64"):
        machine = machine_model("widest", dtype)
        fine = calibrate(CONTRACTS[contract], inputs, machine, known.truth)
        for output, null in fine.items():
            ratio = null.tolerance / coarse[output].tolerance
            units = FORMATS[dtype].unit_roundoff / FORMATS["bfloat16"].unit_roundoff
            most = 16 if (contract, output) == ("lora-mha", "output") else 8
            assert units / 8 <= ratio <= units * most, output


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_calibration_is_deterministic(contract: str) -> None:
    """A replay must come to the same verdict."""
    case = a_case(contract, "float32", "ragged")
    known = reference(case)
    machine = machine_model("widest", "float32")
    again = calibrate(CONTRACTS[contract], known.inputs, machine, known.truth)
    for output, null in known.null.items():
        assert again[output].tolerance == null.tolerance
        assert again[output].bias_deviation == null.bias_deviation
        assert np.array_equal(again[output].biases, null.biases)


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_accumulation_in_float32_is_held_to_more(contract: str) -> None:
    """The envelope of a machine that accumulates in float32 has no strategy that does not."""
    case = a_case(contract, "bfloat16", "ragged")
    wide, narrow = reference(case), reference(case, "f32-accumulate")
    for output in CONTRACTS[contract].outputs:
        assert len(narrow.null[output].biases) < len(wide.null[output].biases) == len(STRATEGIES)
        assert narrow.null[output].tolerance < wide.null[output].tolerance


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_tf32_is_allowed_its_operands(contract: str) -> None:
    """A hundred times the tolerance of plain float32, from evaluations that round or truncate the
    operands and some that do so on a tensor core; and of the same size for every such machine."""
    case = a_case(contract, "float32", "ragged")
    plain = reference(case)
    for machine in ("tf32", "ampere", "hopper"):
        known, strategies = (
            reference(case, machine),
            strategies_of(machine_model(machine, "float32")),
        )
        for output in CONTRACTS[contract].outputs:
            assert len(known.null[output].biases) == len(strategies)
            ratio = known.null[output].tolerance / plain.null[output].tolerance
            assert 100 < ratio < 2**13


def test_legal_overflow_leaves_no_tolerance() -> None:
    """Where a legal evaluation overflows, an honest kernel may too."""
    inputs = generate(a_case("lora-linear", "float16", "typical"))
    tensors = dict(inputs.tensors)
    tensors["x"] = round_to_format(tensors["x"] * 2.0**12, "float16")
    tensors["lora_a"] = round_to_format(tensors["lora_a"] * 2.0**6, "float16")
    changed = type(inputs)(tensors, inputs.scalars)
    known = reference(a_case("lora-linear", "float16", "typical"))
    machine = machine_model("widest", "float16")
    null = calibrate(CONTRACTS["lora-linear"], changed, machine, known.truth)
    assert null["output"].tolerance == math.inf


@pytest.mark.parametrize(("contract", "dtype"), RUNS)
def test_a_default_run_has_enough_evidence(contract: str, dtype: str) -> None:
    """At least 8 cases of every output in which zeros would be caught. From the references alone: a
    run with less would call every kernel suspect."""
    evidence = dict.fromkeys(CONTRACTS[contract].outputs, 0)
    for case in default_run(contract, dtype, drawn_seed(contract, dtype)):
        known = reference(case)
        assert set(known.truth) == set(known.null) == set(known.proven) == set(evidence)
        for output, shape in output_shapes(CONTRACTS[contract], known.inputs).items():
            truth, proven = known.truth[output], known.proven[output]
            judgement = judge(
                round_to_format(truth.mid, dtype), truth, proven, known.null[output].tolerance
            )
            assert truth.shape == shape
            assert judgement.verdict in ("pass", "no_evidence")
            evidence[output] += judgement.verdict == "pass"
    assert min(evidence.values()) >= ENOUGH_EVIDENCE, evidence
