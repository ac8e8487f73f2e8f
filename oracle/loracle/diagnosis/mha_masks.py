"""`lora-mha`: mistakes in the mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.mha_forms import (
    Mask,
    Problem,
    Steps,
    attend,
    deviating,
    gradient_of_scores,
    problem_of,
    result,
    right_mask,
)

__all__ = ["MHA_MASKS", "MHA_NO_KEY"]

Array = npt.NDArray[np.float64]

_MASK = "causal-alignment"


def _tri(problem: Problem, offset: int) -> Mask:
    return np.tri(problem.length, k=offset, dtype=np.bool_)


def _strict(problem: Problem) -> Mask:
    return _tri(problem, -1)


_MASKS: tuple[tuple[str, bool, Callable[[Problem], Mask]], ...] = (
    (
        "no mask where j <= i is asked for",
        True,
        lambda p: np.ones((p.length, p.length), np.bool_),
    ),
    ("the mask j <= i that is not asked for", False, lambda p: _tri(p, 0)),
    ("the mask j < i in place of j <= i", True, _strict),
    ("the mask j <= i + 1 in place of j <= i", True, lambda p: _tri(p, 1)),
    ("the mask j >= i in place of j <= i", True, lambda p: _tri(p, 0).T),
    ("the mask j > i in place of j <= i", True, lambda p: ~_tri(p, 0)),
)
"""What stands in place of the mask, whether the case is causal, and which keys are seen. A query
that sees no key has an output of zero."""


def _mask(words: str, causal: bool, seen: Callable[[Problem], Mask]) -> tuple[Hypothesis, ...]:
    def applies(problem: Problem) -> bool:
        # One query that sees itself is the same under most masks, but not under j < i.
        return problem.causal == causal and not np.array_equal(seen(problem), right_mask(problem))

    def again(keeps_sums: bool, after: str) -> Hypothesis:
        return deviating(
            _MASK,
            f"{{output}} is what {words} gives in the backward pass alone, {after}",
            "mask",
            lambda problem: (
                Steps(seen_again=seen, keeps_sums=keeps_sums) if applies(problem) else None
            ),
            outputs="_q _k _v grad_x",
            exponential=keeps_sums,
        )

    return (
        deviating(
            _MASK,
            f"{{output}} is what {words} gives",
            "mask",
            lambda problem: Steps(seen=seen) if applies(problem) else None,
        ),
        again(False, "which computes the softmax anew"),
        again(True, "with the row sums (log-sum-exp) and <dO, O> of the forward pass"),
    )


def _hidden_are_zero(scores: Array, seen: Mask) -> Array:
    return attend(np.where(seen, scores, 0.0), np.ones_like(seen))


def _hidden_after_softmax(scores: Array, seen: Mask) -> Array:
    return np.asarray(attend(scores, np.ones_like(seen)) * seen)


def _masked_by(words: str, softmax: Callable[[Array, Mask], Array]) -> Hypothesis:
    return deviating(
        _MASK,
        f"{{output}} is what {words} gives",
        "mask",
        lambda problem: Steps(softmax=softmax) if problem.causal and problem.length > 1 else None,
    )


def _uniform_in_unseen_rows(scores: Array, seen: Mask) -> Array:
    """A mask by a large finite number: a row that sees nothing sees everything alike."""
    return attend(np.where(seen, scores, -1e30), np.ones_like(seen))


def _number_added(problem: Problem) -> Steps | None:
    """The gradient goes through the sum, in a row that sees nothing too."""
    if not problem.causal:
        return None
    return Steps(seen=_strict, softmax=_uniform_in_unseen_rows)


def _number_filled_in(problem: Problem) -> Steps | None:
    """No gradient goes through a score that the number stands in place of."""
    if not problem.causal:
        return None
    seen = _strict(problem)
    return Steps(
        seen=_strict,
        softmax=_uniform_in_unseen_rows,
        score_gradient=lambda f, q: np.asarray(seen * gradient_of_scores(f, q)),
    )


_ALIKE = "{output} is what the mask j < i gives, the first row then seeing all keys alike"

MHA_MASKS: tuple[Hypothesis, ...] = (
    *(hypothesis for mask in _MASKS for hypothesis in _mask(*mask)),
    _masked_by("scores of zero in place of minus infinity", _hidden_are_zero),
    _masked_by("a mask after the softmax", _hidden_after_softmax),
    deviating(_MASK, _ALIKE, "mask", _number_added),
    deviating(
        _MASK,
        f"{_ALIKE}, and giving no gradient to the scores",
        "mask",
        _number_filled_in,
        outputs="_q _k grad_x",
    ),
)


def _zero_by_zero(scores: Array, seen: Mask) -> Array:
    return np.where(seen.any(axis=-1, keepdims=True), attend(scores, seen), np.nan)


def _no_key(evidence: Evidence) -> Array | None:
    problem = problem_of(evidence)
    if not problem.causal:
        return None
    with np.errstate(all="ignore"):
        steps = Steps(seen=_strict, softmax=_zero_by_zero)
        return result(evidence.output, problem, steps)


MHA_NO_KEY: tuple[Hypothesis, ...] = (
    # Not blank: the gradients, of which no entry is finite, would say nothing of the mask.
    Hypothesis(
        _MASK,
        "{output} is not finite in the first row alone, which sees no key by the mask j < i in"
        " place of j <= i",
        "mask",
        _no_key,
        non_finite=True,
    ),
)
