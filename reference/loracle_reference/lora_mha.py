"""Multi-head attention whose three projections are adapted, as real models run it.

Q = X W_Q^T + s_Q (X A_Q^T) B_Q^T and likewise K and V (`lora_linear`), cut into heads of head_dim
columns each. Query head h reads key/value head g(h) = h // (num_heads / num_kv_heads) (grouped
queries; J. Ainslie et al., 2023). Per sample and query head, with G_h the upstream gradient of the
output's columns and q = G_h V_h^T:

    f = softmax(scale Q_h K_h^T), over j <= i where causal,     O_h = f V_h,
    p = scale (f o q - diag(<f_i, q_i>) f),     dQ_h = p K_h,   dK_h = p^T Q_h,   dV_h = f^T G_h

(`gradient.score_gradient` with G_h for c), and each of dQ, dK and dV goes back through its layer.
The output is before the output projection.

Shared heads are repeated: K and V have one head for every query head, made by the rows of W and B
of the head that it reads. The rest is attention without groups; what differs is that the rows of
grad B that belong to one head are added up at the end.

Batch and length are one axis of n rows, batch first, as in `lora_linear`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.gradient import score_gradient
from loracle_reference.heads import Heads
from loracle_reference.lora_linear import lora_linear_backward, lora_linear_output

__all__ = [
    "head_gradient",
    "head_probabilities",
    "lora_mha_gradient",
    "lora_mha_output",
    "lora_mha_pairing",
]

M = TypeVar("M", bound=Matrix)


def head_probabilities(queries: M, keys: M, scale: Scalar, *, causal: bool) -> M:
    """f of one head; what the mask hides is exactly zero.

    Shapes: queries, keys (L, head_dim), result (L, L).
    """
    scores = (queries @ keys.T).scale(scale)
    return scores.causal_softmax_rows() if causal else scores.softmax_rows()


def head_gradient(
    f: M, queries: M, keys: M, values: M, grad_output: M, scale: Scalar
) -> tuple[M, M, M]:
    """dQ_h = p K_h, dK_h = p^T Q_h and dV_h = f^T G_h. Where a score is masked f = 0, so p = 0.

    Shapes: f (L, L), all others (L, head_dim).
    """
    p = score_gradient(f, grad_output, values).scale(scale)
    return p @ keys, p.T @ queries, f.T @ grad_output


def _layers(heads: Heads, arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments of `lora_linear` for q, k and v, the last two with a head for every query
    head."""
    layers = {}
    for m in "qkv":
        weight, lora_b = arguments[f"weight_{m}"], arguments[f"lora_b_{m}"]
        layers[m] = {
            "x": arguments["x"],
            "weight": weight if m == "q" else heads.repeated(weight),
            "lora_a": arguments[f"lora_a_{m}"],
            "lora_b": lora_b if m == "q" else heads.repeated(lora_b),
            "scaling": arguments[f"scaling_{m}"],
        }
    return layers


def lora_mha_output(
    *,
    num_heads: int,
    num_kv_heads: int,
    causal: bool,
    softmax_scale: Scalar,
    batch: int,
    **arguments: Any,
) -> Any:
    """O, the heads side by side, before the output projection: (n, num_heads * head_dim).

    Arguments: those of `lora_mha_gradient` but for grad_output.
    """
    heads = Heads.of(arguments["weight_q"], num_heads, num_kv_heads, batch)
    layers = _layers(heads, arguments)
    q, k, v = (heads.cut(lora_linear_output(**layers[m])) for m in "qkv")
    return heads.joined(
        [
            [
                head_probabilities(q[head][sample], k[head][sample], softmax_scale, causal=causal)
                @ v[head][sample]
                for sample in range(batch)
            ]
            for head in range(num_heads)
        ]
    )


def lora_mha_pairing(*, grad_output: M, **arguments: Any) -> M:
    """<grad_output, O>, shape (1, 1): the scalar whose gradients a backward pass returns."""
    output: M = lora_mha_output(**arguments)
    return grad_output.row_dot(output).T.row_sum()


def lora_mha_gradient(
    *,
    num_heads: int,
    num_kv_heads: int,
    causal: bool,
    softmax_scale: Scalar,
    grad_output: M,
    batch: int,
    **arguments: Any,
) -> dict[str, M]:
    """The output and the gradients in x and in all six adapters.

    Arguments besides: x, and weight, lora_a, lora_b and scaling, each with _q, _k and _v. Shapes,
    with n = batch * length: x, grad_x (n, model); weight_q (num_heads * head_dim, model); weight_k,
    weight_v (num_kv_heads * head_dim, model); lora_a_* (r, model); lora_b_* with the rows of their
    weights and r columns; output, grad_output (n, num_heads * head_dim).
    """
    heads = Heads.of(arguments["weight_q"], num_heads, num_kv_heads, batch)
    layers = _layers(heads, arguments)
    q, k, v = (heads.cut(lora_linear_output(**layers[m])) for m in "qkv")
    upstream = heads.cut(grad_output)
    output: list[list[M]] = [[] for _ in range(num_heads)]
    grads: dict[str, list[list[M]]] = {m: [[] for _ in range(num_heads)] for m in "qkv"}
    for head in range(num_heads):
        for operands in zip(q[head], k[head], v[head], upstream[head], strict=True):
            queries, keys, values, above = operands
            f = head_probabilities(queries, keys, softmax_scale, causal=causal)
            output[head].append(f @ values)
            found = head_gradient(f, queries, keys, values, above, softmax_scale)
            for m, grad in zip("qkv", found, strict=True):
                grads[m][head].append(grad)
    back = {m: lora_linear_backward(**layers[m], grad_output=heads.joined(grads[m])) for m in "qkv"}
    return {
        "output": heads.joined(output),
        "grad_x": back["q"]["grad_x"] + back["k"]["grad_x"] + back["v"]["grad_x"],
        **{f"grad_lora_a_{m}": back[m]["grad_lora_a"] for m in "qkv"},
        "grad_lora_b_q": back["q"]["grad_lora_b"],
        **{f"grad_lora_b_{m}": heads.added(back[m]["grad_lora_b"]) for m in "kv"},
    }
