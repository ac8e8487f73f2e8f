"""Section 3, the gradients: Lemmas 3.1 and 3.2, equations (3.5), (3.6), (E.2), and the proofs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from loracle_proofs.records.jacobians import (
    CHAIN_RULE,
    printed_jacobian_in_a,
    total,
)
from loracle_proofs.records.score_definitions import ANY_KEYS, SCORES, as_columns, diagonal
from loracle_proofs.relation import Relation, equal
from loracle_proofs.setting import Setting
from loracle_proofs.statement import Claim, Kind, Part, Record, Severity
from loracle_reference.arithmetic.protocol import HALF, Matrix
from loracle_reference.attention import attention_probabilities
from loracle_reference.cost import (
    FEATURES,
    LENGTH,
    almost_linear_operations,
    exact_gradient_operations,
    tensor_trick_operations,
)
from loracle_reference.differentiation import directional_derivative
from loracle_reference.gradient import (
    aloragc_gradient,
    normalization,
    score_gradient,
    unnormalized_scores,
)
from loracle_reference.jacobian import jacobian_in_a, jacobian_in_b
from loracle_reference.vectorization import kronecker, sub_block, vec

__all__ = ["RECORDS"]

Identity = Callable[[int], Matrix]
Ones = Callable[[int], Matrix]
Constant = Callable[[Any], Matrix]
Gradient = Callable[[str], Matrix]

LORA = replace(CHAIN_RULE, name="Lemma 3.1", square={})


def _printed_q(c: Matrix, C3: Matrix) -> Matrix:
    return C3 @ c.T


ADAPTERS = replace(
    CHAIN_RULE,
    name="Lemma 3.2",
    derived={**CHAIN_RULE.derived, "printed_q": _printed_q},
)
"""printed_q = C3 c^T as in Lemma 3.2, of shape (M, L); p has row j for query j, as in Problem 2."""


def double_sum(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    gradient: Gradient,
) -> Relation:
    """dL/d vec(W) = sum_j sum_i c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i] for the loss (3.3).

    The derivative of (3.3) in W is that in its frozen weight, to which B A is added.
    """
    terms: list[Matrix] = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        terms.extend(
            C_j.T
            @ (diagonal(f_j, identity) - f_j @ f_j.T)
            @ C3.take_columns([i])
            @ c.take_rows([j]).take_columns([i])
            for i in range(d)
        )
    return equal(vec(gradient("W0")), total(terms))


def display(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    dL_dW: Matrix,
) -> Relation:
    """The same for the loss (3.4) as a function of W."""
    terms: list[Matrix] = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        terms.extend(
            C_j.T
            @ (diagonal(f_j, identity) - f_j @ f_j.T)
            @ C3.take_columns([i])
            @ c.take_rows([j]).take_columns([i])
            for i in range(d)
        )
    return equal(vec(dL_dW), total(terms))


def almost_linear_count() -> list[Relation]:
    """The evaluation of Theorem 3.1 is of degree 1 in L and of degree 1 in its features."""
    operations = almost_linear_operations()
    return [
        equal(operations.degree(LENGTH), 1),
        equal(operations.degree(FEATURES), 1),
    ]


def quadratic_counts() -> list[Relation]:
    """Two exact evaluations, by queries and by whole matrices, are of degree 2 in L."""
    return [
        equal(tensor_trick_operations().degree(LENGTH), 2),
        equal(exact_gradient_operations().degree(LENGTH), 2),
    ]


def p_without_index(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """p_j = (diag(f_j) - f_j f_j^T) q is the vector that row j of dL/dS is."""
    rows = [f.take_rows([j]).T for j in range(L)]
    return [
        equal(dL_dS.take_rows([j]).T, (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q)
        for j, f_j in enumerate(rows)
    ]


def p_by_rows_of_q(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """p_j with row j of q in it is row j of dL/dS."""
    rows = [f.take_rows([j]).T for j in range(L)]
    return [
        equal(
            dL_dS.take_rows([j]).T,
            (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q.take_rows([j]).T,
        )
        for j, f_j in enumerate(rows)
    ]


def p_by_columns_of_q(
    f: Matrix, printed_q: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """p_j with column j of q in it is row j of dL/dS."""
    rows = [f.take_rows([j]).T for j in range(L)]
    return [
        equal(
            dL_dS.take_rows([j]).T,
            (diagonal(f_j, identity) - f_j @ f_j.T) @ printed_q.take_columns([j]),
        )
        for j, f_j in enumerate(rows)
    ]


def p_is_the_gradient(
    f: Matrix, c: Matrix, C3: Matrix, L: int, identity: Identity, dL_dS: Matrix
) -> list[Relation]:
    """With q = c C3^T, p_j made from row j of q is row j of p = dL/dS."""
    q = c @ C3.T
    relations = [equal(dL_dS, score_gradient(f, c, C3))]
    for j in range(L):
        f_j = f.take_rows([j]).T
        p_j = (diagonal(f_j, identity) - f_j @ f_j.T) @ q.take_rows([j]).T
        relations.append(equal(dL_dS.take_rows([j]).T, p_j))
    return relations


def gradient_in_a_from_columns(
    C1: Matrix,
    C2: Matrix,
    B: Matrix,
    f: Matrix,
    printed_q: Matrix,
    L: int,
    identity: Identity,
    dL_dA: Matrix,
) -> Relation:
    """vec(dL/dA) = vec(B^T C1^T p C2) with the p_j for columns of p."""
    columns = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        columns.append((diagonal(f_j, identity) - f_j @ f_j.T) @ q_j)
    return equal(vec(dL_dA), vec(B.T @ C1.T @ as_columns(columns) @ C2))


def gradient_in_a_from_rows(
    C1: Matrix,
    C2: Matrix,
    B: Matrix,
    f: Matrix,
    printed_q: Matrix,
    L: int,
    identity: Identity,
    dL_dA: Matrix,
) -> Relation:
    """vec(dL/dA) = vec(B^T C1^T p C2) with the p_j for rows of p."""
    columns = []
    for j in range(L):
        f_j, q_j = f.take_rows([j]).T, printed_q.take_columns([j])
        columns.append((diagonal(f_j, identity) - f_j @ f_j.T) @ q_j)
    return equal(vec(dL_dA), vec(B.T @ C1.T @ as_columns(columns).T @ C2))


def printed_gradient_in_b(C1: Matrix, C2: Matrix, A: Matrix, p: Matrix, dL_dB: Matrix) -> Relation:
    """vec(dL/dB) = vec(C1^T p A C2)."""
    return equal(vec(dL_dB), vec(C1.T @ p @ A @ C2))


def gradient_in_b(
    C1: Matrix, C2: Matrix, C3: Matrix, A: Matrix, f: Matrix, c: Matrix, dL_dB: Matrix
) -> Relation:
    """vec(dL/dB) = vec(C1^T p C2 A^T)."""
    return equal(vec(dL_dB), vec(C1.T @ score_gradient(f, c, C3) @ C2 @ A.T))


def printed_gradients(
    C1: Matrix,
    C2: Matrix,
    A: Matrix,
    B: Matrix,
    p: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """Both gradients as printed, p having row j for query j."""
    return [
        equal(vec(dL_dA), vec(B.T @ C1.T @ p @ C2)),
        equal(vec(dL_dB), vec(C1.T @ p @ A @ C2)),
    ]


def gradients(
    C1: Matrix,
    C2: Matrix,
    C3: Matrix,
    W0: Matrix,
    A: Matrix,
    B: Matrix,
    Y: Matrix,
    p: Matrix,
    dL_dA: Matrix,
    dL_dB: Matrix,
) -> list[Relation]:
    """Both gradients corrected, and as the specification computes them."""
    computed = aloragc_gradient(c1=C1, c2=C2, c3=C3, w=W0, a=A, b=B, y=Y)
    return [
        equal(vec(dL_dA), vec(B.T @ C1.T @ p @ C2)),
        equal(vec(dL_dB), vec(C1.T @ p @ C2 @ A.T)),
        equal(dL_dA, computed["grad_a"]),
        equal(dL_dB, computed["grad_b"]),
    ]


def _scores(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return C1 @ W @ C2.T


def _u(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return unnormalized_scores(C1 @ W, C2)


def _alpha(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return normalization(unnormalized_scores(C1 @ W, C2))


def _quotient(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    u = unnormalized_scores(C1 @ W, C2)
    return u.divide_rows(normalization(u))


def _f(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return attention_probabilities(C1 @ W, C2)


def _attended(C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix) -> Matrix:
    return attention_probabilities(C1 @ W, C2) @ C3


def _losses(C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, Y: Matrix) -> Matrix:
    c = attention_probabilities(C1 @ W, C2) @ C3 - Y
    return (c * c).scale(HALF)


def _tensor(C1: Matrix, W: Matrix, C2: Matrix) -> Matrix:
    return kronecker(C1, C2)


def _changes(
    quantity: Callable[..., Matrix], matrices: dict[str, Matrix], constant: Constant
) -> list[Matrix]:
    """The derivatives of a quantity in the entries of W, in the order of vec(W)."""
    rows, columns = matrices["W"].shape
    changes: list[Matrix] = []
    for t in range(rows * columns):
        entries = [[int(i * columns + j == t) for j in range(columns)] for i in range(rows)]
        direction = {"W": constant(entries)}
        changes.append(directional_derivative(quantity, matrices, direction, {}))
    return changes


def _changes_of(quantity: Callable[..., Matrix]) -> Callable[..., list[Matrix]]:
    def changes(C1: Matrix, W: Matrix, C2: Matrix, constant: Constant) -> list[Matrix]:
        return _changes(quantity, {"C1": C1, "W": W, "C2": C2}, constant)

    return changes


def _changes_of_attended(
    C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, constant: Constant
) -> list[Matrix]:
    return _changes(_attended, {"C1": C1, "W": W, "C2": C2, "C3": C3}, constant)


def _changes_of_losses(
    C1: Matrix, W: Matrix, C2: Matrix, C3: Matrix, Y: Matrix, constant: Constant
) -> list[Matrix]:
    return _changes(_losses, {"C1": C1, "W": W, "C2": C2, "C3": C3, "Y": Y}, constant)


CHANGES: Setting = replace(
    ANY_KEYS,
    name="Proof of Lemma 3.1",
    derived={
        **ANY_KEYS.derived,
        "u": _u,
        "alpha": _alpha,
        "d_tensor": _changes_of(_tensor),
        "d_scores": _changes_of(_scores),
        "d_u": _changes_of(_u),
        "d_alpha": _changes_of(_alpha),
        "d_quotient": _changes_of(_quotient),
        "d_f": _changes_of(_f),
        "d_attended": _changes_of_attended,
        "d_losses": _changes_of_losses,
    },
)
"""d_x[t] is the derivative of x in entry t of vec(W), by dual numbers: x is u, alpha, u / alpha,
f, f C3, the matrix of all c_ji^2 / 2, the scores C1 W C2^T, or C = C1 (x) C2."""


def gradient_as_a_number(
    dL_dW: Matrix, d: int, constant: Constant, d_losses: list[Matrix]
) -> Relation:
    """vec(dL/dW) = sum_j sum_i d(c_ji^2 / 2)/dW_i with one index i for column and entry."""
    entry = constant([[0]])
    for i in range(d):
        entry = entry + d_losses[i].take_columns([i]).T.row_sum()
    return equal(vec(dL_dW), entry)


def gradient_by_entries(dL_dW: Matrix, d_losses: list[Matrix]) -> list[Relation]:
    """Entry t of vec(dL/dW) is sum_j sum_i d(c_ji^2 / 2)/dW_t, for t up to d^2."""
    return [
        equal(vec(dL_dW).take_rows([t]), d_loss.row_sum().T.row_sum())
        for t, d_loss in enumerate(d_losses)
    ]


def square(c: Matrix, d_losses: list[Matrix], d_attended: list[Matrix]) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji d<f_j, C3[., i]>, for all j and i at once."""
    pairs = zip(d_losses, d_attended, strict=True)
    return [equal(d_loss, c * change) for d_loss, change in pairs]


def inner_product(
    c: Matrix, C3: Matrix, d_losses: list[Matrix], d_f: list[Matrix]
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji <df_j, C3[., i]>, for all j and i at once."""
    pairs = zip(d_losses, d_f, strict=True)
    return [equal(d_loss, c * (change @ C3)) for d_loss, change in pairs]


def quotient(
    c: Matrix, C3: Matrix, d_losses: list[Matrix], d_quotient: list[Matrix]
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji <d(u_j / alpha_j), C3[., i]>, for all j and i at once."""
    pairs = zip(d_losses, d_quotient, strict=True)
    return [equal(d_loss, c * (change @ C3)) for d_loss, change in pairs]


def product_rule(
    c: Matrix,
    C3: Matrix,
    u: Matrix,
    alpha: Matrix,
    d_losses: list[Matrix],
    d_u: list[Matrix],
    d_alpha: list[Matrix],
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji <du_j / alpha_j - dalpha_j u_j / alpha_j^2, C3[., i]>."""
    relations = []
    for d_loss, change, d_sum in zip(d_losses, d_u, d_alpha, strict=True):
        first = change.divide_rows(alpha)
        second = u.scale_rows(d_sum).divide_rows(alpha).divide_rows(alpha)
        relations.append(equal(d_loss, c * ((first - second) @ C3)))
    return relations


def part_one(
    C: Matrix, W: Matrix, L: int, M: int, d_scores: list[Matrix], d_u: list[Matrix]
) -> list[Relation]:
    """du_j = exp(C_j vec(W)) o d(C_j vec(W)) = C_j[., t] o u_j."""
    relations = []
    for t, (d_score, change) in enumerate(zip(d_scores, d_u, strict=True)):
        for j in range(L):
            C_j = sub_block(C, j, M)
            u_j = (C_j @ vec(W)).exp()
            relations.append(equal(change.take_rows([j]).T, u_j * d_score.take_rows([j]).T))
            relations.append(equal(change.take_rows([j]).T, C_j.take_columns([t]) * u_j))
    return relations


def margin_with_c_alone(
    C: Matrix, L: int, M: int, d_scores: list[Matrix], d_tensor: list[Matrix]
) -> list[Relation]:
    """d(C_j vec(W)) = dC_j = C_j[., t], as the margin has it."""
    relations = []
    for t, (d_score, change) in enumerate(zip(d_scores, d_tensor, strict=True)):
        for j in range(L):
            column = d_score.take_rows([j]).T
            relations.append(equal(column, sub_block(change, j, M)))
            relations.append(equal(column, sub_block(C, j, M).take_columns([t])))
    return relations


def margin(
    C: Matrix, L: int, M: int, d: int, identity: Identity, d_scores: list[Matrix]
) -> list[Relation]:
    """d(C_j vec(W)) = C_j e_t = C_j[., t]."""
    relations = []
    for t, d_score in enumerate(d_scores):
        e_t = identity(d * d).take_columns([t])
        for j in range(L):
            column = d_score.take_rows([j]).T
            relations.append(equal(column, sub_block(C, j, M) @ e_t))
            relations.append(equal(column, sub_block(C, j, M).take_columns([t])))
    return relations


def part_two(
    C: Matrix,
    L: int,
    M: int,
    u: Matrix,
    ones: Ones,
    d_u: list[Matrix],
    d_alpha: list[Matrix],
) -> list[Relation]:
    """dalpha_j = <du_j, 1> = <C_j[., t] o u_j, 1> = <C_j[., t], u_j>."""
    relations = []
    for t, (d_row, d_sum) in enumerate(zip(d_u, d_alpha, strict=True)):
        for j in range(L):
            change, u_j = d_sum.take_rows([j]), u.take_rows([j]).T
            C_jt = sub_block(C, j, M).take_columns([t])
            relations.append(equal(change, d_row.take_rows([j]) @ ones(M)))
            relations.append(equal(change, (C_jt * u_j).T @ ones(M)))
            relations.append(equal(change, C_jt.T @ u.take_rows([j]).T))
    return relations


def combined(
    C: Matrix, C3: Matrix, f: Matrix, c: Matrix, L: int, M: int, d_losses: list[Matrix]
) -> list[Relation]:
    """d(c_ji^2 / 2) = c_ji (<C3[., i], C_j[., t] o f_j> - <C3[., i], f_j> <C_j[., t], f_j>).

    For all i at once, as rows.
    """
    relations = []
    for t, d_loss in enumerate(d_losses):
        for j in range(L):
            C_jt, f_j = sub_block(C, j, M).take_columns([t]), f.take_rows([j]).T
            first = (C_jt * f_j).T @ C3
            second = (C_jt.T @ f_j) @ (f_j.T @ C3)
            relations.append(equal(d_loss.take_rows([j]), c.take_rows([j]) * (first - second)))
    return relations


def last_line_as_vectors(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    d_losses: list[Matrix],
) -> list[Relation]:
    """d(c_ji^2 / 2)/dW_i = c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i]."""
    relations = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        for i in range(d):
            gradient = (
                C_j.T
                @ (diagonal(f_j, identity) - f_j @ f_j.T)
                @ C3.take_columns([i])
                @ c.take_rows([j]).take_columns([i])
            )
            relations.append(equal(d_losses[i].take_rows([j]).take_columns([i]), gradient))
    return relations


def last_line_by_entries(
    C: Matrix,
    C3: Matrix,
    f: Matrix,
    c: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    d_losses: list[Matrix],
) -> list[Relation]:
    """d(c_ji^2 / 2)/dW_t is entry t of c_ji C_j^T (diag(f_j) - f_j f_j^T) C3[., i]."""
    relations = []
    for j in range(L):
        C_j, f_j = sub_block(C, j, M), f.take_rows([j]).T
        for i in range(d):
            gradient = (
                C_j.T
                @ (diagonal(f_j, identity) - f_j @ f_j.T)
                @ C3.take_columns([i])
                @ c.take_rows([j]).take_columns([i])
            )
            for t, d_loss in enumerate(d_losses):
                change = d_loss.take_rows([j]).take_columns([i])
                relations.append(equal(change, gradient.take_rows([t])))
    return relations


def printed_sum_over_queries(
    C: Matrix,
    C1: Matrix,
    C2: Matrix,
    B: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    dL_dA: Matrix,
) -> list[Relation]:
    """vec(dL/dA) = sum_j J_B^T C_j^T p_j = vec(B^T C1^T p C2) with the J_B of Lemma E.1's text."""
    J_B = printed_jacobian_in_a(B, identity(d))
    by_queries = total(J_B.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L))
    return [
        equal(vec(dL_dA), by_queries),
        equal(by_queries, vec(B.T @ C1.T @ p @ C2)),
    ]


def sum_over_queries(
    C: Matrix,
    C1: Matrix,
    C2: Matrix,
    B: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    dL_dA: Matrix,
) -> list[Relation]:
    """vec(dL/dA) = sum_j J_B^T C_j^T p_j = vec(B^T C1^T p C2) with J_B = B (x) I."""
    J_B = jacobian_in_a(B, identity(d))
    by_queries = total(J_B.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L))
    return [
        equal(vec(dL_dA), by_queries),
        equal(by_queries, vec(B.T @ C1.T @ p @ C2)),
    ]


def sum_over_queries_in_b(
    C: Matrix,
    C1: Matrix,
    C2: Matrix,
    A: Matrix,
    p: Matrix,
    L: int,
    M: int,
    d: int,
    identity: Identity,
    dL_dB: Matrix,
) -> list[Relation]:
    """vec(dL/dB) = sum_j J_A^T C_j^T p_j = vec(C1^T p C2 A^T) with J_A = I (x) A^T."""
    J_A = jacobian_in_b(A, identity(d))
    by_queries = total(J_A.T @ sub_block(C, j, M).T @ p.take_rows([j]).T for j in range(L))
    return [
        equal(vec(dL_dB), by_queries),
        equal(by_queries, vec(C1.T @ p @ C2 @ A.T)),
    ]


_SUMMAND = (
    r"c(\underline W)_{\underline j, i}\, \mathsf C_{\underline j}^{\top}"
    r" \big(\operatorname{diag}(f(\underline W)_{\underline j})"
    r" - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}\big)"
    r" C^{(3)}[\cdot, i]"
)

_DOUBLE_SUM = (
    r"\frac{\mathrm d\mathcal L(\underline W)}{\mathrm d\underline W} ="
    rf" \sum_{{\underline j=1}}^{{L}} \sum_{{i=1}}^{{d}} {_SUMMAND}"
)

_BRACES = (
    "The source text labels the outer brace and both inner ones (I), here and in Appendix H;"
    " Remark H.1 speaks of Parts (I), (II) and (III), the difference, the diagonal matrix and the"
    " matrix of rank one. It also lacks the underline of j in diag(f_j), which it loses elsewhere."
)

_IN_A = r"\frac{\partial\mathcal L}{\partial\underline A_Q}"

_IN_B = r"\frac{\partial\mathcal L}{\partial\underline B_Q}"

_GRADIENT_IN_A = (
    rf"{_IN_A} = \operatorname{{vec}}\big(B_Q^{{\top}} (C^{{(1)}})^{{\top}} p(\underline W)"
    r" C^{(2)}\big)"
)

_PRINTED_GRADIENT_IN_B = (
    rf"{_IN_B} = \operatorname{{vec}}\big((C^{{(1)}})^{{\top}} p(\underline W) A_Q C^{{(2)}}\big)"
)

_GRADIENT_IN_B = (
    rf"{_IN_B} = \operatorname{{vec}}\big((C^{{(1)}})^{{\top}} p(\underline W) C^{{(2)}}"
    r" A_Q^{\top}\big)"
)

_ENTRY = r"\frac{\mathrm d}{\mathrm d\underline W_t}"

_LOSS_ENTRY = rf"{_ENTRY} \big(\tfrac12 c_{{\underline j, i}}^2\big)"

_ROWS_OF_P = Part(
    "gradient in A",
    setting=ADAPTERS,
    printed=(
        Claim(
            _GRADIENT_IN_A + r", \quad p[\cdot, \underline j] = p_{\underline j}",
            gradient_in_a_from_columns,
            reading="q_j is column j of q, and p_j column j of p, as Lemma 3.7 says of p_2",
        ),
        Claim(
            _GRADIENT_IN_A + r", \quad p[\underline j, \cdot] = p_{\underline j}^{\top}",
            gradient_in_a_from_rows,
            reading="q_j is column j of q, and p_j row j of p",
        ),
    ),
    corrected=Claim(
        _GRADIENT_IN_A + r", \quad p[\underline j, \cdot] = p_{\underline j}^{\top}",
        gradient_in_a_from_rows,
    ),
    severity=Severity.NOTATION,
    problem="How the vectors p_j make the matrix p is not said. They must be its rows; Lemma 3.7"
    " calls those of p_2 columns, and with columns the formula is false.",
)

_SUM_IN_A = Claim(
    rf"{_IN_A} = \sum_{{\underline j}} (B_Q \otimes I_d)^{{\top}}"
    r" \mathsf C_{\underline j}^{\top} p_{\underline j} ="
    r" \operatorname{vec}\big(B_Q^{\top} (C^{(1)})^{\top} p\, C^{(2)}\big)",
    sum_over_queries,
    code=(jacobian_in_a,),
)

_SCALED_TWICE = Part(
    "gradient in B",
    setting=ADAPTERS,
    printed=(Claim(_PRINTED_GRADIENT_IN_B, printed_gradient_in_b),),
    corrected=Claim(_GRADIENT_IN_B, gradient_in_b, code=(score_gradient,)),
    severity=Severity.ILL_TYPED,
    problem="p A C^(2) multiplies an L x L, an r x d and an L x d matrix, which fit only when r ="
    " d = L. The factor A belongs at the right end, transposed.",
)

RECORDS = (
    Record(
        "Lemma 3.1",
        title="Gradient in the weight, by entries of the residual",
        kind=Kind.LEMMA,
        printed=_DOUBLE_SUM,
        uses=("Definition 2.1", "Definition 2.4", "Equation (3.3)", "Equation (3.4)"),
        parts=(
            Part(
                "double sum",
                setting=LORA,
                printed=(Claim(_DOUBLE_SUM, double_sum),),
            ),
        ),
        ocr=_BRACES,
        remark="The vec is the row-major one of Definition 2.1. The lemma is about the weight W;"
        " Lemma E.1 takes it to the adapters.",
    ),
    Record(
        "Equation (3.5)",
        title="The display of Lemma 3.1",
        kind=Kind.EQUATION,
        printed=_DOUBLE_SUM,
        uses=("Lemma 3.1", "Equation (3.4)"),
        parts=(
            Part(
                "display",
                setting=ANY_KEYS,
                printed=(Claim(_DOUBLE_SUM, display),),
            ),
        ),
        ocr=_BRACES,
    ),
    Record(
        "Remark 3.1",
        title="Fast approximation of (3.5)",
        kind=Kind.REMARK,
        printed=r"\text{(3.5) in time } L^{1+o(1)}",
        corrected=r"\text{(3.5) up to } 1/\mathrm{poly}(L) \text{ in time } L^{1+o(1)},"
        r" \text{ under the hypotheses of Theorem 3.1}",
        uses=("Equation (3.5)", "Theorem 3.1", "Theorem A.1"),
        parts=(
            Part(
                "almost linear time",
                printed=(
                    Claim(
                        r"\deg_L(\text{count}) = 1, \quad \deg_{k_1}(\text{count}) = 1,"
                        r" \quad k_1 = L^{o(1)}",
                        almost_linear_count,
                        reading="to compute means to approximate, by the evaluation of Theorem 3.1"
                        " with k_1 features",
                    ),
                ),
                severity=Severity.MISSING,
                problem="What the later sections give is an approximation of the adapters'"
                " gradients to 1/poly(L), and only under the norm bound of Theorem 3.1; nothing"
                " there computes (3.5) itself in almost linear time.",
            ),
            Part(
                "the approximation",
                cites="That k_1 = L^{o(1)} features leave an error of 1/poly(L): Theorem 3.1 and"
                " Lemma 3.3, which have records of their own. That no such algorithm exists above"
                " the threshold of the norm bound: Theorem A.1, under the strong exponential time"
                " hypothesis.",
            ),
        ),
    ),
    Record(
        "Remark 3.2",
        title="Quadratic time of the exact gradient",
        kind=Kind.REMARK,
        printed=r"\text{the gradient of LoRA takes quadratic time}",
        corrected=r"\text{time of the LoRA gradient} = O(L^2) \text{ for fixed } d, r",
        uses=("Lemma 3.1", "Remark H.1", "Theorem H.1"),
        parts=(
            Part(
                "quadratic time",
                printed=(
                    Claim(
                        r"\deg_L(\text{count}) = 2",
                        quadratic_counts,
                        reading="an upper bound for fixed d and r, by an evaluation that forms no"
                        " Part (I)",
                    ),
                ),
                severity=Severity.MISSING,
                problem="A formula implies no lower bound on the time to compute what it gives:"
                " Lemma 3.1 yields O(L^2), once its terms are evaluated in the order of Appendix"
                " H, and Theorem 3.1 approximates the same gradient in less.",
            ),
            Part(
                "the hardness of inference",
                cites="The result of Alman and Song (2023) that is called similar is a lower bound"
                " under the strong exponential time hypothesis, for approximate inference above a"
                " norm bound. Its counterpart for gradients is Theorem A.1, not this remark.",
            ),
        ),
        remark="With Part (I) formed for each query the count is of degree 3 in L: see Remark H.1."
        " All counts take schoolbook products.",
    ),
    Record(
        "Lemma 3.2",
        title="Gradients in the adapters",
        kind=Kind.LEMMA,
        printed=r"q(\underline W) := C^{(3)} (c(\underline W))^{\top}, \quad"
        r" p(\underline W)_{\underline j} := \big(\operatorname{diag}(f(\underline W)"
        r"_{\underline j}) - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}"
        rf"\big) q(\underline W); \quad {_GRADIENT_IN_A}, \quad {_PRINTED_GRADIENT_IN_B}",
        corrected=r"q(\underline W) := c(\underline W) (C^{(3)})^{\top}, \quad"
        r" X(\underline W)_{\underline j}^{\top} := X(\underline W)[\underline j, \cdot]"
        r" \text{ for } X = f, q, p, \quad"
        r" p(\underline W)_{\underline j} := \big(\operatorname{diag}(f(\underline W)"
        r"_{\underline j}) - f(\underline W)_{\underline j} f(\underline W)_{\underline j}^{\top}"
        rf"\big) q(\underline W)_{{\underline j}}; \quad {_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
        uses=("Lemma 3.1", "Lemma E.1", "Definition 3.4", "Definition 3.5"),
        parts=(
            Part(
                "p_j",
                setting=SCORES,
                printed=(
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) q = \Big(\frac{\partial\mathcal L}"
                        r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top}"
                        r" \in \mathbb R^{L}",
                        p_without_index,
                    ),
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) (q[\underline j, \cdot])^{\top} ="
                        r" \Big(\frac{\partial\mathcal L}"
                        r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top}",
                        p_by_rows_of_q,
                        reading="q stands for q_j, as in Definition 3.6, and q_j is row j of q, as"
                        " f_j is of f",
                    ),
                    Claim(
                        r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                        r" f_{\underline j}^{\top}\big) q[\cdot, \underline j] ="
                        r" \Big(\frac{\partial\mathcal L}"
                        r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top}",
                        p_by_columns_of_q,
                        reading="q stands for q_j, as in Definition 3.6, and q_j is column j of q",
                    ),
                ),
                corrected=Claim(
                    r"\big(\operatorname{diag}(f_{\underline j}) - f_{\underline j}"
                    r" f_{\underline j}^{\top}\big) (q[\underline j, \cdot])^{\top} ="
                    r" \Big(\frac{\partial\mathcal L}"
                    r"{\partial (C^{(1)} W (C^{(2)})^{\top})}[\underline j, \cdot]\Big)^{\top},"
                    r" \quad q = c\, (C^{(3)})^{\top}",
                    p_is_the_gradient,
                    code=(score_gradient,),
                ),
                severity=Severity.NOTATION,
                problem="The vector p_j is defined as a product with the whole L x L matrix q. It"
                " takes the index of Definition 3.6, and q_j must be a column of the printed q,"
                " while f_j is a row of f.",
            ),
            _ROWS_OF_P,
            _SCALED_TWICE,
        ),
    ),
    Record(
        "Equation (3.6)",
        title="The displays of Lemma 3.2",
        kind=Kind.EQUATION,
        printed=rf"{_GRADIENT_IN_A}, \quad {_PRINTED_GRADIENT_IN_B}",
        corrected=rf"{_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
        uses=("Lemma 3.2",),
        parts=(
            _ROWS_OF_P,
            Part(
                "both gradients",
                setting=ADAPTERS,
                printed=(
                    Claim(rf"{_GRADIENT_IN_A}, \quad {_PRINTED_GRADIENT_IN_B}", printed_gradients),
                ),
                corrected=Claim(
                    rf"{_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
                    gradients,
                    code=(aloragc_gradient,),
                ),
                severity=Severity.ILL_TYPED,
                problem="The second product does not fit unless r = d = L; see Lemma 3.2.",
            ),
        ),
    ),
    Record(
        "Proof of Lemma 3.1",
        title="Differentiation entry by entry",
        kind=Kind.PROOF,
        printed=r"\frac{\mathrm d\mathcal L(\underline W)}{\mathrm d\underline W} ="
        r" \sum_{\underline j=1}^{L} \sum_{i=1}^{d} \frac{\mathrm d}{\mathrm d\underline W_i}"
        r" \big(\tfrac12 c(\underline W)_{\underline j, i}^2\big), \quad"
        r" \frac{\mathrm d}{\mathrm d\underline W_i}"
        rf" \big(\tfrac12 c(\underline W)_{{\underline j, i}}^2\big) = {_SUMMAND}",
        corrected=r"\frac{\mathrm d\mathcal L(\underline W)}{\mathrm d\underline W_t} ="
        r" \sum_{\underline j=1}^{L} \sum_{i=1}^{d} \frac{\mathrm d}{\mathrm d\underline W_t}"
        r" \big(\tfrac12 c(\underline W)_{\underline j, i}^2\big), \quad"
        r" \frac{\mathrm d}{\mathrm d\underline W_t}"
        r" \big(\tfrac12 c(\underline W)_{\underline j, i}^2\big) ="
        rf" \Big({_SUMMAND}\Big)[t], \quad t \in [d^2]",
        uses=("Equation (3.4)", "Definition 3.2", "Definition 3.3", "Definition 3.4"),
        parts=(
            Part(
                "sum of the entries",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d\mathcal L}{\mathrm d\underline W} = \sum_{\underline j}"
                        r" \sum_{i=1}^{d} \frac{\mathrm d}{\mathrm d\underline W_i}"
                        r" \big(\tfrac12 c_{\underline j, i}^2\big)",
                        gradient_as_a_number,
                    ),
                    Claim(
                        rf"{_ENTRY} \mathcal L = \sum_{{\underline j}} \sum_{{i=1}}^{{d}}"
                        rf" {_LOSS_ENTRY}, \quad t \in [d^2]",
                        gradient_by_entries,
                        reading="the entry of vec(W) has an index t of its own",
                    ),
                ),
                corrected=Claim(
                    rf"{_ENTRY} \mathcal L = \sum_{{\underline j}} \sum_{{i=1}}^{{d}}"
                    rf" {_LOSS_ENTRY}, \quad t \in [d^2]",
                    gradient_by_entries,
                ),
                severity=Severity.NOTATION,
                problem="One index i stands for a column of C^(3) and for an entry of vec(W). As"
                " printed, a vector of d^2 entries equals a number, and i runs over d of the d^2"
                " entries.",
            ),
            Part(
                "square",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} {_ENTRY}"
                        r" \langle f_{\underline j}, C^{(3)}[\cdot, i] \rangle, \quad t \in [d^2]",
                        square,
                    ),
                ),
            ),
            Part(
                "inner product",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \langle"
                        r" \frac{\mathrm d f_{\underline j}}{\mathrm d\underline W_t},"
                        r" C^{(3)}[\cdot, i] \rangle, \quad t \in [d^2]",
                        inner_product,
                    ),
                ),
            ),
            Part(
                "normalization",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \langle"
                        r" \frac{\mathrm d (\alpha_{\underline j}^{-1} u_{\underline j})}"
                        r"{\mathrm d\underline W_t}, C^{(3)}[\cdot, i] \rangle, \quad"
                        r" t \in [d^2]",
                        quotient,
                    ),
                ),
            ),
            Part(
                "product rule",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \langle"
                        r" \alpha_{\underline j}^{-1} \frac{\mathrm d u_{\underline j}}"
                        r"{\mathrm d\underline W_t} - \alpha_{\underline j}^{-2}"
                        r" \frac{\mathrm d\alpha_{\underline j}}{\mathrm d\underline W_t}"
                        r" u_{\underline j}, C^{(3)}[\cdot, i] \rangle, \quad t \in [d^2]",
                        product_rule,
                    ),
                ),
            ),
            Part(
                "derivative of u",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d u_{\underline j}}{\mathrm d\underline W_t} ="
                        r" \exp(\mathsf C_{\underline j} \underline W) \odot"
                        r" \frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                        r"{\mathrm d\underline W_t}"
                        r" = \mathsf C_{\underline j}[\cdot, t] \odot u_{\underline j}, \quad"
                        r" t \in [d^2]",
                        part_one,
                    ),
                ),
            ),
            Part(
                "the margin of the derivative of u",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                        r"{\mathrm d\underline W_t} = \frac{\mathrm d\mathsf C_{\underline j}}"
                        r"{\mathrm d\underline W_t} = \mathsf C_{\underline j}[\cdot, t]",
                        margin_with_c_alone,
                    ),
                    Claim(
                        r"\frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                        r"{\mathrm d\underline W_t} = \mathsf C_{\underline j} e_t"
                        r" = \mathsf C_{\underline j}[\cdot, t]",
                        margin,
                        reading="the second term, the derivative of C_j alone, lacks its W and"
                        " repeats the first",
                    ),
                ),
                corrected=Claim(
                    r"\frac{\mathrm d(\mathsf C_{\underline j} \underline W)}"
                    r"{\mathrm d\underline W_t} = \mathsf C_{\underline j} e_t"
                    r" = \mathsf C_{\underline j}[\cdot, t]",
                    margin,
                ),
                severity=Severity.TYPO,
                problem="The second of the five terms is the derivative of the constant C_j, which"
                " is zero and a matrix; without it the chain holds.",
            ),
            Part(
                "derivative of alpha",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d\alpha_{\underline j}}{\mathrm d\underline W_t} ="
                        r" \frac{\mathrm d \langle u_{\underline j}, \mathbb 1_L \rangle}"
                        r"{\mathrm d\underline W_t} = \langle \mathsf C_{\underline j}[\cdot, t]"
                        r" \odot u_{\underline j}, \mathbb 1_L \rangle ="
                        r" \langle \mathsf C_{\underline j}[\cdot, t], u_{\underline j} \rangle,"
                        r" \quad t \in [d^2]",
                        part_two,
                    ),
                ),
            ),
            Part(
                "combined",
                setting=CHANGES,
                printed=(
                    Claim(
                        rf"{_LOSS_ENTRY} = c_{{\underline j, i}} \big[\langle C^{{(3)}}[\cdot, i],"
                        r" \mathsf C_{\underline j}[\cdot, t] \odot f_{\underline j} \rangle"
                        r" - \langle C^{(3)}[\cdot, i], f_{\underline j} \rangle \cdot"
                        r" \langle \mathsf C_{\underline j}[\cdot, t], f_{\underline j} \rangle"
                        r"\big], \quad t \in [d^2]",
                        combined,
                    ),
                ),
            ),
            Part(
                "last line",
                setting=CHANGES,
                printed=(
                    Claim(
                        r"\frac{\mathrm d}{\mathrm d\underline W_i}"
                        rf" \big(\tfrac12 c_{{\underline j, i}}^2\big) = {_SUMMAND}",
                        last_line_as_vectors,
                    ),
                    Claim(
                        rf"{_LOSS_ENTRY} = \Big({_SUMMAND}\Big)[t], \quad t \in [d^2]",
                        last_line_by_entries,
                        reading="the left side is entry t of the right",
                    ),
                ),
                corrected=Claim(
                    rf"{_LOSS_ENTRY} = \Big({_SUMMAND}\Big)[t], \quad t \in [d^2]",
                    last_line_by_entries,
                ),
                severity=Severity.NOTATION,
                problem="The left side is a number, the derivative in one entry of vec(W), and the"
                " right side the vector of all d^2 of them.",
            ),
        ),
        remark="Every other line is written with W_i and tried for every entry W_t, t up to d^2:"
        " with i, a column of C^(3), for the entry it is true but reaches d entries only.",
    ),
    Record(
        "Proof of Lemma 3.2",
        title="From queries to matrices",
        kind=Kind.PROOF,
        printed=rf"{_IN_A} = \sum_{{\underline j=1}}^{{L}} J_B^{{\top}}"
        r" \mathsf C_{\underline j}^{\top} p(\underline W)_{\underline j}"
        r" = \operatorname{vec}\big(B_Q^{\top} (C^{(1)})^{\top} p(\underline W) C^{(2)}\big)",
        corrected=rf"{_IN_A} = \sum_{{\underline j=1}}^{{L}} J_B^{{\top}}"
        r" \mathsf C_{\underline j}^{\top} p(\underline W)_{\underline j}"
        r" = \operatorname{vec}\big(B_Q^{\top} (C^{(1)})^{\top} p(\underline W) C^{(2)}\big),"
        r" \quad J_B = B_Q \otimes I_d; \quad"
        rf" {_IN_B} = \sum_{{\underline j=1}}^{{L}} J_A^{{\top}}"
        r" \mathsf C_{\underline j}^{\top} p(\underline W)_{\underline j}"
        r" = \operatorname{vec}\big((C^{(1)})^{\top} p(\underline W) C^{(2)} A_Q^{\top}\big),"
        r" \quad J_A = I_d \otimes A_Q^{\top}",
        uses=("Lemma E.1", "Lemma 3.2", "Lemma 2.1"),
        parts=(
            Part(
                "gradient in A",
                setting=ADAPTERS,
                printed=(
                    Claim(
                        rf"{_IN_A} = \sum_{{\underline j}} (I_d \otimes B_Q)^{{\top}}"
                        r" \mathsf C_{\underline j}^{\top} p_{\underline j} ="
                        r" \operatorname{vec}\big(B_Q^{\top} (C^{(1)})^{\top} p\, C^{(2)}\big)",
                        printed_sum_over_queries,
                    ),
                    replace(
                        _SUM_IN_A,
                        reading="J_B is the Jacobian by which Lemma E.1 introduces it, not the"
                        " matrix it displays",
                    ),
                ),
                corrected=_SUM_IN_A,
                severity=Severity.NOTATION,
                problem="With the matrix that Lemma E.1 displays for J_B, the Jacobian of the"
                " column-major vec, neither equality holds. With J_B = B (x) I, that of Definition"
                " 2.1, both do.",
            ),
            Part(
                "gradient in B",
                setting=ADAPTERS,
                printed=(
                    Claim(
                        _PRINTED_GRADIENT_IN_B,
                        printed_gradient_in_b,
                        reading="what follows the word similarly ends in (3.6)",
                    ),
                ),
                corrected=Claim(
                    rf"{_IN_B} = \sum_{{\underline j}} (I_d \otimes A_Q^{{\top}})^{{\top}}"
                    r" \mathsf C_{\underline j}^{\top} p_{\underline j} ="
                    r" \operatorname{vec}\big((C^{(1)})^{\top} p\, C^{(2)} A_Q^{\top}\big)",
                    sum_over_queries_in_b,
                    code=(jacobian_in_b,),
                ),
                severity=Severity.ILL_TYPED,
                problem="The end that (3.6) prints is a product that does not fit. The same steps,"
                " with J_A = I (x) A^T, end in C1^T p C2 A^T.",
            ),
        ),
        ocr="The first lines of the chain for A, and the whole of the chain for B, are lost in the"
        " source text.",
    ),
    Record(
        "Equation (E.2)",
        title="Equation (3.6) again, in the proof of Theorem 3.1",
        kind=Kind.EQUATION,
        printed=rf"{_GRADIENT_IN_A}, \quad {_PRINTED_GRADIENT_IN_B}",
        corrected=rf"{_GRADIENT_IN_A}, \quad {_GRADIENT_IN_B}",
        uses=("Equation (3.6)", "Lemma 3.2"),
        parts=(_ROWS_OF_P, _SCALED_TWICE),
    ),
)
