"""Inputs of the contracts aloragc and lora-attention."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from loracle.generation.sampling import (
    LARGE_SCALINGS,
    SCALINGS,
    SQUARE_SCALINGS,
    Raw,
    Sizes,
    gaussian,
    is_sharp,
    positive,
)

__all__ = [
    "aloragc_at_norm",
    "aloragc_averaging",
    "aloragc_designed",
    "aloragc_long",
    "aloragc_lora_init",
    "aloragc_saturated",
    "gaussian_inputs",
    "lora_attention_at_norm",
    "lora_attention_averaging",
    "lora_attention_designed",
    "lora_attention_long",
    "lora_attention_lora_init",
    "lora_attention_saturated",
    "scores_of",
]

Array = npt.NDArray[np.float64]

BETAS = (0.625, 0.53125, 0.3125)
"""Exact in every dtype; none is 1, and none is near 1/sqrt(d), beta/sqrt(d) or beta^2 of another
reading for the sizes drawn here."""

SQUARE_BETAS = (0.5625, 0.390625, 0.31640625)
"""The same, and with an exact root; see SQUARE_SCALINGS."""

_SATURATED_SCORE = 100.0
_LONG_SCORE = 0.5
_AVERAGING_SCORE = 0.3
"""Enough for probabilities that differ, so that they do not all round to the same side."""


def aloragc_at_norm(generator: np.random.Generator, sizes: Sizes, multiple: float) -> Raw:
    """d Gamma^2 = multiple * log M, with Gamma = ||C1 W||_max = ||C2||_max (Theorem 3.1, beta =
    1)."""
    tensors = _aloragc_gaussian(generator, sizes)
    gamma = _gamma(sizes, multiple, beta=1.0)
    weight = tensors["w"] + tensors["b"] @ tensors["a"]
    tensors["c1"] *= gamma / np.abs(tensors["c1"] @ weight).max()
    tensors["c2"] *= gamma / np.abs(tensors["c2"]).max()
    return Raw(tensors, {})


def aloragc_lora_init(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """B = 0: the state in which LoRA training starts."""
    tensors = _aloragc_gaussian(generator, sizes)
    tensors["b"][:] = 0
    return Raw(tensors, {})


def aloragc_saturated(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """A largest score of 100, with every second key close to its neighbour so that two share the
    weight."""
    tensors = _aloragc_gaussian(generator, sizes)
    _tie_neighbours(generator, tensors["c2"])
    weight = tensors["w"] + tensors["b"] @ tensors["a"]
    tensors["c1"] *= _saturating_factor(tensors["c1"] @ weight, tensors["c2"], beta=1.0)
    return Raw(tensors, {})


def aloragc_designed(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """No sum cancels: see `_designed_values` and `_designed_keys`, and for the narrowest bounds
    `_sharpen`.

    The scores are tiny because W is, not because C1 and C2 are: gradients stay far from underflow.
    """
    leading = index % sizes["M"]
    tensors = _aloragc_coherent(generator, sizes, leading=leading)
    if is_sharp(index):
        _sharpen(tensors, leading, scores="w", keys="c2", values="c3")
    return Raw(tensors, {})


def aloragc_long(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """As designed, with the leading key among the last, beyond the first block of 64."""
    tensors = _aloragc_coherent(generator, sizes, leading=sizes["M"] - 1 - index)
    scores = tensors["c1"] @ (tensors["w"] + tensors["b"] @ tensors["a"]) @ tensors["c2"].T
    tensors["c1"] *= _LONG_SCORE / np.abs(scores).max()
    return Raw(tensors, {})


def aloragc_averaging(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """As designed, with half of the keys leading: the correction of the softmax, whose rounding a
    whole row shares, then cancels over the row."""
    tensors = _aloragc_coherent(generator, sizes, leading=slice(sizes["M"] // 2))
    scores = tensors["c1"] @ (tensors["w"] + tensors["b"] @ tensors["a"]) @ tensors["c2"].T
    tensors["c1"] *= _AVERAGING_SCORE / np.abs(scores).max()
    return Raw(tensors, {})


def _aloragc_coherent(
    generator: np.random.Generator, sizes: Sizes, *, leading: int | slice
) -> dict[str, Array]:
    queries, keys, d, rank = (sizes[n] for n in ("L", "M", "d", "r"))
    return {
        "c1": positive(generator, queries, d),
        "c2": _designed_keys(generator, keys, d, leading),
        "c3": _designed_values(generator, keys, d, leading),
        "w": positive(generator, d, d, scale=1 / 64),
        "a": positive(generator, rank, d, scale=1 / 8),
        "b": positive(generator, d, rank, scale=1 / 8),
        "y": -positive(generator, queries, d, scale=4),
    }


def lora_attention_at_norm(
    generator: np.random.Generator, sizes: Sizes, index: int, multiple: float
) -> Raw:
    """beta d Gamma^2 = multiple * log M, Gamma = ||X_Q W_Q||_max = ||X_K W_K||_max (Theorem
    B.1)."""
    tensors, scalars = _lora_attention_gaussian(generator, sizes, index)
    gamma = _gamma(sizes, multiple, beta=scalars["beta"])
    for projection in ("q", "k"):
        projected = _projected(tensors, projection, scalars["scaling"])
        tensors[f"x_{projection}"] *= gamma / np.abs(projected).max()
    return Raw(tensors, scalars)


def lora_attention_lora_init(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """B = 0 in all three adapters."""
    tensors, scalars = _lora_attention_gaussian(generator, sizes, index)
    for projection in "qkv":
        tensors[f"b_{projection}"][:] = 0
    return Raw(tensors, scalars)


def lora_attention_saturated(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """A largest score of 100, with every second key close to its neighbour."""
    tensors, scalars = _lora_attention_gaussian(generator, sizes, index)
    _tie_neighbours(generator, tensors["x_k"])
    queries = _projected(tensors, "q", scalars["scaling"])
    keys = _projected(tensors, "k", scalars["scaling"])
    tensors["x_q"] *= _saturating_factor(queries, keys, beta=scalars["beta"])
    return Raw(tensors, scalars)


def lora_attention_designed(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """No sum cancels; weights have the sign of the scaling, so that W + s B A does not either."""
    scalars = {"scaling": SCALINGS[index % len(SCALINGS)], "beta": BETAS[index % len(BETAS)]}
    leading = index % sizes["M"]
    tensors = _coherent(generator, sizes, scalars, leading=leading)
    if is_sharp(index):
        _sharpen(tensors, leading, scores="x_q", keys="x_k", values="x_v")
    return Raw(tensors, scalars)


def lora_attention_long(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """As designed, with the leading key among the last, beyond the first block of 64, and scalars
    beyond what a kernel might clamp to."""
    scalars = {"scaling": LARGE_SCALINGS[index % len(LARGE_SCALINGS)], "beta": 1.25}
    tensors = _coherent(generator, sizes, scalars, leading=sizes["M"] - 1 - index)
    _bring_to_order_one(tensors, scalars, largest_score=_LONG_SCORE)
    return Raw(tensors, scalars)


def lora_attention_averaging(generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """As designed, with half of the keys leading; see `aloragc_averaging`."""
    scaling, beta = SQUARE_SCALINGS[index % 3], SQUARE_BETAS[index // 3 % 3]
    scalars = {"scaling": scaling, "beta": beta}
    tensors = _coherent(generator, sizes, scalars, leading=slice(sizes["M"] // 2))
    _bring_to_order_one(tensors, scalars, largest_score=_AVERAGING_SCORE)
    return Raw(tensors, scalars)


def _bring_to_order_one(
    tensors: dict[str, Array], scalars: dict[str, float], *, largest_score: float
) -> None:
    """Keys and values, which long sums over d and r make large; and the scores, in place."""
    for projection in "kv":
        projected = _projected(tensors, projection, scalars["scaling"])
        tensors[f"x_{projection}"] /= np.abs(projected).max()
    queries = _projected(tensors, "q", scalars["scaling"])
    keys = _projected(tensors, "k", scalars["scaling"])
    tensors["x_q"] *= largest_score / np.abs(scalars["beta"] * (queries @ keys.T)).max()


def _coherent(
    generator: np.random.Generator, sizes: Sizes, scalars: dict[str, float], *, leading: int | slice
) -> dict[str, Array]:
    queries, keys, d, rank = (sizes[n] for n in ("L", "M", "d", "r"))
    sign = math.copysign(1.0, scalars["scaling"])
    tensors = {
        "x_q": positive(generator, queries, d, scale=0.5),
        "x_k": _designed_keys(generator, keys, d, leading) / 2,
        "x_v": _designed_values(generator, keys, d, leading),
        "y": -sign * positive(generator, queries, d, scale=4),
    }
    for projection, scale in (("q", 1 / 4), ("k", 1 / 4), ("v", 1 / 2)):
        tensors[f"w_{projection}"] = sign * positive(generator, d, d, scale=scale / 4)
        tensors[f"a_{projection}"] = positive(generator, rank, d, scale=scale)
        tensors[f"b_{projection}"] = positive(generator, d, rank, scale=scale)
    return tensors


def _sharpen(
    tensors: dict[str, Array], leading: int, *, scores: str, keys: str, values: str
) -> None:
    """Narrows the bound of coherent tensors with two keys, in place.

    The scores, in proportion to `scores`, become so small that their errors hardly move the
    probabilities; Y so large that the residual is as exact as Y; the leading key's value so small
    that its p is the product <f, q> f alone; the other key so small that this p is all that counts.
    """
    tensors[scores] /= 64
    tensors["y"] *= 64
    others = [row for row in range(len(tensors[keys])) if row != leading]
    tensors[keys][others] /= 256
    tensors[values][leading] /= 8 * 64
    tensors[values][others] *= 4


def _gamma(sizes: Sizes, multiple: float, beta: float) -> float:
    return math.sqrt(multiple * math.log(max(sizes["M"], 2)) / (beta * sizes["d"]))


def _aloragc_gaussian(generator: np.random.Generator, sizes: Sizes) -> dict[str, Array]:
    queries, keys, d, rank = (sizes[n] for n in ("L", "M", "d", "r"))
    return {
        "c1": gaussian(generator, queries, d, scale=d**-0.25),
        "c2": gaussian(generator, keys, d, scale=d**-0.25),
        "c3": gaussian(generator, keys, d),
        "w": gaussian(generator, d, d, scale=d**-0.5),
        "a": gaussian(generator, rank, d, scale=d**-0.5),
        "b": gaussian(generator, d, rank, scale=rank**-0.5),
        "y": gaussian(generator, queries, d),
    }


def _lora_attention_gaussian(
    generator: np.random.Generator, sizes: Sizes, index: int
) -> tuple[dict[str, Array], dict[str, float]]:
    queries, keys, d, rank = (sizes[n] for n in ("L", "M", "d", "r"))
    tensors = {
        "x_q": gaussian(generator, queries, d),
        "x_k": gaussian(generator, keys, d),
        "x_v": gaussian(generator, keys, d),
        "y": gaussian(generator, queries, d),
    }
    for projection in "qkv":
        tensors[f"w_{projection}"] = gaussian(generator, d, d, scale=d**-0.5)
        tensors[f"a_{projection}"] = gaussian(generator, rank, d, scale=d**-0.5)
        tensors[f"b_{projection}"] = gaussian(generator, d, rank, scale=rank**-0.5)
    scalars = {"scaling": SCALINGS[index % len(SCALINGS)], "beta": BETAS[(index // 3) % len(BETAS)]}
    return tensors, scalars


def gaussian_inputs(contract: str, generator: np.random.Generator, sizes: Sizes, index: int) -> Raw:
    """Gaussian inputs of either contract, with scores of order one."""
    if contract == "aloragc":
        return Raw(_aloragc_gaussian(generator, sizes), {})
    return Raw(*_lora_attention_gaussian(generator, sizes, index))


def scores_of(contract: str, raw: Raw) -> Array:
    """beta Q K^T, or C1 (W + B A) C2^T."""
    t = raw.tensors
    if contract == "aloragc":
        return np.asarray(t["c1"] @ (t["w"] + t["b"] @ t["a"]) @ t["c2"].T)
    queries, keys = (_projected(t, projection, raw.scalars["scaling"]) for projection in "qk")
    return np.asarray(raw.scalars["beta"] * (queries @ keys.T))


def _projected(tensors: dict[str, Array], projection: str, scaling: float) -> Array:
    b, a = tensors[f"b_{projection}"], tensors[f"a_{projection}"]
    return np.asarray(tensors[f"x_{projection}"] @ (tensors[f"w_{projection}"] + scaling * (b @ a)))


def _tie_neighbours(generator: np.random.Generator, rows: Array) -> None:
    """Put every second row next to the one before it: where scores are 100, about one unit
    apart."""
    odd = rows[1::2]
    odd[:] = rows[: 2 * len(odd) : 2] + gaussian(generator, *odd.shape, scale=1 / _SATURATED_SCORE)


def _saturating_factor(queries: Array, keys: Array, *, beta: float) -> float:
    """What the queries are multiplied by for a largest score of 100."""
    return float(_SATURATED_SCORE / np.abs(beta * (queries @ keys.T)).max())


def _designed_values(
    generator: np.random.Generator, keys: int, d: int, leading: int | slice
) -> Array:
    """A leading row, or several, the others an eighth of it: q_jl - <f_j, q_j> is far from
    cancelling."""
    values = positive(generator, keys, d, scale=0.25)
    values[leading] *= 8
    return values


def _designed_keys(
    generator: np.random.Generator, keys: int, d: int, leading: int | slice
) -> Array:
    """The sign of q_jl - <f_j, q_j>, which is positive for the leading keys alone: p C2 does not
    cancel."""
    rows = -positive(generator, keys, d)
    rows[leading] *= -1
    return rows
