"""Inputs of the contract lora-linear."""

from __future__ import annotations

import numpy as np

from loracle.generation.sampling import (
    LARGE_SCALINGS,
    SCALINGS,
    SQUARE_SCALINGS,
    Raw,
    Sizes,
    gaussian,
    positive,
)

__all__ = ["averaging", "designed", "long", "lora_init", "typical"]


def typical(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs; weights scaled so that outputs are of order one."""
    batch, length, width, out, rank = (sizes[n] for n in ("batch", "length", "in", "out", "r"))
    return Raw(
        {
            "x": gaussian(generator, batch, length, width),
            "weight": gaussian(generator, out, width, scale=width**-0.5),
            "lora_a": gaussian(generator, rank, width, scale=width**-0.5),
            "lora_b": gaussian(generator, out, rank),
            "grad_output": gaussian(generator, batch, length, out),
        },
        {"scaling": SCALINGS[index % len(SCALINGS)]},
    )


def long(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """As `typical`, with a scaling beyond what a kernel might clamp to."""
    raw = typical(generator, sizes, index)
    return Raw(raw.tensors, {"scaling": LARGE_SCALINGS[index % len(LARGE_SCALINGS)]})


def lora_init(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """B = 0: the state in which LoRA training starts."""
    raw = typical(generator, sizes, index)
    return Raw({**raw.tensors, "lora_b": np.zeros_like(raw.tensors["lora_b"])}, raw.scalars)


def designed(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """All entries positive, the weight of the sign of the scaling: no sum of the contract
    cancels."""
    return _coherent(generator, sizes, SCALINGS[index % len(SCALINGS)])


def averaging(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """The same with a scaling whose root is exact."""
    return _coherent(generator, sizes, SQUARE_SCALINGS[index % len(SQUARE_SCALINGS)])


def _coherent(generator: np.random.Generator, sizes: Sizes, scaling: float) -> Raw:
    batch, length, width, out, rank = (sizes[n] for n in ("batch", "length", "in", "out", "r"))
    return Raw(
        {
            "x": positive(generator, batch, length, width),
            "weight": np.sign(scaling) * positive(generator, out, width),
            "lora_a": positive(generator, rank, width),
            "lora_b": positive(generator, out, rank),
            "grad_output": positive(generator, batch, length, out),
        },
        {"scaling": scaling},
    )
