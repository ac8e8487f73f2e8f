"""Kernels whose matrix products are those of a machine beyond IEEE, simulated: honest ones under
that machine. Everything else is torch's own, in the dtype of the tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from loracle_reference.arithmetic.tensor_core import tensor_core_product
from loracle_reference.floating_point import (
    FORMATS,
    TF32,
    machine_model,
    round_to_format,
    truncate_to_format,
)

Product = Callable[[Tensor, Tensor], Tensor]
Outputs = dict[str, Tensor]


def tensor_core(machine: str) -> Product:
    """The products of `ampere` or `hopper`, stored once."""

    def multiply(left: Tensor, right: Tensor) -> Tensor:
        dtype = str(left.dtype).removeprefix("torch.")
        core = machine_model(machine, dtype).tensor_core
        assert core is not None
        one, two, form = left.double().numpy(), right.double().numpy(), FORMATS[dtype]
        if dtype == "float32":
            one, two, form = truncate_to_format(one, TF32), truncate_to_format(two, TF32), TF32
        return torch.from_numpy(tensor_core_product(one, two, core, form)).float().to(left.dtype)

    return multiply


def tf32_to_nearest(left: Tensor, right: Tensor) -> Tensor:
    """float32 sums of products of operands rounded to TF32."""
    one, two = (
        torch.from_numpy(round_to_format(side.numpy(), TF32)).float() for side in (left, right)
    )
    return one @ two


def truncated_in_storage(left: Tensor, right: Tensor) -> Tensor:
    """Every partial sum truncated to the dtype: too coarse for any tensor core."""
    form = FORMATS[str(left.dtype).removeprefix("torch.")]
    total = torch.zeros(left.shape[0], right.shape[1], dtype=torch.float64)
    for k in range(left.shape[1]):
        total += left[:, k : k + 1].double() * right[k : k + 1].double()
        total = torch.from_numpy(truncate_to_format(total.numpy(), form))
    return total.to(left.dtype)


def from_bfloat16(left: Tensor, right: Tensor) -> Tensor:
    """float32 sums of products of operands rounded to bfloat16: too coarse for TF32."""
    return left.bfloat16().float() @ right.bfloat16().float()


def lora_linear(multiply: Product) -> Callable[..., Outputs]:
    """The contract, unmerged, by two-dimensional products."""

    def kernel(
        *,
        x: Tensor,
        weight: Tensor,
        lora_a: Tensor,
        lora_b: Tensor,
        scaling: float,
        grad_output: Tensor,
    ) -> Outputs:
        rows, upstream = x.flatten(0, 1), grad_output.flatten(0, 1)
        inner = multiply(rows, lora_a.T)
        output = multiply(rows, weight.T) + scaling * multiply(inner, lora_b.T)
        grad_inner = scaling * multiply(upstream, lora_b)
        grad_x = multiply(upstream, weight) + multiply(grad_inner, lora_a)
        return {
            "output": output.reshape(grad_output.shape),
            "grad_x": grad_x.reshape(x.shape),
            "grad_lora_a": multiply(grad_inner.T, rows),
            "grad_lora_b": scaling * multiply(upstream.T, inner),
        }

    return kernel


def aloragc(multiply: Product) -> Callable[..., Outputs]:
    """The contract, with merged weights and a softmax in float32."""

    def kernel(
        *, c1: Tensor, c2: Tensor, c3: Tensor, w: Tensor, a: Tensor, b: Tensor, y: Tensor
    ) -> Outputs:
        scores = multiply(multiply(c1, w + multiply(b, a)), c2.T)
        f = torch.softmax(scores.float(), dim=1).to(c1.dtype)
        q = multiply(multiply(f, c3) - y, c3.T)
        correction = (f.float() * q.float()).sum(1, keepdim=True)
        p = (f.float() * (q.float() - correction)).to(c1.dtype)
        grad = multiply(multiply(c1.T, p), c2)
        return {"grad_a": multiply(b.T, grad), "grad_b": multiply(grad, a.T)}

    return kernel
