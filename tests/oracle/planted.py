"""Mistakes to plant in one output of an honest kernel, and the evidence they leave."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from loracle.adapters import autograd
from loracle.cases import Case, Inputs
from loracle.contracts import CONTRACTS
from loracle.corpus import closed_form
from loracle.diagnosis import Evidence, diagnose
from loracle.evaluation import bind_sizes
from loracle.judgement.verdicts import judge
from loracle_reference.floating_point import round_to_format

from .core_cases import default_run, reference
from .other_evaluations import in_torch

Array = npt.NDArray[np.float64]
Plant = Callable[[Case, Inputs, str], Array]


def honest(case: Case, inputs: Inputs, output: str) -> Array:
    kernel: Callable[..., Any] = getattr(autograd, case.contract.replace("-", "_"))
    return in_torch(kernel, case, inputs)[output]


def times(factor: Callable[[dict[str, float]], float]) -> Plant:
    """The honest result times a function of the sizes and scalars."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        known = {**bind_sizes(CONTRACTS[case.contract], inputs), **inputs.scalars}
        return round_to_format(honest(case, inputs, output) * factor(known), case.dtype)

    return plant


def on(change: Callable[[Inputs], Inputs]) -> Plant:
    """The honest result on other inputs."""
    return lambda case, inputs, output: honest(case, change(inputs), output)


def with_tensors(inputs: Inputs, **tensors: Array) -> Inputs:
    return Inputs({**inputs.tensors, **tensors}, inputs.scalars)


def with_scalars(inputs: Inputs, **scalars: float) -> Inputs:
    return Inputs(inputs.tensors, {**inputs.scalars, **scalars})


def weight_transposed(name: str) -> Plant:
    """A rectangular weight would be a crash; such cases are left right."""

    def change(inputs: Inputs) -> Inputs:
        weight = inputs.tensors[name]
        square = weight.shape[0] == weight.shape[1]
        return with_tensors(inputs, **{name: weight.T.copy() if square else weight})

    return on(change)


def delta_transposed(weight: str, down: str, up: str) -> Plant:
    def change(inputs: Inputs) -> Inputs:
        scaling = inputs.scalars.get("scaling", 1.0)
        delta = scaling * (inputs.tensors[up] @ inputs.tensors[down])
        if delta.shape[0] != delta.shape[1]:
            return inputs
        changed = inputs.tensors[weight] + delta.T - delta
        return with_tensors(inputs, **{weight: changed})

    return on(change)


def result_transposed(case: Case, inputs: Inputs, output: str) -> Array:
    result = honest(case, inputs, output)
    return result.T.copy() if result.shape == result.T.shape else result


def with_offset(case: Case, inputs: Inputs, output: str) -> Array:
    """Of no class."""
    result = honest(case, inputs, output)
    return np.asarray(result + np.abs(result).max())


def mean_over(symbols: tuple[str, ...]) -> Plant:
    return times(lambda k: 1 / math.prod(k[symbol] for symbol in symbols))


def zeros(case: Case, inputs: Inputs, output: str) -> Array:
    return np.zeros_like(honest(case, inputs, output))


def steps(**changed: Any) -> Plant:
    """An attention contract in torch's own operations, some steps of its closed form changed."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        kernel: Callable[..., Any] = getattr(closed_form, case.contract.replace("-", "_"))

        def wrong(**call: Any) -> Any:
            return kernel(call, **changed)

        return in_torch(wrong, case, inputs)[output]

    return plant


without_correction = steps(score_gradient=lambda f, q: f * q)
"""p1 in place of p1 - p2."""


def both(one: Plant, change: Callable[[Inputs], Inputs]) -> Plant:
    """Another mistake on top of one on other inputs."""
    return lambda case, inputs, output: one(case, change(inputs), output)


def scores_scaled(by: Callable[[int], float]) -> Plant:
    """aloragc with the softmax of by(d) times the scores."""

    def plant(case: Case, inputs: Inputs, output: str) -> Array:
        def wrong(**k: torch.Tensor) -> dict[str, torch.Tensor]:
            a, b = k["a"].clone().requires_grad_(), k["b"].clone().requires_grad_()
            scores = by(a.shape[1]) * (k["c1"] @ (k["w"] + b @ a) @ k["c2"].T)
            residual = torch.softmax(scores, dim=1) @ k["c3"] - k["y"]
            gradients = torch.autograd.grad((residual * residual).sum() / 2, [a, b])
            return dict(zip(("grad_a", "grad_b"), gradients, strict=True))

        return in_torch(wrong, case, inputs)[output]

    return plant


def failing(
    contract: str, dtype: str, seed: int, output: str, plant: Plant, *, of_each: int = 6
) -> list[Evidence]:
    """The evidence of the cases of a default run that are suspect or fail; of each regime, the
    first so many."""
    evidence = []
    for case in default_run(contract, dtype, seed):
        if case.index >= of_each:
            continue
        known = reference(case)
        computed = plant(case, known.inputs, output)
        truth, proven, null = known.truth[output], known.proven[output], known.null[output]
        judgement = judge(computed, truth, proven, null.tolerance)
        if judgement.verdict in ("suspect", "fail"):
            slack = min(null.tolerance, float(proven.bound.max()))
            of = CONTRACTS[contract]
            given = (known.inputs, output, computed, truth.mid, slack, dtype, proven.bound)
            evidence.append(Evidence(of, *given))
    return evidence


def names(evidence: list[Evidence]) -> list[str]:
    return [diagnosis.hypothesis for diagnosis in diagnose(evidence)]


def planted(
    contract: str, outputs: str, *rows: tuple[str, str, Plant]
) -> list[tuple[str, str, str, str, Plant]]:
    """Each mistake in each of the outputs."""
    return [
        (contract, output, what, name, plant)
        for output in outputs.split()
        for what, name, plant in rows
    ]


def scaled(tensors: str, factor: float) -> Plant:
    """The named inputs times a factor."""
    return on(
        lambda i: with_tensors(i, **{name: factor * i.tensors[name] for name in tensors.split()})
    )


def coarse(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.bfloat16).to(tensor.dtype)


def per_scaling(known: dict[str, float]) -> float:
    return 1 / known["scaling"]
