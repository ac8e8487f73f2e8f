"""The inputs of a run, drawn from its seed: the same in every process, on every device.

All values are float32 numbers, whatever the dtype of the run: then the truth of a float32 run and
that of a float64 run are one, and no method has to be forgiven the rounding of its inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from loracle.bench.largest_score import largest_product
from loracle.bench.messages import FloatArray, Setting

__all__ = ["DATA", "SCALING", "head_inputs", "query_factor", "softmax_scale", "stacked_inputs"]

DATA = ("independent", "correlated")
"""Values and targets independent of keys and queries; or values that follow the keys and targets
that follow the queries, each with a part in common, so that gradients cancel far less."""

SCALING = 1.5
"""s = alpha / r."""

_NOISE = 0.125
"""What is left of independence where data are correlated."""

_COMMON = 0.5
"""How large the part is that all values have in common, and all targets."""

_TOKENS = ("x_q", "x_k", "x_v", "y")


def softmax_scale(dim: int) -> float:
    """beta = 1 / sqrt(d)."""
    return 1 / sqrt(dim)


def head_inputs(
    setting: Setting, distinct: int, head: int, factor: float = 1.0
) -> dict[str, FloatArray]:
    """The tensors of one head of `lora-attention`, in float64.

    Gaussian tokens of unit variance, weights and adapters of order 1 / sqrt(d) and 1 / sqrt(r), so
    that B A is of the order of W. x_q is multiplied by the factor before it is rounded. Shapes:
    tokens (distinct, d); w_* (d, d); a_* (r, d); b_* (d, r).
    """
    dim, rank = setting.dim, setting.rank
    draw = np.random.default_rng([setting.seed, head, distinct, dim, rank]).standard_normal
    found = {name: draw((distinct, dim)) for name in _TOKENS}
    weights = {}
    for m in "qkv":
        weights[f"w_{m}"] = draw((dim, dim)) / sqrt(dim)
        weights[f"a_{m}"] = draw((rank, dim)) / sqrt(rank)
        weights[f"b_{m}"] = draw((dim, rank)) / sqrt(dim)
    if setting.data == "correlated":
        # Values that follow the keys make Cov(k, v), in the gradients of Q and K, differ from zero;
        # means that differ from zero keep the sums over the tokens, in that of V, from cancelling.
        found["x_v"] = found["x_k"] + _NOISE * found["x_v"] + _COMMON * draw(dim)
        follow = found["x_q"] @ (draw((dim, dim)) / sqrt(dim))
        found["y"] = follow + _NOISE * found["y"] + 2 * _COMMON * draw(dim)
    found["x_q"] = factor * found["x_q"]
    return {name: _as_float32_values(array) for name, array in (found | weights).items()}


def query_factor(setting: Setting, distinct: int, head: int) -> float:
    """The factor of x_q with which the largest |beta <q_j, k_l>| over all pairs is `max_score`, up
    to the rounding of x_q; the keys are taken as they are, not centred."""
    inputs = head_inputs(setting, distinct, head)
    queries, keys = (
        inputs[f"x_{m}"] @ (inputs[f"w_{m}"] + SCALING * inputs[f"b_{m}"] @ inputs[f"a_{m}"])
        for m in "qk"
    )
    return setting.max_score / (softmax_scale(setting.dim) * largest_product(queries, keys).value)


def stacked_inputs(
    setting: Setting, distinct: int, factors: Sequence[float]
) -> dict[str, FloatArray]:
    """The tensors of all heads, one factor each: `head_inputs` with a leading axis of heads."""
    heads = [head_inputs(setting, distinct, head, f) for head, f in enumerate(factors)]
    return {name: np.stack([head[name] for head in heads]) for name in heads[0]}


def _as_float32_values(array: FloatArray) -> FloatArray:
    return array.astype(np.float32).astype(np.float64)
