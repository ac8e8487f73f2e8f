"""Appendices E and F, the Jacobians of the adapters: Lemmas E.1, F.2 and F.3 with their proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

from loracle_proofs.records.score_definitions import diagonal
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.settings import PROBLEM_2
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import (
    adapted_weight,
    attention_probabilities,
    half_squared_norm,
    residual,
)
from loracle_reference.differentiation import directional_derivative
from loracle_reference.gradient import score_gradient
from loracle_reference.jacobian import (
    jacobian_in_a,
    jacobian_in_b,
    pull_back,
    pull_back_from_transpose,
    vectorized_key_adapter_gradient,
)
from loracle_reference.vectorization import (
    kronecker,
    sub_block,
    transposition,
    transposition_order,
    vec,
)

__all__ = [
    "RECORDS",
    "printed_jacobian_in_a",
    "printed_jacobian_in_b",
    "printed_transposition",
]

Identity = Callable[[int], Matrix]
Ones = Callable[[int], Matrix]
Constant = Callable[[Any], Matrix]
Gradient = Callable[[str], Matrix]


def printed_jacobian_in_a(B: Matrix, identity: Matrix) -> Matrix:
    """J_B as Lemma E.1 prints it: copies of B along the diagonal, one for each column of W.

    Shapes: B (m, r), identity (n, n), result (m n, r n).
    """
    return kronecker(identity, B)


def printed_jacobian_in_b(A: Matrix, identity: Matrix) -> Matrix:
    """J_A as Lemma E.1 prints it: its block (k, i) is diag(A[i, k]).

    Shapes: A (r, n), identity (m, m), result (m n, m r).
    """
    return kronecker(A.T, identity)


def printed_transposition(m: int, n: int) -> list[list[int]]:
    """T(m, n) as Lemma F.2 prints it: T[(p-1) n + k, (k-1) m + p] = 1, all else 0."""
    rows = [[0] * (m * n) for _ in range(m * n)]
    for p in range(1, m + 1):
        for k in range(1, n + 1):
            rows[(p - 1) * n + k - 1][(k - 1) * m + p - 1] = 1
    return rows


def _weight(W0: Matrix, B: Matrix, A: Matrix) -> Matrix:
    return adapted_weight(W0, B, A, 1)


def _vectorized_weight(W0: Matrix, B: Matrix, A: Matrix) -> Matrix:
    return vec(adapted_weight(W0, B, A, 1))


def _slopes(name: str, W0: Matrix, B: Matrix, A: Matrix, constant: Constant) -> list[Matrix]:
    """The derivatives of vec(W) in the entries of one adapter, in the order of vec."""
    point = {"W0": W0, "B": B, "A": A}
    rows, columns = point[name].shape
    slopes: list[Matrix] = []
    for k in range(rows * columns):
        entries = [[int(i * columns + j == k) for j in range(columns)] for i in range(rows)]
        direction = {name: constant(entries)}
        slopes.append(directional_derivative(_vectorized_weight, point, direction, {}))
    return slopes


def _slopes_in_a(W0: Matrix, B: Matrix, A: Matrix, constant: Constant) -> list[Matrix]:
    return _slopes("A", W0, B, A, constant)


def _slopes_in_b(W0: Matrix, B: Matrix, A: Matrix, constant: Constant) -> list[Matrix]:
    return _slopes("B", W0, B, A, constant)


ADAPTER = Setting(
    "Lemma E.1, the Jacobians",
    shapes={"W0": ("m", "n"), "B": ("m", "r"), "A": ("r", "n")},
    derived={"W": _weight, "slopes_in_a": _slopes_in_a, "slopes_in_b": _slopes_in_b},
    square={"n": "m"},
)
"""The paper's weights are square; slopes are derivatives of vec(W) by dual numbers."""

WEIGHT_WITH_BAR = Setting(
    "Lemma E.1, the frozen weight",
    shapes={"WQ": ("d", "d"), "B": ("d", "r"), "A": ("r", "d")},
    scalars=("ratio",),
)
"""ratio = r / alpha, so that the weight of (3.3) with its bar is ratio WQ."""


def weight_gradient_terms(
    C: Matrix, C3: Matrix, f: Matrix, c: Matrix, identity: Identity
) -> list[Matrix]:
    """c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i], the terms of (3.5), for all j and i.

    Shapes: C (L M, d^2), C3 (M, d), f (L, M), c (L, d); results (d^2, 1).
    """
    terms = []
    for j in range(f.shape[0]):
        f_j = f.take_rows([j]).T
        part_one = diagonal(f_j, identity) - f_j @ f_j.T
        for i in range(C3.shape[1]):
            c_ji = c.take_rows([j]).take_columns([i])
            C_j = sub_block(C, j, f_j.shape[0])
            terms.append(C_j.T @ part_one @ C3.take_columns([i]) @ c_ji)
    return terms


def total(terms: Iterable[Matrix]) -> Matrix:
    """The sum of at least one matrix."""
    return reduce(add, terms)


def _tensor(C1: Matrix, C2: Matrix) -> Matrix:
    return kronecker(C1, C2)


CHAIN_RULE = replace(
    PROBLEM_2,
    name="Lemma E.1, the gradients",
    derived={**PROBLEM_2.derived, "C": _tensor, "terms": weight_gradient_terms},
)
"""terms are those of (3.5), which the gradients of Lemma E.1 take through a Jacobian."""


def printed_weight_in_a(
    W0: Matrix, A: Matrix, B: Matrix, W: Matrix, n: int, identity: Identity
) -> Relation:
    """vec(W) = vec(W0) + J_B vec(A) with the J_B of the text."""
    return equal(vec(W), vec(W0) + printed_jacobian_in_a(B, identity(n)) @ vec(A))


def weight_in_a(
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    W: Matrix,
    n: int,
    identity: Identity,
    slopes_in_a: list[Matrix],
) -> list[Relation]:
    """vec(W) = vec(W0) + J_B vec(A) with J_B = B (x) I, whose columns are the derivatives."""
    J_B = kronecker(B, identity(n))
    return [
        equal(vec(W), vec(W0) + J_B @ vec(A)),
        *(equal(slope, J_B.take_columns([k])) for k, slope in enumerate(slopes_in_a)),
        equal(jacobian_in_a(B, identity(n)), J_B),
    ]


def printed_weight_in_b(
    W0: Matrix, A: Matrix, B: Matrix, W: Matrix, m: int, identity: Identity
) -> Relation:
    """vec(W) = vec(W0) + J_A vec(B) with the J_A of the text."""
    return equal(vec(W), vec(W0) + printed_jacobian_in_b(A, identity(m)) @ vec(B))


def weight_in_b(
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    W: Matrix,
    m: int,
    identity: Identity,
    slopes_in_b: list[Matrix],
) -> list[Relation]:
    """vec(W) = vec(W0) + J_A vec(B) with J_A = I (x) A^T, whose columns are the derivatives."""
    J_A = kronecker(identity(m), A.T)
    return [
        equal(vec(W), vec(W0) + J_A @ vec(B)),
        *(equal(slope, J_A.take_columns([k])) for k, slope in enumerate(slopes_in_b)),
        equal(jacobian_in_b(A, identity(m)), J_A),
    ]


def weights_by_columns(
    W0: Matrix, A: Matrix, B: Matrix, W: Matrix, m: int, n: int, identity: Identity
) -> list[Relation]:
    """The two equations with the Jacobians of the text and vec stacking columns."""
    J_B = printed_jacobian_in_a(B, identity(n))
    J_A = printed_jacobian_in_b(A, identity(m))
    return [
        equal(vec(W.T), vec(W0.T) + J_B @ vec(A.T)),
        equal(vec(W.T), vec(W0.T) + J_A @ vec(B.T)),
    ]


def weight_without_bar(
    WQ: Matrix, A: Matrix, B: Matrix, ratio: Scalar, d: int, identity: Identity
) -> Relation:
    """vec(W) = vec(W_Q*) + J_B vec(A) for the W of (3.3), with the J_B that is right."""
    return equal(vec(WQ.scale(ratio) + B @ A), vec(WQ) + jacobian_in_a(B, identity(d)) @ vec(A))


def weight_with_bar(
    WQ: Matrix, A: Matrix, B: Matrix, ratio: Scalar, d: int, identity: Identity
) -> Relation:
    """vec(W) = vec((r / alpha) W_Q*) + J_B vec(A) for the W of (3.3)."""
    frozen = WQ.scale(ratio)
    return equal(vec(WQ.scale(ratio) + B @ A), vec(frozen) + jacobian_in_a(B, identity(d)) @ vec(A))


def printed_gradient_in_a(
    B: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dA: Matrix
) -> Relation:
    """vec(dL/dA) = sum of J_B^T term with the J_B of the text."""
    J_B = printed_jacobian_in_a(B, identity(d))
    return equal(vec(dL_dA), total(J_B.T @ term for term in terms))


def gradient_in_a_by_columns(
    B: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dA: Matrix
) -> Relation:
    """The same with vec(dL/dA) stacking columns."""
    J_B = printed_jacobian_in_a(B, identity(d))
    return equal(vec(dL_dA.T), total(J_B.T @ term for term in terms))


def gradient_in_a(
    B: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dA: Matrix
) -> Relation:
    """vec(dL/dA) = sum of J_B^T term with J_B = B (x) I."""
    J_B = kronecker(B, identity(d))
    return equal(vec(dL_dA), total(J_B.T @ term for term in terms))


def printed_gradient_in_b(
    A: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dB: Matrix
) -> Relation:
    """vec(dL/dB) = sum of J_A^T term with the J_A of the text."""
    J_A = printed_jacobian_in_b(A, identity(d))
    return equal(vec(dL_dB), total(J_A.T @ term for term in terms))


def gradient_in_b_by_columns(
    A: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dB: Matrix
) -> Relation:
    """The same with vec(dL/dB) stacking columns."""
    J_A = printed_jacobian_in_b(A, identity(d))
    return equal(vec(dL_dB.T), total(J_A.T @ term for term in terms))


def gradient_in_b(
    A: Matrix, d: int, identity: Identity, terms: list[Matrix], dL_dB: Matrix
) -> Relation:
    """vec(dL/dB) = sum of J_A^T term with J_A = I (x) A^T."""
    J_A = kronecker(identity(d), A.T)
    return equal(vec(dL_dB), total(J_A.T @ term for term in terms))


def printed_chain_rule(
    A: Matrix,
    B: Matrix,
    d: int,
    identity: Identity,
    dL_dA: Matrix,
    dL_dB: Matrix,
    dL_dW: Matrix,
) -> list[Relation]:
    """The chain rule through the Jacobians of the text."""
    return [
        equal(vec(dL_dA), printed_jacobian_in_a(B, identity(d)).T @ vec(dL_dW)),
        equal(vec(dL_dB), printed_jacobian_in_b(A, identity(d)).T @ vec(dL_dW)),
    ]


def chain_rule(
    A: Matrix,
    B: Matrix,
    d: int,
    identity: Identity,
    dL_dA: Matrix,
    dL_dB: Matrix,
    dL_dW: Matrix,
) -> list[Relation]:
    """vec(dL/dA) = J_B^T vec(dL/dW) and vec(dL/dB) = J_A^T vec(dL/dW)."""
    return [
        equal(vec(dL_dA), kronecker(B, identity(d)).T @ vec(dL_dW)),
        equal(vec(dL_dA), pull_back(jacobian_in_a(B, identity(d)), dL_dW)),
        equal(vec(dL_dB), kronecker(identity(d), A.T).T @ vec(dL_dW)),
        equal(vec(dL_dB), pull_back(jacobian_in_b(A, identity(d)), dL_dW)),
    ]


RECTANGLE = Setting("Lemma F.2", shapes={"W": ("m", "n")})

SQUARE = Setting("Lemma F.2 for square matrices", shapes={"W": ("d", "d")})


def printed_transposed(W: Matrix, m: int, n: int, constant: Constant) -> Relation:
    """vec(W^T) = T(m, n) vec(W) with the T of the text."""
    return equal(vec(W.T), constant(printed_transposition(m, n)) @ vec(W))


def transposed_by_columns(W: Matrix, m: int, n: int, constant: Constant) -> Relation:
    """The same with vec stacking columns: that of W^T is the rows of W."""
    return equal(vec(W), constant(printed_transposition(m, n)) @ vec(W.T))


def transposed(W: Matrix, m: int, n: int, constant: Constant) -> list[Relation]:
    """vec(W^T) = T(m, n) vec(W) with T[(k-1) m + p, (p-1) n + k] = 1."""
    return [
        equal(vec(W.T), constant(transposition(m, n)) @ vec(W)),
        equal(vec(W.T), vec(W).take_rows(transposition_order(m, n))),
    ]


def one_in_each_row(m: int, n: int, constant: Constant) -> list[Relation]:
    """T(m, n) has one entry other than zero in each row and column; T(n, m) = T(m, n)^T."""
    rows = printed_transposition(m, n)
    return [
        *(equal(sum(entry != 0 for entry in row), 1) for row in rows),
        *(equal(sum(entry != 0 for entry in column), 1) for column in zip(*rows, strict=True)),
        equal(constant(printed_transposition(n, m)), constant(rows).T),
    ]


def square_transposed(W: Matrix, d: int, constant: Constant) -> list[Relation]:
    """T(d, d) of the text transposes, twice to no effect; a permutation, it is symmetric."""
    T = printed_transposition(d, d)
    return [
        equal(vec(W.T), constant(T) @ vec(W)),
        equal(vec(W), constant(T) @ vec(W.T)),
    ]


def _entry(W: Matrix, p: int, k: int) -> Matrix:
    return W.take_rows([p]).take_columns([k])


def printed_position(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (k-1) m + p of vec(W), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W).take_rows([k * m + p])) for p in range(m) for k in range(n)
    ]


def position(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (p-1) n + k of vec(W), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W).take_rows([p * n + k])) for p in range(m) for k in range(n)
    ]


def printed_position_of_transpose(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (p-1) n + k of vec(W^T), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W.T).take_rows([p * n + k])) for p in range(m) for k in range(n)
    ]


def position_of_transpose(W: Matrix, m: int, n: int) -> list[Relation]:
    """W[p, k] stands at (k-1) m + p of vec(W^T), p and k counted from 0 here."""
    return [
        equal(_entry(W, p, k), vec(W.T).take_rows([k * m + p])) for p in range(m) for k in range(n)
    ]


def printed_rows_of_t(W: Matrix, m: int, n: int, constant: Constant) -> list[Relation]:
    """vec(W^T)[i] = T[i, .] vec(W) = T[i, j] vec(W)[j] for i = (p-1) n + k, j = (k-1) m + p."""
    T = constant(printed_transposition(m, n))
    relations = []
    for p in range(m):
        for k in range(n):
            i, j = p * n + k, k * m + p
            row = T.take_rows([i])
            relations.append(equal(vec(W.T).take_rows([i]), row @ vec(W)))
            relations.append(equal(row @ vec(W), row.take_columns([j]) @ vec(W).take_rows([j])))
    return relations


def rows_of_t(W: Matrix, m: int, n: int, constant: Constant) -> list[Relation]:
    """vec(W^T)[i] = T[i, .] vec(W) = T[i, j] vec(W)[j] for i = (k-1) m + p, j = (p-1) n + k."""
    T = constant(transposition(m, n))
    relations = []
    for p in range(m):
        for k in range(n):
            i, j = k * m + p, p * n + k
            row = T.take_rows([i])
            relations.append(equal(vec(W.T).take_rows([i]), row @ vec(W)))
            relations.append(equal(row @ vec(W), row.take_columns([j]) @ vec(W).take_rows([j])))
    return relations


def _key_tensor(CK1: Matrix, CK2: Matrix) -> Matrix:
    return kronecker(CK1, CK2)


def _key_weight(WK0: Matrix, BK: Matrix, AK: Matrix) -> Matrix:
    return adapted_weight(WK0, BK, AK, 1)


def _key_weight_transposed(WK: Matrix) -> Matrix:
    return WK.T


def _key_probabilities(CK1: Matrix, WKT: Matrix, CK2: Matrix) -> Matrix:
    return attention_probabilities(CK1 @ WKT, CK2)


def _key_residual(f: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    return residual(f, C3, Y)


def key_loss(
    CK1: Matrix, CK2: Matrix, C3: Matrix, WK0: Matrix, AK: Matrix, BK: Matrix, Y: Matrix
) -> Matrix:
    """The loss of (B.2) and Definition F.5 in the notation of (B.1), of shape (1, 1)."""
    weight = adapted_weight(WK0, BK, AK, 1)
    return key_weight_loss(CK1, CK2, C3, weight.T, Y)


def key_weight_loss(CK1: Matrix, CK2: Matrix, C3: Matrix, WKT: Matrix, Y: Matrix) -> Matrix:
    """The same as a function of W_K^T."""
    f = attention_probabilities(CK1 @ WKT, CK2)
    return half_squared_norm(residual(f, C3, Y))


def _dL_dAK(gradient: Any) -> Matrix:
    result: Matrix = gradient("AK")
    return result


def _dL_dBK(gradient: Any) -> Matrix:
    result: Matrix = gradient("BK")
    return result


def _dL_dWKT(derivative: Any) -> Matrix:
    result: Matrix = derivative(key_weight_loss, "WKT")
    return result


KEYS = Setting(
    "Lemma F.3",
    shapes={
        "CK1": ("L", "d"),
        "CK2": ("M", "d"),
        "C3": ("M", "d"),
        "WK0": ("d", "d"),
        "AK": ("r", "d"),
        "BK": ("d", "r"),
        "Y": ("L", "d"),
    },
    derived={
        "WK": _key_weight,
        "WKT": _key_weight_transposed,
        "C": _key_tensor,
        "f": _key_probabilities,
        "c": _key_residual,
        "terms": weight_gradient_terms,
        "dL_dAK": _dL_dAK,
        "dL_dBK": _dL_dBK,
        "dL_dWKT": _dL_dWKT,
    },
    square={"M": "L"},
    limits={"r": 2},
    loss=key_loss,
)
"""The notation of (B.1): C = C_K^(1) (x) C_K^(2), and terms those of Lemma F.1 for W_K^T. Beta and
alpha / r are 1, as in (B.2); dL_dX are derivatives of the loss."""


def _scaled_key_weight(WK0: Matrix, BK: Matrix, AK: Matrix, s: Scalar) -> Matrix:
    return adapted_weight(WK0, BK, AK, s)


def _scaled_probabilities(CK1: Matrix, WK: Matrix, CK2: Matrix, beta: Scalar) -> Matrix:
    return attention_probabilities(CK1 @ WK.T, CK2, beta)


def scaled_key_loss(
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    Y: Matrix,
    s: Scalar,
    beta: Scalar,
) -> Matrix:
    """The loss of Definition B.1 for one sample in the notation of (B.1), of shape (1, 1)."""
    keys = CK2 @ adapted_weight(WK0, BK, AK, s)
    return half_squared_norm(residual(attention_probabilities(CK1, keys, beta), C3, Y))


SCALED_KEYS = replace(
    KEYS,
    name="Lemma F.3 with beta and alpha / r",
    scalars=("s", "beta"),
    derived={**KEYS.derived, "WK": _scaled_key_weight, "f": _scaled_probabilities},
    loss=scaled_key_loss,
)
"""The setting of Lemma F.3 for all values of beta and of s = alpha / r."""


def key_gradient_in_a_printed_sizes(
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dAK: Matrix,
) -> Relation:
    """vec(dL/dA_K) = sum of (T(d^2, d^2) J_B)^T term."""
    TJ = constant(printed_transposition(d**2, d**2)) @ printed_jacobian_in_a(BK, identity(d))
    return equal(vec(dL_dAK), total(TJ.T @ term for term in terms))


def key_gradient_in_a_printed_jacobian(
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dAK: Matrix,
) -> Relation:
    """vec(dL/dA_K) = sum of (T(d, d) J_B)^T term with the J_B of Lemma E.1's text."""
    TJ = constant(printed_transposition(d, d)) @ printed_jacobian_in_a(BK, identity(d))
    return equal(vec(dL_dAK), total(TJ.T @ term for term in terms))


def key_gradient_in_a(
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    AK: Matrix,
    BK: Matrix,
    f: Matrix,
    c: Matrix,
    s: Scalar,
    beta: Scalar,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dAK: Matrix,
) -> list[Relation]:
    """vec(dL/dA_K) = s beta sum of (T(d, d) J_B)^T term with J_B = B_K (x) I."""
    TJ = constant(transposition(d, d)) @ jacobian_in_a(BK, identity(d))
    grad_w_transposed = (CK1.T @ score_gradient(f, c, C3) @ CK2).scale(s).scale(beta)
    gradients = vectorized_key_adapter_gradient(grad_w_transposed, AK, BK, identity(d), identity(d))
    return [
        equal(vec(dL_dAK), total((TJ.T @ term).scale(s).scale(beta) for term in terms)),
        equal(vec(dL_dAK), gradients["grad_a"]),
    ]


def key_gradient_in_b_printed_sizes(
    AK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dBK: Matrix,
) -> Relation:
    """vec(dL/dB_K) = sum of (T(d^2, d^2) J_A)^T term."""
    TJ = constant(printed_transposition(d**2, d**2)) @ printed_jacobian_in_b(AK, identity(d))
    return equal(vec(dL_dBK), total(TJ.T @ term for term in terms))


def key_gradient_in_b_printed_jacobian(
    AK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dBK: Matrix,
) -> Relation:
    """vec(dL/dB_K) = sum of (T(d, d) J_A)^T term with the J_A of Lemma E.1's text."""
    TJ = constant(printed_transposition(d, d)) @ printed_jacobian_in_b(AK, identity(d))
    return equal(vec(dL_dBK), total(TJ.T @ term for term in terms))


def key_gradient_in_b(
    CK1: Matrix,
    CK2: Matrix,
    C3: Matrix,
    AK: Matrix,
    BK: Matrix,
    f: Matrix,
    c: Matrix,
    s: Scalar,
    beta: Scalar,
    d: int,
    constant: Constant,
    identity: Identity,
    terms: list[Matrix],
    dL_dBK: Matrix,
) -> list[Relation]:
    """vec(dL/dB_K) = s beta sum of (T(d, d) J_A)^T term with J_A = I (x) A_K^T."""
    TJ = constant(transposition(d, d)) @ jacobian_in_b(AK, identity(d))
    grad_w_transposed = (CK1.T @ score_gradient(f, c, C3) @ CK2).scale(s).scale(beta)
    gradients = vectorized_key_adapter_gradient(grad_w_transposed, AK, BK, identity(d), identity(d))
    return [
        equal(vec(dL_dBK), total((TJ.T @ term).scale(s).scale(beta) for term in terms)),
        equal(vec(dL_dBK), gradients["grad_b"]),
    ]


def key_weight_printed_sizes(WK: Matrix, d: int, constant: Constant) -> Relation:
    """vec(W_K^T) = T(d^2, d^2) vec(W_K)."""
    return equal(vec(WK.T), constant(printed_transposition(d**2, d**2)) @ vec(WK))


def key_weight_transposed(WK: Matrix, d: int, constant: Constant) -> Relation:
    """vec(W_K^T) = T(d, d) vec(W_K)."""
    return equal(vec(WK.T), constant(printed_transposition(d, d)) @ vec(WK))


def key_weight_in_adapters_printed_sizes(
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
) -> list[Relation]:
    """vec(W_K^T) = T(d^2, d^2) (vec(W_K*) + J vec(X)) for X = A_K and X = B_K."""
    T = constant(printed_transposition(d**2, d**2))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(WK.T), T @ (vec(WK0) + J_B @ vec(AK))),
        equal(vec(WK.T), T @ (vec(WK0) + J_A @ vec(BK))),
    ]


def key_weight_in_adapters_printed_jacobians(
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
) -> list[Relation]:
    """vec(W_K^T) = T(d, d) (vec(W_K*) + J vec(X)) with the Jacobians of Lemma E.1's text."""
    T = constant(printed_transposition(d, d))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(WK.T), T @ (vec(WK0) + J_B @ vec(AK))),
        equal(vec(WK.T), T @ (vec(WK0) + J_A @ vec(BK))),
    ]


def key_weight_in_adapters(
    WK0: Matrix,
    AK: Matrix,
    BK: Matrix,
    WK: Matrix,
    d: int,
    identity: Identity,
) -> list[Relation]:
    """vec(W_K^T) = T(d, d) (vec(W_K*) + J vec(X)) with J_B = B (x) I and J_A = I (x) A^T."""
    order = transposition_order(d, d)
    return [
        equal(vec(WK.T), (vec(WK0) + jacobian_in_a(BK, identity(d)) @ vec(AK)).take_rows(order)),
        equal(vec(WK.T), (vec(WK0) + jacobian_in_b(AK, identity(d)) @ vec(BK)).take_rows(order)),
    ]


def key_chain_rule_printed_sizes(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = T(d^2, d^2) J vec(dL/dW_K^T) for X = A_K and X = B_K."""
    T = constant(printed_transposition(d**2, d**2))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(dL_dAK), T @ J_B @ vec(dL_dWKT)),
        equal(vec(dL_dBK), T @ J_A @ vec(dL_dWKT)),
    ]


def key_chain_rule_not_transposed(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = T(d, d) J vec(dL/dW_K^T) for X = A_K and X = B_K."""
    T = constant(printed_transposition(d, d))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(dL_dAK), T @ J_B @ vec(dL_dWKT)),
        equal(vec(dL_dBK), T @ J_A @ vec(dL_dWKT)),
    ]


def key_chain_rule_printed_jacobians(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = (T(d, d) J)^T vec(dL/dW_K^T) with the Jacobians of Lemma E.1's text."""
    T = constant(printed_transposition(d, d))
    J_B, J_A = printed_jacobian_in_a(BK, identity(d)), printed_jacobian_in_b(AK, identity(d))
    return [
        equal(vec(dL_dAK), (T @ J_B).T @ vec(dL_dWKT)),
        equal(vec(dL_dBK), (T @ J_A).T @ vec(dL_dWKT)),
    ]


def key_chain_rule(
    AK: Matrix,
    BK: Matrix,
    d: int,
    constant: Constant,
    identity: Identity,
    dL_dAK: Matrix,
    dL_dBK: Matrix,
    dL_dWKT: Matrix,
) -> list[Relation]:
    """vec(dL/dX) = (T(d, d) J)^T vec(dL/dW_K^T) with J_B = B (x) I and J_A = I (x) A^T."""
    T = transposition(d, d)
    return [
        equal(vec(dL_dAK), (constant(T) @ kronecker(BK, identity(d))).T @ vec(dL_dWKT)),
        equal(vec(dL_dAK), pull_back_from_transpose(jacobian_in_a(BK, identity(d)), dL_dWKT)),
        equal(vec(dL_dBK), (constant(T) @ kronecker(identity(d), AK.T)).T @ vec(dL_dWKT)),
        equal(vec(dL_dBK), pull_back_from_transpose(jacobian_in_b(AK, identity(d)), dL_dWKT)),
    ]


PRINTED_JACOBIANS = (
    r" J_B = \begin{pmatrix} B_Q & & \\ & \ddots & \\ & & B_Q \end{pmatrix}, \quad J_A ="
    r" \begin{pmatrix} \operatorname{diag}_d(A_Q[1,1]) & \cdots & \operatorname{diag}_d(A_Q[r,1])"
    r" \\ \vdots & & \vdots \\ \operatorname{diag}_d(A_Q[1,d]) & \cdots &"
    r" \operatorname{diag}_d(A_Q[r,d]) \end{pmatrix}"
)

PART_ONE = (
    r"c(\underline W)_{\underline j, i}\, \mathsf C_{\underline j}^{\top}"
    r" \big(\operatorname{diag}(f(\underline W)_{\underline j})"
    r" - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}\big)"
    r" C^{(3)}[\cdot, i]"
)

KEY_PART_ONE = (
    r"c_K(\underline W_K^{\top})_{\underline j, i}\, (\mathsf C^K_{\underline j})^{\top}"
    r" \big(\operatorname{diag}(f_K(\underline W_K^{\top})_{\underline j})"
    r" - f_K(\underline W_K^{\top})_{\underline j} f_K(\underline W_K^{\top})_{\underline j}"
    r"^{\top}\big) C^{(3)}[\cdot, i]"
)

DOUBLE_SUM = r"\sum_{\underline j=1}^{L} \sum_{i=1}^{d}"

BY_COLUMNS = "vec stacks columns, against Definition 2.1"

RECORDS = (
    Record(
        "Lemma E.1",
        title="Jacobians of the weight in its adapters",
        kind=Kind.LEMMA,
        printed=r"\underline W = \underline W_Q^{\star} + J_B \underline A_Q, \quad"
        r" \underline W = \underline W_Q^{\star} + J_A \underline B_Q, \quad"
        + PRINTED_JACOBIANS
        + rf"; \quad \frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
        rf" J_B^{{\top}} {PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
        rf" J_A^{{\top}} {PART_ONE}",
        corrected=r"\underline W = \underline{\overline W}_Q^{\star} + J_B \underline A_Q, \quad"
        r" \underline W = \underline{\overline W}_Q^{\star} + J_A \underline B_Q, \quad"
        r" J_B = B_Q \otimes I_d, \quad J_A = I_d \otimes A_Q^{\top};"
        rf" \quad \frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
        rf" J_B^{{\top}} {PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
        rf" J_A^{{\top}} {PART_ONE}",
        uses=("Definition 2.1", "Definition 2.3", "Equation (3.3)", "Lemma 3.1"),
        parts=(
            Part(
                "J_B",
                setting=ADAPTER,
                printed=(
                    Claim(
                        r"\underline W = \underline W_0 + (I_d \otimes B)\, \underline A,"
                        r" \quad W = W_0 + B A",
                        printed_weight_in_a,
                    ),
                ),
                corrected=Claim(
                    r"\underline W = \underline W_0 + J_B\, \underline A, \quad"
                    r" J_B = \frac{\partial \underline W}{\partial \underline A} = B \otimes I_n,"
                    r" \quad W_0 \in \mathbb R^{m \times n}",
                    weight_in_a,
                    equivalent={
                        "kronecker: 0 -> 1 #1": "The second factor is an identity, which has as"
                        " many rows as columns.",
                    },
                    code=(kronecker, jacobian_in_a),
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="The block-diagonal matrix is the Jacobian of the column-major vec. With"
                " the row-major vec of Definition 2.1 the Jacobian, which is unique, is B (x) I.",
            ),
            Part(
                "J_A",
                setting=ADAPTER,
                printed=(
                    Claim(
                        r"\underline W = \underline W_0 + (A^{\top} \otimes I_d)\, \underline B,"
                        r" \quad W = W_0 + B A",
                        printed_weight_in_b,
                    ),
                ),
                corrected=Claim(
                    r"\underline W = \underline W_0 + J_A\, \underline B, \quad"
                    r" J_A = \frac{\partial \underline W}{\partial \underline B}"
                    r" = I_m \otimes A^{\top}, \quad W_0 \in \mathbb R^{m \times n}",
                    weight_in_b,
                    equivalent={
                        "kronecker: 0 -> 1": "The first factor is an identity, which has as many"
                        " rows as columns.",
                    },
                    code=(kronecker, jacobian_in_b),
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="The matrix of diagonal blocks is the Jacobian of the column-major vec."
                " With the row-major vec of Definition 2.1 the Jacobian, which is unique, is"
                " I (x) A^T.",
            ),
            Part(
                "J_B and J_A by columns",
                setting=ADAPTER,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top}) = \operatorname{vec}(W_0^{\top})"
                        r" + (I_d \otimes B) \operatorname{vec}(A^{\top}) ="
                        r" \operatorname{vec}(W_0^{\top})"
                        r" + (A^{\top} \otimes I_d) \operatorname{vec}(B^{\top})",
                        weights_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W^{\top}) = \operatorname{vec}(W_0^{\top})"
                    r" + (I_n \otimes B) \operatorname{vec}(A^{\top}) ="
                    r" \operatorname{vec}(W_0^{\top})"
                    r" + (A^{\top} \otimes I_m) \operatorname{vec}(B^{\top})",
                    weights_by_columns,
                    code=(printed_jacobian_in_a, printed_jacobian_in_b),
                ),
                severity=Severity.NOTATION,
                problem="The displayed matrices are right for a vec that stacks columns, but then"
                " the two gradients below are wrong: no one convention makes the lemma true.",
            ),
            Part(
                "the frozen weight",
                setting=WEIGHT_WITH_BAR,
                printed=(
                    Claim(
                        r"\underline W = \underline W_Q^{\star} + J_B \underline A_Q, \quad"
                        r" W = \overline W_Q^{\star} + B_Q A_Q",
                        weight_without_bar,
                    ),
                    Claim(
                        r"\underline W = \underline{\overline W}_Q^{\star} + J_B \underline A_Q,"
                        r" \quad W = \overline W_Q^{\star} + B_Q A_Q",
                        weight_with_bar,
                        reading="the frozen weight is that of (3.3), with its bar, and J_B is"
                        " B (x) I",
                    ),
                ),
                corrected=Claim(
                    r"\underline W = \tfrac{r}{\alpha} \underline W_Q^{\star}"
                    r" + J_B \underline A_Q, \quad"
                    r" W = \tfrac{r}{\alpha} W_Q^{\star} + B_Q A_Q",
                    weight_with_bar,
                ),
                severity=Severity.TYPO,
                problem="The weight of (3.3) starts from (r/alpha) W_Q*, written with a bar; the"
                " bar is missing here, and the equation is false unless alpha = r.",
            ),
            Part(
                "gradient in A",
                setting=CHAIN_RULE,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
                        rf" (I_d \otimes B_Q)^{{\top}} {PART_ONE}",
                        printed_gradient_in_a,
                    ),
                    Claim(
                        r"\operatorname{vec}\Big(\big(\frac{\partial\mathcal L}"
                        rf"{{\partial A_Q}}\big)^{{\top}}\Big) = {DOUBLE_SUM}"
                        rf" (I_d \otimes B_Q)^{{\top}} {PART_ONE}",
                        gradient_in_a_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline A_Q}} = {DOUBLE_SUM}"
                    rf" (B_Q \otimes I_d)^{{\top}} {PART_ONE}",
                    gradient_in_a,
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="With the printed J_B the sum is not the gradient, in either order of vec:"
                " the columns of C_j stand in row-major order, those of J_B^T in column-major.",
            ),
            Part(
                "gradient in B",
                setting=CHAIN_RULE,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
                        rf" (A_Q^{{\top}} \otimes I_d)^{{\top}} {PART_ONE}",
                        printed_gradient_in_b,
                    ),
                    Claim(
                        r"\operatorname{vec}\Big(\big(\frac{\partial\mathcal L}"
                        rf"{{\partial B_Q}}\big)^{{\top}}\Big) = {DOUBLE_SUM}"
                        rf" (A_Q^{{\top}} \otimes I_d)^{{\top}} {PART_ONE}",
                        gradient_in_b_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline B_Q}} = {DOUBLE_SUM}"
                    rf" (I_d \otimes A_Q^{{\top}})^{{\top}} {PART_ONE}",
                    gradient_in_b,
                ),
                severity=Severity.FATAL_TO_STATEMENT,
                problem="With the printed J_A the sum is not the gradient, in either order of vec:"
                " the columns of C_j stand in row-major order, those of J_A^T in column-major.",
            ),
        ),
        ocr="The upper right block of J_A is garbled in the source text; it is read as"
        " diag(A_Q[r, 1]), which the rows below it require.",
        remark="The closed forms B^T (dL/dW) and (dL/dW) A^T do not depend on the order of vec;"
        " Lemma 3.2 is what the corrected lemma gives.",
    ),
    Record(
        "Proof of Lemma E.1",
        title="Chain rule through the Jacobians",
        kind=Kind.PROOF,
        printed=r"\frac{\partial\mathcal L}{\partial\underline A_Q} = J_B^{\top}"
        r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_Q} = J_A^{\top}"
        r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}, \quad" + PRINTED_JACOBIANS,
        corrected=r"\frac{\partial\mathcal L}{\partial\underline A_Q} ="
        r" (B_Q \otimes I_d)^{\top} \frac{\mathrm d\mathcal L}{\mathrm d\underline W}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_Q} ="
        r" (I_d \otimes A_Q^{\top})^{\top} \frac{\mathrm d\mathcal L}{\mathrm d\underline W}",
        uses=("Lemma E.1", "Lemma 3.1"),
        parts=(
            Part(
                "chain rule",
                setting=CHAIN_RULE,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_Q} ="
                        r" (I_d \otimes B_Q)^{\top} \frac{\mathrm d\mathcal L}"
                        r"{\mathrm d\underline W}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_Q} ="
                        r" (A_Q^{\top} \otimes I_d)^{\top} \frac{\mathrm d\mathcal L}"
                        r"{\mathrm d\underline W}",
                        printed_chain_rule,
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial\underline A_Q} ="
                    r" (B_Q \otimes I_d)^{\top} \frac{\mathrm d\mathcal L}{\mathrm d\underline W},"
                    r" \quad \frac{\partial\mathcal L}{\partial\underline B_Q} ="
                    r" (I_d \otimes A_Q^{\top})^{\top}"
                    r" \frac{\mathrm d\mathcal L}{\mathrm d\underline W}",
                    chain_rule,
                    code=(pull_back, jacobian_in_a, jacobian_in_b),
                ),
                severity=Severity.FATAL_TO_PROOF,
                problem="The proof names the chain rule and Lemma 3.1 and takes the displayed"
                " Jacobians as given; they are those of another vec, so what follows is false.",
            ),
        ),
    ),
    Record(
        "Lemma F.2",
        title="Transposition as a permutation of vec",
        kind=Kind.LEMMA,
        printed=r"\underline{W}^{\top} = T(m,n)\, \underline W, \quad"
        r" W \in \mathbb R^{m \times n}, \quad T(m,n)[i,j] ="
        r" \begin{cases} 1, & j = (k-1)m + p \\ 0, & \text{otherwise} \end{cases}, \quad"
        r" i = (p-1)n + k",
        corrected=r"\operatorname{vec}(W^{\top}) = T(m,n) \operatorname{vec}(W), \quad"
        r" W \in \mathbb R^{m \times n}, \quad T(m,n)[i,j] ="
        r" \begin{cases} 1, & j = (p-1)n + k \\ 0, & \text{otherwise} \end{cases}, \quad"
        r" i = (k-1)m + p",
        uses=("Definition 2.1",),
        parts=(
            Part(
                "T transposes",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top}) = T(m,n) \operatorname{vec}(W), \quad"
                        r" T(m,n)[(p-1)n + k, (k-1)m + p] = 1",
                        printed_transposed,
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W^{\top}) = T(m,n) \operatorname{vec}(W), \quad"
                    r" T(m,n)[(k-1)m + p, (p-1)n + k] = 1",
                    transposed,
                    code=(transposition, transposition_order),
                ),
                severity=Severity.NOTATION,
                problem="The lemma mixes row-major and column-major: with the row-major vec of"
                " Definition 2.1 the printed matrix is the transpose of the one that is claimed and"
                " takes vec(W^T) to vec(W). The only use, m = n = d, is unaffected.",
            ),
            Part(
                "T transposes by columns",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W) = T(m,n) \operatorname{vec}(W^{\top}), \quad"
                        r" T(m,n)[(p-1)n + k, (k-1)m + p] = 1",
                        transposed_by_columns,
                        reading=BY_COLUMNS,
                    ),
                ),
                severity=Severity.NOTATION,
                problem="The printed matrix is right for a vec that stacks columns, which is not"
                " the vec of Definition 2.1.",
            ),
            Part(
                "T is sparse",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\#\{j : T(m,n)[i,j] \neq 0\} = 1, \quad"
                        r" \#\{i : T(m,n)[i,j] \neq 0\} = 1, \quad T(n,m) = T(m,n)^{\top}",
                        one_in_each_row,
                    ),
                ),
            ),
            Part(
                "T for square matrices",
                setting=SQUARE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top}) = T(d,d) \operatorname{vec}(W), \quad"
                        r" \operatorname{vec}(W) = T(d,d) \operatorname{vec}(W^{\top}), \quad"
                        r" W \in \mathbb R^{d \times d}",
                        square_transposed,
                        code=(printed_transposition,),
                    ),
                ),
            ),
        ),
        remark="The lemma is used for square weights only, where the printed matrix and the right"
        " one are the same: T(d, d) is symmetric and its own inverse. The underlined W with a"
        " transposition is read as vec(W^T), not as the row vec(W)^T; the source draws the line"
        " under W alone, and how far it reaches in print cannot be told.",
    ),
    Record(
        "Proof of Lemma F.2",
        title="Positions of an entry",
        kind=Kind.PROOF,
        printed=r"W[p,k] = \underline W[(k-1)m + p], \quad"
        r" W[p,k] = \underline W^{\top}[(p-1)n + k], \quad"
        r" \underline W^{\top}[i] = T(m,n)[i,\cdot]\, \underline W"
        r" = T(m,n)[i,j]\, \underline W[j]",
        corrected=r"W[p,k] = \operatorname{vec}(W)[(p-1)n + k], \quad"
        r" W[p,k] = \operatorname{vec}(W^{\top})[(k-1)m + p], \quad"
        r" \operatorname{vec}(W^{\top})[i] = T(m,n)[i,\cdot] \operatorname{vec}(W)"
        r" = T(m,n)[i,j] \operatorname{vec}(W)[j]",
        uses=("Definition 2.1", "Lemma F.2"),
        parts=(
            Part(
                "position in vec(W)",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"W[p,k] = \operatorname{vec}(W)[(k-1)m + p]",
                        printed_position,
                    ),
                ),
                corrected=Claim(r"W[p,k] = \operatorname{vec}(W)[(p-1)n + k]", position),
                severity=Severity.NOTATION,
                problem="By Definition 2.1 the entry stands at (p-1)n + k; the printed position is"
                " that of the column-major vec. The only use of T, m = n = d, is unaffected, as"
                " both positions are exchanged.",
            ),
            Part(
                "position in vec(W^T)",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"W[p,k] = \operatorname{vec}(W^{\top})[(p-1)n + k]",
                        printed_position_of_transpose,
                    ),
                ),
                corrected=Claim(
                    r"W[p,k] = \operatorname{vec}(W^{\top})[(k-1)m + p]", position_of_transpose
                ),
                severity=Severity.NOTATION,
                problem="By Definition 2.1 the entry stands at (k-1)m + p, as W^T has m columns;"
                " the printed position is that of the column-major vec. The only use of T,"
                " m = n = d, is unaffected, as both positions are exchanged.",
            ),
            Part(
                "rows of T",
                setting=RECTANGLE,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W^{\top})[i] = T(m,n)[i,\cdot] \operatorname{vec}(W)"
                        r" = T(m,n)[i,j] \operatorname{vec}(W)[j], \quad i = (p-1)n + k, \quad"
                        r" j = (k-1)m + p",
                        printed_rows_of_t,
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W^{\top})[i] = T(m,n)[i,\cdot] \operatorname{vec}(W)"
                    r" = T(m,n)[i,j] \operatorname{vec}(W)[j], \quad i = (k-1)m + p, \quad"
                    r" j = (p-1)n + k",
                    rows_of_t,
                    equivalent={
                        "rows_of_t: row.take_columns([j]) @ vec(W).take_rows([j]) -> "
                        "vec(W).take_rows([j]) @ row.take_columns([j])": "Two numbers commute.",
                        "rows_of_t: row.take_columns([j]) @ vec(W).take_rows([j]) -> "
                        "vec(W).take_rows([j])": "The entry T[i, j] that it drops is one.",
                    },
                ),
                severity=Severity.NOTATION,
                problem="The first equality fails with the printed positions unless m = n, m = 1"
                " or n = 1; the second holds. The only use, m = n = d, is unaffected.",
            ),
        ),
        remark="Both positions, and so the whole proof, are right for a vec that stacks columns.",
    ),
    Record(
        "Lemma F.3",
        title="Gradients in the adapters of the keys",
        kind=Kind.LEMMA,
        printed=rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
        rf" (T(d^2,d^2) J_{{B_K}})^{{\top}} {KEY_PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
        rf" (T(d^2,d^2) J_{{A_K}})^{{\top}} {KEY_PART_ONE}",
        corrected=rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
        rf" (T(d,d) J_{{B_K}})^{{\top}} {KEY_PART_ONE}, \quad"
        rf" \frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
        rf" (T(d,d) J_{{A_K}})^{{\top}} {KEY_PART_ONE}, \quad"
        r" J_{B_K} = B_K \otimes I_d, \quad J_{A_K} = I_d \otimes A_K^{\top}",
        uses=("Equation (B.1)", "Lemma E.1", "Lemma F.1", "Lemma F.2"),
        parts=(
            Part(
                "gradient in A_K",
                setting=KEYS,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
                        rf" (T(d^2,d^2) J_{{B_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_a_printed_sizes,
                        reading="the formula is the one that the proof of Lemma F.4 takes from"
                        " here, J_B being that of Lemma E.1",
                    ),
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} = {DOUBLE_SUM}"
                        rf" (T(d,d) J_{{B_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_a_printed_jacobian,
                        reading="the same with T(d, d)",
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline A_K}} ="
                    rf" \beta\tfrac{{\alpha}}{{r}} {DOUBLE_SUM}"
                    rf" (T(d,d)\, (B_K \otimes I_d))^{{\top}} {KEY_PART_ONE}",
                    key_gradient_in_a,
                    setting=SCALED_KEYS,
                    code=(transposition, jacobian_in_a),
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) is a matrix of d^4 rows and columns and has no product with"
                " the d^2 rows of J_B; with T(d, d) the J_B of Lemma E.1's text is still that of"
                " the column-major vec.",
            ),
            Part(
                "gradient in B_K",
                setting=KEYS,
                printed=(
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
                        rf" (T(d^2,d^2) J_{{A_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_b_printed_sizes,
                        reading="the formula is the one that the proof of Lemma F.4 takes from"
                        " here, with J_A of Lemma E.1 for J_B",
                    ),
                    Claim(
                        rf"\frac{{\partial\mathcal L}}{{\partial\underline B_K}} = {DOUBLE_SUM}"
                        rf" (T(d,d) J_{{A_K}})^{{\top}} {KEY_PART_ONE}",
                        key_gradient_in_b_printed_jacobian,
                        reading="the same with T(d, d)",
                    ),
                ),
                corrected=Claim(
                    rf"\frac{{\partial\mathcal L}}{{\partial\underline B_K}} ="
                    rf" \beta\tfrac{{\alpha}}{{r}} {DOUBLE_SUM}"
                    rf" (T(d,d)\, (I_d \otimes A_K^{{\top}}))^{{\top}} {KEY_PART_ONE}",
                    key_gradient_in_b,
                    setting=SCALED_KEYS,
                    code=(transposition, jacobian_in_b),
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) is a matrix of d^4 rows and columns and has no product with"
                " the d^2 rows of J_A; with T(d, d) the J_A of Lemma E.1's text is still that of"
                " the column-major vec.",
            ),
            Part(
                "gradients in A_Q and B_Q",
                cites="The display of the lemma is not legible in the source text, so that nothing"
                " that it says of A_Q and B_Q is tried here; the gradients themselves are those of"
                " Lemma E.1 with C^Q in the place of C, in its record.",
            ),
        ),
        ocr="The display of the lemma, with its Jacobians and gradients, is destroyed in the"
        " source text. What is tried is what the proof of Lemma F.4 says it takes from here, and"
        " the definition of J_B and J_A in Lemma E.1, which this lemma begins like.",
        remark="The proof of this lemma prints the gradient without the transposition that the"
        " proof of Lemma F.4 has. Both factors of the corrected form are one by (S4).",
    ),
    Record(
        "Proof of Lemma F.3",
        title="Chain rule through the transposed weight",
        kind=Kind.PROOF,
        printed=r"\underline{W_K^{\top}} = T(d^2,d^2)\, \underline W_K"
        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{A_K} \underline B_K), \quad"
        r" \frac{\partial\mathcal L}{\partial\underline A_K} = T(d^2,d^2) J_{B_K}"
        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_K} = T(d^2,d^2) J_{A_K}"
        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
        corrected=r"\operatorname{vec}(W_K^{\top}) = T(d,d)\, \underline W_K"
        r" = T(d,d) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
        r" = T(d,d) (\underline W_K^{\star} + J_{A_K} \underline B_K), \quad"
        r" \frac{\partial\mathcal L}{\partial\underline A_K} = (T(d,d) J_{B_K})^{\top}"
        r" \frac{\partial\mathcal L}{\partial \operatorname{vec}(W_K^{\top})}, \quad"
        r" \frac{\partial\mathcal L}{\partial\underline B_K} = (T(d,d) J_{A_K})^{\top}"
        r" \frac{\partial\mathcal L}{\partial \operatorname{vec}(W_K^{\top})}, \quad"
        r" J_{B_K} = B_K \otimes I_d, \quad J_{A_K} = I_d \otimes A_K^{\top}",
        uses=("Lemma E.1", "Lemma F.1", "Lemma F.2"),
        parts=(
            Part(
                "the transposed weight",
                setting=KEYS,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W_K^{\top}) = T(d^2,d^2)\, \underline W_K",
                        key_weight_printed_sizes,
                    ),
                    Claim(
                        r"\operatorname{vec}(W_K^{\top}) = T(d,d)\, \underline W_K",
                        key_weight_transposed,
                        reading="T(d, d) is meant, for W_K has d rows and d columns",
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W_K^{\top}) = T(d,d)\, \underline W_K",
                    key_weight_transposed,
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) is a matrix of d^4 rows and columns, and vec(W_K) has d^2"
                " entries; the arguments of T are the sizes of the matrix, not of its vec.",
            ),
            Part(
                "the transposed weight in its adapters",
                setting=KEYS,
                printed=(
                    Claim(
                        r"\operatorname{vec}(W_K^{\top})"
                        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
                        r" = T(d^2,d^2) (\underline W_K^{\star} + J_{A_K} \underline B_K)",
                        key_weight_in_adapters_printed_sizes,
                    ),
                    Claim(
                        r"\operatorname{vec}(W_K^{\top})"
                        r" = T(d,d) (\underline W_K^{\star} + J_{B_K} \underline A_K)"
                        r" = T(d,d) (\underline W_K^{\star} + J_{A_K} \underline B_K)",
                        key_weight_in_adapters_printed_jacobians,
                        reading="T(d, d) is meant; the Jacobians are those of Lemma E.1's text",
                    ),
                ),
                corrected=Claim(
                    r"\operatorname{vec}(W_K^{\top}) = T(d,d) (\underline W_K^{\star}"
                    r" + (B_K \otimes I_d) \underline A_K) = T(d,d) (\underline W_K^{\star}"
                    r" + (I_d \otimes A_K^{\top}) \underline B_K)",
                    key_weight_in_adapters,
                    code=(jacobian_in_a, jacobian_in_b, transposition_order),
                ),
                severity=Severity.ILL_TYPED,
                problem="T(d^2, d^2) does not act on vectors of d^2 entries; with T(d, d) the"
                " Jacobians of Lemma E.1's text, those of the column-major vec, make it false.",
            ),
            Part(
                "the gradients",
                setting=KEYS,
                printed=(
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_K} = T(d^2,d^2) J_{B_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_K} = T(d^2,d^2) J_{A_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
                        key_chain_rule_printed_sizes,
                    ),
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_K} = T(d,d) J_{B_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_K} = T(d,d) J_{A_K}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
                        key_chain_rule_not_transposed,
                        reading="T(d, d) is meant",
                    ),
                    Claim(
                        r"\frac{\partial\mathcal L}{\partial\underline A_K} = (T(d,d)"
                        r" J_{B_K})^{\top}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}, \quad"
                        r" \frac{\partial\mathcal L}{\partial\underline B_K} = (T(d,d)"
                        r" J_{A_K})^{\top}"
                        r" \frac{\partial\mathcal L}{\partial\underline{W_K^{\top}}}",
                        key_chain_rule_printed_jacobians,
                        reading="T(d, d) is meant, and the derivative of one vector in another is"
                        " the transposed Jacobian",
                    ),
                ),
                corrected=Claim(
                    r"\frac{\partial\mathcal L}{\partial\underline A_K} = (T(d,d)"
                    r" (B_K \otimes I_d))^{\top} \frac{\partial\mathcal L}"
                    r"{\partial \operatorname{vec}(W_K^{\top})}, \quad"
                    r" \frac{\partial\mathcal L}{\partial\underline B_K} = (T(d,d)"
                    r" (I_d \otimes A_K^{\top}))^{\top} \frac{\partial\mathcal L}"
                    r"{\partial \operatorname{vec}(W_K^{\top})}",
                    key_chain_rule,
                    equivalent={
                        f"pull_back_from_transpose: m * n -> {one} #1": "It changes the text of"
                        " an error only."
                        for one in ("m", "n")
                    },
                    code=(transposition, pull_back_from_transpose, jacobian_in_a, jacobian_in_b),
                ),
                severity=Severity.ILL_TYPED,
                problem="Beside T(d^2, d^2) for T(d, d), the transposition of the chain rule is"
                " missing: T J has d^2 rows and r d columns and is applied to d^2 entries. With it"
                " the Jacobians of Lemma E.1's text still make the gradients false.",
            ),
        ),
        ocr="The first words of the proof and the underlining of W_K^T are damaged in the source"
        " text; the formulas are legible.",
    ),
)
