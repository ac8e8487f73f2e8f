"""The operations of the gradient of Problem 2 as polynomials: Theorem H.1, Remark H.1, Theorem 3.1.

No polynomial is typed: each comes from code evaluated in the counting arithmetic, for L = M and
schoolbook products. Asymptotic statements become statements about these polynomials.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial
from typing import Any

import sympy

from loracle_reference.arithmetic.counting import Counting, CountingMatrix, Operations, Size
from loracle_reference.evaluation_orders import (
    gradient_by_degree_raising,
    gradient_by_factors,
    gradient_by_moments,
    gradient_by_queries,
    part_one_formed,
    part_one_split,
)
from loracle_reference.gradient import aloragc_gradient
from loracle_reference.monomials import monomial_count

__all__ = [
    "FEATURES",
    "LENGTH",
    "RANK",
    "WIDTH",
    "almost_linear_operations",
    "bounding_constant",
    "counted",
    "crossover",
    "degree_raising_operations",
    "exact_gradient_operations",
    "matmul_cost",
    "moment_operations",
    "naive_operations",
    "number_of_features",
    "tensor_trick_operations",
    "theorem_h1_bound",
    "theorem_h1_constant",
    "transposition_operations",
]

LENGTH, WIDTH, RANK, FEATURES = sympy.symbols("L d r k", positive=True, integer=True)
"""L = M tokens, d columns, adapters of rank r, k features, which is k1 of Lemma 3.3."""


def matmul_cost(n1: Size, n2: Size, n3: Size) -> Size:
    """T_mat(n1, n2, n3) of Definition H.1 for schoolbook products: n1 n3 (2 n2 - 1) operations."""
    counting = Counting()
    _ = counting.symbol_matrix(n1, n2) @ counting.symbol_matrix(n2, n3)
    return counting.operations.total


def exact_gradient_operations() -> Operations:
    """The closed form with L x L matrices f, q and p, in the order of Theorem H.1's proof.

    dL/dW = (C1^T p) C2 once for both outputs, then B^T (dL/dW) and (dL/dW) A^T. In L, d, r.
    """
    return counted("exact").operations


def theorem_h1_bound() -> Size:
    """T_mat(d, L, L) + T_mat(d, d, L) + T_mat(d, d, r) of Theorem H.1."""
    return sympy.expand(
        matmul_cost(WIDTH, LENGTH, LENGTH)
        + matmul_cost(WIDTH, WIDTH, LENGTH)
        + matmul_cost(WIDTH, WIDTH, RANK)
    )


def theorem_h1_constant() -> Fraction:
    """C with exact_gradient_operations() <= C theorem_h1_bound() for all L, d, r >= 1, proved.

    The O of Theorem H.1 as a number. `bounding_constant` is the proof; no smaller C holds, as
    the quotient tends to C for d = 1 and L to infinity.
    """
    return bounding_constant(exact_gradient_operations().total, theorem_h1_bound())


def bounding_constant(count: Size, bound: Size) -> Fraction:
    """The smallest C >= 0 for which C bound - count, written in the symbols minus one, has no
    negative coefficient; then count <= C bound wherever every symbol is at least 1.

    Each symbol s becomes 1 + s', s' >= 0: a polynomial in s' without negative coefficients is
    nowhere negative. A smaller C may hold, but not by this proof. Raises ValueError if there is no
    such C, if the bound itself has a negative coefficient, or if either is no polynomial.
    """
    found = sympy.sympify(count).free_symbols | sympy.sympify(bound).free_symbols
    # Two numbers are polynomials in any symbol.
    symbols = sorted(found, key=str) or [LENGTH]
    shift = {symbol: 1 + symbol for symbol in symbols}
    terms = _terms(count, shift, symbols)
    bound_terms = _terms(bound, shift, symbols)
    if any(coefficient < 0 for coefficient in bound_terms.values()):
        raise ValueError(f"the bound has negative coefficients in the symbols minus one: {bound}")
    missing = [m for m, c in terms.items() if c > 0 and bound_terms.get(m, 0) == 0]
    if missing:
        names = ", ".join(str(_monomial(symbols, exponents)) for exponents in sorted(missing))
        raise ValueError(f"no multiple of the bound has the count's terms in {names}")
    ratios = (c / bound_terms[m] for m, c in terms.items() if c > 0)
    return max(ratios, default=Fraction(0))


def naive_operations() -> Operations:
    """Equation (3.5) with Part (I) formed as an L x L matrix for each query: degree 3 in L.

    The seemingly cubic evaluation of Remark H.1, otherwise as `tensor_trick_operations`.
    """
    return counted("naive").operations


def tensor_trick_operations() -> Operations:
    """Equation (3.5) with Part (I) split into Parts (II) and (III), Remark H.1: degree 2 in L.

    Its leading term is a multiple of d^2 L^2, as it forms the blocks of C = C1 (x) C2;
    `exact_gradient_operations` never does, and has d L^2 in that place.
    """
    return counted("tensor trick").operations


def almost_linear_operations() -> Operations:
    """The evaluation of Theorem 3.1 with k features, their construction included: degree 1 in L.

    The features are all monomials in d variables up to some degree of at least 1: the constant and
    the variables cost nothing, each of the k - d - 1 others is one product of an earlier one with
    a variable. In L, d, r, k; substitute `number_of_features` for k to fix the degree.
    """
    return counted("almost linear").operations


def moment_operations() -> Operations:
    """`gradient_by_moments` with the features of `almost_linear_operations`: degree 1 in L.

    The moments under the keys and their product with the features of the queries are one product
    each, with (d + 1)^2 columns: 4 (d + 1)^2 L k operations, and 2 L k for the features and their
    coefficients. `almost_linear_operations` are as many in d^2 L k and 2 (d + 1) L k more, and it
    forms matrices with L k d entries, which this does not. In L, d, r, k.
    """
    return counted("moments").operations


def degree_raising_operations(width: int, degree: int) -> Operations:
    """`gradient_by_degree_raising` for the monomials of degree <= g in d variables, in L and r.

    With k' monomials of degree <= g + 1, products of k' by d + 1 and of k by 2 d + 1 take the place
    of those of k by (d + 1)^2, and k' / k is 1 + d / (g + 1): for large L fewer operations than
    `moment_operations` unless d = 1 and g = 0, and for large d and g a small part of them. d and g
    are integers, for the code takes the places of single monomials. Raises ValueError unless d >= 1
    and g >= 0.
    """
    monomial_count(width, degree)
    counting = Counting()

    def features(x: CountingMatrix, n: int) -> CountingMatrix:
        return _features(counting, width, number_of_features(width, n))(x)

    gradient_by_degree_raising(
        **_operands(counting, width),
        features=features,
        coefficients=counting.symbol_matrix(number_of_features(width, degree), 1),
        degree=degree,
    )
    return counting.operations


def number_of_features(width: Size, degree: int) -> Size:
    """C(d + g, g), the number of monomials in d variables of degree at most g (an int >= 0).

    An int for an int d, else a polynomial in d. Raises ValueError on a negative degree.
    """
    if degree < 0:
        raise ValueError(f"a degree must be at least 0, got {degree}")
    rising = sympy.Integer(1)
    for i in range(1, degree + 1):
        rising *= width + i
    features = sympy.expand(rising / factorial(degree))
    return int(features) if features.is_Integer else features


def crossover(width: int, rank: int, features: int) -> int:
    """The smallest L from which on Theorem 3.1's evaluation takes fewer operations than the exact.

    For integers d, r and k; k >= d + 1 as in `almost_linear_operations`, else ValueError.
    """
    if min(width, rank) < 1 or features < width + 1:
        raise ValueError(
            f"expected d, r >= 1 and k >= d + 1, got d = {width}, r = {rank}, k = {features}"
        )
    values = {WIDTH: width, RANK: rank, FEATURES: features}
    saved = (
        exact_gradient_operations().substitute(values).total
        - almost_linear_operations().substitute(values).total
    )
    # A polynomial with a positive leading coefficient, d L^2 against L, is positive right of its
    # last root.
    last = max(sympy.Poly(saved, LENGTH).real_roots(), default=sympy.Integer(0))
    return max(1, int(sympy.floor(last)) + 1)


def transposition_operations(rows: Size, columns: Size) -> Operations:
    """vec(W^T) = T(m, n) vec(W) for W (m, n), one product for the one nonzero entry of each row
    of T(m, n), which is m n x m n (Lemma F.2).

    T(d, d) costs d^2 multiplications; T(d^2, d^2), as printed from Lemma F.4 to Theorem F.1, has
    d^4 rows, and does not act on vec(W) of d^2 entries.
    """
    counting = Counting()
    entries = rows * columns
    _ = counting.symbol_matrix(entries, 1) * counting.symbol_matrix(entries, 1)
    return counting.operations


def counted(order: str) -> Counting:
    """One evaluation of the gradient of Problem 2, M = L, with its operations and formed sizes.

    order: "exact", "naive", "tensor trick", "almost linear" or "moments", as the functions of those
    names say; ValueError for any other.
    """
    if order not in _EVALUATIONS:
        raise ValueError(f"unknown order {order!r}: choose one of {', '.join(_EVALUATIONS)}")
    counting = Counting()
    _EVALUATIONS[order](counting, _operands(counting, WIDTH))
    return counting


Operands = dict[str, CountingMatrix]


def _operands(counting: Counting, width: Size) -> Operands:
    shapes = {
        "c1": (LENGTH, width),
        "c2": (LENGTH, width),
        "c3": (LENGTH, width),
        "w": (width, width),
        "a": (RANK, width),
        "b": (width, RANK),
        "y": (LENGTH, width),
    }
    return {name: counting.symbol_matrix(*shape) for name, shape in shapes.items()}


def _exact(counting: Counting, operands: Operands) -> None:
    aloragc_gradient(**operands)


def _naive(counting: Counting, operands: Operands) -> None:
    identity = counting.symbol_matrix(LENGTH, LENGTH)
    gradient_by_queries(
        **operands,
        part_one=lambda f_j, q_j: part_one_formed(f_j, q_j, identity),
        sum_over=counting.sum_over,
    )


def _tensor_trick(counting: Counting, operands: Operands) -> None:
    gradient_by_queries(**operands, part_one=part_one_split, sum_over=counting.sum_over)


def _almost_linear(counting: Counting, operands: Operands) -> None:
    gradient_by_factors(
        **operands,
        features=_features(counting, WIDTH, FEATURES),
        coefficients=counting.symbol_matrix(FEATURES, 1),
    )


def _moments(counting: Counting, operands: Operands) -> None:
    gradient_by_moments(
        **operands,
        features=_features(counting, WIDTH, FEATURES),
        coefficients=counting.symbol_matrix(FEATURES, 1),
    )


def _features(
    counting: Counting, width: Size, count: Size
) -> Callable[[CountingMatrix], CountingMatrix]:
    """All `count` monomials of degree at most some g, as `monomial_features` forms them."""
    products = count - width - 1

    def features(x: CountingMatrix) -> CountingMatrix:
        # The count depends on how many products there are, not on which earlier features they
        # take; these stand for them.
        constant = counting.symbol_matrix(LENGTH, 1)
        if count == 1:
            return constant
        earlier = constant.beside(x)
        if products == 0:
            return earlier
        return earlier.beside(earlier.some_columns(products) * x.some_columns(products))

    return features


_EVALUATIONS: dict[str, Callable[[Counting, Operands], None]] = {
    "exact": _exact,
    "naive": _naive,
    "tensor trick": _tensor_trick,
    "almost linear": _almost_linear,
    "moments": _moments,
}


def _terms(
    expression: Size, shift: dict[Any, Any], symbols: list[Any]
) -> dict[tuple[int, ...], Fraction]:
    """Coefficients by exponents after the shift."""
    shifted = sympy.sympify(expression).subs(shift, simultaneous=True)
    try:
        polynomial = sympy.Poly(shifted, *symbols, domain="QQ")
    except (sympy.PolynomialError, sympy.CoercionFailed):
        raise ValueError(f"not a polynomial with rational coefficients: {expression}") from None
    return {exponents: Fraction(int(c.p), int(c.q)) for exponents, c in polynomial.terms()}


def _monomial(symbols: list[Any], exponents: tuple[int, ...]) -> Any:
    return sympy.Mul(*(s**e for s, e in zip(symbols, exponents, strict=True)))
