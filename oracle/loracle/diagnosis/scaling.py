"""Mistakes in the scaling s = alpha / r, and in scalars that belong to another call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis import attention_forms, linear_forms
from loracle.diagnosis.attention_forms import Problem
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis, factor_hypothesis
from loracle.diagnosis.linear_forms import Layer
from loracle.generation.attention import BETAS, SQUARE_BETAS
from loracle.generation.sampling import LARGE_SCALINGS, SCALINGS, SQUARE_SCALINGS

__all__ = [
    "ATTENTION_SCALINGS",
    "FEWEST_STALE",
    "LINEAR_SCALINGS",
    "STALE_ATTENTION",
    "STALE_LINEAR",
    "WRONG_SCALINGS",
    "WrongScaling",
]

Array = npt.NDArray[np.float64]

FEWEST_STALE = 4
"""With fewer cases a fixed scalar is no more than a factor."""

_SCALINGS = (*SCALINGS, *LARGE_SCALINGS, *SQUARE_SCALINGS)
_BETAS = (*BETAS, *SQUARE_BETAS, 1.25)
"""Those of the generated cases, any of which may be that of the first call."""

WrongScaling = Callable[[float, int], float]

WRONG_SCALINGS: tuple[tuple[str, str, WrongScaling], ...] = (
    (
        "missing-scaling",
        "lacks the scaling alpha / r: it is what a scaling of 1 gives",
        lambda s, r: 1.0,
    ),
    ("squared-scaling", "has the scaling alpha / r twice", lambda s, r: s * s),
    ("wrong-scaling", "has alpha in place of alpha / r", lambda s, r: s * r),
    ("wrong-scaling", "has alpha / sqrt(r) in place of alpha / r", lambda s, r: s * math.sqrt(r)),
    ("wrong-scaling", "has alpha / r^2 in place of alpha / r", lambda s, r: s / r),
    ("wrong-scaling", "has r / alpha in place of alpha / r", lambda s, r: 1 / s),
    ("wrong-scaling", "has 1 / r in place of alpha / r", lambda s, r: 1 / r),
)
"""Name, what the output then has, and the scaling that is taken, of s and r."""


def _rank(evidence: Evidence) -> int:
    name = "lora_a" if evidence.contract.name == "lora-linear" else "a_q"
    return int(evidence.inputs.tensors[name].shape[0])


def _as_factor(name: str, has: str, wrong: WrongScaling) -> Hypothesis:
    """Of the gradients of A and B, which are proportional to s."""

    def factor(evidence: Evidence) -> float | None:
        if evidence.output in ("output", "grad_x"):
            return None
        scaling = evidence.inputs.scalars["scaling"]
        return wrong(scaling, _rank(evidence)) / scaling

    return factor_hypothesis(name, f"{{output}} {has}", "scaling", factor)


def _of_layer(name: str, has: str, wrong: WrongScaling) -> Hypothesis:
    def change(layer: Layer) -> Layer | None:
        scaling = wrong(layer.scaling, len(layer.a))
        return None if scaling == layer.scaling else replace(layer, scaling=scaling)

    return linear_forms.changed(
        name, f"{{output}} {has}", "scaling", change, outputs=("output", "grad_x")
    )


def _on_base(layer: Layer) -> Layer:
    return replace(layer, weight=layer.scaling * layer.weight)


LINEAR_SCALINGS: tuple[Hypothesis, ...] = (
    *(_as_factor(*wrong) for wrong in WRONG_SCALINGS),
    *(_of_layer(*wrong) for wrong in WRONG_SCALINGS),
    linear_forms.changed(
        "scaling-on-base",
        "{output} has the scaling on the frozen weight's term too",
        "base",
        _on_base,
        outputs=("output", "grad_x"),
    ),
)


def _of_attention(name: str, has: str, wrong: WrongScaling, where: str) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        scaling = wrong(problem.scaling, len(problem.a["q"]))
        return None if scaling == problem.scaling else replace(problem, scaling=scaling)

    place = {"everywhere": "in forward and backward pass", "weights": "in W = W* + s B A alone"}
    return attention_forms.changed(
        name, f"{{output}} {has}, {place[where]}", "scaling", change, where=where
    )


def _of_projection(name: str, has: str, wrong: WrongScaling, projection: str) -> Hypothesis:
    """In the weight of one projection alone."""

    def change(problem: Problem) -> Problem | None:
        difference = wrong(problem.scaling, len(problem.a["q"])) - problem.scaling
        delta = problem.b[projection] @ problem.a[projection]
        return problem.having("w", **{projection: problem.w[projection] + difference * delta})

    weight = f"W_{projection.upper()}"
    explanation = f"{{output}} is that of a {weight} which {has}"
    return attention_forms.changed(name, explanation, "delta", change)


ATTENTION_SCALINGS: tuple[Hypothesis, ...] = (
    *(_as_factor(*wrong) for wrong in WRONG_SCALINGS),
    *(
        _of_attention(*wrong, where)
        for wrong in WRONG_SCALINGS
        for where in ("everywhere", "weights")
    ),
    *(_of_projection(*wrong, projection) for wrong in WRONG_SCALINGS[:2] for projection in "qkv"),
)


def _stale_factor(value: float) -> Hypothesis:
    def wrong_truth(evidence: Evidence) -> Array | None:
        scaling = evidence.inputs.scalars["scaling"]
        if value == scaling:
            return None
        if evidence.output in ("output", "grad_x"):
            layer = replace(linear_forms.layer_of(evidence), scaling=value)
            return linear_forms.result(layer, evidence)
        return np.asarray(evidence.truth * (value / scaling))

    return Hypothesis(
        "stale-scalar", _stale("scaling", value), "scaling", wrong_truth, fewest=FEWEST_STALE
    )


def _stale(name: str, value: float) -> str:
    return f"{{output}} has a {name} of {value} in every case: that of another call"


def _stale_scaling(value: float) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        return None if problem.scaling == value else replace(problem, scaling=value)

    return attention_forms.changed(
        "stale-scalar", _stale("scaling", value), "scaling", change, fewest=FEWEST_STALE
    )


def _stale_beta(value: float) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        return None if problem.beta == value else replace(problem, beta=value)

    return attention_forms.changed(
        "stale-scalar", _stale("beta", value), "beta", change, fewest=FEWEST_STALE
    )


STALE_LINEAR: tuple[Hypothesis, ...] = tuple(_stale_factor(value) for value in _SCALINGS)

STALE_ATTENTION: tuple[Hypothesis, ...] = (
    *(_stale_factor(value) for value in _SCALINGS),
    *(_stale_scaling(value) for value in _SCALINGS),
    *(_stale_beta(value) for value in _BETAS),
)
