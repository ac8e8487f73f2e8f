"""All monomials up to a degree, by one product each: features whose inner product is exp's Taylor
polynomial."""

from __future__ import annotations

from fractions import Fraction
from math import factorial, prod
from typing import Any

from loracle_reference.arithmetic import Arithmetic


def monomial_features(arithmetic: Arithmetic[Any], x: Any, degree: int) -> Any:
    """Shapes: x (n, d), result (n, C(d + degree, degree)); columns as in `exponents`."""
    rows, width = x.shape
    found = arithmetic.matrix([[1]] * rows)
    if degree == 0:
        return found
    found = found.beside(x)
    known = exponents(width, 1)
    for total in range(2, degree + 1):
        parents, variables = [], []
        new = [e for e in exponents(width, total) if sum(e) == total]
        for e in new:
            variable = next(i for i, power in enumerate(e) if power > 0)
            parent = tuple(p - (i == variable) for i, p in enumerate(e))
            parents.append(known.index(parent))
            variables.append(variable)
        found = found.beside(found.take_columns(parents) * x.take_columns(variables))
        known += new
    return found


def exponents(width: int, degree: int) -> list[tuple[int, ...]]:
    """Those of all monomials up to the degree: by total degree, e_1 before e_2 in degree 1."""
    tuples: list[tuple[int, ...]] = [()]
    for _ in range(width):
        tuples = [(*t, i) for t in tuples for i in range(degree - sum(t) + 1)]
    return sorted(tuples, key=lambda t: (sum(t), tuple(-power for power in t)))


def taylor_coefficients(width: int, degree: int) -> list[list[Fraction]]:
    """The column of 1 / (mu_1! ... mu_d!), the multinomial over n!, for exp(<x, y>)."""
    return [[Fraction(1, prod(map(factorial, mu)))] for mu in exponents(width, degree)]
