"""One intermediate rounded to a coarser format: the pattern of errors that this makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from loracle.diagnosis import linear_forms
from loracle.diagnosis.attention_forms import (
    Problem,
    Steps,
    gradient,
    problem_of,
    projection_of,
)
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.formats import coarser_than, cut_to_tf32, rounded
from loracle.diagnosis.hypothesis import Hypothesis

__all__ = ["ATTENTION_ROUNDINGS", "LINEAR_ROUNDINGS", "ROUNDED_TO", "rounded_result", "rounding"]

Array = npt.NDArray[np.float64]
Stored = Callable[[str, Array], Array]

ROUNDED_TO = ("float32", "tf32", "float16", "bfloat16")
_SAID = {"tf32": "tf32 or float16"}
"""Both have 11 bits: float16 alone is named where its range matters."""


def rounding(
    place: str,
    form: str,
    term: str,
    wrong: Callable[[Evidence, Callable[[Array], Array]], Array],
    *,
    cut_off: bool = False,
) -> Hypothesis:
    """Of one place and format. wrong: of the evidence and the rounding, what comes out. cut_off:
    to TF32 toward zero, as of a tensor core that leaves the lower bits of float32 unread."""

    def to_format(array: Array) -> Array:
        return cut_to_tf32(array) if cut_off else rounded(array, form)

    def wrong_truth(evidence: Evidence) -> Array | None:
        if form not in coarser_than(evidence.dtype):
            return None
        with np.errstate(all="ignore"):
            return wrong(evidence, to_format)

    how = "cut off" if cut_off else "rounded"
    said = form if cut_off else _SAID.get(form, form)
    explanation = f"{{output}} is what {place} {how} to {said} gives"
    return Hypothesis("low-precision", explanation, term, wrong_truth, echo=True)


def rounded_result(evidence: Evidence, to_format: Callable[[Array], Array]) -> Array:
    """Of the right formula, stored in the format."""
    return to_format(evidence.truth)


def _rounded_inputs(evidence: Evidence, to_format: Callable[[Array], Array]) -> Problem:
    right = problem_of(evidence.contract, evidence.inputs)
    x, w, a, b = (
        {m: to_format(array) for m, array in arrays.items()}
        for arrays in (right.x, right.w, right.a, right.b)
    )
    return Problem(x, w, a, b, right.scaling, right.beta, to_format(right.y))


def _all_inputs(evidence: Evidence, to_format: Callable[[Array], Array]) -> Array:
    if evidence.contract.name == "lora-linear":
        names = {"x", "weight", "lora_a", "lora_b", "grad_output"}
        return _layer(evidence, lambda n, v: to_format(v) if n in names else v)
    problem = _rounded_inputs(evidence, to_format)
    return gradient(evidence.output, projection_of(evidence), problem)


def _layer(evidence: Evidence, stored: Stored) -> Array:
    """The output with every operand, inner product and term as it is stored."""
    layer = linear_forms.layer_of(evidence)
    x, g = stored("x", layer.x), stored("grad_output", layer.upstream)
    w = stored("weight", layer.weight)
    a, b = stored("lora_a", layer.a), stored("lora_b", layer.b)
    if evidence.output == "output":
        lora, base = stored("x A^T", x @ a.T) @ b.T, x @ w.T
    elif evidence.output == "grad_x":
        lora, base = stored("G B", g @ b) @ a, g @ w
    elif evidence.output == "grad_lora_a":
        lora, base = stored("G B", g @ b).T @ x, np.zeros(())
    else:
        lora, base = g.T @ stored("x A^T", x @ a.T), np.zeros(())
    value = base + stored("the adapter's term", layer.scaling * lora)
    return value.reshape(evidence.truth.shape)


def _product_with_b(evidence: Evidence, to_format: Callable[[Array], Array]) -> Array:
    """The operands of that one product alone, forward and backward, as where a convolution takes
    its place: cuDNN's compute in TF32 by default, torch's matrix products do not."""
    layer = linear_forms.layer_of(evidence)
    hidden, upstream = to_format(layer.x @ layer.a.T), to_format(layer.scaling * layer.upstream)
    b = to_format(layer.b)
    if evidence.output == "output":
        value = layer.x @ layer.weight.T + layer.scaling * (hidden @ b.T)
    elif evidence.output == "grad_x":
        value = layer.upstream @ layer.weight + upstream @ b @ layer.a
    elif evidence.output == "grad_lora_a":
        value = (upstream @ b).T @ layer.x
    else:
        value = upstream.T @ hidden
    return value.reshape(evidence.truth.shape)


def _every_operand(evidence: Evidence, to_format: Callable[[Array], Array]) -> Array:
    """As on a tensor core: what enters a product is rounded, its sum is not."""
    if evidence.contract.name == "lora-linear":
        return _layer(evidence, lambda n, v: v if n == "the adapter's term" else to_format(v))
    right = _rounded_inputs(evidence, to_format)
    weights = {}
    for m, w in right.w.items():
        exact = right.weight(m)
        weights[m] = w + to_format(exact) - exact
    steps = Steps(stored=lambda name, array: array if name == "S" else to_format(array))
    return gradient(evidence.output, projection_of(evidence), right.having("w", **weights), steps)


def _of_layer(place: str) -> Callable[[Evidence, Callable[[Array], Array]], Array]:
    return lambda evidence, to_format: _layer(
        evidence, lambda name, array: to_format(array) if name == place else array
    )


_LAYER_PLACES = (
    ("x A^T", "rank"),
    ("G B", "rank"),
    ("the adapter's term", "lora"),
    ("x", "whole"),
    ("grad_output", "upstream"),
    ("weight", "weight"),
    ("lora_a", "delta"),
    ("lora_b", "delta"),
)
_WHOLE = (
    ("every input", _all_inputs),
    ("every operand of a product", _every_operand),
    ("the result", rounded_result),
)
_WITH_B = "the operands of the product with B"
_CUT_OFF = (
    ("every input", "whole", _all_inputs),
    ("every operand of a product", "whole", _every_operand),
    (_WITH_B, "lora", _product_with_b),
)

LINEAR_ROUNDINGS: tuple[Hypothesis, ...] = tuple(
    hypothesis
    for form in ROUNDED_TO
    for hypothesis in (
        *(rounding(place, form, term, _of_layer(place)) for place, term in _LAYER_PLACES),
        *(rounding(place, form, "whole", wrong) for place, wrong in _WHOLE),
        rounding(_WITH_B, form, "lora", _product_with_b),
    )
) + tuple(rounding(place, "tf32", term, wrong, cut_off=True) for place, term, wrong in _CUT_OFF)


def _of_step(place: str) -> Callable[[Evidence, Callable[[Array], Array]], Array]:
    def wrong(evidence: Evidence, to_format: Callable[[Array], Array]) -> Array:
        steps = Steps(stored=lambda name, array: to_format(array) if name == place else array)
        problem = problem_of(evidence.contract, evidence.inputs)
        return gradient(evidence.output, projection_of(evidence), problem, steps)

    return wrong


def _log_sum_exp(evidence: Evidence, to_format: Callable[[Array], Array]) -> Array:
    def from_stored(scores: Array) -> Array:
        largest = scores.max(axis=1, keepdims=True)
        sums = np.exp(scores - largest).sum(axis=1, keepdims=True)
        return np.asarray(np.exp(scores - to_format(largest + np.log(sums))))

    problem = problem_of(evidence.contract, evidence.inputs)
    steps = Steps(softmax=from_stored)
    return gradient(evidence.output, projection_of(evidence), problem, steps)


_STEP_PLACES = (
    ("f", "f"),
    ("S", "scores"),
    ("p", "p"),
    ("q", "q"),
    ("c", "c"),
    ("Q", "scores"),
    ("K", "scores"),
    ("V", "q"),
    ("dL/dW", "grad_w"),
)

ATTENTION_ROUNDINGS: tuple[Hypothesis, ...] = tuple(
    hypothesis
    for form in ROUNDED_TO
    for hypothesis in (
        *(rounding(place, form, term, _of_step(place)) for place, term in _STEP_PLACES),
        rounding("the log-sum-exp of each row", form, "normalization", _log_sum_exp),
        *(rounding(place, form, "whole", wrong) for place, wrong in _WHOLE),
    )
)
