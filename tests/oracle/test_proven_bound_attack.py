"""The proven bound against an attacker who owns the sign of every rounding.

From below: the attack never exceeds the bound. From above: it reaches at least a tenth of it, for
every contract and output. And bounds with one rule left out are exceeded, so that the attack can
tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS, Contract
from loracle.evaluation import gradients, rows
from loracle.generation import cases_of, generate, regimes_of
from loracle.judgement.bounds import proven_bounds
from loracle_reference.arithmetic.rounding import Rounding, RoundingMatrix
from loracle_reference.attention import attention_probabilities
from loracle_reference.floating_point import MachineModel, machine_model, round_to_format

from .perturbed import attacked_error

OUTPUTS = [(contract, output) for contract in CONTRACTS for output in CONTRACTS[contract].outputs]
# In float64 the attack's own evaluation, which is in float64 too, errs as much as the kernel.
DTYPES = ("float32", "bfloat16", "float16")


def _ratios(
    contract: Contract, inputs: Inputs, machine: MachineModel, output: str
) -> tuple[float, float]:
    """The attacked element's error over its bound, and the largest such ratio of all elements."""
    bound = rows(proven_bounds(contract, inputs, machine)[output].bound)
    row, column = np.unravel_index(int(np.argmax(bound)), bound.shape)
    element = int(row), int(column)
    error = attacked_error(lambda a: gradients(contract, inputs, a), machine, output, element)
    ratios = error / bound
    return float(ratios[element]), float(ratios.max())


def _designed(contract: str, dtype: str, count: int = 4) -> Iterator[Case]:
    yield from cases_of(CONTRACTS[contract], dtype, 0, ["designed"], count)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])  # float16: flushes to zero, see below
@pytest.mark.parametrize(("contract", "output"), OUTPUTS)
def test_the_attack_reaches_a_tenth_of_the_bound_and_never_exceeds_it(
    contract: str, output: str, dtype: str
) -> None:
    """Catches a bound that is too small, and one that is loose by more than ten."""
    machine = machine_model("widest", dtype)
    best = 0.0
    for case in _designed(contract, dtype):
        reached, largest = _ratios(CONTRACTS[contract], generate(case), machine, output)
        assert largest <= 1
        best = max(best, reached)
    assert best >= 0.1


SLOW = (pytest.mark.deep, pytest.mark.timeout(3600))
"""Several heads and samples in every case."""


@given(data=st.data(), seed=st.integers(0, 10**6), dtype=st.sampled_from(DTYPES))
@pytest.mark.parametrize(
    "contract", [pytest.param(c, marks=SLOW) if c == "lora-mha" else c for c in CONTRACTS]
)
def test_no_attack_exceeds_the_bound_in_any_regime(
    contract: str, data: st.DataObject, seed: int, dtype: str
) -> None:
    """Catches a bound that holds only where nothing cancels or where scores are small."""
    small = [r for r in regimes_of(CONTRACTS[contract]) if r not in ("ragged", "typical")]
    regime = data.draw(st.sampled_from(small))
    output = data.draw(st.sampled_from(sorted(CONTRACTS[contract].outputs)))
    case = cases_of(CONTRACTS[contract], dtype, seed, [regime], 1)[0]
    machine = machine_model("widest", dtype)
    _, largest = _ratios(CONTRACTS[contract], generate(case), machine, output)
    assert largest <= 1


def _no_sum_growth(self: RoundingMatrix, terms: int) -> float:
    return self.machine.stored_unit


def _no_softmax_growth(self: RoundingMatrix, largest: np.ndarray, keys: int) -> np.ndarray:
    return np.zeros_like(largest)


def _no_entrywise_rounding(self: RoundingMatrix, roundings: int) -> float:
    return 0.0


def _normal(seed: int, *shape: int) -> np.ndarray:
    return round_to_format(np.random.default_rng(seed).standard_normal(shape), "bfloat16")


_LEFT_OUT: dict[str, tuple[str, Any, Callable[[Any], Any]]] = {
    "sums grow with their length": (
        "_sum_growth",
        _no_sum_growth,
        lambda a: a.matrix(np.abs(_normal(0, 2, 16))) @ a.matrix(np.abs(_normal(1, 16, 2))),
    ),
    "the softmax has errors of its own": (
        "_softmax_growth",
        _no_softmax_growth,
        lambda a: attention_probabilities(
            a.matrix(_normal(2, 2, 1) / 8), a.matrix(_normal(3, 5, 1))
        ),
    ),
    "entrywise operations round": (
        "_entrywise_growth",
        _no_entrywise_rounding,
        lambda a: (a.matrix(_normal(4, 2, 3)) * a.matrix(_normal(5, 2, 3))).scale(0.75),
    ),
}


@pytest.mark.parametrize("rule", _LEFT_OUT)
def test_a_bound_without_the_rule_is_exceeded(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack is strong enough to notice each rule of the derivation."""
    name, without, expression = _LEFT_OUT[rule]
    machine = machine_model("widest", "bfloat16")
    error = attacked_error(lambda a: {"x": expression(a)}, machine, "x", (0, 0))[0, 0]
    assert error <= expression(Rounding(machine)).error[0, 0]
    monkeypatch.setattr(RoundingMatrix, name, without)
    assert error > expression(Rounding(machine)).error[0, 0]


def test_a_softmax_bound_without_the_errors_of_the_scores_is_exceeded() -> None:
    """Long scores of two keys: their rounding moves the probabilities more than the softmax
    does."""
    machine = machine_model("widest", "float32")
    generator = np.random.default_rng(0)
    queries, keys = generator.standard_normal((2, 64)), generator.standard_normal((2, 64))
    queries, keys = (round_to_format(matrix, "float32") for matrix in (queries, keys))
    rounding = Rounding(machine)
    scores = rounding.matrix(queries) @ rounding.matrix(keys).T
    error = attacked_error(
        lambda a: {"f": attention_probabilities(a.matrix(queries), a.matrix(keys))},
        machine,
        "f",
        (0, 0),
    )
    assert (error <= scores.softmax_rows().error).all()
    # The same scores as exact inputs: what the softmax alone may do.
    given = RoundingMatrix(scores.truth, scores.natural_scale, 0 * scores.error, machine)
    assert error[0, 0] > given.softmax_rows().error[0, 0]
