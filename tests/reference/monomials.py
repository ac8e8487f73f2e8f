"""The weights with which the inner product of monomial features is exp's Taylor polynomial."""

from __future__ import annotations

from fractions import Fraction
from math import factorial, prod

from loracle_reference.monomials import monomial_exponents


def taylor_coefficients(width: int, degree: int) -> list[list[Fraction]]:
    """The column of 1 / (mu_1! ... mu_d!), the multinomial over n!, for exp(<x, y>)."""
    return [[Fraction(1, prod(map(factorial, mu)))] for mu in monomial_exponents(width, degree)]
