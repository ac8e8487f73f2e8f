"""The gradients of both attention contracts in float64, with every step a place to deviate.

The formulas are those of `loracle_reference.gradient` (with beta = s = 1 and identities for the
weights of K and V they are those of `aloragc`). A hypothesis changes the problem (inputs), or the
steps, of the forward pass, of the backward pass, or of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from loracle.cases import Inputs
from loracle.contracts import Contract
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis

__all__ = [
    "EXACT",
    "Problem",
    "Steps",
    "changed",
    "deviating",
    "gradient",
    "key_features_weighted",
    "problem_of",
    "projection_of",
    "softmax",
]

Array = npt.NDArray[np.float64]
ByProjection = Mapping[str, Array]


@dataclass(frozen=True)
class Problem:
    """The inputs by projection, q, k and v. x: q (L, d), k and v (M, d). w (d, d), a (r, d),
    b (d, r): only of the projections that have a weight; the others are the input itself."""

    x: ByProjection
    w: ByProjection
    a: ByProjection
    b: ByProjection
    scaling: float
    beta: float
    y: Array

    def weight(self, projection: str) -> Array:
        """W = W* + s B A (Definition 1.1)."""
        delta = self.b[projection] @ self.a[projection]
        return np.asarray(self.w[projection] + self.scaling * delta)

    def projected(self, projection: str) -> Array:
        """Q, K or V: X W, or X where there is no weight."""
        x = self.x[projection]
        return np.asarray(x @ self.weight(projection)) if projection in self.w else x

    def having(self, name: str, **arrays: Array) -> Problem:
        """With some of the arrays x, w, a or b (that is name) replaced, by projection."""
        changed: dict[str, Any] = {name: {**getattr(self, name), **arrays}}
        return replace(self, **changed)


def problem_of(contract: Contract, inputs: Inputs) -> Problem:
    """The inputs of either contract under common names."""
    t, scalars = inputs.tensors, inputs.scalars
    if contract.name == "aloragc":
        x = {"q": t["c1"], "k": t["c2"], "v": t["c3"]}
        return Problem(x, {"q": t["w"]}, {"q": t["a"]}, {"q": t["b"]}, 1.0, 1.0, t["y"])
    x, w, a, b = ({m: t[f"{name}_{m}"] for m in "qkv"} for name in "xwab")
    return Problem(x, w, a, b, scalars["scaling"], scalars["beta"], t["y"])


def projection_of(evidence: Evidence) -> str:
    """Of the output: q, k or v."""
    return "q" if evidence.contract.name == "aloragc" else evidence.output[-1]


def key_features_weighted(problem: Problem, weights: Array) -> Problem:
    """With weights (d,) on the columns of K, over which the scores S = beta Q K^T are sums."""
    if "k" not in problem.w:
        return problem.having("x", k=problem.x["k"] * weights)
    weighted = problem.having("w", k=problem.w["k"] * weights)
    return weighted.having("a", k=problem.a["k"] * weights)


def softmax(scores: Array) -> Array:
    """f, row by row (Definitions 3.2 to 3.4)."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _residual(z: Array, y: Array) -> Array:
    return np.asarray(z - y)


def _score_gradient(f: Array, q: Array, c: Array) -> Array:
    """p = p1 - p2 (Definition 3.6); c is for mistakes alone."""
    return np.asarray(f * q - f * (f * q).sum(axis=1, keepdims=True))


def _same(array: Array) -> Array:
    return array


def _as_it_is(name: str, array: Array) -> Array:
    return array


@dataclass(frozen=True)
class Steps:
    """softmax: of the scores beta Q K^T (L, M). residual: of Z and Y (L, d). score_gradient: of f,
    q = c V^T and c. for_keys: p^T (M, L) of p. for_values: f^T (M, L) of f. weight_gradient: of
    dL/dW (d, d). stored: of the name of an intermediate (Q, K, V, S, f, c, q, p, dL/dW) and the
    intermediate, as it is kept."""

    softmax: Callable[[Array], Array] = softmax
    residual: Callable[[Array, Array], Array] = _residual
    score_gradient: Callable[[Array, Array, Array], Array] = _score_gradient
    for_keys: Callable[[Array], Array] = np.transpose
    for_values: Callable[[Array], Array] = np.transpose
    weight_gradient: Callable[[Array], Array] = _same
    stored: Callable[[str, Array], Array] = _as_it_is


EXACT = Steps()
"""No step deviates."""


def gradient(
    output: str,
    projection: str,
    forward: Problem,
    steps: Steps = EXACT,
    *,
    backward: Problem | None = None,
    adapters: Problem | None = None,
) -> Array:
    """One output, grad_a* (r, d) or grad_b* (d, r).

    forward: what Z is computed from. backward: what the backward pass multiplies by (Q, K, V, X).
    adapters: whose A and B the chain rule for dA and dB uses. Both are forward if None.

    dL/dW_Q = beta X_Q^T p K,   dL/dW_K = beta X_K^T p^T Q,   dL/dW_V = X_V^T f^T c,
    dL/dA = s B^T dL/dW,   dL/dB = s dL/dW A^T.
    """
    backward, adapters = backward or forward, adapters or forward
    stored = steps.stored
    queries, keys, values = (stored(m.upper(), forward.projected(m)) for m in "qkv")
    f = stored("f", steps.softmax(stored("S", forward.beta * (queries @ keys.T))))
    c = stored("c", steps.residual(f @ values, forward.y))
    x = backward.x[projection]
    if projection == "v":
        grad_w = x.T @ steps.for_values(f) @ c
    else:
        if backward is not forward:
            queries, keys, values = (backward.projected(m) for m in "qkv")
        p = stored("p", steps.score_gradient(f, stored("q", c @ values.T), c))
        p = backward.beta * p
        grad_w = x.T @ p @ keys if projection == "q" else x.T @ steps.for_keys(p) @ queries
    grad_w = stored("dL/dW", grad_w)
    grad_w = adapters.scaling * steps.weight_gradient(grad_w)
    if output.startswith("grad_a"):
        return np.asarray(adapters.b[projection].T @ grad_w)
    return np.asarray(grad_w @ adapters.a[projection].T)


Change = Callable[[Problem], Problem | None]


def changed(
    name: str,
    explanation: str,
    term: str,
    change: Change,
    *,
    where: str = "everywhere",
    projections: str = "qkv",
    fewest: int = 1,
) -> Hypothesis:
    """The gradients of a changed problem; change returns None where the mistake changes nothing.

    where: "everywhere"; "forward", the gradients then being those of the right operands; or
    "backward", after a right forward pass; "chain", in the chain rule for dA and dB alone; or
    "weights", everywhere but in that chain rule. projections: of the outputs that it can be about.
    """

    def wrong_truth(evidence: Evidence) -> Array | None:
        projection = projection_of(evidence)
        right = problem_of(evidence.contract, evidence.inputs)
        wrong = change(right) if projection in projections else None
        if wrong is None:
            return None
        forward, backward, adapters = {
            "everywhere": (wrong, wrong, wrong),
            "forward": (wrong, right, right),
            "backward": (right, wrong, right),
            "chain": (right, right, wrong),
            "weights": (wrong, wrong, right),
        }[where]
        with np.errstate(all="ignore"):
            return gradient(
                evidence.output, projection, forward, backward=backward, adapters=adapters
            )

    return Hypothesis(name, explanation, term, wrong_truth, fewest=fewest)


def deviating(
    name: str,
    explanation: str,
    term: str,
    steps: Callable[[Problem], Steps | None],
    *,
    projections: str = "qkv",
    non_finite: bool = False,
) -> Hypothesis:
    """The gradients of the right problem with other steps; None where they change nothing."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        projection = projection_of(evidence)
        problem = problem_of(evidence.contract, evidence.inputs)
        wrong = steps(problem) if projection in projections else None
        if wrong is None:
            return None
        with np.errstate(all="ignore"):
            return gradient(evidence.output, projection, problem, wrong)

    return Hypothesis(name, explanation, term, wrong_truth, non_finite=non_finite)
