"""Multi-head attention whose three projections are adapted, as real models run it.

Q = X W_Q^T + s_Q (X A_Q^T) B_Q^T and likewise K and V (`lora_linear`), cut into heads of head_dim
columns each. Query head h reads key/value head g(h) = h // (num_heads / num_kv_heads) (grouped
queries; J. Ainslie et al., 2023). Per sample and head, with G_h the upstream gradient of the
output's columns and q = G_h V^T:

    f = softmax(scale Q_h K_g^T), over j <= i where causal,     O_h = f V_g,
    p = scale (f o q - diag(<f_i, q_i>) f),     dQ_h = p K_g,   dK_g += p^T Q_h,   dV_g += f^T G_h

(`gradient.score_gradient` with G_h for c), and each of dQ, dK and dV goes back through its layer.
The output is before the output projection.

Heads are cut from the *inputs*: rows of W and B, columns of G. So Q_h, K_g and V_g stay products
that an arithmetic may associate as kernels do, and no result is cut that a bound would have to take
for stored. What every head contributes is summed at the end: the sum over a group's heads, which
dK and dV are, is multiplied out.

Batch and length are one axis of rows, batch first, as in `lora_linear`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Generic, TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.gradient import score_gradient
from loracle_reference.lora_linear import lora_linear_backward, lora_linear_output

__all__ = [
    "head_attention",
    "head_gradient",
    "kv_head_of",
    "lora_mha_gradient",
    "lora_mha_output",
    "lora_mha_pairing",
]

M = TypeVar("M", bound=Matrix)


def kv_head_of(head: int, num_heads: int, num_kv_heads: int) -> int:
    """g(h) = h // (num_heads / num_kv_heads); raises ValueError unless the heads divide evenly."""
    if num_kv_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads do not divide among {num_kv_heads} of keys")
    return head // (num_heads // num_kv_heads)


def head_attention(queries: M, keys: M, scale: Scalar, *, causal: bool) -> M:
    """f of one head, entries that the mask hides being exactly zero.

    Shapes: queries (L, head_dim), keys (L, head_dim), result (L, L).
    """
    scores = (queries @ keys.T).scale(scale)
    return scores.causal_softmax_rows() if causal else scores.softmax_rows()


def head_gradient(
    f: M, queries: M, keys: M, values: M, grad_output: M, scale: Scalar
) -> tuple[M, M, M]:
    """dQ_h = p K, and what the head adds to dK and dV: p^T Q_h and f^T G_h.

    A score that is masked has f = 0 and so p = 0. Shapes: f (L, L), all others (L, head_dim).
    """
    p = score_gradient(f, grad_output, values).scale(scale)
    return p @ keys, p.T @ queries, f.T @ grad_output


@dataclass(frozen=True)
class _Heads(Generic[M]):
    """The inputs, and how they are cut. layers: of q, k and v, the arguments of `lora_linear`."""

    x: M
    layers: dict[str, dict[str, Any]]
    num_heads: int
    num_kv_heads: int
    batch: int

    def samples(self) -> Iterator[Sequence[int]]:
        """The rows of every sample."""
        length = self.x.shape[0] // self.batch
        for sample in range(self.batch):
            yield range(sample * length, (sample + 1) * length)

    def columns(self, head: int) -> Sequence[int]:
        """Of Q and the output, or, for a head of keys, of K and V."""
        width = self.layers["q"]["weight"].shape[0] // self.num_heads
        return range(head * width, (head + 1) * width)

    def layer(self, projection: str, head: int) -> dict[str, Any]:
        """The rows of W and B that make one head."""
        layer, rows = self.layers[projection], self.columns(head)
        return {
            **layer,
            "weight": layer["weight"].take_rows(rows),
            "lora_b": layer["lora_b"].take_rows(rows),
        }

    def kv_head(self, head: int) -> int:
        """The head of keys and values that a head of queries reads."""
        return kv_head_of(head, self.num_heads, self.num_kv_heads)


def _heads(
    arguments: dict[str, Any], *, num_heads: int, num_kv_heads: int, batch: int
) -> _Heads[Any]:
    layers = {
        m: {
            "weight": arguments[f"weight_{m}"],
            "lora_a": arguments[f"lora_a_{m}"],
            "lora_b": arguments[f"lora_b_{m}"],
            "scaling": arguments[f"scaling_{m}"],
        }
        for m in "qkv"
    }
    return _Heads(arguments["x"], layers, num_heads, num_kv_heads, batch)


def _beside(left: M, right: M) -> M:
    return left.beside(right)


def _side_by_side(blocks: Sequence[M]) -> M:
    return reduce(_beside, blocks)


def _stacked(blocks: Sequence[M]) -> M:
    return _side_by_side([block.T for block in blocks]).T


def lora_mha_output(
    *,
    num_heads: int,
    num_kv_heads: int,
    causal: bool,
    softmax_scale: Scalar,
    batch: int,
    **arguments: Any,
) -> Any:
    """O, the heads side by side, before the output projection.

    Arguments: those of `lora_mha_gradient` but for grad_output. Shape: (n, num_heads * head_dim).
    """
    heads = _heads(arguments, num_heads=num_heads, num_kv_heads=num_kv_heads, batch=batch)
    samples = []
    for rows in heads.samples():
        x = heads.x.take_rows(rows)
        blocks = []
        for head in range(num_heads):
            queries, keys, values = (
                lora_linear_output(x=x, **heads.layer(m, h))
                for m, h in (("q", head), ("k", heads.kv_head(head)), ("v", heads.kv_head(head)))
            )
            blocks.append(head_attention(queries, keys, softmax_scale, causal=causal) @ values)
        samples.append(_side_by_side(blocks))
    return _stacked(samples)


def lora_mha_pairing(*, grad_output: M, **arguments: Any) -> M:
    """<grad_output, O>, shape (1, 1): the scalar whose gradients a backward pass returns."""
    output: M = lora_mha_output(**arguments)
    return grad_output.row_dot(output).T.row_sum()


def lora_mha_gradient(
    *,
    x: M,
    weight_q: M,
    weight_k: M,
    weight_v: M,
    lora_a_q: M,
    lora_b_q: M,
    lora_a_k: M,
    lora_b_k: M,
    lora_a_v: M,
    lora_b_v: M,
    scaling_q: Scalar,
    scaling_k: Scalar,
    scaling_v: Scalar,
    num_heads: int,
    num_kv_heads: int,
    causal: bool,
    softmax_scale: Scalar,
    grad_output: M,
    batch: int,
) -> dict[str, M]:
    """The output and the gradients in x and in all six adapters.

    Shapes, with n = batch * length: x, grad_x (n, model); weight_q, and without model for r lora_b_q
    (num_heads * head_dim, model); weight_k, weight_v, lora_b_k, lora_b_v likewise with num_kv_heads;
    lora_a_* (r, model); grad_output (n, num_heads * head_dim).
    """
    given = {
        "x": x,
        **{"weight_q": weight_q, "weight_k": weight_k, "weight_v": weight_v},
        **{"lora_a_q": lora_a_q, "lora_a_k": lora_a_k, "lora_a_v": lora_a_v},
        **{"lora_b_q": lora_b_q, "lora_b_k": lora_b_k, "lora_b_v": lora_b_v},
        **{"scaling_q": scaling_q, "scaling_k": scaling_k, "scaling_v": scaling_v},
    }
    heads = _heads(given, num_heads=num_heads, num_kv_heads=num_kv_heads, batch=batch)
    outputs: list[M] = []
    grad_x: list[M] = []
    grad_a: dict[str, list[M]] = {m: [] for m in "qkv"}
    grad_b: dict[tuple[str, int], list[M]] = {}
    for rows in heads.samples():
        sample, upstream = x.take_rows(rows), grad_output.take_rows(rows)
        projected = {
            (m, head): lora_linear_output(x=sample, **heads.layer(m, head))
            for m, count in (("q", num_heads), ("k", num_kv_heads), ("v", num_kv_heads))
            for head in range(count)
        }
        blocks: list[M] = []
        into_x: list[M] = []
        for head in range(num_heads):
            read = {"q": head, "k": heads.kv_head(head), "v": heads.kv_head(head)}
            queries, keys, values = (projected[m, h] for m, h in read.items())
            f = head_attention(queries, keys, softmax_scale, causal=causal)
            blocks.append(f @ values)
            above = upstream.take_columns(heads.columns(head))
            grads = head_gradient(f, queries, keys, values, above, softmax_scale)
            for (m, h), grad in zip(read.items(), grads, strict=True):
                back = lora_linear_backward(x=sample, **heads.layer(m, h), grad_output=grad)
                into_x.append(back["grad_x"])
                grad_a[m].append(back["grad_lora_a"])
                grad_b.setdefault((m, h), []).append(back["grad_lora_b"])
        outputs.append(_side_by_side(blocks))
        grad_x.append(reduce(add, into_x))
    return {
        "output": _stacked(outputs),
        "grad_x": _stacked(grad_x),
        **{f"grad_lora_a_{m}": reduce(add, terms) for m, terms in grad_a.items()},
        **{
            f"grad_lora_b_{m}": _stacked(
                [reduce(add, terms) for (of, _), terms in sorted(grad_b.items()) if of == m]
            )
            for m in "qkv"
        },
    }
