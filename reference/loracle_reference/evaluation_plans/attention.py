"""Plans of the paper's contracts, `aloragc` and `lora-attention`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

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
)
from loracle_reference.evaluation_plans.scores import (
    flash_gradients,
    flash_probabilities,
    stored_gradients,
    stored_probabilities,
)
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient

__all__ = ["ALORAGC", "LORA_ATTENTION"]

M = TypeVar("M", bound=Matrix)


def _attention_stored(
    store: Store[M], queries: M, keys: M, values: M, y: M, beta: Scalar
) -> tuple[M, M, M]:
    """The gradients in Q, K and V, every result stored; c = f V - Y."""
    f = stored_probabilities(store, queries, keys, beta)
    c = store(store(f @ values) - y)
    return stored_gradients(store, f, queries, keys, values, c, beta)


def _attention_flash(
    store: Store[M], queries: M, keys: M, values: M, y: M, beta: Scalar
) -> tuple[M, M, M]:
    """The same with scores, f, q and p in the accumulators' format; z = f V and c = z - Y are
    stored."""
    z = store(store(flash_probabilities(queries, keys, beta)) @ values)
    c = store(z - y)
    f = flash_probabilities(queries, keys, beta)
    return flash_gradients(store, f, z, queries, keys, values, c, beta)


_Project = Callable[..., Any]
_Adapt = Callable[..., tuple[Any, Any]]
_Attend = Callable[..., tuple[Any, Any, Any]]


def _aloragc(project: _Project, attend: _Attend, adapt: _Adapt) -> Callable[..., dict[str, Any]]:
    def formulas(store: Store[M], *, c1: M, c2: M, c3: M, w: M, a: M, b: M, y: M) -> dict[str, M]:
        queries = project(store, c1, w, b, a, 1)
        grad, _, _ = attend(store, queries, c2, c3, y, 1)
        grad_a, grad_b = adapt(store, c1, grad, b, a, 1)
        return {"grad_a": grad_a, "grad_b": grad_b}

    return formulas


def _lora_attention(
    project: _Project, attend: _Attend, adapt: _Adapt
) -> Callable[..., dict[str, Any]]:
    def formulas(store: Store[Any], **arguments: Any) -> dict[str, Any]:
        scaling = arguments["scaling"]
        layers = {
            m: tuple(arguments[f"{name}_{m}"] for name in ("x", "w", "b", "a")) for m in "qkv"
        }
        projected = [project(store, *layer, scaling) for layer in layers.values()]
        grads = attend(store, *projected, arguments["y"], arguments["beta"])
        outputs: dict[str, Any] = {}
        for (m, (x, _, b, a)), grad in zip(layers.items(), grads, strict=True):
            grad_a, grad_b = adapt(store, x, grad, b, a, scaling)
            outputs |= {f"grad_a_{m}": grad_a, f"grad_b_{m}": grad_b}
        return outputs

    return formulas


def _as_written(gradient: Callable[..., dict[str, Any]]) -> EvaluationPlan:
    return EvaluationPlan(
        "as-written",
        lambda store, **arguments: gradient(**arguments),
        "the closed form of the specification, from left to right, every result stored",
        stores_every_result=True,
    )


def _attention_plans(
    build: Callable[[_Project, _Attend, _Adapt], Callable[..., dict[str, Any]]],
    gradient: Callable[..., dict[str, Any]],
) -> dict[str, EvaluationPlan]:
    merged, unmerged = (
        (projected_merged, adapter_merged),
        (projected_unmerged, adapter_unmerged),
    )
    ways = (
        ("merged", _attention_stored, merged, MERGED),
        ("unmerged", _attention_stored, unmerged, UNMERGED),
        ("merged-flash", _attention_flash, merged, MERGED_FLASH),
        ("unmerged-flash", _attention_flash, unmerged, UNMERGED_FLASH),
    )
    plans = [
        EvaluationPlan(name, build(project, attend, adapt), summary)
        for name, attend, (project, adapt), summary in ways
    ]
    return by_name(*plans, _as_written(gradient))


ALORAGC = _attention_plans(_aloragc, aloragc_gradient)
LORA_ATTENTION = _attention_plans(_lora_attention, lora_attention_gradient)
