"""What the kernels share: adapted projections, their gradients, and the dtype to compute in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["adapter_gradients", "compute_dtype", "project", "returned", "widened"]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """float32 for 16-bit dtypes, which lose whole terms of a long sum; else the dtype itself."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in the dtype to compute in, cut off from autograd."""
    return {name: t.detach().to(compute_dtype(t.dtype)) for name, t in tensors.items()}


def returned(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors rounded to the dtype of the inputs."""
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def project(x: Tensor, w: Tensor, b: Tensor, a: Tensor, scaling: float) -> Tensor:
    """X W with W = W* + s B A (Definition 1.1), without forming B A.

    Shapes: x (n, d), w (d, d), b (d, r), a (r, d); result (n, d).
    """
    return x @ w + scaling * ((x @ b) @ a)


def adapter_gradients(
    x: Tensor, grad: Tensor, b: Tensor, a: Tensor, scaling: float
) -> tuple[Tensor, Tensor]:
    """dL/dA and dL/dB from grad = dL/d(X W) (equation (3.6), Lemmas E.1 and F.3).

    dL/dW = X^T grad
    dL/dA = s B^T dL/dW = s (X B)^T grad
    dL/dB = s dL/dW A^T = s X^T (grad A^T)
    Shapes: x, grad (n, d); b (d, r); a (r, d); result (r, d) and (d, r). O(n d r) operations.
    """
    return scaling * ((x @ b).T @ grad), scaling * (x.T @ (grad @ a.T))
