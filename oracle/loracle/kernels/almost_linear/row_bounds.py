"""The error of one query's expectations, bounded by a few numbers of the row.

Notation as in `covariance` and `statistics`; R_j = |q_j| max |k|, chi_j = exp(R_j) - 1,
U_j(h) = mu_1(h) + chi_j mu_t(h), which bounds E_j[h] for h >= 0 (the row's sum is at least Omega
times `smallest_mean`, Jensen). Everything is derived in docs/almost-linear.md; in short:

Approximation. f~_jl is f_jl (1 + eps_l) over its sum, |eps_l| <= delta, so with
kappa = 1 / (1 - delta) and the standard deviations sigma under f_j
    |E~[h] - E[h]| <= kappa delta E|h - E h| <= kappa delta sigma(h),
    |(Cov~ c~ - Cov c)_b| <= sigma(x_b) P_j,
    P_j = kappa delta (2 sigma(<v, c~>) + lambda_j) + (kappa delta)^2 sigma(<v, c~>),
lambda_j the largest eigenvalue of the values' covariance (without the terms of lambda_j where c is
given exactly). Variances are at most second moments, sigma(h)^2 <= U_j(h^2), linear in chi_j.

Rounding. A sum over the keys errs by at most Gamma Omega S_j(h), S_j(h) = |a_0| mu_1(h) + chi'_j
mu_t(h), chi'_j = sum_n>0 |a_n| R_j^n: relative to what the polynomial of absolute values gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.kernels.almost_linear.coordinates import FLOAT64_UNIT, Centred
from loracle.kernels.almost_linear.covariance import Expectations
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.statistics import KeyStatistics

__all__ = ["Machine", "RowBounds", "gamma", "value_means"]


def gamma(operations: float, unit: float) -> float:
    """n u / (1 - n u), the relative error of n roundings in any order; infinite from n u = 1/2."""
    error = operations * unit
    return error / (1 - error) if error < 0.5 else float("inf")


@dataclass(frozen=True)
class Machine:
    """What rounding may do to the sums. sums: Gamma, of a sum over the keys. contraction: of the
    sum over the values' d coordinates. dust: of everything in float64. operands: of a factor of a
    product, where torch multiplies in less than the features' dtype; it is part of sums."""

    sums: float
    contraction: float
    dust: float
    operands: float


@dataclass(frozen=True)
class RowBounds:
    """Bounds for a block of queries, float64; all but residual are one number a row, (H, 1, B).

    growth: chi_j. absolute_growth: chi'_j. approximation: P_j. share: g_j, with
    |E^[h] - E~[h]| <= g_j S_j(h). residual (H, d, B): |c_j|. The approximate (Cov c)_b was computed
    to within
        sum_i S_j(|x_b v_i|) (products_j |c_ji| + carried_j S_j(|v_i|)) + offset_j S_j(|x_b|).
    decay: E_j[h] >= decay_j mu_1(h) for the natural magnitudes h. value: of the error of E_j[v], in
    any coordinate, approximation and rounding together.
    """

    growth: Tensor
    absolute_growth: Tensor
    approximation: Tensor
    share: Tensor
    residual: Tensor
    products: Tensor
    carried: Tensor
    offset: Tensor
    decay: Tensor
    value: Tensor

    @classmethod
    def of(
        cls,
        problem: Problem,
        centred: Centred,
        statistics: KeyStatistics,
        expected: Expectations,
        queries: slice,
        coefficients: tuple[float, ...],
        delta: Tensor,
        machine: Machine,
        *,
        given: bool = False,
    ) -> RowBounds:
        """From the block's expectations. delta (H, 1, 1) is the relative error of exp.

        given: the residual is an upstream gradient, exact, and does not depend on f.
        """
        radius = centred.query_norms[..., queries] * (statistics.longest_key * (1 + 2.0**-40))
        growth = torch.expm1(radius) * (1 + 2.0**-40)
        constant, absolute_growth = abs(coefficients[0]), _absolute_growth(radius, coefficients)
        one, tilted = statistics.one
        row_sum = constant * one + absolute_growth * tilted
        # E~ of h is at most nu S(h), for the approximate row sum is at least Omega / nu.
        nu = 1 / (statistics.smallest_mean * (1 - delta))
        left = 1 / nu - machine.sums * row_sum
        share = torch.where(
            left > 0,
            machine.sums * (1 + nu * row_sum) / left + 2 * machine.dust,
            torch.full_like(left, torch.inf),
        )
        kept = nu + share
        # |c^ - c~| <= g S(v), unless c is given.
        own = torch.zeros_like(share) if given else share
        sums = _ValueSums(problem, statistics, constant, absolute_growth)
        residual = expected.residual.abs()
        with_values = sums.dot(residual)
        variance = statistics.variance[0] + growth * statistics.variance[1]
        deviation = _deviation(expected.residual, statistics.vv, growth, variance)
        deviation = deviation + own * (sums.square() * variance).sqrt()
        step = delta / (1 - delta)
        of_residual = 0 * variance if given else variance
        correction_error = share * with_values + nu * own * sums.square()
        return cls(
            growth=growth,
            absolute_growth=absolute_growth,
            approximation=step * (2 * deviation + of_residual) + step * step * deviation,
            share=share,
            residual=residual,
            products=share + (machine.contraction + machine.dust) * kept,
            carried=nu * own,
            offset=expected.correction.abs() * (share + machine.dust * kept)
            + nu * correction_error
            + machine.dust * kept * kept * with_values,
            # The exact probabilities are those of the rounded scores but for such a factor.
            decay=torch.exp(-radius * statistics.skew - 2 * centred.score_error)
            / (one + growth * tilted),
            value=share * sums.largest() + step * _largest_deviation(statistics, growth),
        )


class _ValueSums:
    """S_j(|v_i|) = |a_0| A_i + chi'_j B_i, for the values computed from their inputs' sums, of
    which only a few combinations over i are needed, each one number a row."""

    def __init__(
        self, problem: Problem, statistics: KeyStatistics, constant: float, growth: Tensor
    ) -> None:
        plain, tilted = value_means(problem, statistics)
        self._plain, self._tilted = constant * plain, tilted
        self._growth = growth

    def dot(self, residual: Tensor) -> Tensor:
        """sum_i |c_i| S(v_i)."""
        plain, tilted = self._plain.mT @ residual, self._tilted.mT @ residual
        total: Tensor = plain + self._growth * tilted
        return total

    def square(self) -> Tensor:
        """sum_i S(v_i)^2."""
        first, second = self._plain, self._tilted
        products: Tensor = first.mT @ first + (2 * (first.mT @ second)) * self._growth
        total: Tensor = products + (second.mT @ second) * self._growth.square()
        return total

    def largest(self) -> Tensor:
        """At least max_i S(v_i)."""
        plain, tilted = (m.amax(-2, keepdim=True) for m in (self._plain, self._tilted))
        total: Tensor = plain + self._growth * tilted
        return total


def value_means(problem: Problem, statistics: KeyStatistics) -> Tensor:
    """(2, H, d, 1): mu(|z| |W|), what sums over the keys of the inputs of V make of the values."""
    means: Tensor = problem.v.matrix.abs().mT @ statistics.z
    return means


def _largest_deviation(statistics: KeyStatistics, growth: Tensor) -> Tensor:
    """A bound of the standard deviation under f_j of any coordinate of the values, (H, 1, B)."""
    moments = statistics.vv.diagonal(dim1=-2, dim2=-1).amax(-1)[..., None, None].clamp_min(0)
    square: Tensor = moments[0] + growth * moments[1]
    return square.sqrt() * (1 + 2.0**-40)


def _absolute_growth(radius: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """chi' = sum_{n > 0} |a_n| R^n by Horner's rule."""
    value = torch.zeros_like(radius)
    for coefficient in reversed(coefficients[1:]):
        value = (value + abs(coefficient)) * radius
    return value * (1 + 2.0**-40)


def _deviation(residual: Tensor, moments: Tensor, growth: Tensor, variance: Tensor) -> Tensor:
    """A bound of the standard deviation of <v, c> under f_j: the root of c^T (V_1 + chi V_t) c."""
    plain, tilted = ((residual * (m @ residual)).sum(1, keepdim=True) for m in moments)
    # What the quadratic forms lose to rounding, where they cancel.
    lost = (residual * residual).sum(1, keepdim=True) * variance * (2.0**12 * FLOAT64_UNIT)
    square: Tensor = plain.clamp_min(0) + growth * tilted.clamp_min(0) + lost
    return square.sqrt() * (1 + 2.0**-40)
