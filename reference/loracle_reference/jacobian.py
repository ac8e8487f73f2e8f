"""The Jacobians of vec(W* + B A) in vec(A) and vec(B), and the chain rule through them.

Lemmas E.1 and F.3, with the row-major vec of Definition 2.1. The Jacobians that Lemma E.1 prints,
I (x) B and A^T (x) I, are those of the column-major vec. Shapes throughout: W (m, n), B (m, r),
A (r, n). For W = W* + s B A, give s dL/dW for the gradient in W.

These matrices are what the proofs are written in; `gradient.adapter_gradient` is the same map
without them.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.arithmetic.shapes import ShapeError
from loracle_reference.vectorization import kronecker, transposition_order, vec

__all__ = [
    "jacobian_in_a",
    "jacobian_in_b",
    "pull_back",
    "pull_back_from_transpose",
    "vectorized_adapter_gradient",
    "vectorized_key_adapter_gradient",
]

M = TypeVar("M", bound=Matrix)


def jacobian_in_a(b: M, identity: M) -> M:
    """J_B = B (x) I_n, with vec(B A) = J_B vec(A) (Lemma E.1, corrected).

    Shapes: b (m, r), identity (n, n), which must be I_n; result (m n, r n). Raises ShapeError, a
    ValueError, if identity is not square.
    """
    _require_square(identity)
    return kronecker(b, identity)


def jacobian_in_b(a: M, identity: M) -> M:
    """J_A = I_m (x) A^T, with vec(B A) = J_A vec(B) (Lemma E.1, corrected).

    Shapes: a (r, n), identity (m, m), which must be I_m; result (m n, m r). Raises ShapeError, a
    ValueError, if identity is not square.
    """
    _require_square(identity)
    return kronecker(identity, a.T)


def pull_back(jacobian: M, grad_w: M) -> M:
    """J^T vec(dL/dW), the gradient in what vec(W) has the Jacobian J in (Lemma E.1).

    Shapes: jacobian (m n, k), grad_w (m, n), result (k, 1).
    """
    return jacobian.T @ vec(grad_w)


def pull_back_from_transpose(jacobian: M, grad_w_transposed: M) -> M:
    """(T(m, n) J)^T vec(dL/d(W^T)), for a loss that is given as a function of W^T (Lemma F.3).

    T is that of Lemma F.2, corrected, and T J is J with its rows in the order of T. The size is
    that of W, where Lemma F.3 prints T(d^2, d^2) for T(d, d).
    Shapes: jacobian (m n, k), of vec(W); grad_w_transposed (n, m); result (k, 1). Raises
    ShapeError, a ValueError, if they do not fit.
    """
    n, m = grad_w_transposed.shape
    if jacobian.shape[0] != m * n:
        raise ShapeError(
            f"a gradient of shape {grad_w_transposed.shape} needs a Jacobian with {m * n} rows, "
            f"got {jacobian.shape}"
        )
    return jacobian.take_rows(transposition_order(m, n)).T @ vec(grad_w_transposed)


def vectorized_adapter_gradient(
    grad_w: M, a: M, b: M, identity_rows: M, identity_columns: M
) -> dict[str, M]:
    """vec(dL/dA) = J_B^T vec(dL/dW) and vec(dL/dB) = J_A^T vec(dL/dW) (Lemma E.1).

    Shapes: grad_w (m, n); a (r, n); b (m, r); identity_rows I_m; identity_columns I_n; results
    grad_a (r n, 1) and grad_b (m r, 1).
    """
    return {
        "grad_a": pull_back(jacobian_in_a(b, identity_columns), grad_w),
        "grad_b": pull_back(jacobian_in_b(a, identity_rows), grad_w),
    }


def vectorized_key_adapter_gradient(
    grad_w_transposed: M, a: M, b: M, identity_rows: M, identity_columns: M
) -> dict[str, M]:
    """vec(dL/dA_K) and vec(dL/dB_K) from dL/d(W_K^T) = C_K1^T p_K C_K2 (Lemmas F.1 and F.3).

    C_K1 = X_Q W_Q and C_K2 = X_K (equation (B.1)): the loss contains W_K only as W_K^T.
    Shapes: grad_w_transposed (n, m) for W_K (m, n); a (r, n); b (m, r); identity_rows I_m;
    identity_columns I_n; results grad_a (r n, 1) and grad_b (m r, 1).
    """
    return {
        "grad_a": pull_back_from_transpose(jacobian_in_a(b, identity_columns), grad_w_transposed),
        "grad_b": pull_back_from_transpose(jacobian_in_b(a, identity_rows), grad_w_transposed),
    }


def _require_square(identity: Matrix) -> None:
    if identity.shape[0] != identity.shape[1]:
        raise ShapeError(f"an identity is square, got {identity.shape}")
