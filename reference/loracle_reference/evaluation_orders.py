"""One gradient in other orders of evaluation than `gradient`'s: what Appendix H and Theorem 3.1
compare the cost of.

Each function is generic over an arithmetic, so that the code whose operations are counted is the
code whose values are checked. Row j of every L x M matrix belongs to query j.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, TypeVar

from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.attention import adapted_weight, attention_probabilities, residual
from loracle_reference.monomials import raised_monomials

__all__ = [
    "SumOver",
    "gradient_by_degree_raising",
    "gradient_by_factors",
    "gradient_by_moments",
    "gradient_by_queries",
    "part_one_formed",
    "part_one_split",
    "sum_over",
]

M = TypeVar("M", bound=Matrix)

SumOver = Callable[[Any, Callable[[int], M]], M]
"""sum_over(count, term) = term(0) + ... + term(count - 1), for at least one term."""


def sum_over(count: int, term: Callable[[int], M]) -> M:
    """term(0) + ... + term(count - 1); raises ValueError unless there is at least one term."""
    if count < 1:
        raise ValueError(f"a sum needs at least one term, got {count}")
    return reduce(add, map(term, range(count)))


def part_one_formed(f_j: M, q_j: M, identity: M) -> M:
    """Part (I) times q_j with Part (I) = diag(f_j) - f_j f_j^T formed, an M x M matrix.

    Shapes: f_j (1, M), q_j (M, 1), identity (M, M), result (M, 1).
    """
    return (identity.scale_rows(f_j.T) - f_j.T @ f_j) @ q_j


def part_one_split(f_j: M, q_j: M) -> M:
    """Part (I) times q_j as Part (II) q_j - Part (III) q_j = f_j o q_j - f_j <f_j, q_j>.

    Shapes: f_j (1, M), q_j (M, 1), result (M, 1).
    """
    return f_j.T * q_j - f_j.T @ (f_j @ q_j)


def gradient_by_queries(
    *,
    c1: M,
    c2: M,
    c3: M,
    w: M,
    a: M,
    b: M,
    y: M,
    part_one: Callable[[M, M], M],
    sum_over: SumOver[M],
) -> dict[str, M]:
    """Problem 2 by equation (3.5), one query after the other.

    dL/dW = sum_j sum_i c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i]
    The sum over i is taken first: sum_i c_ji C3[., i] = C3 c_j^T = q_j. C_j (M, d^2) is the block
    of C = C1 (x) C2 of Definition 3.2, formed, with its columns in the order that the row-wise
    Kronecker product of C2 and C1[j] gives them: (k, i) where Definition 2.3 has (i, k).
    part_one(f_j, q_j) is Part (I) of (3.5) times q_j. Shapes: as `gradient.aloragc_gradient`.
    """
    f = attention_probabilities(c1 @ adapted_weight(w, b, a, 1), c2)
    c = residual(f, c3, y)
    queries, width = c1.shape
    keys = c2.shape[0]
    entries_of_c2 = c2.reshape(1, keys * width)

    def term(j: int) -> M:
        row = [j]
        block = entries_of_c2.face_splitting(c1.take_rows(row)).reshape(keys, width * width)
        q_j = c3 @ c.take_rows(row).T
        return block.T @ part_one(f.take_rows(row), q_j)

    grad_w = sum_over(queries, term).reshape(width, width).T
    return {"grad_a": b.T @ grad_w, "grad_b": grad_w @ a.T}


def gradient_by_factors(
    *,
    c1: M,
    c2: M,
    c3: M,
    w: M,
    a: M,
    b: M,
    y: M,
    features: Callable[[M], M],
    coefficients: M,
) -> dict[str, M]:
    """Problem 2 with exp(s) replaced by phi(queries) diag(coefficients) phi(keys)^T, no L x M
    matrix formed: the evaluation of Theorem 3.1.

    U1 = D~^-1 phi(C1 W) diag(coefficients), V1 = phi(C2)      (Lemma 3.3), D~ from row sums
    c~ = U1 (V1^T C3) - Y                                      (Lemma 3.4)
    U2 = c~,                                 V2 = C3           (Lemma 3.5, rows for queries)
    U3 = U1 (x) U2 row by row,               V3 = V1 (x) V2    (Lemma 3.6)
    U4 = diag(r~) U1,                        V4 = V1           (Lemma 3.7)
    with r~_j = <U1[j] (V1^T V2), U2[j]>, whose V1^T V2 is the V1^T C3 of c~, and
    dL/dW = (C1^T U3)(V3^T C2) - (C1^T U4)(V4^T C2)            (Theorem 3.1)
    features maps (n, d) to (n, k); coefficients (k, 1). Other shapes: as
    `gradient.aloragc_gradient`. Exact where the features give exp exactly; approximation errors
    are no matter of this function.
    """
    u = features(c1 @ adapted_weight(w, b, a, 1)).T.scale_rows(coefficients).T
    v1 = features(c2)
    u1 = u.divide_rows(u @ v1.T.row_sum())
    attended = u1 @ (v1.T @ c3)
    u2 = attended - y
    u3, v3 = u1.face_splitting(u2), v1.face_splitting(c3)
    u4 = u1.scale_rows(attended.row_dot(u2))
    grad_w = (c1.T @ u3) @ (v3.T @ c2) - (c1.T @ u4) @ (v1.T @ c2)
    return {"grad_a": b.T @ grad_w, "grad_b": grad_w @ a.T}


def gradient_by_moments(
    *,
    c1: M,
    c2: M,
    c3: M,
    w: M,
    a: M,
    b: M,
    y: M,
    features: Callable[[M], M],
    coefficients: M,
) -> dict[str, M]:
    """What `gradient_by_factors` computes, without its factors of k d columns.

    With U = phi(C1 W) diag(coefficients), V1 = phi(C2) and f = D^-1 U V1^T as there, row j of U
    meets the keys only through the moments of key x and value v under f_j:
    keys:     V1^T 1,   V1^T C3,   V1^T C2,   V1^T (C3 . C2)       (k, 1), (k, d), (k, d), (k, d^2)
    queries:  D,        D E[v],    D E[x],    D E[v (x) x]         U times these
    c = E[v] - Y,   r_j = <c_j, E_j[v]>,   u_j = E_j[<c_j, v> x] - r_j E_j[x] = Cov_j(x, v) c_j
    dL/dW = C1^T u, since p = f o (c C3^T) - diag(r) f and u = p C2 (Definition 3.6).
    Row by row, U3 V3^T C2 of Theorem 3.1 is E[<c, v> x]; here c is contracted after the product
    with U, there before. The four products with U are one with (1 + d)^2 columns; what is divided
    by D has d. Arguments and result: as `gradient_by_factors`.
    """
    (queries, width), keys = c1.shape, features(c2)
    u = features(c1 @ adapted_weight(w, b, a, 1)).T.scale_rows(coefficients).T
    divisor = u @ keys.T.row_sum()
    mean_value = (u @ (keys.T @ c3)).divide_rows(divisor)
    key_sums = u @ (keys.T @ c2)
    # Row j holds D_j E_j[v_i x_b] in the order (i, b).
    pair_sums = u @ (keys.T @ c3.face_splitting(c2))
    c = mean_value - y
    terms = pair_sums.reshape(queries * width, width).scale_rows(c.reshape(queries * width, 1))
    # Transposed, row b holds the terms in the order (j, i): i can be summed over.
    weighted_sums = terms.T.reshape(width * queries, width).row_sum().reshape(width, queries).T
    r = c.row_dot(mean_value)
    grad_w = c1.T @ (weighted_sums - key_sums.scale_rows(r)).divide_rows(divisor)
    return {"grad_a": b.T @ grad_w, "grad_b": grad_w @ a.T}


def gradient_by_degree_raising(
    *,
    c1: M,
    c2: M,
    c3: M,
    w: M,
    a: M,
    b: M,
    y: M,
    features: Callable[[M, int], M],
    coefficients: M,
    degree: int,
) -> dict[str, M]:
    """`gradient_by_moments` for monomials, with moments of 1 and v alone, of one degree more.

    phi_mu(x) x_b is itself a monomial, phi_(mu + e_b)(x), so that
    sum_l phi_mu(x_l) x_lb v_l  =  sum_l phi_(mu + e_b)(x_l) v_l
    is a moment of v with the features of degree <= g + 1, and likewise that of 1. Then
    m = c (V'^T C3)^T - r (V'^T 1)^T,   D_j u_jb = sum_mu U_j,mu m_j,(mu + e_b)
    with V' = phi'(C2), all monomials of degree <= g + 1, of which phi takes the first k. It forms
    m, with as many rows as there are queries, where the other order forms E[v (x) x].
    features(points, n) are the monomials of degree <= n, as `monomial_features` orders them;
    degree: g. coefficients (k, 1). Other arguments and result: as `gradient_by_factors`.
    """
    lower = range(coefficients.shape[0])
    keys = features(c2, degree + 1)
    moments, value_moments = keys.T.row_sum(), keys.T @ c3
    u = features(c1 @ adapted_weight(w, b, a, 1), degree).T.scale_rows(coefficients).T
    divisor = u @ moments.take_rows(lower)
    mean_value = (u @ value_moments.take_rows(lower)).divide_rows(divisor)
    c = mean_value - y
    contracted = c @ value_moments.T - c.row_dot(mean_value) @ moments.T
    raised = raised_monomials(c2.shape[1], degree)
    columns = [u.row_dot(contracted.take_columns(places)) for places in raised]
    grad_w = c1.T @ reduce(_beside, columns).divide_rows(divisor)
    return {"grad_a": b.T @ grad_w, "grad_b": grad_w @ a.T}


def _beside(left: M, right: M) -> M:
    return left.beside(right)
