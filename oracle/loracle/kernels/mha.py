"""Contract `lora-mha` in closed form: grouped-query attention between adapted projections."""

from __future__ import annotations

import torch
from torch import Tensor

from loracle.kernels.projection import returned, widened

__all__ = ["lora_mha"]


def lora_mha(
    *,
    x: Tensor,
    weight_q: Tensor,
    weight_k: Tensor,
    weight_v: Tensor,
    lora_a_q: Tensor,
    lora_b_q: Tensor,
    lora_a_k: Tensor,
    lora_b_k: Tensor,
    lora_a_v: Tensor,
    lora_b_v: Tensor,
    scaling_q: float,
    scaling_k: float,
    scaling_v: float,
    num_heads: int,
    num_kv_heads: int,
    causal: bool,
    softmax_scale: float,
    grad_output: Tensor,
) -> dict[str, Tensor]:
    """Contract `lora-mha`, whose shapes it takes and returns, by an explicit backward pass.

    With b samples, g heads of keys, h heads of queries that read each, i queries, j keys:
    f = softmax(scale Q K^T) over j <= i if causal,   O = f V,   q = G V^T,
    p = scale f o (q - rowsum(G o O)),   dQ = p K,   dK = sum_h p^T Q,   dV = sum_h f^T G.
    Computes in float32 for 16-bit inputs, and returns the inputs' dtype.
    """
    weights = widened({"q": weight_q, "k": weight_k, "v": weight_v})
    a = widened({"q": lora_a_q, "k": lora_a_k, "v": lora_a_v})
    b = widened({"q": lora_b_q, "k": lora_b_k, "v": lora_b_v})
    scalings = {"q": scaling_q, "k": scaling_k, "v": scaling_v}
    given = widened({"x": x, "grad_output": grad_output})
    (batch, length, _), rows = x.shape, given["x"].flatten(0, 1)

    hidden = {m: rows @ a[m].T for m in "qkv"}
    projected = {m: rows @ weights[m].T + scalings[m] * (hidden[m] @ b[m].T) for m in "qkv"}
    of_queries = (batch, length, num_kv_heads, num_heads // num_kv_heads, -1)
    of_keys = (batch, length, num_kv_heads, -1)
    queries, upstream = (t.reshape(of_queries) for t in (projected["q"], given["grad_output"]))
    keys, values = (projected[m].reshape(of_keys) for m in "kv")

    scores = softmax_scale * torch.einsum("bighd,bjgd->bghij", queries, keys)
    if causal:
        hidden_keys = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(hidden_keys, -torch.inf)
    f = torch.softmax(scores, dim=-1)
    output = torch.einsum("bghij,bjgd->bighd", f, values)
    q = torch.einsum("bighd,bjgd->bghij", upstream, values)
    correction = (upstream * output).sum(dim=-1).permute(0, 2, 3, 1).unsqueeze(-1)
    p = softmax_scale * f * (q - correction)
    grads = {
        "q": torch.einsum("bghij,bjgd->bighd", p, keys),
        "k": torch.einsum("bghij,bighd->bjgd", p, queries),
        "v": torch.einsum("bghij,bighd->bjgd", f, upstream),
    }

    results = {"output": output.reshape(grad_output.shape), "grad_x": torch.zeros_like(given["x"])}
    for m in "qkv":
        grad = grads[m].reshape(projected[m].shape)
        grad_hidden = scalings[m] * (grad @ b[m])
        results["grad_x"] += (grad @ weights[m] + grad_hidden @ a[m]).reshape(x.shape)
        results[f"grad_lora_a_{m}"] = grad_hidden.T @ rows
        results[f"grad_lora_b_{m}"] = scalings[m] * (grad.T @ hidden[m])
    return returned(results, x.dtype)
