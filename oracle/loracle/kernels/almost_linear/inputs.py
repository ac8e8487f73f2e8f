"""From a caller's tensors to a `Problem`: checked, float64, one token a column."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.projections import Problem, Projection

__all__ = ["aloragc_problem", "attention_problem", "projected_problem"]

_LARGEST = 2.0**60

_ALORAGC = {"c1": "Ld", "c2": "Md", "c3": "Md", "w": "dd", "a": "rd", "b": "dr", "y": "Ld"}

_ATTENTION = {
    "x_q": "Ld",
    "x_k": "Md",
    "x_v": "Md",
    "y": "Ld",
    **{
        f"{name}_{m}": shape
        for m in "qkv"
        for name, shape in (("w", "dd"), ("a", "rd"), ("b", "dr"))
    },
}


def aloragc_problem(tensors: Mapping[str, Tensor]) -> tuple[Problem, tuple[int, ...]]:
    """Problem 2: only Q is projected, beta and s are 1. As `attention_problem`."""
    t, leading = _heads(tensors, _ALORAGC)
    q = Projection(t["c1"], t["w"], t["a"], t["b"], 1.0)
    k, v = (Projection(t[name], None, None, None, 1.0) for name in ("c2", "c3"))
    return Problem(q, k, v, t["y"], 1.0), leading


def attention_problem(
    tensors: Mapping[str, Tensor], scaling: float, beta: float
) -> tuple[Problem, tuple[int, ...]]:
    """Problems 1 and 3, and the dimensions of the heads. y may be left out, and is zero then.

    Raises UsageError unless sizes, dtypes and devices agree, OutOfReach where an input is not
    finite, or too large or small.
    """
    for name, value in (("scaling", scaling), ("beta", beta)):
        _require_size(name, abs(value))
    given = {"y": torch.zeros_like(tensors["x_q"]), **tensors}
    t, leading = _heads({"x_q": tensors["x_q"], **given}, _ATTENTION)
    q, k, v = (
        Projection(t[f"x_{m}"], t[f"w_{m}"], t[f"a_{m}"], t[f"b_{m}"], scaling) for m in "qkv"
    )
    return Problem(q, k, v, t["y"], beta), leading


def projected_problem(
    tensors: Mapping[str, Tensor], beta: float
) -> tuple[Problem, tuple[int, ...]]:
    """Queries, keys and values as they are, nothing to be projected. As `attention_problem`."""
    t, leading = _heads(tensors, {"queries": "Ld", "keys": "Md", "values": "Md", "y": "Ld"})
    q, k, v = (Projection(t[name], None, None, None, 1.0) for name in ("queries", "keys", "values"))
    return Problem(q, k, v, t["y"], beta), leading


def _heads(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, str]
) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """Every tensor as float64 of shape (H, ., .), tokens last, and the dimensions of the heads.

    Raises UsageError unless sizes, dtypes and devices agree.
    """
    first_name, first = next(iter(tensors.items()))
    leading = tuple(first.shape[:-2])
    sizes: dict[str, int] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.shape[:-2] not in (leading, ()):
            raise UsageError(
                f"{name} has shape {tuple(tensor.shape)}: expected two dimensions after"
                f" {leading or 'none'} of {first_name}"
            )
        if tensor.dtype != first.dtype or tensor.device != first.device:
            raise UsageError(
                f"{name} is {tensor.dtype} on {tensor.device}, {first_name} {first.dtype} on"
                f" {first.device}: give all of one dtype on one device"
            )
        for symbol, size in zip(shapes[name], tensor.shape[-2:], strict=True):
            if size < 1 or sizes.setdefault(symbol, size) != size:
                raise UsageError(
                    f"{name} has shape {tuple(tensor.shape)} where ({', '.join(shapes[name])})"
                    f" with {symbol} = {max(1, sizes.get(symbol, 1))} is expected"
                )
    _require_in_range(tensors)
    heads = {
        name: tensor.detach().expand(*leading, *tensor.shape[-2:]).reshape(-1, *tensor.shape[-2:])
        for name, tensor in tensors.items()
    }
    return {
        name: _float64(t.mT if shapes[name] in ("Ld", "Md") else t) for name, t in heads.items()
    }, leading


def _require_in_range(tensors: Mapping[str, Tensor]) -> None:
    """OutOfReach unless every tensor is finite, and zero or of a magnitude whose powers float64
    holds: the bounds are of the eighth degree in the inputs."""
    extremes = [torch.stack(torch.aminmax(tensor.detach())) for tensor in tensors.values()]
    largest = torch.stack(extremes).double().abs().amax(-1).tolist()
    for name, magnitude in zip(tensors, largest, strict=True):
        _require_size(name, magnitude)


def _require_size(name: str, magnitude: float) -> None:
    if not math.isfinite(magnitude):
        raise OutOfReach(f"{name} is not finite")
    if magnitude != 0 and not 1 / _LARGEST < magnitude < _LARGEST:
        raise OutOfReach(
            f"{name} is of the size {magnitude:.3g}: nothing is certified beyond {_LARGEST:.2g} or"
            f" below {1 / _LARGEST:.2g}; scale it"
        )


def _float64(tensor: Tensor) -> Tensor:
    """A contiguous float64 copy, converted and rearranged in one pass."""
    return torch.empty(tensor.shape, dtype=torch.float64, device=tensor.device).copy_(tensor)
