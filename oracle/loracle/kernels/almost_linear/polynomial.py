"""Which polynomial stands for exp on the scores at hand, and which of its monomials are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from loracle.kernels.almost_linear.monomials import (
    IndexSet,
    anisotropic_index_set,
    full_index_set,
)
from loracle_reference.exponential_approximation import sufficient_degree
from loracle_reference.minimax import minimax_approximation, minimax_degree
from loracle_reference.monomials import monomial_count
from loracle_reference.upper_bounds import rounded_up

__all__ = ["Polynomial", "choose_polynomial", "needed_rank"]

_RADIUS_BITS = 6
"""A radius of few bits is met again by the next call of a training loop, at the price of at most
3 % of it."""

_MORE_DEGREES = 1
"""How far beyond the smallest degree it is looked for a smaller anisotropic set."""

_MOST_DEGREE = 200

_MOST_BITS = 900
"""Beyond, a power of the radius is no float64 number."""

_LOOK_AHEAD = 8
"""Full sets of up to so many times max_rank are looked at, for a small one within."""

_WORTHWHILE = 0.8
"""An anisotropic set below this share of the full one is taken: its features cost gathers."""


@dataclass(frozen=True)
class Polynomial:
    """coefficients a_0 ... a_g; error: a bound of |p~(s) exp(-s) - 1| over the scores, p~ being p
    without the monomials that the index set leaves out."""

    coefficients: tuple[float, ...]
    index_set: IndexSet
    error: float

    @property
    def degree(self) -> int:
        """g."""
        return len(self.coefficients) - 1


@lru_cache(maxsize=256)
def _approximation(radius: Fraction, degree: int) -> tuple[tuple[float, ...], float]:
    """Coefficients as floats, and the relative error with what their rounding adds."""
    exact = minimax_approximation(radius, degree)
    coefficients = tuple(float(a) for a in exact.coefficients)
    size = sum(abs(a) * float(radius) ** n for n, a in enumerate(coefficients))
    rounding = 2.0**-52 * size * math.exp(min(float(radius), 700.0))
    return coefficients, float(exact.relative_error) * (1 + 2.0**-40) + rounding


@lru_cache(maxsize=256)
def _degree(radius: Fraction, error: float, most: int) -> int | None:
    """The smallest degree, None beyond `most`."""
    # Chebyshev's is found at once; the least relative error was never seen to take less than half.
    _, sufficient = sufficient_degree(radius, Fraction(error))
    return None if sufficient > 3 * most else minimax_degree(radius, Fraction(error), most=most)


def _rounded(radius: float) -> Fraction:
    return rounded_up(Fraction(radius), _RADIUS_BITS)


def _most(width: int, max_rank: int) -> int:
    """The largest degree that is looked at: with monomials left out it may still fit."""
    degree = 0
    while degree < _MOST_DEGREE and monomial_count(width, degree + 1) <= _LOOK_AHEAD * max_rank:
        degree += 1
    return degree


def needed_rank(radius: float, width: int, error: float, max_rank: int) -> tuple[int, int]:
    """Degree and rank of the full index set for a relative error of exp: the smallest where they
    come near max_rank, else what Chebyshev's polynomial would take."""
    rough = _rounded(radius)
    degree = _degree(rough, error, _most(width, max_rank))
    if degree is None:
        _, degree = sufficient_degree(rough, Fraction(error))
    return degree, monomial_count(width, degree)


def choose_polynomial(
    radius: float, spreads: npt.NDArray[np.float64], error: float, max_rank: int
) -> Polynomial | None:
    """The smallest set of monomials with |p~(s) exp(-s) - 1| <= error wherever |s| <= radius and
    the coordinates stay within the spreads; None where it has more than max_rank.

    Full sets of the smallest degree; sets that leave out monomials by certified tail sums, of that
    degree or a little more, where they are smaller by a fifth.
    """
    rough = _rounded(radius)
    degree = _degree(rough, error, _most(len(spreads), max_rank))
    if degree is None:
        return None
    if degree * math.log2(max(1.0, radius)) > _MOST_BITS:
        return None
    rank = monomial_count(len(spreads), degree)
    best: Polynomial | None = None
    if rank <= max_rank:
        coefficients, achieved = _approximation(rough, degree)
        best = Polynomial(coefficients, full_index_set(len(spreads), coefficients), achieved)
    limit = _WORTHWHILE * rank if best is not None else max_rank
    for more in range(_MORE_DEGREES + 1):
        if monomial_count(len(spreads), degree + more) > _LOOK_AHEAD * max_rank:
            break
        coefficients, achieved = _approximation(rough, degree + more)
        # What is left out is absolute, and exp may be as small as exp(-R).
        budget = (error - achieved) * math.exp(-radius) * (1 - 2.0**-40)
        if budget <= 0:
            continue
        index_set = anisotropic_index_set(spreads, coefficients, budget)
        if index_set.rank <= limit:
            total = achieved + index_set.dropped * math.exp(radius) * (1 + 2.0**-40)
            best = Polynomial(coefficients, index_set, total)
            limit = index_set.rank - 1
    return best
