"""Another number in place of beta: in both passes, in one of them, or as a factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from loracle.diagnosis.attention_forms import Problem, Steps, changed, deviating, softmax
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis, factor_hypothesis

__all__ = ["ALORAGC_SOFTMAX_SCALES", "ATTENTION_SOFTMAX_SCALES"]

_NAME = "wrong-softmax-scale"

Scale = Callable[[float, int], float]

_FIXED: tuple[tuple[str, Scale], ...] = (
    ("1", lambda beta, d: 1.0),
    ("1/sqrt(d)", lambda beta, d: 1 / math.sqrt(d)),
    ("1/d", lambda beta, d: 1 / d),
)

_OF_BETA: tuple[tuple[str, Scale], ...] = (
    ("beta/sqrt(d)", lambda beta, d: beta / math.sqrt(d)),
    ("beta^2", lambda beta, d: beta**2),
    ("beta/d", lambda beta, d: beta / d),
    ("beta sqrt(d)", lambda beta, d: beta * math.sqrt(d)),
)
"""What is taken in place of beta, of beta and d."""


def _in_both(name: str, wrong: Scale) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        beta = wrong(problem.beta, problem.y.shape[1])
        return None if beta == problem.beta else replace(problem, beta=beta)

    explanation = f"{{output}} has {name} in place of beta, in forward and backward pass"
    return changed(_NAME, explanation, "beta", change)


def _in_forward(name: str, wrong: Scale) -> Hypothesis:
    def steps(problem: Problem) -> Steps | None:
        ratio = wrong(problem.beta, problem.y.shape[1]) / problem.beta
        return None if ratio == 1 else Steps(softmax=lambda scores: softmax(ratio * scores))

    explanation = f"{{output}} has {name} in place of beta, in the forward pass alone"
    return deviating(_NAME, explanation, "beta", steps, projections="qk")


def _in_backward(name: str, wrong: Scale) -> Hypothesis:
    """The gradients of Q and K are proportional to the beta of the backward pass."""

    def factor(evidence: Evidence) -> float | None:
        if evidence.output.endswith("_v"):
            return None
        inputs = evidence.inputs
        dim = inputs.tensors[next(iter(evidence.contract.tensors))].shape[-1]
        beta = inputs.scalars.get("beta", 1.0)
        return wrong(beta, dim) / beta

    explanation = f"{{output}} has {name} in place of beta, in the backward pass alone"
    return factor_hypothesis(_NAME, explanation, "beta", factor)


def _scales(*wrong: tuple[str, Scale]) -> tuple[Hypothesis, ...]:
    return (
        *(_in_both(*one) for one in wrong),
        *(_in_backward(*one) for one in wrong),
        *(_in_forward(*one) for one in wrong),
    )


ALORAGC_SOFTMAX_SCALES: tuple[Hypothesis, ...] = _scales(*_FIXED[1:], _OF_BETA[-1])
"""beta is 1 there, so that beta/sqrt(d) is 1/sqrt(d)."""

ATTENTION_SOFTMAX_SCALES: tuple[Hypothesis, ...] = _scales(
    _FIXED[0], _FIXED[1], *_OF_BETA[:2], _FIXED[2], *_OF_BETA[2:]
)
