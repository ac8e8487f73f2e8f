"""The softmax and its derivative: the correction p2, the normalisation, the maximum, a mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.attention_forms import (
    Problem,
    Steps,
    deviating,
    gradient,
    problem_of,
    projection_of,
    softmax,
)
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle_reference.floating_point import round_to_format

__all__ = ["CORRECTIONS", "MAXIMUM", "PROBABILITIES"]

Array = npt.NDArray[np.float64]
ScoreGradient = Callable[[Array, Array, Array], Array]


def _dot(f: Array, q: Array) -> Array:
    """<f_j, q_j> (L, 1)."""
    return np.asarray((f * q).sum(axis=1, keepdims=True))


def _correction(name: str, explanation: str, score_gradient: ScoreGradient) -> Hypothesis:
    return deviating(
        name,
        explanation,
        "p2",
        lambda problem: Steps(score_gradient=score_gradient),
        projections="qk",
    )


def _of_first_block(block: int) -> Hypothesis:
    def score_gradient(f: Array, q: Array, c: Array) -> Array:
        return f * (q - _dot(f[:, :block], q[:, :block]))

    return deviating(
        "wrong-softmax-correction",
        f"{{output}} has a correction p2 that sums over the first {block} keys alone",
        "p2",
        lambda problem: (
            Steps(score_gradient=score_gradient) if len(problem.x["k"]) > block else None
        ),
        projections="qk",
    )


def _correction_without_beta(problem: Problem) -> Steps | None:
    """dS = f o (beta dP - rowsum(f o dP)): the scale is on one of the two alone."""
    beta = problem.beta
    if beta == 1:
        return None
    return Steps(score_gradient=lambda f, q, c: f * (q - _dot(f, q) / beta))


def _correction_with_beta_twice(problem: Problem) -> Steps | None:
    beta = problem.beta
    if beta == 1:
        return None
    return Steps(score_gradient=lambda f, q, c: f * (q - _dot(f, q) * beta))


_WRONG = "wrong-softmax-correction"

CORRECTIONS: tuple[Hypothesis, ...] = (
    _correction(
        "missing-softmax-correction",
        "{output} lacks p2, the correction <f_j, q_j> f_j of the softmax's backward",
        lambda f, q, c: f * q,
    ),
    _correction(
        _WRONG,
        "{output} has a correction p2 that sums over the queries in place of the keys",
        lambda f, q, c: f * (q - (f * q).sum(axis=0, keepdims=True)),
    ),
    _correction(
        _WRONG,
        "{output} has rowsum(c o c) in place of rowsum(c o Z) in the correction p2",
        lambda f, q, c: f * (q - (c * c).sum(axis=1, keepdims=True)),
    ),
    *(_of_first_block(block) for block in (16, 32, 64, 128)),
    _correction(
        _WRONG,
        "{output} has the correction p2 with the opposite sign, p1 + p2",
        lambda f, q, c: f * (q + _dot(f, q)),
    ),
    _correction(
        _WRONG, "{output} has the correction p2 twice", lambda f, q, c: f * (q - 2 * _dot(f, q))
    ),
    _correction(
        _WRONG, "{output} has the correction p2 alone, without p1", lambda f, q, c: -f * _dot(f, q)
    ),
    _correction(
        _WRONG,
        "{output} has the mean of q in place of <f_j, q_j> in the correction p2",
        lambda f, q, c: f * (q - q.mean(axis=1, keepdims=True)),
    ),
    deviating(
        _WRONG,
        "{output} has beta on p1 alone, not on the correction p2",
        "p2",
        _correction_without_beta,
        projections="qk",
    ),
    deviating(
        _WRONG,
        "{output} has beta twice on the correction p2",
        "p2",
        _correction_with_beta_twice,
        projections="qk",
    ),
)


def _over_queries(problem: Problem) -> Steps | None:
    """1 by 1 there is no other axis."""
    if len(problem.y) == len(problem.x["k"]) == 1:
        return None
    return Steps(softmax=lambda scores: softmax(scores.T).T)


def _masked(offset: Callable[[Problem], int]) -> Callable[[Problem], Steps | None]:
    """Query i sees the keys up to i + offset; None where it would see none, or all."""

    def steps(problem: Problem) -> Steps | None:
        queries, keys = len(problem.y), len(problem.x["k"])
        allowed = np.tri(queries, keys, offset(problem), dtype=bool)
        if allowed.all() or not allowed.any(axis=1).all():
            return None
        return Steps(softmax=lambda scores: softmax(np.where(allowed, scores, -np.inf)))

    return steps


def _unnormalised(*, shifted: bool) -> Steps:
    def exponentials(scores: Array) -> Array:
        shift = scores.max(axis=1, keepdims=True) if shifted else 0.0
        return np.asarray(np.exp(scores - shift))

    return Steps(softmax=exponentials)


PROBABILITIES: tuple[Hypothesis, ...] = (
    deviating(
        "softmax-along-wrong-axis",
        "{output} is that of a softmax which normalises over the queries",
        "normalization",
        _over_queries,
    ),
    deviating(
        "missing-normalization",
        "{output} is that of exp(S) without the division by its row sums",
        "normalization",
        lambda problem: _unnormalised(shifted=False),
    ),
    deviating(
        "missing-normalization",
        "{output} is that of exp(S - max S) without the division by its row sums",
        "normalization",
        lambda problem: _unnormalised(shifted=True),
    ),
    deviating(
        "unrequested-mask",
        "{output} is that of a causal mask, j <= i",
        "f",
        _masked(lambda problem: 0),
    ),
    deviating(
        "unrequested-mask",
        "{output} is that of a causal mask aligned at the last query and key",
        "f",
        _masked(lambda problem: len(problem.x["k"]) - len(problem.y)),
    ),
)


def _bare(dtype: str) -> Callable[[Array], Array]:
    """exp(S) / rowsum(exp(S)) as the dtype stores it."""

    def unshifted(scores: Array) -> Array:
        exponentials = round_to_format(np.exp(scores), dtype)
        sums = round_to_format(exponentials.sum(axis=1, keepdims=True), dtype)
        return np.asarray(exponentials / sums)

    return unshifted


def _without_maximum(evidence: Evidence) -> Array | None:
    problem = problem_of(evidence.contract, evidence.inputs)
    with np.errstate(all="ignore"):
        return gradient(
            evidence.output,
            projection_of(evidence),
            problem,
            Steps(softmax=_bare(evidence.dtype)),
        )


MAXIMUM: tuple[Hypothesis, ...] = (
    Hypothesis(
        "no-max-subtraction",
        "{output} is not finite where exp of the scores themselves leaves the range of the dtype:"
        " the maximum of each row is not subtracted first",
        "scores",
        _without_maximum,
        non_finite=True,
        blank=True,
    ),
)
