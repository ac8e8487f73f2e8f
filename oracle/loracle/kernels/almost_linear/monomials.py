"""Which monomials are features, and how each is built from one of a degree less.

The features of a point x are x^mu for mu in an index set; with weights w_mu = a_|mu| |mu|! / mu!,
sum_mu w_mu q^mu k^mu is the polynomial sum_n a_n <q, k>^n without the terms left out (Lemma 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import comb, factorial

import numpy as np
import numpy.typing as npt

__all__ = ["IndexSet", "Step", "anisotropic_index_set", "full_index_set"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """Features start:stop are features `parents` (a slice, or their numbers) times a variable."""

    start: int
    stop: int
    parents: slice | tuple[int, ...]
    variable: int


@dataclass(frozen=True)
class IndexSet:
    """Monomials in `width` variables, with every monomial all those that it is a product from.

    exponents: (k, d). weights: the multinomial coefficients |mu|! / mu! times the polynomial's.
    dropped: an upper bound of the absolute value of what the left-out monomials of degree at most
    `degree` contribute, for any query and key within the spreads.
    """

    exponents: Integers
    weights: tuple[float, ...]
    steps: tuple[Step, ...]
    degree: int
    dropped: float

    @property
    def rank(self) -> int:
        """k, the number of features."""
        return len(self.weights)

    @property
    def full(self) -> bool:
        """Whether it holds all monomials up to its degree."""
        return self.rank == comb(self.exponents.shape[1] + self.degree, self.degree)


def full_index_set(width: int, coefficients: Sequence[float]) -> IndexSet:
    """All monomials of degree < len(coefficients)."""
    lattice = _lattice(width, len(coefficients) - 1)
    weights = tuple(_weights(lattice.exponents, coefficients).tolist())
    return IndexSet(lattice.exponents, weights, lattice.steps, len(coefficients) - 1, 0.0)


def anisotropic_index_set(
    spreads: npt.NDArray[np.float64], coefficients: Sequence[float], budget: float
) -> IndexSet:
    """The monomials without those that contribute least, up to `budget` in sum.

    spreads: max |q_i| max |k_i| for every variable i. No pair of a query and a key gets more than
    |w_mu| prod spreads_i^mu_i from the monomial mu (the certified tail sum). A monomial is left
    out only if none that stays is a multiple of it, so that each can still be built by one product.
    """
    degree = len(coefficients) - 1
    lattice = _lattice(len(spreads), degree)
    exponents = lattice.exponents
    parts = np.abs(_weights(exponents, coefficients))
    with np.errstate(over="ignore"):
        parts *= np.prod(np.power(spreads, exponents), axis=1) * (1 + 2.0**-40)
    # A monomial counts as large as the largest multiple of it: sorted by that, and multiples first
    # among equals, so any number of leading ones may go.
    largest = _largest_multiple(lattice, parts)
    order = np.lexsort((-lattice.degrees, largest))
    tails = np.cumsum(parts[order]) * (1 + 2.0**-30)
    gone = min(int(np.searchsorted(tails, budget, side="right")), len(order) - 1)
    kept = np.sort(order[gone:])
    weights = tuple(_weights(exponents[kept], coefficients).tolist())
    dropped = float(tails[gone - 1]) if gone else 0.0
    return IndexSet(exponents[kept], weights, _steps(lattice, kept), degree, dropped)


@dataclass(frozen=True)
class _Lattice:
    """All monomials up to a degree: degree by degree, within a degree by the last variable.

    parents: for every monomial and variable, the number of the monomial divided by the variable, -1
    where it does not divide. last: the last variable that occurs, 0 for the constant.
    """

    exponents: Integers
    degrees: Integers
    last: Integers
    parents: Integers
    steps: tuple[Step, ...]


@lru_cache(maxsize=32)
def _lattice(width: int, degree: int) -> _Lattice:
    generation = np.zeros((1, width), dtype=np.int64)
    generations = [generation]
    for _ in range(degree):
        last = _last_variables(generation)
        # Multiplied by a variable not before the last one, so that none comes twice.
        generation = np.concatenate(
            [generation[last <= v] + np.eye(width, dtype=np.int64)[v] for v in range(width)]
        )
        generations.append(generation)
    exponents = np.concatenate(generations)
    numbers = {row.tobytes(): number for number, row in enumerate(exponents)}
    parents = np.full(exponents.shape, -1, dtype=np.int64)
    for variable in range(width):
        divisible = np.nonzero(exponents[:, variable])[0]
        quotients = exponents[divisible] - np.eye(width, dtype=np.int64)[variable]
        parents[divisible, variable] = [numbers[row.tobytes()] for row in quotients]
    bare = _Lattice(exponents, exponents.sum(axis=1), _last_variables(exponents), parents, ())
    return replace(bare, steps=_steps(bare, np.arange(len(exponents))))


def _last_variables(exponents: Integers) -> Integers:
    width = exponents.shape[1]
    from_the_end = np.argmax(exponents[:, ::-1] > 0, axis=1)
    return np.where(exponents.any(axis=1), width - 1 - from_the_end, 0)


def _weights(exponents: Integers, coefficients: Sequence[float]) -> npt.NDArray[np.float64]:
    """a_|mu| |mu|! / mu!, off by at most a few roundings for each variable."""
    degrees = range(len(coefficients))
    scaled = np.array([coefficients[n] * float(factorial(n)) for n in degrees])
    inverse = np.array([1 / factorial(n) for n in degrees])
    return np.asarray(scaled[exponents.sum(axis=1)] * np.prod(inverse[exponents], axis=1))


def _largest_multiple(lattice: _Lattice, parts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each monomial the largest part of it and of its multiples in the lattice."""
    largest = parts.copy()
    for degree in range(int(lattice.degrees[-1]), 0, -1):
        rows = np.nonzero(lattice.degrees == degree)[0]
        for variable in range(lattice.exponents.shape[1]):
            parents = lattice.parents[rows, variable]
            divisible = parents >= 0
            np.maximum.at(largest, parents[divisible], largest[rows[divisible]])
    return largest


def _steps(lattice: _Lattice, kept: Integers) -> tuple[Step, ...]:
    """How the kept monomials are built, those of one degree and last variable in few steps."""
    position = np.full(len(lattice.exponents), -1, dtype=np.int64)
    position[kept] = np.arange(len(kept))
    degrees, last = lattice.degrees[kept], lattice.last[kept]
    changes = np.nonzero(np.diff(degrees) | np.diff(last))[0] + 1
    steps = []
    for start, stop in pairwise([*changes.tolist(), len(kept)]):
        variable = int(last[start])
        parents = position[lattice.parents[kept[start:stop], variable]]
        steps += _steps_from(parents, start, variable)
    return tuple(steps)


_SHORTEST_RUN = 4
"""Mean length of runs of consecutive parents from which a product for each run is cheaper than
gathering the parents first."""


def _steps_from(parents: Integers, start: int, variable: int) -> list[Step]:
    """The monomials from number `start` on, as products of these parents with the variable."""
    bounds = [0, *(np.nonzero(np.diff(parents) != 1)[0] + 1).tolist(), len(parents)]
    if (len(bounds) - 1) * _SHORTEST_RUN > len(parents) and len(bounds) > 2:
        return [Step(start, start + len(parents), tuple(parents.tolist()), variable)]
    return [
        Step(start + i, start + j, slice(int(parents[i]), int(parents[i]) + j - i), variable)
        for i, j in pairwise(bounds)
    ]
