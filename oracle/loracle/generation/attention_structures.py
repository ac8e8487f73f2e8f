"""Inputs of the contracts aloragc and lora-attention with the structure that real ones have and
Gaussian ones lack.

Every function here takes a Gaussian draw and changes what its name says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from loracle.generation.attention import gaussian_inputs, scores_of
from loracle.generation.sampling import (
    SMALLEST,
    Array,
    Raw,
    Sizes,
    different_rows,
    signed_integers,
)

__all__ = ["extreme", "structured"]

_MASSIVE_SCORE = 1e4
_LARGEST_SUM = 6e4
"""Of the magnitudes of what a massive score is the sum of: no order of summation overflows
float16. Seldom is the score smaller for it, by half at most."""

_DRAWS = 32
_LARGE_TARGET = 8.0

_QUERIES = {"aloragc": "c1", "lora-attention": "x_q"}
_KEYS = {"aloragc": "c2", "lora-attention": "x_k"}
_VALUES = {"aloragc": "c3", "lora-attention": "x_v"}

Maker = Callable[[np.random.Generator, Sizes, int], Raw]


def structured(contract: str) -> Maker:
    """Repeated queries and keys, integers with empty tokens, adapters of deficient rank, in
    turn."""
    makers = (_repeated, _integers, _rank_deficient)
    return lambda generator, sizes, index: makers[index % 3](contract, generator, sizes, index)


def extreme(contract: str) -> Maker:
    """One massive query, and subnormal queries, in turn."""
    makers = (_massive_token, _subnormal)
    return lambda generator, sizes, index: makers[index % 2](contract, generator, sizes, index)


def _repeated(contract: str, generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Every query and every key twice. The values of equal keys differ; the targets of equal
    queries are large and opposite, so that their gradients nearly cancel."""
    raw = gaussian_inputs(contract, generator, sizes, index)
    y = raw.tensors["y"]
    y *= _LARGE_TARGET
    for name, factor in ((_QUERIES[contract], 1), (_KEYS[contract], 1), ("y", -1)):
        rows = raw.tensors[name]
        pairs = len(rows) // 2 * 2
        rows[1:pairs:2] = factor * rows[0:pairs:2]
    return raw


def _integers(contract: str, generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Small integers times powers of two: scores are exact, and many of them equal. One query and
    one key with its value are zero, as padding is; not the last key: without it a tail is lost."""
    raw = gaussian_inputs(contract, generator, sizes, index)
    queries, keys, values = (names[contract] for names in (_QUERIES, _KEYS, _VALUES))
    scales = {queries: 0.25, keys: 0.25, values: 1.0, "y": 1.0}
    tensors = {
        name: signed_integers(generator, *tensor.shape, scale=scales.get(name, 0.125))
        for name, tensor in raw.tensors.items()
    }
    tensors[queries][generator.integers(sizes["L"])] = 0
    empty = generator.integers(max(sizes["M"] - 1, 1))
    tensors[keys][empty] = 0
    tensors[values][empty] = 0
    return Raw(tensors, raw.scalars)


def _rank_deficient(contract: str, generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Every A has a row of zeros and every B two proportional columns, so that both have rank r - 1
    at most. In lora-attention the inputs of queries, keys and values are one, as in
    self-attention."""
    raw = gaussian_inputs(contract, generator, sizes, index)
    for name, tensor in raw.tensors.items():
        if name.partition("_")[0] == "a":
            tensor[0] = 0
        elif name.partition("_")[0] == "b":
            tensor[:, -1] = tensor[:, 1] * -0.5
    if contract == "lora-attention":
        raw.tensors["x_k"] = raw.tensors["x_v"] = raw.tensors["x_q"]
    return raw


def _massive_token(contract: str, generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """One query is so large that its largest score is 10^4; those of the others are of order one.

    The query points in the direction in which the score of one key grows fastest. Of many draws it
    is the one in which that score stands out most from the next, relative to its natural scale: no
    rounding, even in 16 bits, makes another key the largest.
    """
    name, best, found = _QUERIES[contract], -np.inf, None
    for _ in range(_DRAWS):
        raw = gaussian_inputs(contract, generator, sizes, index)
        directions = scores_of(contract, _with(raw, name, np.eye(sizes["d"]))).T
        scores = scores_of(contract, _with(raw, name, directions))
        natural_scale = scores_of(contract, _magnitudes(_with(raw, name, directions))).max(axis=1)
        others = scores.copy()
        np.fill_diagonal(others, -np.inf)
        own = np.diagonal(scores)
        margins = (own - others.max(axis=1)) / natural_scale
        key = int(np.argmax(margins))
        if margins[key] > best:
            factor = min(_MASSIVE_SCORE / own[key], _LARGEST_SUM / natural_scale[key])
            best, found = margins[key], (raw, directions[key] * factor)
    assert found is not None
    raw, query = found
    raw.tensors[name][generator.integers(sizes["L"])] = query
    return raw


def _with(raw: Raw, name: str, tensor: Array) -> Raw:
    return Raw({**raw.tensors, name: tensor}, raw.scalars)


def _magnitudes(raw: Raw) -> Raw:
    tensors = {name: np.abs(tensor) for name, tensor in raw.tensors.items()}
    return Raw(tensors, {name: abs(value) for name, value in raw.scalars.items()})


def _subnormal(contract: str, generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """For each format one query that is subnormal in it; it is zero in coarser formats."""
    raw = gaussian_inputs(contract, generator, sizes, index)
    queries = raw.tensors[_QUERIES[contract]]
    rows = different_rows(generator, len(queries), len(SMALLEST))
    for row, size in zip(rows, SMALLEST, strict=True):
        queries[row] *= size
    return raw
