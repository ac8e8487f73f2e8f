"""How an error in f travels to the gradient: the constants that the paper's poly(L) stands for.

Plain arithmetic on norms: arguments and results are exact scalars (int, Fraction), flint's balls or
floats; only exact scalars and balls make a result rigorous. |X| is the max norm of X, e_X a bound
of |X~ - X|; L queries, M keys, d columns (the paper has M = L). No norm here is submultiplicative
for free: |X Y| <= n |X| |Y| with n the inner size, and that n is in every constant below.

Two chains. The first knows of f~ only |f~ - f| <= e_f, as the lemmas have it. The second knows that
the rows of f and f~ are nonnegative and sum to one; with the distance of two rows
    t = 1/2 sum_l |f~_l - f_l|,     |sum_l (f~_l - f_l) v_l| <= t (max v - min v)   for every v,
for a difference of sum zero has positive part t, negative part t. It loses no factor M.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "distance_from_relative_error",
    "gradient_error",
    "gradient_error_from_rows",
    "hadamard_error",
    "p1_error_from_distance",
    "p1_row_error_from_distance",
    "p2_error_from_distance",
    "p2_row_error_from_distance",
    "q_error",
    "relative_error_of_probabilities",
    "residual_error",
    "residual_error_from_distance",
    "row_products_error",
    "row_products_error_from_distance",
    "value_gradient_error",
    "weight_gradient_error",
]

Number = Any
"""int, Fraction, flint.arb or float."""


def residual_error(*, keys: int, f_error: Number, values: Number) -> Number:
    """|c~ - c| = |(f~ - f) C3| <= M e_f |C3| (Lemmas 3.4, F.6, whose proofs drop M)."""
    return keys * f_error * values


def q_error(*, width: int, c_error: Number, values: Number) -> Number:
    """|q~ - q| = |(c~ - c) C3^T| <= d e_c |C3| (Lemmas 3.5, F.7)."""
    return width * c_error * values


def hadamard_error(
    *, left: Number, left_error: Number, right: Number, right_error: Number
) -> Number:
    """|x~ o y~ - x o y| <= e_x |y| + (|x| + e_x) e_y (Lemmas 3.6 and F.8, with x = f and y = q).

    For x~ o y~ - x o y = (x~ - x) o y + x~ o (y~ - y) and |x~| <= |x| + e_x. It bounds
    diag(r~) f~ - diag(r) f as well, entry by entry (Lemmas 3.7, F.9).
    """
    return left_error * right + (left + left_error) * right_error


def row_products_error(
    *, keys: int, f: Number, f_error: Number, q: Number, q_error: Number
) -> Number:
    """|r~ - r| <= M (e_f |q| + (|f| + e_f) e_q) for r_j = <f_j, q_j> (Lemmas 3.7, F.9)."""
    return keys * hadamard_error(left=f, left_error=f_error, right=q, right_error=q_error)


def weight_gradient_error(
    *, queries: int, keys: int, left: Number, p_error: Number, right: Number
) -> Number:
    """|X^T (p~ - p) Y| <= L M |X| e_p |Y|, X (L, m) and Y (M, n) (Theorems 3.1, B.1)."""
    return queries * keys * left * p_error * right


def gradient_error(
    *,
    queries: int,
    keys: int,
    width: int,
    left: Number,
    p_error: Number,
    right: Number,
    adapter: Number,
) -> Number:
    """|B^T C1^T (p~ - p) C2| <= d L M |B| |C1| e_p |C2|, and so |C1^T (p~ - p) C2 A^T| with |A|.

    Theorems 3.1 and B.1, whose proofs drop d L M. For K, p is transposed and the two sides are X_K
    and X_Q W_Q; the constants beta and s multiply.
    """
    weight = weight_gradient_error(
        queries=queries, keys=keys, left=left, p_error=p_error, right=right
    )
    return width * adapter * weight


def value_gradient_error(
    *,
    queries: int,
    keys: int,
    inputs: Number,
    f: Number,
    f_error: Number,
    c: Number,
    c_error: Number,
) -> Number:
    """|X_V^T (f~^T c~ - f^T c)| <= M |X_V| L (e_f |c| + (|f| + e_f) e_c), X_V (M, m)."""
    product = hadamard_error(left=f, left_error=f_error, right=c, right_error=c_error)
    return keys * inputs * queries * product


def relative_error_of_probabilities(exponential_error: Number) -> Number:
    """eta = 2 delta / (1 - delta) with |f~ - f| <= eta f entrywise.

    If |p(s_jl) - exp(s_jl)| <= delta exp(s_jl) with delta < 1 for all keys l, then numerator and
    denominator of f~_jl = p(s_jl) / sum_m p(s_jm) lie within factors 1 - delta and 1 + delta of
    those of f_jl, so f~ / f is at most (1 + delta) / (1 - delta) = 1 + eta and at least
    (1 - delta) / (1 + delta) = 1 - 2 delta / (1 + delta) >= 1 - eta. Raises ValueError unless
    delta is certainly below 1: beyond, p(s) may be zero or negative and nothing bounds f~.
    """
    _require_below_one(exponential_error)
    return 2 * exponential_error / (1 - exponential_error)


def distance_from_relative_error(exponential_error: Number) -> Number:
    """t = delta / (2 - delta^2), a bound of 1/2 sum_l |f~_l - f_l| and of max_l |f~_l - f_l|.

    For a set S of keys let x = f(S), the sum of f over S. As above f~(S) / (1 - f~(S)) is at most
    rho x / (1 - x) with rho = (1 + delta) / (1 - delta), so f~(S) - x <= (rho - 1) x (1 - x) /
    (1 + (rho - 1) x), which is largest at x = 1 / (1 + sqrt rho), with the value
    (sqrt rho - 1) / (sqrt rho + 1) = delta / (1 + sqrt(1 - delta^2)). As sqrt(1 - delta^2) >=
    1 - delta^2, this is at most t. The distance is f~(S) - f(S) for the S where f~ > f, a single
    entry's difference at most that. Raises ValueError as `relative_error_of_probabilities`.
    """
    _require_below_one(exponential_error)
    return exponential_error / (2 - exponential_error * exponential_error)


def residual_error_from_distance(*, distance: Number, spread: Number) -> Number:
    """|c~_ji - c_ji| <= t (max_l C3_li - min_l C3_li), at most 2 t |C3|; no factor M.

    With |f~ - f| <= eta f and rows that sum to one, t <= eta / 2: |c~ - c| <= eta |C3|.
    """
    return distance * spread


def row_products_error_from_distance(*, distance: Number, q: Number, q_error: Number) -> Number:
    """|r~_j - r_j| <= e_q + 2 t |q|: r~ - r = <f~, q~ - q> + <f~ - f, q>, and f~ sums to one."""
    return q_error + 2 * distance * q


def p1_error_from_distance(*, distance: Number, q: Number, q_error: Number) -> Number:
    """|p1~ - p1| <= e_q + t |q|: hadamard_error with |f~| <= 1 and |f~ - f| <= t entrywise."""
    return q_error + distance * q


def p1_row_error_from_distance(*, distance: Number, q: Number, q_error: Number) -> Number:
    """max_j sum_l |p1~_jl - p1_jl| <= e_q + 2 t |q|, for f~ and |f~ - f| sum to 1 and to 2 t."""
    return q_error + 2 * distance * q


def p2_error_from_distance(*, distance: Number, r: Number, r_error: Number) -> Number:
    """|p2~ - p2| <= e_r + t |r|, as `p1_error_from_distance` with r in place of q."""
    return r_error + distance * r


def p2_row_error_from_distance(*, distance: Number, r: Number, r_error: Number) -> Number:
    """max_j sum_l |p2~_jl - p2_jl| <= e_r + 2 t |r|."""
    return r_error + 2 * distance * r


def gradient_error_from_rows(*, left_sum: Number, row_error: Number, half_spread: Number) -> Number:
    """|(X^T E y)_a| <= sum_j |X_ja| max_j sum_l |E_jl| (max y - min y) / 2; no factor M.

    X (L, m), y one column of length M, E = p~ - p, whose rows sum to zero: sum_l p1_jl = r_j =
    sum_l p2_jl, and likewise for the approximations. So any constant may be subtracted from y.
    """
    return left_sum * row_error * half_spread


def _require_below_one(exponential_error: Number) -> None:
    if not exponential_error < 1:
        raise ValueError(f"the relative error of exp must be below 1, got {exponential_error}")
