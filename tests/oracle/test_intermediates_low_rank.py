"""f, c, q, p1 and p2 of the almost-linear kernel, and their factors: within the corrected bounds of
Lemmas 3.3 to 3.7, F.5 to F.9, and those that make its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from loracle.contracts import CONTRACTS
from loracle.evaluation import matrices
from loracle.generation import generate
from loracle.kernels.almost_linear import LowRankIntermediates
from loracle_reference.low_rank_gradient import (
    ApproximateGradient,
    low_rank_aloragc_gradient,
    low_rank_lora_attention_gradient,
)

from .core_cases import a_case, indices, seeds
from .devices import DEVICES
from .lemma_operands import (
    DTYPES,
    IN_REACH,
    brackets,
    drawn,
    dtypes,
    epsilons,
    few,
    nearby,
    promises,
)
from .lemmas import BALL, BRACKETS, Bracket, Operands
from .low_rank_runs import KERNELS, cores_agree, in_low_rank, objections, objections_to_run, run_of

SATURATED = [(BRACKETS[0], 1), (BRACKETS[1], 0), (BRACKETS[2], 0)]
"""Scores of 100: no rank will do. Brackets and indices of cases whose degree is soon found."""


@pytest.mark.parametrize("device", DEVICES)
@given(drawn(), epsilons, promises)
def test_the_lemmas_hold_in_low_rank(
    device: str, given_: tuple[Operands, str], epsilon: float, promise: str
) -> None:
    operands, dtype = given_
    low = in_low_rank(operands, dtype, device, epsilon=epsilon, promise=promise)
    if low is not None:
        eta = 2 * low.delta / (1 - low.delta)
        assert (eta if promise == "probabilities" else low.delta) <= epsilon * (1 + 1e-12)
        assert not objections(low, operands)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", IN_REACH)
@few
@given(bracket=brackets, dtype=dtypes, index=indices, seed=seeds, epsilon=epsilons)
def test_the_lemmas_hold_in_low_rank_in_every_regime(
    regime: str, device: str, bracket: Bracket, dtype: str, index: int, seed: int, epsilon: float
) -> None:
    operands = nearby(bracket, dtype, regime, index, seed)
    low = in_low_rank(operands, dtype, device, epsilon=epsilon)
    if low is not None:
        assert not objections(low, operands)


@pytest.mark.parametrize("regime", IN_REACH)
def test_regimes_in_reach(regime: str) -> None:
    """Enough cases for the tests above to say something."""
    cases = [(bracket, index) for bracket in BRACKETS for index in range(3)]
    reached = [
        in_low_rank(nearby(bracket, "float64", regime, index, 0), "float64", "cpu") is not None
        for bracket, index in cases
    ]
    assert sum(reached) >= len(cases) / 2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("bracket", "index"), SATURATED)
def test_saturated_scores_are_out_of_reach(
    bracket: Bracket, index: int, dtype: str, device: str
) -> None:
    assert in_low_rank(nearby(bracket, dtype, "saturated", index, 0), dtype, device) is None
    inputs = generate(a_case(bracket[0], dtype, "saturated", index))
    assert run_of(bracket[0], inputs, DTYPES[dtype], device) is None


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", IN_REACH)
@few
@given(
    bracket=brackets,
    dtype=dtypes,
    index=indices,
    seed=seeds,
    epsilon=epsilons,
    promise=promises,
)
def test_a_run_of_the_kernel_has_the_factors_of_the_lemmas(
    regime: str,
    device: str,
    bracket: Bracket,
    dtype: str,
    index: int,
    seed: int,
    epsilon: float,
    promise: str,
) -> None:
    """From a contract's inputs: the lemmas hold for the plan that the kernel chose, for both
    brackets of one and the same f, and the factors make the d x d matrices that it returned."""
    inputs = generate(a_case(bracket[0], dtype, regime, index, seed))
    run = run_of(bracket[0], inputs, DTYPES[dtype], device, epsilon=epsilon, promise=promise)
    if run is not None:
        assert not objections_to_run(run, bracket, inputs)
        assert cores_agree(run, LowRankIntermediates.of(run.prepared))


CONSTRUCTIONS: dict[str, Callable[..., ApproximateGradient[Any]]] = {
    "aloragc": low_rank_aloragc_gradient,
    "lora-attention": low_rank_lora_attention_gradient,
}


@pytest.mark.parametrize("regime", ["sub-threshold", "threshold"])
@pytest.mark.parametrize("contract", CONSTRUCTIONS)
def test_outputs_are_those_of_the_reference_construction(contract: str, regime: str) -> None:
    """Theorems 3.1 and B.1: two approximations of one gradient, each with its certificate."""
    inputs = generate(a_case(contract, "float64", regime, 3, 0))
    reference = CONSTRUCTIONS[contract](
        BALL, **matrices(CONTRACTS[contract], inputs, BALL), relative_error=1e-6
    )
    tensors = {n: torch.tensor(x) for n, x in inputs.tensors.items()}
    found = KERNELS[contract](**tensors, **inputs.scalars, epsilon=1e-6)
    assert found.certificate is not None
    for name, matrix in reference.outputs.items():
        distance = BALL.enclosure(matrix).distance(found.outputs[name].numpy())[0]
        allowed = float(found.certificate.errors[name]) + float(reference.errors[name])
        assert (distance <= allowed).all()
        assert allowed < np.abs(found.outputs[name].numpy()).max()
