"""The proven bounds as the oracle asks for them. How tight they are is the attack's to test."""

from __future__ import annotations

import numpy as np
import pytest

from loracle.contracts import CONTRACTS
from loracle.evaluation import gradients, output_shapes
from loracle.generation import generate
from loracle.judgement.bounds import proven_bounds
from loracle_reference.arithmetic.simulated import STRATEGIES, Simulated
from loracle_reference.floating_point import FORMATS, machine_model

from .core_cases import CONTRACT_NAMES, DTYPES, PAIRS_IN_DTYPES, a_case, reference


def largest_ratio(contract: str, regime: str, dtype: str, judged_as: str) -> float:
    """Of the error of any legal evaluation in `dtype` to its bound as of `judged_as`, with inputs
    exact in the coarser of the two."""
    case = a_case(contract, dtype, regime)
    truth = reference(case).truth
    bounds = proven_bounds(CONTRACTS[contract], generate(case), machine_model("widest", judged_as))
    worst = 0.0
    for strategy in STRATEGIES:
        simulated = Simulated(dtype, strategy)
        results = gradients(CONTRACTS[contract], generate(case), simulated)
        for output, enclosure in truth.items():
            computed = simulated.array(results[output]).reshape(enclosure.shape)
            certain, _ = enclosure.distance(computed)
            bound = bounds[output].bound
            some = (bound > 0) & np.isfinite(bound)
            assert (certain[bound == 0] == 0).all()
            worst = max(worst, float((certain[some] / bound[some]).max(initial=0.0)))
    return worst


@pytest.mark.parametrize(("contract", "regime", "dtype"), PAIRS_IN_DTYPES)
def test_legal_evaluations_stay_within_the_bound(contract: str, regime: str, dtype: str) -> None:
    assert largest_ratio(contract, regime, dtype, dtype) <= 1


@pytest.mark.parametrize(
    ("coarse", "fine"), [("float32", "float64"), ("float16", "float32"), ("bfloat16", "float32")]
)
@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_the_bound_of_a_finer_dtype_is_exceeded(contract: str, coarse: str, fine: str) -> None:
    """The check above can fail: what is legal in a dtype is not in the next finer one."""
    assert largest_ratio(contract, "designed", coarse, fine) > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_designed_bounds_have_teeth(contract: str, dtype: str) -> None:
    """A wrong sign (an error of twice the truth) is proven wrong in every case, 16 bits included,
    and zeros in several. Catches a bound that claims nothing."""
    cases = [reference(a_case(contract, dtype, "designed", index)) for index in range(6)]
    for output in CONTRACTS[contract].outputs:
        ratios = [
            float(c.proven[output].bound.max() / np.abs(c.truth[output].mid).max()) for c in cases
        ]
        assert all(c.proven[output].overflow_free for c in cases)
        assert max(ratios) < 2, output
        assert sum(ratio < 1 for ratio in ratios) >= (2 if dtype == "bfloat16" else 6), output


@pytest.mark.parametrize("contract", CONTRACT_NAMES)
def test_shapes_and_machines(contract: str) -> None:
    """Bounds have the outputs' shapes, and wider sums can only lower them."""
    case = a_case(contract, "bfloat16", "ragged", 1)
    inputs = generate(case)
    widest = proven_bounds(CONTRACTS[contract], inputs, machine_model("widest", "bfloat16"))
    finer = proven_bounds(CONTRACTS[contract], inputs, machine_model("f32-accumulate", "bfloat16"))
    for output, shape in output_shapes(CONTRACTS[contract], inputs).items():
        assert widest[output].bound.shape == shape
        assert (finer[output].bound <= widest[output].bound).all()
        assert finer[output].bound.max() < np.inf


def test_overflow_is_claimed_impossible_only_where_it_is() -> None:
    """Products near the largest float16 number: no claim; the same in float32: a claim."""
    inputs = generate(a_case("lora-linear", "float16", "typical"))
    factor = FORMATS["float16"].largest / 8 / np.abs(inputs.tensors["x"]).max()
    inputs.tensors["x"][:] *= factor
    for dtype, free in (("float16", False), ("float32", True)):
        bounds = proven_bounds(CONTRACTS["lora-linear"], inputs, machine_model("widest", dtype))
        assert bounds["output"].overflow_free is free
