"""The monomials of a few variables as features: a polynomial of Q K^T as a product of two thin
matrices (the construction behind Lemma 3.3). Algebra alone: exact in every arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, factorial, prod
from typing import TypeVar

from loracle_reference.arithmetic.protocol import Arithmetic, Matrix, Scalar
from loracle_reference.arithmetic.shapes import ShapeError

__all__ = [
    "monomial_count",
    "monomial_exponents",
    "monomial_features",
    "polynomial_factors",
    "raised_monomials",
]

M = TypeVar("M", bound=Matrix)


def monomial_count(variables: int, degree: int) -> int:
    """C(d + g, g), the number of monomials of total degree <= g in d variables.

    Raises ValueError unless variables >= 1 and degree >= 0.
    """
    if variables < 1 or degree < 0:
        raise ValueError(
            f"monomials need at least one variable and a degree >= 0, got {variables} and {degree}"
        )
    return comb(variables + degree, degree)


def monomial_exponents(variables: int, degree: int) -> list[tuple[int, ...]]:
    """The exponents of all monomials of total degree <= g, in the order of `monomial_features`.

    Raises ValueError as `monomial_count`.
    """
    exponents = [(0,) * variables]
    for parents, factors in _generations(variables, degree):
        exponents += [
            tuple(e + (i == factor) for i, e in enumerate(exponents[parent]))
            for parent, factor in zip(parents, factors, strict=True)
        ]
    return exponents


def monomial_features(arithmetic: Arithmetic[M], points: M, degree: int) -> M:
    """phi: row j holds the monomials of row j of the points, degree by degree.

    One multiplication for each monomial of degree >= 2: each is a monomial of one degree less times
    a variable. Shapes: points (n, d), result (n, C(d+g, g)). Raises ValueError if degree < 0.
    """
    rows, variables = points.shape
    features = arithmetic.matrix([[1]] * rows)
    for parents, factors in _generations(variables, degree):
        if parents[0] == 0:
            generation = points
        else:
            generation = features.take_columns(parents) * points.take_columns(factors)
        features = features.beside(generation)
    return features


def raised_monomials(variables: int, degree: int) -> list[list[int]]:
    """For each variable i, the places of x_i times the monomials of degree <= g, among all of
    degree <= g + 1 in the order of `monomial_features`.

    Raises ValueError as `monomial_count`.
    """
    monomial_count(variables, degree)
    exponents = monomial_exponents(variables, degree + 1)
    place = {mu: index for index, mu in enumerate(exponents)}
    return [
        [place[(*mu[:i], mu[i] + 1, *mu[i + 1 :])] for mu in exponents if sum(mu) <= degree]
        for i in range(variables)
    ]


def polynomial_factors(
    arithmetic: Arithmetic[M], queries: M, keys: M, coefficients: Sequence[Scalar]
) -> tuple[M, M]:
    """U, V with U V^T = sum_k a_k (Q K^T)^k, powers entrywise: U = phi(Q) diag(w), V = phi(K).

    By the multinomial theorem <q, k>^n = sum over |mu| = n of n! / mu! q^mu k^mu, so the weight of
    the monomial mu is w_mu = a_|mu| |mu|! / mu!. Shapes: queries (L, d), keys (M, d), U (L, k),
    V (M, k) with k = C(d+g, g), g = len(coefficients) - 1. The L x M matrix is not formed. Raises
    ShapeError, a ValueError, unless both have d columns, ValueError if there is no coefficient.
    """
    if queries.shape[1] != keys.shape[1]:
        raise ShapeError(
            f"the numbers of columns must be equal, got {queries.shape} and {keys.shape}"
        )
    if not coefficients:
        raise ValueError("a polynomial needs at least one coefficient")
    degree = len(coefficients) - 1
    weights = [
        [coefficients[sum(mu)] * (factorial(sum(mu)) // prod(map(factorial, mu)))]
        for mu in monomial_exponents(queries.shape[1], degree)
    ]
    left = monomial_features(arithmetic, queries, degree).T.scale_rows(arithmetic.matrix(weights)).T
    return left, monomial_features(arithmetic, keys, degree)


def _generations(variables: int, degree: int) -> list[tuple[list[int], list[int]]]:
    """For each degree 1 to g: of every monomial, the index of its parent and the variable to
    multiply it by, a variable not before those of the parent, so that none comes twice."""
    monomial_count(variables, degree)
    generations = []
    start, last = 0, [0]
    for _ in range(degree):
        pairs = [
            (start + parent, variable)
            for parent, first in enumerate(last)
            for variable in range(first, variables)
        ]
        start += len(last)
        last = [variable for _, variable in pairs]
        generations.append(([parent for parent, _ in pairs], last))
    return generations
