"""`lora-linear`: the upstream gradient is replaced, or rows are read in another order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_forms import Layer, changed

__all__ = ["ROW_ORDERS", "UPSTREAM"]

Array = npt.NDArray[np.float64]

_GRADIENTS = ("grad_x", "grad_lora_a", "grad_lora_b")
_ADAPTERS = ("grad_lora_a", "grad_lora_b")


def _replaced(what: str, by: Callable[[Array], Array]) -> Hypothesis:
    def change(layer: Layer) -> Layer:
        upstream = np.broadcast_to(by(layer.upstream), layer.upstream.shape)
        return replace(layer, upstream=upstream)

    return changed(
        "upstream-replaced",
        f"{{output}} is what an upstream gradient replaced by {what} gives",
        "upstream",
        change,
        outputs=_GRADIENTS,
    )


UPSTREAM: tuple[Hypothesis, ...] = (
    _replaced("ones", np.ones_like),
    _replaced("the mean of each row", lambda g: np.asarray(g.mean(axis=1, keepdims=True))),
    _replaced("the mean of each column", lambda g: np.asarray(g.mean(axis=0, keepdims=True))),
    _replaced("its mean", lambda g: np.asarray(g.mean())),
    _replaced("its first entry", lambda g: g[:1, :1]),
)


def _sample(which: int) -> Callable[[Layer], Layer | None]:
    def change(layer: Layer) -> Layer | None:
        if layer.batch == 1:
            return None
        rows = slice(0, layer.length) if which == 0 else slice(-layer.length, None)
        return replace(layer, x=layer.x[rows], upstream=layer.upstream[rows])

    return change


def _length_first(layer: Layer, rows: Array) -> Array:
    """Rows that stand batch first, put length first."""
    by_axis = rows.reshape(layer.batch, layer.length, -1)
    return np.asarray(by_axis.transpose(1, 0, 2).reshape(rows.shape))


def _batch_first(layer: Layer, rows: Array) -> Array:
    by_axis = rows.reshape(layer.length, layer.batch, -1)
    return np.asarray(by_axis.transpose(1, 0, 2).reshape(rows.shape))


def _reordered(order: Callable[[Layer, Array], Array]) -> Callable[[Layer], Layer | None]:
    def change(layer: Layer) -> Layer | None:
        if layer.batch == 1 or layer.length == 1:
            return None
        return replace(layer, upstream=order(layer, layer.upstream))

    return change


def _reordered_result(output: str) -> Hypothesis:
    def change(layer: Layer) -> Layer | None:
        if layer.batch == 1 or layer.length == 1:
            return None
        x, upstream = (_length_first(layer, rows) for rows in (layer.x, layer.upstream))
        return replace(layer, x=x, upstream=upstream)

    return changed(
        "flattened-in-two-orders",
        "{output} has its rows length first, read as if they were batch first",
        "whole",
        change,
        outputs=(output,),
    )


ROW_ORDERS: tuple[Hypothesis, ...] = (
    changed(
        "first-sample-only",
        "{output} is a sum over the first sample of the batch alone",
        "sum",
        _sample(0),
        outputs=_ADAPTERS,
    ),
    changed(
        "first-sample-only",
        "{output} is a sum over the last sample of the batch alone",
        "sum",
        _sample(-1),
        outputs=_ADAPTERS,
    ),
    changed(
        "flattened-in-two-orders",
        "{output} pairs rows of x, batch first, with rows of grad_output, length first",
        "sum",
        _reordered(_length_first),
        outputs=_ADAPTERS,
    ),
    changed(
        "flattened-in-two-orders",
        "{output} pairs rows of x, length first, with rows of grad_output, batch first",
        "sum",
        _reordered(_batch_first),
        outputs=_ADAPTERS,
    ),
    _reordered_result("output"),
    _reordered_result("grad_x"),
)
