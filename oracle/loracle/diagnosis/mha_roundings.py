"""`lora-mha`: one intermediate rounded to a coarser format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.mha_forms import (
    Layer,
    Mask,
    Problem,
    Steps,
    problem_of,
    result,
    with_layers,
)
from loracle.diagnosis.roundings import ROUNDED_TO, rounded_result, rounding

__all__ = ["MHA_ROUNDINGS"]

Array = npt.NDArray[np.float64]
To = Callable[[Array], Array]


def _of_step(place: str) -> Callable[[Evidence, To], Array]:
    def wrong(evidence: Evidence, to_format: To) -> Array:
        steps = Steps(stored=lambda name, array: to_format(array) if name == place else array)
        return result(evidence.output, problem_of(evidence), steps)

    return wrong


def _log_sum_exp(evidence: Evidence, to_format: To) -> Array:
    def from_stored(scores: Array, seen: Mask) -> Array:
        hidden = np.where(seen, scores, -np.inf)
        largest = hidden.max(axis=-1, keepdims=True)
        sums = np.exp(hidden - largest).sum(axis=-1, keepdims=True)
        return np.asarray(np.exp(hidden - to_format(largest + np.log(sums))))

    return result(evidence.output, problem_of(evidence), Steps(softmax=from_stored))


def _rounded_inputs(problem: Problem, to_format: To) -> Problem:
    def layer(right: Layer) -> Layer:
        weight, a, b = (to_format(array) for array in (right.weight, right.a, right.b))
        return Layer(weight, a, b, right.scaling)

    rounded = with_layers(problem, layer)
    return replace(rounded, x=to_format(problem.x), upstream=to_format(problem.upstream))


def _every_input(evidence: Evidence, to_format: To) -> Array:
    return result(evidence.output, _rounded_inputs(problem_of(evidence), to_format))


def _every_operand(evidence: Evidence, to_format: To) -> Array:
    """As on a tensor core: what enters a product of attention is rounded, its sum is not."""
    steps = Steps(stored=lambda name, array: array if name == "S" else to_format(array))
    return result(evidence.output, _rounded_inputs(problem_of(evidence), to_format), steps)


_PLACES: tuple[tuple[str, str, Callable[[Evidence, To], Array]], ...] = (
    *(
        (place, term, _of_step(place))
        for place, term in (
            ("f", "f"),
            ("S", "scores"),
            ("p", "correction"),
            ("q", "correction"),
            ("Q", "projection"),
            ("K", "projection"),
            ("V", "projection"),
            ("dQ", "whole"),
            ("dK", "whole"),
            ("dV", "whole"),
        )
    ),
    ("the log-sum-exp of each row", "f", _log_sum_exp),
    ("every input", "whole", _every_input),
    ("every operand of a product", "whole", _every_operand),
    ("the result", "whole", rounded_result),
)

MHA_ROUNDINGS: tuple[Hypothesis, ...] = tuple(
    rounding(place, form, term, wrong) for form in ROUNDED_TO for place, term, wrong in _PLACES
)
