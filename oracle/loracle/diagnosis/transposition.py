"""Something square is transposed: a weight, B A, the gradient in W, p, f, or the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis import attention_forms, linear_forms
from loracle.diagnosis.attention_forms import Problem, Steps
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_forms import Layer

__all__ = ["ALORAGC_TRANSPOSITIONS", "ATTENTION_TRANSPOSITIONS", "LINEAR_TRANSPOSITIONS", "RESULT"]

Array = npt.NDArray[np.float64]

_NAME = "transposed"


def _transposable(array: Array) -> bool:
    return bool(array.shape[0] == array.shape[1] > 1)


def _result(evidence: Evidence) -> Array | None:
    truth = evidence.truth
    return truth.T if truth.ndim == 2 and _transposable(truth) else None


RESULT = Hypothesis(_NAME, "{output} is the transpose of the true value", "whole", _result)


def _weight_of_layer(layer: Layer) -> Layer | None:
    return replace(layer, weight=layer.weight.T) if _transposable(layer.weight) else None


def _delta_of_layer(layer: Layer) -> Layer | None:
    """W + s (B A)^T, written as a change of W."""
    if not _transposable(layer.weight):
        return None
    delta = layer.scaling * (layer.b @ layer.a)
    return replace(layer, weight=layer.weight + delta.T - delta)


LINEAR_TRANSPOSITIONS: tuple[Hypothesis, ...] = (
    linear_forms.changed(
        _NAME,
        "{output} is what the transpose of weight would give",
        "weight",
        _weight_of_layer,
        outputs=("output", "grad_x"),
    ),
    linear_forms.changed(
        _NAME,
        "{output} is what (lora_b lora_a)^T would give",
        "delta",
        _delta_of_layer,
        outputs=("output", "grad_x"),
    ),
    RESULT,
)


def _weight(projection: str) -> Callable[[Problem], Problem | None]:
    def change(problem: Problem) -> Problem | None:
        weight = problem.w[projection]
        return problem.having("w", **{projection: weight.T}) if _transposable(weight) else None

    return change


def _delta(projection: str) -> Callable[[Problem], Problem | None]:
    def change(problem: Problem) -> Problem | None:
        weight = problem.w[projection]
        if not _transposable(weight):
            return None
        delta = problem.scaling * (problem.b[projection] @ problem.a[projection])
        return problem.having("w", **{projection: weight + delta.T - delta})

    return change


def _of_projection(projection: str, suffix: str) -> tuple[Hypothesis, ...]:
    return (
        attention_forms.changed(
            _NAME,
            f"{{output}} is what the transpose of w{suffix} would give",
            "weight",
            _weight(projection),
        ),
        attention_forms.changed(
            _NAME,
            f"{{output}} is what (b{suffix} a{suffix})^T would give",
            "delta",
            _delta(projection),
        ),
    )


def _weight_gradient(problem: Problem) -> Steps | None:
    return Steps(weight_gradient=np.transpose) if problem.y.shape[1] > 1 else None


def _scores_are_square(problem: Problem) -> bool:
    return len(problem.y) == len(problem.x["k"]) > 1


_STEPS: tuple[Hypothesis, ...] = (
    attention_forms.deviating(
        _NAME,
        "{output} is what the transpose of the weight's gradient, dL/dW, gives",
        "grad_w",
        _weight_gradient,
    ),
    attention_forms.deviating(
        _NAME,
        "{output} is what p in place of p^T gives",
        "grad_w",
        lambda problem: Steps(for_keys=lambda p: p) if _scores_are_square(problem) else None,
        projections="k",
    ),
    attention_forms.deviating(
        _NAME,
        "{output} is what f in place of f^T gives",
        "grad_w",
        lambda problem: Steps(for_values=lambda f: f) if _scores_are_square(problem) else None,
        projections="v",
    ),
    RESULT,
)

ALORAGC_TRANSPOSITIONS: tuple[Hypothesis, ...] = (*_of_projection("q", ""), *_STEPS)

ATTENTION_TRANSPOSITIONS: tuple[Hypothesis, ...] = (
    *(hypothesis for m in "qkv" for hypothesis in _of_projection(m, f"_{m}")),
    *_STEPS,
)
