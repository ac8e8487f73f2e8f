"""Plans of `lora-mha`: three adapted projections, attention head by head, and back.

dK and dV of a key/value head are the sums over the query heads that read it, and dX is that over
the projections: autograd adds them up in the order in which it meets them, fused kernels accumulate
one onto the other. `Matrix.sum_with` leaves that open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.evaluation_plans.layers import (
    adapter_merged,
    adapter_unmerged,
    projected_merged,
    projected_unmerged,
)
from loracle_reference.evaluation_plans.plan import (
    MERGED,
    MERGED_FLASH,
    UNMERGED,
    UNMERGED_FLASH,
    EvaluationPlan,
    Store,
    by_name,
    deferred,
    scaled,
)
from loracle_reference.evaluation_plans.scores import (
    flash_gradients,
    flash_probabilities,
    stored_gradients,
    stored_probabilities,
)
from loracle_reference.heads import Heads

__all__ = ["LORA_MHA"]

M = TypeVar("M", bound=Matrix)


@dataclass(frozen=True)
class _Layer(Generic[M]):
    """One projection as `layers` writes it, x (w + s b a); of the contract's W, A and B, w = W^T,
    b = A^T and a = B^T."""

    w: M
    b: M
    a: M
    scaling: Scalar


def _inputs_merged(store: Store[M], grad: M, layer: _Layer[M]) -> list[M]:
    """The parts of dX of one projection: grad W', the sum formed once more or kept."""
    merged = store(layer.w + scaled(store(layer.b @ layer.a), layer.scaling))
    return [store(grad @ merged.T)]


def _inputs_unmerged(store: Store[M], grad: M, layer: _Layer[M]) -> list[M]:
    """grad W and (s grad B) A."""
    hidden = scaled(store(grad @ layer.a.T), layer.scaling)
    return [store(grad @ layer.w.T), deferred(store(hidden @ layer.b.T), layer.scaling)]


def _head_stored(
    store: Store[M], queries: M, keys: M, values: M, above: M, scale: Scalar, *, causal: bool
) -> tuple[M, tuple[M, M, M]]:
    """O = f V, and dQ, dK and dV for its gradient `above`, every result stored."""
    f = stored_probabilities(store, queries, keys, scale, causal=causal)
    grads = stored_gradients(store, f, queries, keys, values, above, scale)
    return store(f @ values), grads


def _head_flash(
    store: Store[M], queries: M, keys: M, values: M, above: M, scale: Scalar, *, causal: bool
) -> tuple[M, tuple[M, M, M]]:
    """The same with scores, f, q and p in the accumulators' format and O stored."""
    output = store(store(flash_probabilities(queries, keys, scale, causal=causal)) @ values)
    f = flash_probabilities(queries, keys, scale, causal=causal)
    return output, flash_gradients(store, f, output, queries, keys, values, above, scale)


def _added(store: Store[M], parts: Sequence[M]) -> M:
    return store(parts[0].sum_with(*parts[1:])) if len(parts) > 1 else parts[0]


def _by_key_head(store: Store[M], heads: Heads, grads: Sequence[Sequence[M]]) -> list[list[M]]:
    """dK or dV by query head and sample, added up over the query heads that read one."""
    return [
        [
            _added(store, parts)
            for parts in zip(
                *(g for g, read in zip(grads, heads.reads, strict=True) if read == head),
                strict=True,
            )
        ]
        for head in range(max(heads.reads) + 1)
    ]


def _plan(
    name: str,
    summary: str,
    head: Callable[..., tuple[Any, tuple[Any, Any, Any]]],
    project: Callable[..., Any],
    adapt: Callable[..., tuple[Any, Any]],
    inputs: Callable[..., list[Any]],
) -> EvaluationPlan:
    def formulas(
        store: Store[Any],
        *,
        x: Any,
        num_heads: int,
        num_kv_heads: int,
        causal: bool,
        softmax_scale: Scalar,
        grad_output: Any,
        batch: int,
        **arguments: Any,
    ) -> dict[str, Any]:
        heads = Heads.of(arguments["weight_q"], num_heads, num_kv_heads, batch)
        layers = {
            m: _Layer(
                w=arguments[f"weight_{m}"].T,
                b=arguments[f"lora_a_{m}"].T,
                a=arguments[f"lora_b_{m}"].T,
                scaling=arguments[f"scaling_{m}"],
            )
            for m in "qkv"
        }
        queries, keys, values = (
            heads.cut(project(store, x, layer.w, layer.b, layer.a, layer.scaling))
            for layer in layers.values()
        )
        outputs: list[list[Any]] = []
        grads: dict[str, list[list[Any]]] = {m: [] for m in "qkv"}
        for above, read, of_queries in zip(
            heads.cut(grad_output), heads.reads, queries, strict=True
        ):
            found = [
                head(store, *operands, softmax_scale, causal=causal)
                for operands in zip(of_queries, keys[read], values[read], above, strict=True)
            ]
            outputs.append([output for output, _ in found])
            for place, m in enumerate("qkv"):
                grads[m].append([grad[place] for _, grad in found])
        for m in "kv":
            grads[m] = _by_key_head(store, heads, grads[m])
        found_by = {m: heads.joined(grads[m]) for m in "qkv"}
        parts = [part for m in "qkv" for part in inputs(store, found_by[m], layers[m])]
        # (dB^T, dA^T) of the contract's A and B: in `layers` they change places.
        adapters = {
            m: adapt(store, x, found_by[m], layer.b, layer.a, layer.scaling)
            for m, layer in layers.items()
        }
        return {
            "output": heads.joined(outputs),
            "grad_x": _added(store, parts),
            **{f"grad_lora_a_{m}": of_a.T for m, (_, of_a) in adapters.items()},
            **{f"grad_lora_b_{m}": of_b.T for m, (of_b, _) in adapters.items()},
        }

    return EvaluationPlan(name, formulas, summary)


_WAYS = {
    "merged": (projected_merged, adapter_merged, _inputs_merged),
    "unmerged": (projected_unmerged, adapter_unmerged, _inputs_unmerged),
}

LORA_MHA = by_name(
    _plan("merged", MERGED, _head_stored, *_WAYS["merged"]),
    _plan("unmerged", UNMERGED, _head_stored, *_WAYS["unmerged"]),
    _plan("merged-flash", MERGED_FLASH, _head_flash, *_WAYS["merged"]),
    _plan("unmerged-flash", UNMERGED_FLASH, _head_flash, *_WAYS["unmerged"]),
)
