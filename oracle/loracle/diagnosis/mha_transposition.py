"""`lora-mha`: square matrices used in the other orientation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.mha_forms import Layer, Problem, Steps, changed, deviating
from loracle.diagnosis.transposition import RESULT

__all__ = ["MHA_TRANSPOSITIONS"]

Array = npt.NDArray[np.float64]

_NAME = "transposed"


def _weight(layer: Layer) -> Layer:
    return replace(layer, weight=layer.weight.T)


def _delta(layer: Layer) -> Layer:
    """W + s (B A)^T, written as a change of W."""
    delta = layer.scaling * (layer.b @ layer.a)
    return replace(layer, weight=layer.weight + delta.T - delta)


def _of(which: str, turned: Callable[[Layer], Layer]) -> Callable[[Problem], Problem | None]:
    """Of those layers whose weight is square, of which there must be one."""

    def change(problem: Problem) -> Problem | None:
        layers = {
            m: turned(layer)
            if m in which and layer.weight.shape[0] == layer.weight.shape[1] > 1
            else layer
            for m, layer in problem.layers.items()
        }
        if all(layers[m] is problem.layers[m] for m in which):
            return None
        return replace(problem, layers=layers)

    return change


def _layers(
    which: str, words: str, term: str, turned: Callable[[Layer], Layer], where: str
) -> Hypothesis:
    of = "every square layer" if which == "qkv" else f"the layer of {which.upper()}"
    back = " on the way back" if where == "chain" else ""
    return changed(
        _NAME,
        f"{{output}} is what the transpose of {words} of {of} gives{back}",
        term,
        _of(which, turned),
        where=where,
        outputs="grad_x" if where == "chain" else "",
    )


def _turned(array: Array) -> Array:
    return np.swapaxes(array, -1, -2)


MHA_TRANSPOSITIONS: tuple[Hypothesis, ...] = (
    *(
        _layers(which, *what, where)
        for what in (("weight", "weight", _weight), ("lora_b lora_a", "delta", _delta))
        for where in ("everywhere", "chain")
        for which in ("qkv", *"qkv")
    ),
    deviating(
        _NAME,
        "{output} is what p in place of p^T gives in dK",
        "correction",
        lambda problem: Steps(for_keys=_turned) if problem.length > 1 else None,
        outputs="_k grad_x",
    ),
    deviating(
        _NAME,
        "{output} is what f in place of f^T gives in dV",
        "f",
        lambda problem: Steps(for_values=_turned) if problem.length > 1 else None,
        outputs="_v grad_x",
    ),
    RESULT,
)
