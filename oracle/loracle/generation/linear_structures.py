"""Inputs of the contract lora-linear with the structure that real ones have and Gaussian ones lack.

Every function here takes a Gaussian draw and changes what its name says.
"""

from __future__ import annotations

import numpy as np

from loracle.generation.linear import typical
from loracle.generation.sampling import (
    SMALLEST,
    Array,
    Raw,
    Sizes,
    different_rows,
    positive,
    signed_integers,
)

__all__ = ["extreme", "four_dimensional", "layouts", "structured", "two_dimensional"]

_MASSIVE = 512.0
"""The largest activation, that of one token in one channel; the others are of order one."""

_CANCELLING = -15 / 16

_LAYOUTS = ("transposed", "sliced", "expanded")


def structured(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Repeated tokens, integers with empty tokens, adapters of deficient rank, in turn."""
    return (_repeated, _integers, _rank_deficient)[index % 3](generator, sizes, index)


def extreme(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """One massive activation, and subnormal tokens, in turn."""
    return (_massive_token, _subnormal)[index % 2](generator, sizes, index)


def layouts(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs, the upstream gradient not contiguous; where it is expanded, as the gradient
    of a sum is, it is one number."""
    raw = typical(generator, sizes, index)
    layout = _LAYOUTS[index % len(_LAYOUTS)]
    if layout == "expanded":
        raw.tensors["grad_output"][:] = positive(generator)
    return Raw(raw.tensors, raw.scalars, {"grad_output": layout})


def two_dimensional(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs without the axis of the batch, which is one."""
    return _with_rows(typical(generator, sizes, index), (sizes["length"],))


def four_dimensional(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs with two axes of batches, the first of them of two."""
    return _with_rows(typical(generator, sizes, index), (2, sizes["batch"] // 2, sizes["length"]))


def _with_rows(raw: Raw, rows: tuple[int, ...]) -> Raw:
    shaped = {n: raw.tensors[n].reshape(*rows, -1) for n in ("x", "grad_output")}
    return Raw({**raw.tensors, **shaped}, raw.scalars)


def _repeated(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Every token twice, the upstream gradients of the two nearly opposite: the gradients of A and
    B cancel to a sixteenth of each pair."""
    raw = typical(generator, sizes, index)
    x, upstream = _rows(raw.tensors["x"]), _rows(raw.tensors["grad_output"])
    pairs = len(x) // 2 * 2
    x[1:pairs:2] = x[0:pairs:2]
    upstream[1:pairs:2] = _CANCELLING * upstream[0:pairs:2]
    return raw


def _integers(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Small integers times powers of two, which every dtype multiplies and adds exactly. One token
    is zero, as padding is, and the upstream gradient of another one."""
    raw = typical(generator, sizes, index)
    scales = {"x": 1.0, "grad_output": 1.0}
    tensors = {
        name: signed_integers(generator, *tensor.shape, scale=scales.get(name, 0.25))
        for name, tensor in raw.tensors.items()
    }
    x, upstream = _rows(tensors["x"]), _rows(tensors["grad_output"])
    empty, ignored = different_rows(generator, len(x), 2)
    x[empty] = 0
    upstream[ignored] = 0
    return Raw(tensors, raw.scalars)


def _rank_deficient(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """A has a row of zeros and B two proportional columns, so that both have rank r - 1 at most."""
    raw = typical(generator, sizes, index)
    raw.tensors["lora_a"][0] = 0
    raw.tensors["lora_b"][:, -1] = raw.tensors["lora_b"][:, 1] * -0.5
    return raw


def _massive_token(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """One channel of one token is hundreds of times as large as everything else."""
    raw = typical(generator, sizes, index)
    x = _rows(raw.tensors["x"])
    x[generator.integers(len(x)), generator.integers(x.shape[1])] = _MASSIVE
    return raw


def _subnormal(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """For each format some tokens whose activations, and others whose upstream gradients, are
    subnormal in it; they are zero in coarser formats."""
    raw = typical(generator, sizes, index)
    x, upstream = _rows(raw.tensors["x"]), _rows(raw.tensors["grad_output"])
    rows = different_rows(generator, len(x), 2 * len(SMALLEST))
    for row, other, size in zip(rows[::2], rows[1::2], SMALLEST, strict=True):
        x[row] *= size
        upstream[other] *= size
    return raw


def _rows(tensor: Array) -> Array:
    """All axes but the last as one; a view."""
    return tensor.reshape(-1, tensor.shape[-1])
