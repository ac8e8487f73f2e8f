"""The gradients block by block: exact like `exact`, but no tensor exceeds the inputs or a block.

Online softmax in the forward pass; the backward pass recomputes the probabilities of each block
from the stored log-sum-exp. The passes are those of FlashAttention (arXiv 2205.14135, Algorithms
1 and 4), with the paper's residual c in the place of an upstream gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels.projection import adapter_gradients, project, returned, widened

__all__ = ["Attention", "Blocks", "aloragc", "lora_attention"]

BLOCK = 128


@dataclass(frozen=True)
class Blocks:
    """How queries and keys are cut: the lengths of the blocks, and the order of the key blocks."""

    queries: int
    keys: int
    reverse: bool

    def __post_init__(self) -> None:
        if self.queries < 1 or self.keys < 1:
            raise UsageError(f"blocks need at least one row, not {self.queries} and {self.keys}")

    def of_queries(self, count: int) -> Iterator[slice]:
        """Slices that cover range(count)."""
        return (slice(i, i + self.queries) for i in range(0, count, self.queries))

    def of_keys(self, count: int) -> Iterator[slice]:
        """Slices that cover range(count), the last one first if reverse."""
        starts = range(0, count, self.keys)
        return (slice(i, i + self.keys) for i in (reversed(starts) if self.reverse else starts))


class Attention:
    """Z = softmax(beta Q K^T) V with loss 1/2 ||Z - Y||_F^2, streamed.

    Shapes: queries, y (L, d); keys, values (M, d). Kept: residual c = Z - Y (L, d), and for each
    query log-sum-exp (L, 1) and correction <f_j, q_j> (L, 1).
    """

    def __init__(
        self, queries: Tensor, keys: Tensor, values: Tensor, y: Tensor, beta: float, blocks: Blocks
    ) -> None:
        self._queries = queries
        self._keys = keys
        self._values = values
        self._beta = beta
        self._blocks = blocks
        attended, self._log_sum_exp = self._forward()
        self._residual = attended - y
        # <f_j, q_j> = <f_j, V c_j> = <V^T f_j, c_j> = <Z_j, c_j>: p2 of Definition 3.6 needs no row
        # of f as a whole.
        self._correction = (attended * self._residual).sum(dim=-1, keepdim=True)

    def grad_queries(self) -> Tensor:
        """dL/dQ = beta p K (Lemma F.1), shape (L, d)."""
        gradient = torch.zeros_like(self._queries)
        for rows in self._blocks.of_queries(len(self._queries)):
            for columns in self._blocks.of_keys(len(self._keys)):
                _, p = self._probabilities_and_p(rows, columns)
                gradient[rows] += p @ self._keys[columns]
        return self._beta * gradient

    def grad_keys_and_values(self) -> tuple[Tensor, Tensor]:
        """dL/dK = beta p^T Q (Lemma F.1 transposed) and dL/dV = f^T c, shapes (M, d)."""
        grad_keys = torch.zeros_like(self._keys)
        grad_values = torch.zeros_like(self._values)
        for columns in self._blocks.of_keys(len(self._keys)):
            for rows in self._blocks.of_queries(len(self._queries)):
                f, p = self._probabilities_and_p(rows, columns)
                grad_keys[columns] += p.T @ self._queries[rows]
                grad_values[columns] += f.T @ self._residual[rows]
        return self._beta * grad_keys, grad_values

    def _scores(self, rows: slice, columns: slice) -> Tensor:
        return self._beta * (self._queries[rows] @ self._keys[columns].T)

    def _forward(self) -> tuple[Tensor, Tensor]:
        """Z (L, d) and the logarithms of the diagonal of D (L, 1) (Definitions 3.3 and 3.4).

        After some blocks, for each query: the largest score m, the sum of exp(score - m), and the
        sum of exp(score - m) v. A larger m rescales the sums by exp(old m - new m).
        """
        attended = torch.empty_like(self._queries)
        log_sum_exp = self._queries.new_empty(len(self._queries), 1)
        for rows in self._blocks.of_queries(len(self._queries)):
            count = len(self._queries[rows])
            largest = self._queries.new_full((count, 1), -torch.inf)
            total = self._queries.new_zeros(count, 1)
            weighted = torch.zeros_like(self._queries[rows])
            for columns in self._blocks.of_keys(len(self._keys)):
                scores = self._scores(rows, columns)
                larger = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
                rescale = torch.exp(largest - larger)
                exponentials = torch.exp(scores - larger)
                total = total * rescale + exponentials.sum(dim=-1, keepdim=True)
                weighted = weighted * rescale + exponentials @ self._values[columns]
                largest = larger
            attended[rows] = weighted / total
            log_sum_exp[rows] = largest + torch.log(total)
        return attended, log_sum_exp

    def _probabilities_and_p(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        """One block of f, recomputed, and of p = f o (q - <f_j, q_j>) (Definition 3.6)."""
        f = torch.exp(self._scores(rows, columns) - self._log_sum_exp[rows])
        q = self._residual[rows] @ self._values[columns].T
        return f, f * (q - self._correction[rows])


def aloragc(
    *,
    c1: Tensor,
    c2: Tensor,
    c3: Tensor,
    w: Tensor,
    a: Tensor,
    b: Tensor,
    y: Tensor,
    block_queries: int = BLOCK,
    block_keys: int = BLOCK,
    reverse: bool = False,
) -> dict[str, Tensor]:
    """Problem 2, streamed: contract `aloragc`, whose shapes it takes and returns.

    block_queries, block_keys: rows in a block; reverse: the last block of keys first. Computes in
    float32 for 16-bit inputs, and returns the inputs' dtype. Raises UsageError on an empty block.
    """
    t = widened({"c1": c1, "c2": c2, "c3": c3, "w": w, "a": a, "b": b, "y": y})
    queries = project(t["c1"], t["w"], t["b"], t["a"], 1.0)
    blocks = Blocks(block_queries, block_keys, reverse)
    grad = Attention(queries, t["c2"], t["c3"], t["y"], 1.0, blocks).grad_queries()
    grad_a, grad_b = adapter_gradients(t["c1"], grad, t["b"], t["a"], 1.0)
    return returned({"grad_a": grad_a, "grad_b": grad_b}, c1.dtype)


def lora_attention(
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
    block_queries: int = BLOCK,
    block_keys: int = BLOCK,
    reverse: bool = False,
) -> dict[str, Tensor]:
    """Problem 1, streamed: contract `lora-attention`, whose shapes it takes and returns.

    block_queries, block_keys: rows in a block; reverse: the last block of keys first. Computes in
    float32 for 16-bit inputs, and returns the inputs' dtype. Raises UsageError on an empty block.
    """
    x = widened({"q": x_q, "k": x_k, "v": x_v})
    w = widened({"q": w_q, "k": w_k, "v": w_v})
    a = widened({"q": a_q, "k": a_k, "v": a_v})
    b = widened({"q": b_q, "k": b_k, "v": b_v})
    queries, keys, values = (project(x[m], w[m], b[m], a[m], scaling) for m in "qkv")
    blocks = Blocks(block_queries, block_keys, reverse)
    attention = Attention(queries, keys, values, widened({"y": y})["y"], beta, blocks)
    grads = (attention.grad_queries(), *attention.grad_keys_and_values())
    results = {}
    for m, grad in zip("qkv", grads, strict=True):
        results[f"grad_a_{m}"], results[f"grad_b_{m}"] = adapter_gradients(
            x[m], grad, b[m], a[m], scaling
        )
    return returned(results, x_q.dtype)
