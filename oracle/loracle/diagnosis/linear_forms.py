"""The output and the gradients of `lora-linear` in float64, term by term.

The formulas are those of `loracle_reference.lora_linear`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.evaluation import rows

__all__ = ["Layer", "base_term", "changed", "layer_of", "lora_term", "result"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """x (n, in), weight (out, in), a (r, in), b (out, r), upstream (n, out), n = batch * length."""

    x: Array
    weight: Array
    a: Array
    b: Array
    scaling: float
    upstream: Array
    batch: int
    length: int


def layer_of(evidence: Evidence) -> Layer:
    """The inputs, all axes but the last as one of rows; the length is the last of them, and what
    comes before it the batch."""
    t = evidence.inputs.tensors
    *batches, length, _ = t["x"].shape
    return Layer(
        rows(t["x"]),
        t["weight"],
        t["lora_a"],
        t["lora_b"],
        evidence.inputs.scalars["scaling"],
        rows(t["grad_output"]),
        math.prod(batches),
        length,
    )


def base_term(layer: Layer, output: str) -> Array:
    """x W^T of the output, G W of grad_x, zero elsewhere."""
    if output == "output":
        return np.asarray(layer.x @ layer.weight.T)
    if output == "grad_x":
        return np.asarray(layer.upstream @ layer.weight)
    return np.zeros(())


def lora_term(layer: Layer, output: str) -> Array:
    """s (x A^T) B^T, s (G B) A, s (G B)^T X and s G^T (X A^T)."""
    x, a, b, g = layer.x, layer.a, layer.b, layer.upstream
    if output == "output":
        term = x @ a.T @ b.T
    elif output == "grad_x":
        term = g @ b @ a
    elif output == "grad_lora_a":
        term = (g @ b).T @ x
    else:
        term = g.T @ (x @ a.T)
    return np.asarray(layer.scaling * term)


def result(layer: Layer, evidence: Evidence) -> Array:
    """The output in its shape."""
    value = base_term(layer, evidence.output) + lora_term(layer, evidence.output)
    return value.reshape(evidence.truth.shape)


def changed(
    name: str,
    explanation: str,
    term: str,
    change: Callable[[Layer], Layer | None],
    *,
    outputs: tuple[str, ...] = ("output", "grad_x", "grad_lora_a", "grad_lora_b"),
    fewest: int = 1,
) -> Hypothesis:
    """The result of a changed layer; change returns None where the mistake changes nothing."""

    def wrong_truth(evidence: Evidence) -> Array | None:
        wrong = change(layer_of(evidence)) if evidence.output in outputs else None
        return None if wrong is None else result(wrong, evidence)

    return Hypothesis(name, explanation, term, wrong_truth, fewest=fewest)
