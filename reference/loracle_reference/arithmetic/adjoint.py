"""Derivatives of one matrix in all that it was computed from, enclosed over boxes of values.

A node is one step of a straight-line program: a box that contains its value in every evaluation of
interest, a bound of the error that its own computation adds, and for each operand the map from
enclosures of the adjoints of the step to enclosures of those of the operand. `weighted_error` sums
the errors, each times the largest derivative on the box. Adjoints are (mid, rad) arrays of shape
(entries of the result, rows, columns); `midpoint_radius` has their operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from loracle_reference.arithmetic import midpoint_radius
from loracle_reference.arithmetic.midpoint_radius import ETA, FloatArray, Pair, normalised

__all__ = [
    "Node",
    "Pullback",
    "columns",
    "divided",
    "first_of_face_splitting",
    "hadamard",
    "negated",
    "reshaped",
    "second_of_face_splitting",
    "summed_rows",
    "through_softmax",
    "times",
    "transposed",
    "weighted_error",
]

Pullback = Callable[[Pair], Pair]

_MOST_ENTRIES = 1 << 18
"""Of the adjoints of one node at a time: they stay in the cache, and memory stays small."""

_MOST_WORK = 1 << 24
"""Derivatives in all, about a second; where there are more, nothing is claimed."""


class Node(Protocol):
    """One step. index: later steps have larger ones. exact: neither this step nor one before it
    errs, so that nobody asks for derivatives in it. operands: those of the step."""

    index: int
    error: FloatArray
    exact: bool

    @property
    def operands(self) -> Sequence[tuple[Node, Pullback]]:
        """The operands with the maps of their adjoints."""


def weighted_error(result: Node) -> FloatArray:
    """sum over all steps and entries of sup |d result / d entry| times the entry's error: an array
    of the result's shape, rounded up.

    Infinite where a derivative is not bounded, and everywhere if there are too many of them.
    """
    nodes = _steps(result)
    entries = result.error.size
    sizes = [node.error.size for node in nodes]
    if entries * sum(sizes) > _MOST_WORK:
        return np.full(result.error.shape, np.inf)
    step = max(1, _MOST_ENTRIES // max(sizes))
    parts = [
        _of_entries(nodes, np.arange(start, min(start + step, entries)))
        for start in range(0, entries, step)
    ]
    # Every node added one sum of at most max(sizes) products, each of a handful of roundings.
    slack = 1.0 + (max(sizes) + len(nodes) + 16) * 2.0**-52
    return np.asarray(np.concatenate(parts) * slack).reshape(result.error.shape)


def _steps(result: Node) -> list[Node]:
    """The steps that err or pass errors on, the result first."""
    found: dict[int, Node] = {}
    waiting = [result]
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting += [operand for operand, _ in node.operands if not operand.exact]
    return [found[index] for index in sorted(found, reverse=True)]


def _of_entries(nodes: list[Node], entries: np.ndarray) -> FloatArray:
    result = nodes[0]
    seed = np.zeros((len(entries), result.error.size))
    seed[np.arange(len(entries)), entries] = 1.0
    adjoints: dict[int, Pair] = {
        result.index: (seed.reshape(len(entries), *result.error.shape), None)
    }
    total = np.zeros(len(entries))
    with np.errstate(all="ignore"):
        for node in nodes:
            adjoint = adjoints.pop(node.index)
            total += _charged(adjoint, node.error)
            for operand, pullback in node.operands:
                if operand.exact:
                    continue
                part = normalised(*pullback(adjoint))
                known = adjoints.get(operand.index)
                adjoints[operand.index] = part if known is None else _sum(known, part)
    return np.nan_to_num(total, nan=np.inf, posinf=np.inf)


def _charged(adjoint: Pair, error: FloatArray) -> FloatArray:
    """Per entry of the result, sum |adjoint| error; an entry without error charges nothing, others
    also what their product may lose to underflow."""
    mid, rad = adjoint
    magnitude = np.abs(mid) if rad is None else np.abs(mid) + rad
    charged = np.where(error > 0, magnitude * error + ETA, 0.0)
    return np.asarray(charged.sum(axis=(1, 2)))


def _sum(left: Pair, right: Pair) -> Pair:
    mid, rad = _allocated(left[0].shape)
    midpoint_radius.add(np.add, left, right, mid, rad)
    return normalised(mid, rad)


def times(adjoint: Pair, matrix: Pair) -> Pair:
    """Every adjoint (rows, n) times the matrix (n, p)."""
    shape = adjoint[0].shape
    flat = reshaped(adjoint, (-1, shape[2]))
    return reshaped(midpoint_radius.product(flat, matrix), (shape[0], shape[1], -1))


def hadamard(left: Pair, right: Pair) -> Pair:
    """Entrywise products of pairs that broadcast."""
    mid, rad = _allocated(np.broadcast_shapes(left[0].shape, right[0].shape))
    midpoint_radius.hadamard(left, right, mid, rad)
    return mid, rad


def divided(left: Pair, right: Pair) -> Pair:
    """Entrywise quotients of pairs that broadcast to the shape of the left one."""
    mid, rad = _allocated(left[0].shape)
    midpoint_radius.divide(left, right, mid, rad)
    return mid, rad


def summed_rows(pair: Pair) -> Pair:
    """Sums over the last axis, which stays, with length one."""
    shape = pair[0].shape
    sums = midpoint_radius.row_sum(normalised(*reshaped(pair, (-1, shape[-1]))))
    return reshaped(sums, (*shape[:-1], 1))


def first_of_face_splitting(adjoint: Pair, second: Pair) -> Pair:
    """Of the first factor, (rows, p), of a face-splitting product with the second, (rows, q)."""
    count, rows, columns = adjoint[0].shape
    width = second[0].shape[1]
    split = reshaped(adjoint, (count, rows, columns // width, width))
    summed = summed_rows(hadamard(split, reshaped(second, (rows, 1, width))))
    return reshaped(summed, (count, rows, -1))


def second_of_face_splitting(adjoint: Pair, first: Pair) -> Pair:
    """Of the second factor, (rows, q), of a face-splitting product with the first, (rows, p)."""
    count, rows, columns = adjoint[0].shape
    width = first[0].shape[1]
    split = reshaped(adjoint, (count, rows, width, columns // width))
    summed = summed_rows(transposed(hadamard(split, reshaped(first, (rows, width, 1)))))
    return reshaped(summed, (count, rows, -1))


def through_softmax(adjoint: Pair, probabilities: Pair) -> Pair:
    """f o (g - <f, g>), g being the adjoint: what a softmax does to it.

    For rows f that sum to one, <f, g> = g0 + <f, g - g0> for any g0. With g0 about <f, g>, what is
    not known of f is multiplied by differences of g only.
    """
    f, _ = probabilities
    centre = (adjoint[0] * f).sum(axis=-1, keepdims=True)
    centred = _difference(adjoint, (np.nan_to_num(centre), None))
    return hadamard(
        probabilities, _difference(centred, summed_rows(hadamard(centred, probabilities)))
    )


def _difference(left: Pair, right: Pair) -> Pair:
    mid, rad = _allocated(left[0].shape)
    midpoint_radius.add(np.subtract, left, right, mid, rad)
    return normalised(mid, rad)


def negated(adjoint: Pair) -> Pair:
    """Every adjoint times -1."""
    mid, rad = adjoint
    return -mid, rad


def transposed(pair: Pair) -> Pair:
    """Every adjoint transposed: the last two axes exchanged."""
    mid, rad = pair
    return mid.swapaxes(-1, -2), None if rad is None else rad.swapaxes(-1, -2)


def columns(adjoint: Pair, chosen: slice) -> Pair:
    """The chosen columns of every adjoint."""
    mid, rad = adjoint
    return mid[:, :, chosen], None if rad is None else rad[:, :, chosen]


def reshaped(pair: Pair, shape: tuple[int, ...]) -> Pair:
    """The same entries in row-major order."""
    mid, rad = pair
    return mid.reshape(shape), None if rad is None else rad.reshape(shape)


def _allocated(shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    mid, rad = np.empty((2, *shape))
    return mid, rad
