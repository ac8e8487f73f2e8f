"""The rank axis of one factor, or of the result, is in another order than that of the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis import attention_forms, linear_forms
from loracle.diagnosis.attention_forms import Problem
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_forms import Layer

__all__ = ["ALORAGC_RANK_AXES", "ATTENTION_RANK_AXES", "LINEAR_RANK_AXES"]

Array = npt.NDArray[np.float64]
Reorder = Callable[[Array], Array]

_NAME = "rank-axis-permuted"

_ORDERS: tuple[tuple[str, Reorder], ...] = (
    ("reversed", lambda rows: rows[::-1]),
    ("moved by one", lambda rows: np.roll(rows, 1, axis=0)),
    ("moved back by one", lambda rows: np.roll(rows, -1, axis=0)),
)
"""Of the rows of A, or of the columns of B, which it is told apart from by the other factor."""


_PLACES = ("everywhere", "weights")


def _of_layer(order: str, reorder: Reorder) -> Hypothesis:
    def change(layer: Layer) -> Layer | None:
        return replace(layer, a=reorder(layer.a)) if len(layer.a) > 1 else None

    explanation = f"{{output}} is what lora_a with its rank axis {order}, and lora_b as it is, give"
    return linear_forms.changed(
        _NAME, explanation, "rank", change, outputs=("output", "grad_x", "grad_lora_b")
    )


def _of_b(order: str, reorder: Reorder) -> Hypothesis:
    """Seen in the gradient of A alone: elsewhere the other order of A does the same."""

    def change(layer: Layer) -> Layer | None:
        return replace(layer, b=reorder(layer.b.T).T) if len(layer.a) > 1 else None

    explanation = f"{{output}} is what lora_b with its rank axis {order} gives"
    return linear_forms.changed(_NAME, explanation, "rank", change, outputs=("grad_lora_a",))


LINEAR_RANK_AXES: tuple[Hypothesis, ...] = (
    *(_of_layer(*order) for order in _ORDERS),
    *(_of_b(*order) for order in _ORDERS),
)


def _of_projection(
    projection: str, suffix: str, order: str, reorder: Reorder, where: str
) -> Hypothesis:
    def change(problem: Problem) -> Problem | None:
        a = problem.a[projection]
        return problem.having("a", **{projection: reorder(a)}) if len(a) > 1 else None

    return attention_forms.changed(
        _NAME,
        f"{{output}} is what a{suffix} with its rank axis {order}, and b{suffix} as it is, give",
        "delta",
        change,
        where=where,
    )


def _of_result(order: str, reorder: Reorder) -> Hypothesis:
    def wrong_truth(evidence: Evidence) -> Array | None:
        truth = evidence.truth
        ranks_first = evidence.output.startswith("grad_a")
        if truth.shape[0 if ranks_first else 1] == 1:
            return None
        return np.asarray(reorder(truth) if ranks_first else reorder(truth.T).T)

    explanation = f"{{output}} is the true value with its rank axis {order}"
    return Hypothesis(_NAME, explanation, "adapter", wrong_truth)


_RESULTS = tuple(_of_result(*order) for order in _ORDERS)

ALORAGC_RANK_AXES: tuple[Hypothesis, ...] = (
    *(_of_projection("q", "", *order, where) for order in _ORDERS for where in _PLACES),
    *_RESULTS,
)

ATTENTION_RANK_AXES: tuple[Hypothesis, ...] = (
    *(
        _of_projection(m, f"_{m}", *order, where)
        for m in "qkv"
        for order in _ORDERS
        for where in _PLACES
    ),
    *_RESULTS,
)
