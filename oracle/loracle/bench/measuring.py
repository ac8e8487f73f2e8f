"""Carrying out one measurement in the child: inputs, warm-up, time, peak memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from loracle.bench import almost_linear, peers
from loracle.bench.catalogue import method_named
from loracle.bench.data import SCALING, softmax_scale, stacked_inputs
from loracle.bench.memory import PeakMemory
from loracle.bench.messages import FloatArray, Measured, MeasureOrder, TooLong
from loracle.bench.stopwatch import repeated, seconds_of, too_long
from loracle.bench.tensors import Tensors, first_tokens, repeated_tokens, tensors_of
from loracle.errors import UsageError

__all__ = ["measure"]

_WARM_UP = {"cpu": 2048, "cuda": 16384}
"""Tokens of the call that loads what the timed ones shall not wait for."""

_BLOCKS = {"cpu": (256, 512, 1024, 2048), "cuda": (1024, 2048, 4096, 8192)}
_BLOCK_TRIAL = {"cpu": 4096, "cuda": 32768}
"""The streaming kernel's blocks, and the tokens with which they are compared."""

_MATMUL = {"cpu": 2048, "cuda": 8192}
"""n of the n x n matrices whose product tells the machine's arithmetic rate."""


@dataclass(frozen=True)
class _Computed:
    """outputs by name, (H, ...); result: of a certified method."""

    outputs: Mapping[str, Tensor]
    result: almost_linear.Gradients | None = None
    backend: str | None = None


def measure(order: MeasureOrder) -> Measured | TooLong:
    """Seconds, peak memory and outputs of the method.

    Raises UsageError if a certified method cannot keep its promise for these inputs.
    """
    setting = order.setting
    kind = torch.device(setting.device).type
    tensors = tensors_of(
        stacked_inputs(setting, order.distinct, order.factors),
        order.length // order.distinct,
        setting.dtype,
        setting.device,
    )
    exact = method_named(order.method).exact
    facts: dict[str, Any] = {}
    if order.method == "streaming":
        facts["block"] = order.block or _fastest_block(tensors, setting.device)
    call = partial(_call, order, facts.get("block"))
    # A few tokens may have no certificate where many have one.
    with suppress(UsageError):
        call(first_tokens(tensors, _WARM_UP[kind]))
    if exact:
        refusal = too_long(
            lambda n: seconds_of(lambda: call(first_tokens(tensors, n)), setting.device)[0],
            length=order.length,
            limit=order.limit,
            start=_WARM_UP[kind],
        )
        if refusal is not None:
            return refusal
    with PeakMemory(setting.device) as memory:
        seconds, computed = repeated(lambda: call(tensors), setting.device)
    facts["memory_source"] = memory.source
    if computed.backend is not None:
        facts["backend"] = computed.backend
    certificate = None
    if computed.result is not None:
        certificate = almost_linear.certificate_of(computed.result)
        facts |= _matmul_rate(_MATMUL[kind], setting.dtype, setting.device)
    outputs = {name: _as_array(tensor) for name, tensor in computed.outputs.items()}
    return Measured(seconds, memory.bytes, outputs, certificate, facts)


def _call(order: MeasureOrder, block: int | None, tensors: Tensors) -> _Computed:
    beta = softmax_scale(order.setting.dim)
    promise = method_named(order.method).promise
    if promise is not None:
        epsilon = order.setting.epsilon
        result = almost_linear.gradients(tensors, SCALING, beta, epsilon, promise)
        return _Computed(result.outputs, result=result)
    if order.method == "eager":
        return _Computed(peers.eager(tensors, SCALING, beta))
    if order.method == "streaming":
        assert block is not None
        return _Computed(peers.streamed(tensors, SCALING, beta, block))
    narrow = torch.bfloat16 if order.method == "sdpa-bf16" else None
    outputs, backend = peers.sdpa(tensors, SCALING, beta, narrow)
    return _Computed(outputs, backend=backend)


def _fastest_block(tensors: Tensors, device: str) -> int:
    """The fastest of some block lengths, for as many tokens however many there are."""
    kind = torch.device(device).type
    count = _BLOCK_TRIAL[kind]
    short = first_tokens(repeated_tokens(tensors, -(-count // tensors["y"].shape[1])), count)

    def best_seconds(block: int) -> float:
        run: Callable[[], object] = partial(
            peers.streamed, short, SCALING, softmax_scale(short["y"].shape[-1]), block
        )
        return min(seconds_of(run, device)[0] for _ in range(3))

    return min(_BLOCKS[kind], key=best_seconds)


def _matmul_rate(size: int, dtype: str, device: str) -> dict[str, Any]:
    """Operations per second of one large product of the dtype: 2 n^3 in the best of a few."""
    generator = torch.Generator(device).manual_seed(0)
    left, right = (
        torch.randn(size, size, dtype=getattr(torch, dtype), device=device, generator=generator)
        for _ in range(2)
    )
    seconds_of(lambda: left @ right, device)
    best = min(seconds_of(lambda: left @ right, device)[0] for _ in range(5))
    return {"matmul_flops": 2 * size**3 / best, "matmul_size": size}


def _as_array(tensor: Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().to("cpu", torch.float64).numpy()
    return array
