"""Classes planted in lora-linear: in its terms, rows, upstream gradient and precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from loracle.cases import Case, Inputs
from loracle.corpus import closed_form
from loracle_reference.floating_point import round_to_format

from .other_evaluations import in_torch
from .planted import (
    Array,
    Plant,
    coarse,
    honest,
    on,
    planted,
    scaled,
    times,
    with_scalars,
    with_tensors,
)
from .planted_factors import TERMS


def rows_kept(kept: Callable[[int, int], Array]) -> Plant:
    """lora-linear: kept (batch, length) is 1 where a row counts."""

    def change(inputs: Inputs) -> Inputs:
        x, g = inputs.tensors["x"], inputs.tensors["grad_output"]
        mask = kept(*x.shape[:2])[:, :, None]
        return with_tensors(inputs, x=x * mask, grad_output=g * mask)

    return on(change)


def beyond(block: int) -> Plant:
    def kept(batch: int, length: int) -> Array:
        whole = batch * length // block * block
        return (np.arange(batch * length) < whole).reshape(batch, length).astype(np.float64)

    return rows_kept(kept)


def last_of_batch_twice(g: Array) -> Array:
    return np.concatenate((g[:-1], 2 * g[-1:]))


def length_first(inputs: Inputs) -> Inputs:
    g = inputs.tensors["grad_output"]
    return with_tensors(inputs, grad_output=g.transpose(1, 0, 2).reshape(g.shape).copy())


def upstream(by: Callable[[Array], Array]) -> Plant:
    def change(inputs: Inputs) -> Inputs:
        g = inputs.tensors["grad_output"]
        return with_tensors(inputs, grad_output=np.broadcast_to(by(g), g.shape).copy())

    return on(change)


def flipped(name: str, axis: int) -> Plant:
    return on(lambda i: with_tensors(i, **{name: np.flip(i.tensors[name], axis).copy()}))


def inner_in_bfloat16(case: Case, inputs: Inputs, output: str) -> Array:
    """lora-linear with X A^T and G B rounded."""

    def wrong(**call: Any) -> Any:
        return closed_form.lora_linear(
            call,  # type: ignore[arg-type]
            output=lambda t: t.x @ t.w.T + t.s * (coarse(t.x @ t.a.T) @ t.b.T),
            grad_x=lambda t: t.g @ t.w + t.s * (coarse(t.g @ t.b) @ t.a),
            grad_lora_a=lambda t: t.s * (coarse(t.g @ t.b).T @ t.x),
            grad_lora_b=lambda t: t.s * (t.g.T @ coarse(t.x @ t.a.T)),
        )

    return in_torch(wrong, case, inputs)[output]


def stored_in_bfloat16(case: Case, inputs: Inputs, output: str) -> Array:
    return round_to_format(honest(case, inputs, output), "bfloat16")


def unwritten(case: Case, inputs: Inputs, output: str) -> Array:
    """The last row keeps what was there."""
    result = honest(case, inputs, output).copy()
    result.reshape(-1, result.shape[-1])[-1] = np.nan
    return result


GRADIENTS = "grad_x grad_lora_a grad_lora_b"


LAYERS = [
    *planted(
        "lora-linear",
        TERMS,
        (
            "alpha for alpha / r",
            "wrong-scaling",
            on(lambda i: with_scalars(i, scaling=i.scalars["scaling"] * len(i.tensors["lora_a"]))),
        ),
        (
            "scaling on the base",
            "scaling-on-base",
            on(lambda i: with_tensors(i, weight=i.scalars["scaling"] * i.tensors["weight"])),
        ),
        ("no base", "missing-base-term", scaled("weight", 0)),
        ("no adapter", "missing-lora-term", scaled("lora_b", 0)),
        ("adapter twice", "doubled-term", scaled("lora_b", 2)),
        ("base twice", "doubled-term", scaled("weight", 2)),
        ("adapter's sign", "wrong-sign", scaled("lora_b", -1)),
        ("last row unwritten", "dropped-tail", unwritten),
    ),
    *planted(
        "lora-linear",
        "grad_lora_a grad_lora_b",
        ("alpha / sqrt(r)", "wrong-scaling", times(lambda k: math.sqrt(k["r"]))),
        (
            "first sample",
            "first-sample-only",
            rows_kept(lambda batch, length: np.outer(np.arange(batch) < 1, np.ones(length))),
        ),
        ("rows in two orders", "flattened-in-two-orders", on(length_first)),
    ),
    *planted(
        "lora-linear",
        GRADIENTS,
        ("last sample twice", "doubled-tail", upstream(last_of_batch_twice)),
    ),
    *planted(
        "lora-linear", "grad_lora_a", ("B reversed", "rank-axis-permuted", flipped("lora_b", 1))
    ),
    *planted(
        "lora-linear",
        "output grad_lora_b",
        ("A reversed", "rank-axis-permuted", flipped("lora_a", 0)),
    ),
    *planted(
        "lora-linear",
        GRADIENTS,
        ("ones upstream", "upstream-replaced", upstream(np.ones_like)),
        ("mean upstream", "upstream-replaced", upstream(lambda g: g.mean(-1, keepdims=True))),
    ),
    *planted(
        "lora-linear",
        "output " + GRADIENTS,
        ("no tail of 16 rows", "dropped-tail", beyond(16)),
        (
            "no last row of a sample",
            "dropped-tail",
            rows_kept(
                lambda batch, length: np.outer(np.ones(batch), np.arange(length) < length - 1)
            ),
        ),
        ("stale scaling", "stale-scalar", on(lambda i: with_scalars(i, scaling=1.5))),
        ("inner products in bfloat16", "low-precision", inner_in_bfloat16),
        ("results in bfloat16", "low-precision", stored_in_bfloat16),
    ),
]
