"""`lora-mha`: the end of the keys, of the queries or of the rows counts twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.mha_forms import (
    Problem,
    Steps,
    attend,
    changed,
    deviating,
    gradient_of_scores,
    problem_of,
)
from loracle.diagnosis.repeats import REPEATS, Repeat

__all__ = ["MHA_DOUBLED_TAILS"]

Array = npt.NDArray[np.float64]

_NAME = "doubled-tail"
_GRADIENTS = "_q _k _v grad_x"


def _length(problem: Problem) -> int:
    return problem.length


def _rows_of(problem: Problem) -> int:
    return len(problem.x) * problem.length


def _told(found: Hypothesis, repeat: Repeat, size: Callable[[Problem], int]) -> Hypothesis:
    return replace(found, telling=lambda evidence: repeat.tells(size(problem_of(evidence))))


def _keys(repeat: Repeat) -> Hypothesis:
    """exp(S) w over its row sums: a key that is there w times."""

    def steps(problem: Problem) -> Steps | None:
        weights = repeat.weights(problem.length)
        if weights is None:
            return None
        return Steps(softmax=lambda scores, seen: attend(scores + np.log(weights), seen))

    return _told(deviating(_NAME, repeat.explanation("keys"), "f", steps), repeat, _length)


def _keys_in_backward(repeat: Repeat) -> Hypothesis:
    def steps(problem: Problem) -> Steps | None:
        weights = repeat.weights(problem.length)
        if weights is None:
            return None

        def score_gradient(f: Array, q: Array) -> Array:
            return np.asarray(weights * gradient_of_scores(f, q))

        return Steps(score_gradient=score_gradient, for_values=lambda f: f * weights)

    text = repeat.explanation("keys", " in the backward pass alone")
    return _told(deviating(_NAME, text, "sum", steps, outputs=_GRADIENTS), repeat, _length)


def _queries(repeat: Repeat) -> Hypothesis:
    """Their rows of the upstream gradient are twice themselves."""

    def change(problem: Problem) -> Problem | None:
        weights = repeat.weights(problem.length)
        if weights is None:
            return None
        return replace(problem, upstream=problem.upstream * weights[None, :, None, None])

    text = repeat.explanation("queries")
    return _told(changed(_NAME, text, "sum", change, outputs=_GRADIENTS), repeat, _length)


def _rows(repeat: Repeat) -> Hypothesis:
    """Of X, in the gradients of A and B, which are sums over batch * length."""

    def change(problem: Problem) -> Problem | None:
        weights = repeat.weights(_rows_of(problem))
        if weights is None:
            return None
        by_row = weights.reshape(len(problem.x), problem.length, 1)
        return replace(problem, x=problem.x * by_row)

    text = repeat.explanation("rows (batch * length)")
    found = changed(_NAME, text, "sum", change, where="backward", outputs="_q _k _v")
    return _told(found, repeat, _rows_of)


MHA_DOUBLED_TAILS: tuple[Hypothesis, ...] = tuple(
    of(repeat) for of in (_keys, _keys_in_backward, _queries, _rows) for repeat in REPEATS
)
