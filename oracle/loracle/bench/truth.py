"""What the gradients of one head are: enclosed where that is feasible, else in float64.

Nothing of the almost-linear kernel, which is judged by it, is loaded here.
"""

from __future__ import annotations

import torch

from loracle.bench import peers
from loracle.bench.data import SCALING, head_inputs, softmax_scale
from loracle.bench.messages import FloatArray, TooLong, Truth, TruthOrder
from loracle.bench.stopwatch import seconds_of, too_long
from loracle.bench.tensors import first_tokens, tensors_of
from loracle_reference.arithmetic.interval import Interval
from loracle_reference.gradient import lora_attention_gradient

__all__ = ["LONGEST_ENCLOSED", "find_truth"]

LONGEST_ENCLOSED = 4096
"""Rows up to which intervals, with some matrices of L x L in memory, take seconds."""

_BLOCK = 1024
_TRIAL = 2048


def find_truth(order: TruthOrder) -> Truth | TooLong:
    """The truth of the distinct rows; TooLong if it would take longer than the limit."""
    inputs = head_inputs(order.setting, order.distinct, order.head, order.factor)
    if order.distinct <= LONGEST_ENCLOSED:
        return _enclosed(inputs, order.setting.dim)
    return _streamed(inputs, order)


def _enclosed(inputs: dict[str, FloatArray], dim: int) -> Truth:
    """By the specification in interval arithmetic: the radius is proven."""
    interval = Interval()
    problem = {name: interval.matrix(array) for name, array in inputs.items()}
    outputs = lora_attention_gradient(**problem, scaling=SCALING, beta=softmax_scale(dim))
    values, radius = {}, {}
    for name, output in outputs.items():
        enclosure = interval.enclosure(output)
        values[name] = enclosure.mid
        radius[name] = float(enclosure.distance(enclosure.mid)[1].max())
    return Truth(values, radius, "interval")


def _streamed(inputs: dict[str, FloatArray], order: TruthOrder) -> Truth | TooLong:
    """By the streaming kernel in float64, on the device of the run."""
    device = order.setting.device
    beta = softmax_scale(order.setting.dim)
    heads = {name: array[None] for name, array in inputs.items()}
    tensors = tensors_of(heads, 1, "float64", device)

    def evaluate(count: int) -> dict[str, torch.Tensor]:
        return peers.streamed(first_tokens(tensors, count), SCALING, beta, _BLOCK)

    evaluate(_TRIAL)
    refusal = too_long(
        lambda n: seconds_of(lambda: evaluate(n), device)[0],
        length=order.distinct,
        limit=order.limit,
        start=_TRIAL,
    )
    if refusal is not None:
        return refusal
    outputs = evaluate(order.distinct)
    values = {name: output[0].cpu().numpy() for name, output in outputs.items()}
    return Truth(values, dict.fromkeys(values, 0.0), "float64 streaming")
