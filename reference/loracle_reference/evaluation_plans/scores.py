"""The steps from scores to the gradients in Q, K and V, that plans of attention share.

f = softmax(beta Q K^T)                                 (Definitions 3.2 to 3.4)
q = c V^T,  r_j = <f_j, q_j>,  p = beta (f o q - diag(r) f)      (Lemma 3.2, Definition 3.6)
dQ = p K,  dK = p^T Q,  dV = f^T c                      (Lemma F.1 before its outer factors)
with c the gradient in f V: Definition 3.5 for the paper's loss. (S1) fixes W_V, so that dV has no
label; it is f^T c of Problem 1 in whole (`gradient.value_weight_gradient`).
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
    """f from stored scores, itself stored; the softmax inside in registers.

    f = D^-1 exp(beta Q K^T) (Definitions 3.2 to 3.4), as in `attention_probabilities`.
    """
    return store(_softmax(scaled(store(queries @ keys.T), beta), causal=causal))


def flash_probabilities(queries: M, keys: M, beta: Scalar, *, causal: bool = False) -> M:
    """f from scores in the accumulators' format, where it stays: once forward, once backward.

    f = D^-1 exp(beta Q K^T) (Definitions 3.2 to 3.4), as in `attention_probabilities`.
    """
    return _softmax(scaled(queries @ keys.T, beta), causal=causal)


def stored_gradients(
    store: Store[M], f: M, queries: M, keys: M, values: M, c: M, beta: Scalar
) -> tuple[M, M, M]:
    """dQ, dK and dV, every result stored (Lemma 3.2, Definition 3.6, Lemma F.1).

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

    r_j = <c_j, z_j>, which is <f_j, q_j> of Definition 3.6 as z = f V; p = f o (q - r 1^T); f and p
    are stored as factors of the next product alone.
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
