"""Lemmas 3.3 to 3.7 and F.5 to F.9 as constructions: f, c, q, p1, p2 in low rank, each with a
certified error.

A matrix of L queries by M keys is only ever held as two thin factors. Row j belongs to query j
throughout (`gradient`'s reading). The errors are those of the exact matrices that the factors stand
for: with balls, what rounding adds is in the balls; with rational entries there is none.

What the lemmas leave out and the errors here hold: Lemma 3.3 needs the scores bounded, that is
beta d Gamma^2 and not Gamma^2; a product of matrices costs its inner size (see `error_bounds`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from loracle_reference import error_bounds
from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Arithmetic, Matrix, Scalar
from loracle_reference.exponential_approximation import (
    ExponentialApproximation,
    approximate_exponential,
)
from loracle_reference.monomials import polynomial_factors
from loracle_reference.norms import Norms, dot_bound
from loracle_reference.upper_bounds import rounded_up

__all__ = [
    "ApproximateMatrix",
    "LowRank",
    "LowRankProbabilities",
    "approximate_p1",
    "approximate_p2",
    "approximate_probabilities",
    "approximate_q",
    "approximate_residual",
    "approximate_score_gradient",
    "centred_keys",
]

M = TypeVar("M", bound=Matrix)

_RADIUS_BITS = 16
"""A radius of few bits keeps the polynomial's coefficients short; it grows by at most 2^-15 of
itself."""


@dataclass(frozen=True)
class ApproximateMatrix(Generic[M]):
    """A matrix with max |matrix - target| <= error, the max norm."""

    matrix: M
    error: Fraction


@dataclass(frozen=True)
class LowRank(Generic[M]):
    """left right^T of shape (L, M), left (L, k), right (M, k), close to a target that is not held.

    error: upper bound of max_jl |(left right^T - target)_jl|.
    row_error: upper bound of max_j sum_l |(left right^T - target)_jl|.
    """

    left: M
    right: M
    error: Fraction
    row_error: Fraction

    @property
    def rank(self) -> int:
        """k, the inner size."""
        return int(self.left.shape[1])


@dataclass(frozen=True)
class LowRankProbabilities(LowRank[M]):
    """f~ = left right^T: nonnegative rows that sum to one, and the exponential it came from."""

    approximation: ExponentialApproximation

    @property
    def distance(self) -> Fraction:
        """t with 1/2 sum_l |f~_jl - f_jl| <= t for every row."""
        return self.row_error / 2


def centred_keys(arithmetic: Arithmetic[M], keys: M) -> M:
    """The keys less one common vector, the middle of each coordinate.

    <q_j, k_l - v> differs from <q_j, k_l> by a constant of row j, so f stays the same: only the
    spread of the keys counts. No coordinate's largest magnitude grows but by rounding, in balls.
    Shapes: (M, d), (M, d).
    """
    middle = arithmetic.matrix([Norms.of(keys).middles])
    return keys - middle.take_rows([0] * keys.shape[0])


def approximate_probabilities(
    arithmetic: Arithmetic[M], queries: M, keys: M, beta: Scalar, *, relative_error: Scalar
) -> LowRankProbabilities[M]:
    """f of `attention_probabilities` in rank C(d+g, g) (Lemmas 3.3, F.5).

    p is a polynomial of degree g with |p(x) - exp(x)| <= delta exp(x) on [-R, R], delta being
    `relative_error`, and R >= max_jl |beta <q_j, k_l>| over the centred keys, from norms alone.
    With U V^T = p(beta Q K^T) entrywise: U1 = diag(U V^T 1)^-1 U, V1 = V. All p(s_jl) > 0 because
    delta < 1, so f~ = U1 V1^T has nonnegative rows that sum to one, and
    |f~_jl - f_jl| <= 2 delta / (1 - delta) f_jl (`relative_error_of_probabilities`), and
    1/2 sum_l |f~_jl - f_jl| <= delta / (2 - delta^2) (`distance_from_relative_error`).
    Shapes: queries (L, d), keys (M, d). Raises ValueError unless 0 < relative_error < 1, TypeError
    if norms cannot be read from the arithmetic's matrices.
    """
    centred = centred_keys(arithmetic, keys)
    exact = as_fraction(beta)
    bound = abs(exact) * dot_bound(Norms.of(queries), Norms.of(centred))
    approximation = approximate_exponential(rounded_up(bound, _RADIUS_BITS), relative_error)
    coefficients = [a * exact**k for k, a in enumerate(approximation.coefficients)]
    left, right = polynomial_factors(arithmetic, queries, centred, coefficients)
    ones = arithmetic.matrix([[1]] * keys.shape[0])
    normalised = left.divide_rows(left @ (right.T @ ones))
    distance = rounded_up(error_bounds.distance_from_relative_error(approximation.relative_error))
    return LowRankProbabilities(normalised, right, distance, 2 * distance, approximation)


def approximate_residual(f: LowRankProbabilities[M], values: M, y: M) -> ApproximateMatrix[M]:
    """c~ = U1 (V1^T C3) - Y (Lemmas 3.4, F.6). Shapes: values (M, d), y, result (L, d)."""
    spread = 2 * max(Norms.of(values).half_spreads)
    error = error_bounds.residual_error_from_distance(distance=f.distance, spread=spread)
    return ApproximateMatrix(f.left @ (f.right.T @ values) - y, rounded_up(error))


def approximate_q(c: ApproximateMatrix[M], values: M) -> LowRank[M]:
    """q~ = c~ C3^T: U2 = c~, V2 = C3 (Lemmas 3.5, F.7), of rank d; the paper takes 2 d.

    The error is |c~ - c| times the largest row sum of C3, at most d |C3|. Shapes: c (L, d),
    values (M, d).
    """
    error = rounded_up(c.error * Norms.of(values).row_sum)
    return LowRank(c.matrix, values, error, values.shape[0] * error)


def approximate_p1(f: LowRankProbabilities[M], q: LowRank[M]) -> LowRank[M]:
    """p1~ = f~ o q~: row-wise Kronecker products U3 = U1 . U2, V3 = V1 . V2 (Lemmas 3.6, F.8).

    Row j of U3 is U1[j] (x) U2[j], for (U3 V3^T)_jl = <U1[j], V1[l]> <U2[j], V2[l]>; the paper's
    proof prints column-wise products. Rank k1 k2.
    """
    norm = _magnitude(q)
    arguments = {"distance": f.distance, "q": norm, "q_error": q.error}
    return LowRank(
        f.left.face_splitting(q.left),
        f.right.face_splitting(q.right),
        rounded_up(error_bounds.p1_error_from_distance(**arguments)),
        rounded_up(error_bounds.p1_row_error_from_distance(**arguments)),
    )


def approximate_p2(f: LowRankProbabilities[M], q: LowRank[M]) -> LowRank[M]:
    """p2~ = diag(r~) f~: U4 = diag(r~) U1, V4 = V1 (Lemmas 3.7, F.9), of rank k1.

    r~_j = <f~_j, q~_j> = U1[j] (V1^T V2) U2[j]^T (equation (E.1)); as row j belongs to query j, the
    diagonal stands on the left and not, as printed, on V1. |r| <= |q|, for f's rows sum to one.
    """
    norm = _magnitude(q)
    r = (f.left @ (f.right.T @ q.right)).row_dot(q.left)
    r_error = error_bounds.row_products_error_from_distance(
        distance=f.distance, q=norm, q_error=q.error
    )
    arguments = {"distance": f.distance, "r": norm, "r_error": r_error}
    return LowRank(
        f.left.scale_rows(r),
        f.right,
        rounded_up(error_bounds.p2_error_from_distance(**arguments)),
        rounded_up(error_bounds.p2_row_error_from_distance(**arguments)),
    )


def approximate_score_gradient(f: LowRankProbabilities[M], q: LowRank[M]) -> LowRank[M]:
    """p~ = p1~ - p2~ in rank k1 (k2 + 1); its rows sum to zero, as those of p do."""
    p1, p2 = approximate_p1(f, q), approximate_p2(f, q)
    return LowRank(
        p1.left.beside(p2.left),
        p1.right.beside(p2.right.scale(-1)),
        p1.error + p2.error,
        p1.row_error + p2.row_error,
    )


def _magnitude(q: LowRank[M]) -> Fraction:
    """A bound of the target's max norm, from the factors."""
    return dot_bound(Norms.of(q.left), Norms.of(q.right)) + q.error
