"""Theorems 3.1 and B.1 as constructions: the adapters' gradients from low-rank factors, with a
certified error, no matrix of L queries by M keys ever being formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from loracle_reference.arithmetic.exact_scalar import as_fraction
from loracle_reference.arithmetic.protocol import Arithmetic, Matrix, Scalar
from loracle_reference.attention import adapted_weight
from loracle_reference.error_bounds import gradient_error_from_rows
from loracle_reference.low_rank import (
    ApproximateMatrix,
    LowRank,
    LowRankProbabilities,
    approximate_probabilities,
    approximate_q,
    approximate_residual,
    approximate_score_gradient,
)
from loracle_reference.norms import Norms
from loracle_reference.upper_bounds import rounded_up

__all__ = [
    "ApproximateGradient",
    "approximate_within",
    "low_rank_aloragc_gradient",
    "low_rank_lora_attention_gradient",
]

M = TypeVar("M", bound=Matrix)


@dataclass(frozen=True)
class ApproximateGradient(Generic[M]):
    """Gradients with max |outputs[name] - exact gradient| <= errors[name], the max norm.

    As in `low_rank`, of the exact matrices that the outputs stand for: balls hold one of them, and
    their own radius comes on top.
    """

    outputs: dict[str, M]
    errors: dict[str, Fraction]
    probabilities: LowRankProbabilities[M]
    score_gradient: LowRank[M]

    @property
    def error(self) -> Fraction:
        """The largest error of an output."""
        return max(self.errors.values())


def low_rank_aloragc_gradient(
    arithmetic: Arithmetic[M],
    *,
    c1: M,
    c2: M,
    c3: M,
    w: M,
    a: M,
    b: M,
    y: M,
    relative_error: Scalar,
) -> ApproximateGradient[M]:
    """Problem 2 by Theorem 3.1: what `gradient.aloragc_gradient` gives, approximately.

    dL/dA ~ (C1 B)^T U (V^T C2),   dL/dB ~ C1^T U (V^T C2 A^T)      with p ~ U V^T
    relative_error is delta of `approximate_probabilities`; the errors tend to zero with it. Shapes
    as there. Raises ValueError unless 0 < relative_error < 1.
    """
    f = approximate_probabilities(
        arithmetic, c1 @ adapted_weight(w, b, a, 1), c2, 1, relative_error=relative_error
    )
    p = approximate_score_gradient(f, approximate_q(approximate_residual(f, c3, y), c3))
    parts = {
        "grad_a": _bilinear(c1 @ b, p.left, p.right, c2, p.row_error),
        "grad_b": _bilinear(c1, p.left, p.right, c2 @ a.T, p.row_error),
    }
    return _gathered(parts, f, p)


def low_rank_lora_attention_gradient(
    arithmetic: Arithmetic[M],
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
    relative_error: Scalar,
) -> ApproximateGradient[M]:
    """Problem 3 by Theorem B.1, and V: what `gradient.lora_attention_gradient` gives,
    approximately.

    For Q: s beta (X_Q B_Q)^T p K and s beta X_Q^T p (K A_Q^T), K = X_K W_K. For K, with p^T, the
    transposes of s beta Q^T p (X_K B_K) and s beta (Q A_K^T)^T p X_K, Q = X_Q W_Q. For V, the
    transposes of s c^T f (X_V B_V) and s (c A_V^T)^T f X_V.
    relative_error is delta of `approximate_probabilities`; the errors tend to zero with it. Shapes
    as there. Raises ValueError unless 0 < relative_error < 1.
    """
    queries = x_q @ adapted_weight(w_q, b_q, a_q, scaling)
    keys = x_k @ adapted_weight(w_k, b_k, a_k, scaling)
    values = x_v @ adapted_weight(w_v, b_v, a_v, scaling)
    f = approximate_probabilities(arithmetic, queries, keys, beta, relative_error=relative_error)
    c = approximate_residual(f, values, y)
    p = approximate_score_gradient(f, approximate_q(c, values))
    s = as_fraction(scaling)
    sides = {
        "grad_a_q": (x_q @ b_q, keys),
        "grad_b_q": (x_q, keys @ a_q.T),
        "grad_a_k": (queries, x_k @ b_k),
        "grad_b_k": (queries @ a_k.T, x_k),
    }
    parts = {
        name: _scaled(_bilinear(left, p.left, p.right, right, p.row_error), s * as_fraction(beta))
        for name, (left, right) in sides.items()
    }
    projected = ApproximateMatrix(c.matrix @ a_v.T, c.error * Norms.of(a_v).row_sum)
    parts["grad_a_v"] = _scaled(_values_part(f, c, x_v @ b_v), s)
    parts["grad_b_v"] = _scaled(_values_part(f, projected, x_v), s)
    for name in ("grad_a_k", "grad_b_k", "grad_a_v", "grad_b_v"):
        parts[name] = ApproximateMatrix(parts[name].matrix.T, parts[name].error)
    return _gathered(parts, f, p)


def approximate_within(
    epsilon: Scalar, evaluate: Callable[[Fraction], ApproximateGradient[M]]
) -> ApproximateGradient[M]:
    """The approximation of the problem within epsilon in the max norm, for every output.

    evaluate: from relative_error to the gradient, for instance `low_rank_aloragc_gradient` with its
    other arguments bound. A first, cheap one tells how the error goes with the relative error that
    its polynomial achieved (about proportionally); what is returned is certified, whatever the
    guess, but the radius of balls is not in it (`ApproximateGradient`): take them precise enough
    for epsilon. Raises ValueError unless epsilon > 0.
    """
    target = as_fraction(epsilon)
    if target <= 0:
        raise ValueError(f"the error to stay within must be positive, got {epsilon}")
    gradient = evaluate(Fraction(1, 2))
    while gradient.error > target:
        achieved = gradient.probabilities.approximation.relative_error
        gradient = evaluate(achieved * target / (gradient.error * Fraction(17, 16)))
    return gradient


def _bilinear(x: M, left: M, right: M, y: M, row_error: Fraction) -> ApproximateMatrix[M]:
    """(X^T left) (right^T Y) for a matrix E of that error whose rows sum to zero."""
    sums, spreads = Norms.of(x).column_sums, Norms.of(y).half_spreads
    error = gradient_error_from_rows(
        left_sum=max(sums), row_error=row_error, half_spread=max(spreads)
    )
    return ApproximateMatrix((x.T @ left) @ (right.T @ y), error)


def _values_part(f: LowRankProbabilities[M], c: ApproximateMatrix[M], x: M) -> ApproximateMatrix[M]:
    """c~^T f~ X, near c^T f X: c~^T (f~ - f) X + (c~ - c)^T f X, where the rows of f~ - f sum to
    zero and f X has the column maxima of X at most.
    """
    part = _bilinear(c.matrix, f.left, f.right, x, f.row_error)
    other = c.matrix.shape[0] * c.error * Norms.of(x).maximum
    return ApproximateMatrix(part.matrix, part.error + other)


def _scaled(part: ApproximateMatrix[M], factor: Fraction) -> ApproximateMatrix[M]:
    return ApproximateMatrix(part.matrix.scale(factor), abs(factor) * part.error)


def _gathered(
    parts: dict[str, ApproximateMatrix[M]], f: LowRankProbabilities[M], p: LowRank[M]
) -> ApproximateGradient[M]:
    outputs = {name: part.matrix for name, part in parts.items()}
    errors = {name: rounded_up(part.error) for name, part in parts.items()}
    return ApproximateGradient(outputs, errors, f, p)
