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

__all__ = ["Machine", "RowBounds", "gamma"]


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
    """Bounds for a block of queries, (H, n, B) float64.

    growth: chi_j. absolute_growth: chi'_j. approximation: P_j. share: g_j, with
    |E^[h] - E~[h]| <= g_j S_j(h). products (d rows): W_ji, and offset: Y_j, with
    |computed - exact of the approximate (Cov c)_b| <= sum_i W_ji S_j(|x_b v_i|) + Y_j S_j(|x_b|).
    decay: E_j[h] >= decay_j mu_1(h) for the natural magnitudes h. value (1 row): of the error of
    E_j[v], in any coordinate, approximation and rounding together.
    """

    growth: Tensor
    absolute_growth: Tensor
    approximation: Tensor
    share: Tensor
    products: Tensor
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
        constant = abs(coefficients[0])
        absolute_growth = _absolute_growth(radius, coefficients)
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
        z_to_v = problem.v.matrix.abs().mT
        plain, tilted_v = (z_to_v @ z for z in statistics.z)
        value_sums = constant * plain + absolute_growth * tilted_v
        residual = expected.residual.abs()
        value_error = share * value_sums
        residual_error = torch.zeros_like(residual) if given else value_error
        variance = statistics.variance[0] + growth * statistics.variance[1]
        deviation = _deviation(expected.residual, statistics.vv, growth, variance)
        error_length = residual_error.square().sum(1, keepdim=True)
        deviation = deviation + (error_length * variance).sqrt()
        step = delta / (1 - delta)
        of_residual = torch.zeros_like(variance) if given else variance
        kept = nu + share
        correction = (expected.residual * expected.value).sum(1, keepdim=True).abs()
        correction_error = ((residual * share + residual_error * nu) * value_sums).sum(
            1, keepdim=True
        )
        return cls(
            growth=growth,
            absolute_growth=absolute_growth,
            approximation=step * (2 * deviation + of_residual) + step * step * deviation,
            share=share,
            products=residual * (share + (machine.contraction + machine.dust) * kept)
            + nu * residual_error,
            offset=correction * (share + machine.dust * kept)
            + nu * correction_error
            + machine.dust * kept * kept * (residual * value_sums).sum(1, keepdim=True),
            decay=torch.exp(-radius * statistics.skew) / (one + growth * tilted),
            value=(value_error + step * _coordinate_deviations(statistics, growth)).amax(
                1, keepdim=True
            ),
        )


def _coordinate_deviations(statistics: KeyStatistics, growth: Tensor) -> Tensor:
    """Bounds of the standard deviations of the values' coordinates under f_j, (H, d, B)."""
    plain, tilted = statistics.vv.diagonal(dim1=-2, dim2=-1)[..., None].clamp_min(0)
    deviations: Tensor = (plain + growth * tilted).sqrt() * (1 + 2.0**-40)
    return deviations


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
