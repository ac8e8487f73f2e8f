"""The steps from scores to the gradients in Q, K and V, that plans of attention share.

f = softmax(beta Q K^T),  q = c V^T,  r = <f, q>,  p = beta (f o q - diag(r) f);
dQ = p K,  dK = p^T Q,  dV = f^T c,  with c the gradient in f V.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.evaluation_plans.plan import Store, deferred, scaled

__all__ = [
    "flash_gradients",
    "flash_probabilities",
    "stored_gradients",
    "stored_probabilities",
]

M = TypeVar("M", bound=Matrix)


def stored_probabilities(
    store: Store[M], queries: M, keys: M, beta: Scalar, *, causal: bool = False
) -> M:
    """f from stored scores, itself stored; the softmax inside in registers."""
    return store(_softmax(scaled(store(queries @ keys.T), beta), causal=causal))


def flash_probabilities(queries: M, keys: M, beta: Scalar, *, causal: bool = False) -> M:
    """f from scores in the accumulators' format, where it stays: once forward, once backward."""
    return _softmax(scaled(queries @ keys.T, beta), causal=causal)


def stored_gradients(
    store: Store[M], f: M, queries: M, keys: M, values: M, c: M, beta: Scalar
) -> tuple[M, M, M]:
    """dQ, dK and dV, every result stored.

    f o (q - r 1^T) has no larger errors, entry by entry: f |q - r| <= |f o q| + |r| f.
    """
    q = store(c @ values.T)
    r = store(store(f * q).row_sum())
    p = scaled(store(store(f * q) - store(f.scale_rows(r))), beta)
    return (
        deferred(store(p @ keys), beta),
        deferred(store(p.T @ queries), beta),
        store(f.T @ c),
    )


def flash_gradients(
    store: Store[M], f: M, z: M, queries: M, keys: M, values: M, c: M, beta: Scalar
) -> tuple[M, M, M]:
    """dQ, dK and dV with q and p in the accumulators' format and z = f V stored.

    r = <c, z>, p = f o (q - r 1^T); f and p are stored as factors of the next product alone.
    """
    r = c.row_dot(z)
    p = store(f * (c @ values.T - r.take_columns([0] * keys.shape[0])))
    return (
        store(scaled(p @ keys, beta)),
        store(scaled(p.T @ queries, beta)),
        store(store(f).T @ c),
    )


def _softmax(scores: M, *, causal: bool) -> M:
    return scores.causal_softmax_rows() if causal else scores.softmax_rows()
