"""Kernels for Problem 2 with a wrong exponential, too few bits, a missing or doubled term, or a
broken promise about results and arguments."""

from __future__ import annotations

from typing import Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import AloragcCall, Outputs, kernel
from loracle.corpus.closed_form import aloragc, residual, score_gradient

__all__ = [
    "adapter_ignored",
    "base_two_without_log2e",
    "certificate_of_one_rounding",
    "exponential_by_taylor_series",
    "frozen_weight_ignored",
    "grad_a_added_twice",
    "keys_used_as_values",
    "maximum_of_first_block",
    "residual_written_into_y",
    "result_in_float32",
    "score_gradient_in_float16",
    "skipped_when_b_is_zero",
]

# The exponential.


def _normalised(exponentials: Tensor) -> Tensor:
    return exponentials / exponentials.sum(dim=1, keepdim=True)


@kernel
def base_two_without_log2e(**call: Unpack[AloragcCall]) -> Outputs:
    """2^x in place of e^x: the factor log2(e) was to be folded into the scale, and was not."""

    def base_two(scores: Tensor) -> Tensor:
        return _normalised(torch.exp2(scores - scores.amax(dim=1, keepdim=True)))

    return aloragc(call, softmax=base_two)


@kernel
def exponential_by_taylor_series(**call: Unpack[AloragcCall]) -> Outputs:
    """1 + x + x^2 / 2 in place of e^x, which holds for small scores."""

    def series(scores: Tensor) -> Tensor:
        x = scores if scores.dtype == torch.float64 else scores.float()
        return _normalised(1 + x + 0.5 * x * x).to(scores.dtype)

    return aloragc(call, softmax=series)


@kernel
def maximum_of_first_block(**call: Unpack[AloragcCall]) -> Outputs:
    """The maximum of the first two keys is subtracted from all scores of the row."""

    def first_block(scores: Tensor) -> Tensor:
        return _normalised(torch.exp(scores - scores[:, :2].amax(dim=1, keepdim=True)))

    return aloragc(call, softmax=first_block)


@kernel
def score_gradient_in_float16(**call: Unpack[AloragcCall]) -> Outputs:
    """p is stored in float16 before the sums over queries and keys."""
    return aloragc(
        call, score_gradient=lambda f, q: score_gradient(f, q).to(torch.float16).to(f.dtype)
    )


# Terms.


@kernel
def adapter_ignored(**call: Unpack[AloragcCall]) -> Outputs:
    """The probabilities are those of W, without B A."""
    return aloragc(call, adapted=lambda w, b, a: w)


@kernel
def frozen_weight_ignored(**call: Unpack[AloragcCall]) -> Outputs:
    """The probabilities are those of B A, without W."""
    return aloragc(call, adapted=lambda w, b, a: b @ a)


@kernel
def grad_a_added_twice(**call: Unpack[AloragcCall]) -> Outputs:
    """dA is accumulated in place and returned as well, and so counted twice."""
    outputs = aloragc(call)
    return outputs | {"grad_a": 2 * outputs["grad_a"]}


@kernel
def keys_used_as_values(**call: Unpack[AloragcCall]) -> Outputs:
    """C3 = C2, as where keys and values share one pointer."""
    return aloragc({**call, "c3": call["c2"]})


@kernel
def skipped_when_b_is_zero(**call: Unpack[AloragcCall]) -> Outputs:
    """B = 0 is taken for an adapter that is switched off: dB stays zero."""
    outputs = aloragc(call)
    return outputs | {"grad_b": outputs["grad_b"] * float(call["b"].any())}


# The promise.


@kernel
def result_in_float32(**call: Unpack[AloragcCall]) -> Outputs:
    """dA and dB come back in the dtype they were accumulated in, whatever comes in."""
    return {name: value.float() for name, value in aloragc(call).items()}


@kernel
def residual_written_into_y(**call: Unpack[AloragcCall]) -> Outputs:
    """The residual is computed into the memory of the target."""
    return aloragc(call, residual=lambda z, y: y.copy_(residual(z, y)))


@kernel
def certificate_of_one_rounding(**call: Unpack[AloragcCall]) -> Outputs:
    """The certificate knows the last rounding alone, not those before it."""
    outputs = aloragc(call)
    unit = torch.finfo(call["y"].dtype).eps / 2
    certificate = {name: unit * value.abs().max().double() for name, value in outputs.items()}
    return cast(Outputs, {**outputs, "certificate": certificate})
