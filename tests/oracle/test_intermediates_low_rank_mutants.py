"""What the checks of the almost-linear kernel's intermediates catch: wrong matrices, factors and
kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from loracle.generation import generate
from loracle.kernels.almost_linear import LowRankIntermediates
from loracle.kernels.almost_linear.coordinates import Centred
from loracle.kernels.almost_linear.solve import Prepared

from .core_cases import a_case
from .lemma_operands import square_operands
from .lemmas import Operands
from .low_rank_runs import cores_agree, in_low_rank, objections, objections_to_run, run_of
from .wrong_intermediates import WRONG


def low_rank_of_squares() -> tuple[Operands, LowRankIntermediates]:
    operands = square_operands()
    low = in_low_rank(operands, "float64", "cpu", epsilon=1e-5)
    assert low is not None
    assert low.rank >= low.u2.shape[1]
    assert not objections(low, operands)
    return operands, low


@pytest.mark.parametrize("name", WRONG)
def test_wrong_low_rank_intermediates_are_caught(name: str) -> None:
    operands, low = low_rank_of_squares()
    dense = low.dense()
    wrong = replace(dense, **WRONG[name].make(dense, operands.tensors(torch.float64, "cpu")))
    assert WRONG[name].statements <= objections(low, operands, wrong)


def _linear_terms_doubled(low: LowRankIntermediates) -> LowRankIntermediates:
    linear = torch.tensor(low.plan.polynomial.index_set.exponents.sum(1) == 1)
    return replace(low, u1=torch.where(linear, 2 * low.u1, low.u1))


def _divided_by_another_row(low: LowRankIntermediates) -> LowRankIntermediates:
    # Column 0 is a_0 over the sum of the row.
    sums = 1 / low.u1[:, :1]
    return replace(low, u1=low.u1 * sums / sums.roll(1, 0))


def _values_of_other_keys(low: LowRankIntermediates) -> LowRankIntermediates:
    return replace(low, v2=low.v2.roll(1, 0))


def _delta_understated(low: LowRankIntermediates) -> LowRankIntermediates:
    return replace(low, plan=replace(low.plan, delta=low.plan.delta / 8))


WRONG_FACTORS: dict[str, tuple[Callable[[LowRankIntermediates], LowRankIntermediates], set[str]]]
WRONG_FACTORS = {
    "linear terms doubled": (_linear_terms_doubled, {"3.3 entrywise", "3.3 norm", "3.3 distance"}),
    "divided by another row's sum": (_divided_by_another_row, {"3.3 rows"}),
    "V2 of other keys": (_values_of_other_keys, {"3.5 norms", "3.5 certified"}),
    "delta understated": (_delta_understated, {"3.3 entrywise"}),
}


@pytest.mark.parametrize("name", WRONG_FACTORS)
def test_wrong_factors_are_caught(name: str) -> None:
    operands, low = low_rank_of_squares()
    make, statements = WRONG_FACTORS[name]
    assert statements <= objections(make(low), operands)


def test_column_wise_products_are_caught() -> None:
    """U3 and V3 as the paper's proof prints them: entrywise products of as many columns as both
    have, in place of the row-wise Kronecker product."""
    operands, low = low_rank_of_squares()
    width = low.u2.shape[1]
    p1 = (low.u1[:, :width] * low.u2) @ (low.v1[:, :width] * low.v2).T
    found = objections(low, operands, replace(low.dense(), p1=p1))
    assert {"3.6 norms", "3.6 distance", "3.6 certified", "3.6 certified row"} <= found


def _weights_forgotten(prepared: Prepared) -> Prepared:
    """Queries are shifted and the keys not weighted by exp(<a, k>)."""
    weights = torch.ones_like(prepared.centred.weights)
    return replace(prepared, centred=replace(prepared.centred, weights=weights))


def _y_not_shifted(prepared: Prepared) -> Prepared:
    """The values' mean is taken off the values, and not off y."""

    class Unshifted(Centred):
        def y(self, queries: slice = slice(None)) -> torch.Tensor:
            return self.problem.y[..., queries]

    return replace(prepared, centred=Unshifted(**vars(prepared.centred)))


def _another_polynomial(prepared: Prepared) -> Prepared:
    """Multinomial coefficients forgotten, so that features of degree two and more count double."""
    polynomial = prepared.plan.polynomial
    degrees = polynomial.index_set.exponents.sum(1).tolist()
    index_set = replace(
        polynomial.index_set, weights=tuple(polynomial.coefficients[n] for n in degrees)
    )
    changed = replace(polynomial, index_set=index_set)
    return replace(prepared, plan=replace(prepared.plan, polynomial=changed))


WRONG_KERNELS: dict[str, tuple[Callable[[Prepared], Prepared], set[str]]] = {
    "weights of the keys forgotten": (_weights_forgotten, {"3.3 entrywise"}),
    "y not shifted with the values": (_y_not_shifted, {"3.4 norms", "3.4 certified"}),
    "multinomial coefficients forgotten": (_another_polynomial, {"3.3 entrywise"}),
}


@pytest.mark.parametrize("name", WRONG_KERNELS)
@pytest.mark.parametrize("contract", ["aloragc", "lora-attention"])
def test_wrong_kernels_are_caught(contract: str, name: str) -> None:
    """Through the kernel's own sums: also the d x d matrices are others then."""
    inputs = generate(a_case(contract, "float64", "super-threshold", 3, 0))
    run = run_of(contract, inputs, torch.float64, "cpu")
    assert run is not None
    assert cores_agree(run, LowRankIntermediates.of(run.prepared))
    make, statements = WRONG_KERNELS[name]
    wrong = replace(run, prepared=make(run.prepared))
    assert statements <= objections_to_run(wrong, (contract, "Q"), inputs)
    assert not cores_agree(run, LowRankIntermediates.of(wrong.prepared))
