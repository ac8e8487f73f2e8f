"""`lora-linear`: a term is missing, there twice, or has the wrong sign."""

from __future__ import annotations

from dataclasses import replace

from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.linear_forms import Layer, changed

__all__ = ["LINEAR_TERMS"]

_BOTH = ("output", "grad_x")


def _scaled(layer: Layer, *, base: float = 1.0, lora: float = 1.0) -> Layer:
    return replace(layer, weight=base * layer.weight, scaling=lora * layer.scaling)


LINEAR_TERMS: tuple[Hypothesis, ...] = (
    changed(
        "missing-base-term",
        "{output} lacks the term of the frozen weight",
        "base",
        lambda layer: _scaled(layer, base=0.0),
        outputs=_BOTH,
    ),
    changed(
        "missing-lora-term",
        "{output} lacks the term of the adapter: it is that of the frozen weight alone",
        "lora",
        lambda layer: _scaled(layer, lora=0.0),
        outputs=_BOTH,
    ),
    changed(
        "doubled-term",
        "{output} has the term of the adapter twice",
        "lora",
        lambda layer: _scaled(layer, lora=2.0),
        outputs=_BOTH,
    ),
    changed(
        "doubled-term",
        "{output} has the term of the frozen weight twice",
        "base",
        lambda layer: _scaled(layer, base=2.0),
        outputs=_BOTH,
    ),
    changed(
        "wrong-sign",
        "{output} has the term of the adapter with the opposite sign",
        "lora",
        lambda layer: _scaled(layer, lora=-1.0),
        outputs=_BOTH,
    ),
)
