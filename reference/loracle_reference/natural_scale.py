"""The natural scale N: the closed forms of `gradient` evaluated with absolute values.

Every factor is replaced by its absolute value and every difference by a sum, except that f is the
probabilities of the true scores, which are nonnegative already:
    |C| = f |V| + |Y|,   |q| = |C| |V|^T,   |r|_j = <f_j, |q|_j>,   |p| = f o |q| + diag(|r|) f,
    |W_mu| = |W*_mu| + |s| |B_mu| |A_mu|,   |V| = |X_V| |W_V|, and so on to the outputs.
By the triangle inequality |gradient| <= N entrywise. N is the size that the terms of any evaluation
have, and hence the yardstick for an error that no evaluation of some precision avoids: where the
gradient is far below N, terms cancel. It is the N that `arithmetic.rounding` keeps, without the
rounding up.

The operands of these functions are matrices of *absolute values*: the caller embeds np.abs of the
entries, in the arithmetic of f. Where f is enclosed, so is N.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.attention import adapted_weight
from loracle_reference.gradient import (
    adapter_gradient,
    key_weight_gradient,
    p1,
    p2,
    query_weight_gradient,
    residual_value_products,
    value_weight_gradient,
)

__all__ = [
    "aloragc_natural_scale",
    "lora_attention_natural_scale",
    "natural_residual",
    "natural_score_gradient",
]

M = TypeVar("M", bound=Matrix)


def natural_residual(f: M, values: M, y: M) -> M:
    """|C| = f |V| + |Y|, of c = f C3 - Y. Shapes: f (L, M), values (M, d), y (L, d)."""
    return f @ values + y


def natural_score_gradient(f: M, c: M, values: M) -> M:
    """|p| = f o |q| + diag(|r|) f with |q| = |C| |V|^T, of p = p1 - p2 (Definition 3.6).

    Shapes: f (L, M), c (L, d), values (M, d); result (L, M).
    """
    q = residual_value_products(c, values)
    return p1(f, q) + p2(f, q)


def aloragc_natural_scale(f: M, *, c1: M, c2: M, c3: M, w: M, a: M, b: M, y: M) -> dict[str, M]:
    """N of the outputs of `aloragc_gradient`: |B|^T |C1|^T |p| |C2| and |C1|^T |p| |C2| |A|^T.

    w is taken so that all operands can be handed on; W stands in the scores only, so in f only.
    Shapes: f (L, M), the operands and the result as there.
    """
    p = natural_score_gradient(f, natural_residual(f, c3, y), c3)
    grad_w = query_weight_gradient(c1, p, c2)
    return {"grad_a": b.T @ grad_w, "grad_b": grad_w @ a.T}


def lora_attention_natural_scale(
    f: M,
    *,
    x_q: M,
    x_k: M,
    x_v: M,
    w_q: M,
    w_k: M,
    w_v: M,
    a_q: M,
    b_q: M,
    a_k: M,
    b_k: M,
    a_v: M,
    b_v: M,
    scaling: Scalar,
    beta: Scalar,
    y: M,
) -> dict[str, M]:
    """N of the outputs of `lora_attention_gradient`; scaling and beta may have either sign.

    Shapes: f (L, M), the operands and the result as there.
    """
    magnitude = abs(scaling)
    queries = x_q @ adapted_weight(w_q, b_q, a_q, magnitude)
    keys = x_k @ adapted_weight(w_k, b_k, a_k, magnitude)
    values = x_v @ adapted_weight(w_v, b_v, a_v, magnitude)
    c = natural_residual(f, values, y)
    p = natural_score_gradient(f, c, values).scale(abs(beta))
    return {
        **adapter_gradient("q", query_weight_gradient(x_q, p, keys).scale(magnitude), a_q, b_q),
        **adapter_gradient("k", key_weight_gradient(x_k, p, queries).scale(magnitude), a_k, b_k),
        **adapter_gradient("v", value_weight_gradient(x_v, f, c).scale(magnitude), a_v, b_v),
    }
