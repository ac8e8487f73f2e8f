"""J_B and J_A as Lemma E.1 prints them: the Jacobians for a vec that stacks columns."""

from __future__ import annotations

from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.vectorization import kronecker

__all__ = ["BY_COLUMNS", "PRINTED_JACOBIANS", "printed_jacobian_in_a", "printed_jacobian_in_b"]


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


PRINTED_JACOBIANS = (
    r" J_B = \begin{pmatrix} B_Q & & \\ & \ddots & \\ & & B_Q \end{pmatrix}, \quad J_A ="
    r" \begin{pmatrix} \operatorname{diag}_d(A_Q[1,1]) & \cdots & \operatorname{diag}_d(A_Q[r,1])"
    r" \\ \vdots & & \vdots \\ \operatorname{diag}_d(A_Q[1,d]) & \cdots &"
    r" \operatorname{diag}_d(A_Q[r,d]) \end{pmatrix}"
)

BY_COLUMNS = "vec stacks columns, against Definition 2.1"
