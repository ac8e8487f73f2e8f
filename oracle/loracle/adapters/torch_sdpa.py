"""LoRA projections in plain torch around the installed torch's scaled_dot_product_attention."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from loracle.adapters.differentiation import gradients, with_grad

__all__ = ["default_backend", "flash_backend", "math_backend"]

Backend = Callable[[], AbstractContextManager[None]]


def _kernel(name: str, choose: Backend, summary: str) -> Callable[..., dict[str, Tensor]]:
    """A `lora-attention` kernel that computes attention in the context that `choose` makes."""

    def attention(
        *,
        x_q: Tensor,
        x_k: Tensor,
        x_v: Tensor,
        w_q: Tensor,
        w_k: Tensor,
        w_v: Tensor,
        a_q: Tensor,
        b_q: Tensor,
        a_k: Tensor,
        b_k: Tensor,
        a_v: Tensor,
        b_v: Tensor,
        scaling: float,
        beta: float,
        y: Tensor,
    ) -> dict[str, Tensor]:
        leaves = with_grad(a_q=a_q, b_q=b_q, a_k=a_k, b_k=b_k, a_v=a_v, b_v=b_v)

        def project(x: Tensor, w: Tensor, which: str) -> Tensor:
            # X W + s (X B) A, as models compute it; one batch, one head.
            adapted = (x @ leaves[f"b_{which}"]) @ leaves[f"a_{which}"]
            return (x @ w + scaling * adapted)[None, None]

        with choose():
            attended = torch.nn.functional.scaled_dot_product_attention(
                project(x_q, w_q, "q"), project(x_k, w_k, "k"), project(x_v, w_v, "v"), scale=beta
            )
            return gradients(0.5 * (attended[0, 0] - y).square().sum(), leaves)

    attention.__name__ = attention.__qualname__ = name
    attention.__doc__ = summary
    return attention


default_backend = _kernel(
    "default_backend", nullcontext, "`lora-attention` with the backend that torch chooses."
)
math_backend = _kernel(
    "math_backend",
    lambda: sdpa_kernel(SDPBackend.MATH),
    "`lora-attention` with the math backend.",
)
flash_backend = _kernel(
    "flash_backend",
    lambda: sdpa_kernel(SDPBackend.FLASH_ATTENTION),
    "`lora-attention` with the flash backend; raises RuntimeError where torch has none.",
)
