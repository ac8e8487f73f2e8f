"""The norm condition of Theorems 3.1 and B.1 in numbers: how the rank grows with L, d, beta, Gamma.

The paper asks for Gamma = o(sqrt(log L)) with ||C1 W||, ||C2|| <= Gamma in the max norm
(Lemma 3.3), which bounds the scores only by beta d Gamma^2, a sum of d products: what is needed is
beta d Gamma^2 = o(log L). With beta = 1 / d, as in Aggarwal's and Alman's and in Alman's and Song's
theorems, the two are one condition; the paper has beta = 1 and d = O(log L).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import e, inf, log, sqrt

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.exponential_approximation import Family, sufficient_degree
from loracle_reference.monomials import monomial_count
from loracle_reference.norms import Norms
from loracle_reference.upper_bounds import rounded_up

__all__ = [
    "REGIMES",
    "PhaseRow",
    "Regime",
    "asymptotic_degree",
    "key_spread",
    "phase_row",
    "phase_rows",
    "rank_exponent",
    "required_degree",
    "required_rank",
    "score_bound",
]


def score_bound(*, beta: Scalar, width: int, queries: Scalar, keys: Scalar) -> Fraction:
    """beta d Gamma_Q Gamma_K >= max |beta <q_j, k_l>|, for max norms Gamma of C1 W and of C2.

    Attained where all entries are equal, so that d cannot be left out.
    """
    return abs(as_fraction(beta)) * width * as_fraction(queries) * as_fraction(keys)


def key_spread(keys: Matrix) -> Fraction:
    """max_i (max_l k_li - min_l k_li) / 2, what Gamma_K may be replaced by in `score_bound`.

    A vector added to all keys adds a constant to each row of scores and leaves f as it is, so the
    norm of the keys is no condition, their spread is. Keys (M, d), read as `Norms.of` reads them.
    """
    return max(Norms.of(keys).half_spreads)


def required_degree(radius: Scalar, relative_error: Scalar) -> int:
    """The degree that `approximate_exponential` needs on [-R, R]; raises ValueError as it does."""
    return sufficient_degree(radius, relative_error)[1]


def required_rank(width: int, radius: Scalar, relative_error: Scalar) -> int:
    """C(d + g, g), the rank of f in `approximate_probabilities`, g being `required_degree`."""
    return monomial_count(width, required_degree(radius, relative_error))


def rank_exponent(rank: int, length: int) -> float:
    """log k / log L, so that k = L^exponent; L^(1 + o(1)) time needs it to tend to zero.

    Raises ValueError unless rank >= 1 and length >= 2.
    """
    if rank < 1 or length < 2:
        raise ValueError(f"an exponent needs rank >= 1 and length >= 2, got {rank} and {length}")
    return log(rank) / log(length)


def asymptotic_degree(radius: float, error: float) -> float:
    """max(sqrt(B n), n / log(n / B)) with n = log(1 / eps), constants left out: the degree in which
    exp(-x) on [0, B] is approximated within eps (Aggarwal and Alman 2022).

    That is an absolute error. A relative error delta on [-R, R] is, times exp(x - R) <= 1, the
    absolute error eps = delta exp(-2 R) on [0, B] with B = 2 R; `error` is delta. The second term
    stands for n >> B; where n / B < e its logarithm is taken as 1, the two terms being of one size.
    Raises ValueError unless radius is finite and > 0 and 0 < error < 1.
    """
    if not 0 < radius < inf or not 0 < error < 1:
        raise ValueError(f"needs a finite radius > 0 and 0 < error < 1, got {radius} and {error}")
    interval = 2 * radius
    digits = interval + log(1 / error)
    return max(sqrt(interval * digits), digits / log(max(e, digits / interval)))


@dataclass(frozen=True)
class PhaseRow:
    """One line of the table: f to a relative error of 1 / L in rank k, L = 2^log2_length.

    printed_ratio: Gamma / sqrt(log L), which the paper wants to tend to zero. needed_ratio:
    beta d Gamma^2 / log L, which has to. exponent: log k / log L.
    """

    log2_length: int
    width: int
    beta: Fraction
    gamma_squared: Fraction
    family: Family
    degree: int
    rank: int
    printed_ratio: float
    needed_ratio: float
    exponent: float


@dataclass(frozen=True)
class Regime:
    """How beta and Gamma^2 go with log2 L, the width being d = log2 L."""

    label: str
    beta: Callable[[int], Fraction]
    gamma_squared: Callable[[int], Fraction]


def _share_of_log(share: Fraction) -> Regime:
    """beta d Gamma^2 = share * log L, with beta = 1 / d."""
    return Regime(
        f"β d Γ² = log L / {share.denominator}" if share < 1 else "β d Γ² = log L",
        lambda n: Fraction(1, n),
        lambda n: share * Fraction(n * log(2)),
    )


REGIMES = (
    Regime("β = 1, Γ² = √log L", lambda n: Fraction(1), lambda n: Fraction(sqrt(n * log(2)))),
    Regime("β = 1, Γ = 1", lambda n: Fraction(1), lambda n: Fraction(1)),
    *(_share_of_log(share) for share in (Fraction(1), Fraction(1, 16), Fraction(1, 256))),
    Regime("β = 1/d, Γ² = √log L", lambda n: Fraction(1, n), lambda n: Fraction(sqrt(n * log(2)))),
    Regime("β = 1/d, Γ = 1", lambda n: Fraction(1, n), lambda n: Fraction(1)),
)
"""d = log2 L throughout; log is natural. The printed condition Gamma = o(sqrt(log L)) holds in the
first two and the last two, the needed one beta d Gamma^2 = o(log L) in the last two alone."""


def phase_row(*, log2_length: int, width: int, beta: Scalar, gamma_squared: Scalar) -> PhaseRow:
    """The rank at L = 2^log2_length for max norms Gamma of queries and keys.

    Raises ValueError unless log2_length >= 1, width >= 1 and gamma_squared >= 0.
    """
    exact_beta, square = as_fraction(beta), as_fraction(gamma_squared)
    if log2_length < 1 or width < 1 or square < 0:
        raise ValueError(
            "a row needs log2_length >= 1, width >= 1 and gamma_squared >= 0, got "
            f"{log2_length}, {width} and {gamma_squared}"
        )
    radius = abs(exact_beta) * width * square
    family, degree = sufficient_degree(rounded_up(radius, 16), Fraction(1, 1 << log2_length))
    rank = monomial_count(width, degree)
    logarithm = log2_length * log(2)
    return PhaseRow(
        log2_length,
        width,
        exact_beta,
        square,
        family,
        degree,
        rank,
        sqrt(square / Fraction(logarithm)),
        float(radius / Fraction(logarithm)),
        rank_exponent(rank, 1 << log2_length),
    )


def phase_rows(regime: Regime, log2_lengths: Iterable[int]) -> list[PhaseRow]:
    """The rows of one regime, with d = log2 L."""
    return [
        phase_row(
            log2_length=n, width=n, beta=regime.beta(n), gamma_squared=regime.gamma_squared(n)
        )
        for n in log2_lengths
    ]
