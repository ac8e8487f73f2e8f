"""One adapted linear layer in the field's convention: y = x W^T + s (x A^T) B^T.

It is Definition 1.1 with W stored (out, in), A (r, in) and B (out, r), as PEFT stores them.
Batch and length are one axis here: n = batch * length rows.
"""

from __future__ import annotations

from typing import TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar

__all__ = [
    "lora_linear_backward",
    "lora_linear_gradient",
    "lora_linear_output",
    "lora_linear_pairing",
]

M = TypeVar("M", bound=Matrix)


def lora_linear_output(*, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar) -> M:
    """y = x W^T + s (x A^T) B^T (Definition 1.1).

    Shapes: x (n, in), weight (out, in), lora_a (r, in), lora_b (out, r), result (n, out).
    """
    return x @ weight.T + (x @ lora_a.T @ lora_b.T).scale(scaling)


def lora_linear_pairing(
    *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> M:
    """<grad_output, y>, shape (1, 1): the scalar whose gradients a backward pass returns."""
    output = lora_linear_output(x=x, weight=weight, lora_a=lora_a, lora_b=lora_b, scaling=scaling)
    return grad_output.row_dot(output).T.row_sum()


def lora_linear_gradient(
    *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> dict[str, M]:
    """The output and the gradients, with G = grad_output.

    dX = G W + s (G B) A,   dA = s (G B)^T X,   dB = s G^T (X A^T)
    Shapes: x, grad_x (n, in); weight (out, in); lora_a (r, in); lora_b (out, r); grad_output (n,
    out).
    """
    layer = {"x": x, "weight": weight, "lora_a": lora_a, "lora_b": lora_b}
    return {
        "output": lora_linear_output(**layer, scaling=scaling),
        **lora_linear_backward(**layer, scaling=scaling, grad_output=grad_output),
    }


def lora_linear_backward(
    *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> dict[str, M]:
    """The gradients alone; arguments and shapes as `lora_linear_gradient`."""
    return {
        "grad_x": grad_output @ weight + (grad_output @ lora_b @ lora_a).scale(scaling),
        "grad_lora_a": ((grad_output @ lora_b).T @ x).scale(scaling),
        "grad_lora_b": (grad_output.T @ (x @ lora_a.T)).scale(scaling),
    }
