"""Evaluation plans: the same gradients as straight-line programs that real kernels follow.

A plan fixes the association of every product, which sums are formed, and which results are rounded
to the storage dtype, by `store`; all others stay in the accumulators' format. In every arithmetic
but `arithmetic.planned`, `store` is the identity, and every plan gives the gradients that
`gradient` and `lora_linear` state. A kernel that stores less than its plan follows it all the same.

A scalar multiplies the matrix product at which it stands, or one of its two factors; `_deferred`
marks the later products at which a kernel may apply it instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from loracle_reference.arithmetic.protocol import Matrix, Scalar
from loracle_reference.gradient import aloragc_gradient, lora_attention_gradient

__all__ = ["PLANS", "EvaluationPlan"]

M = TypeVar("M", bound=Matrix)
Store = Callable[[M], M]
"""Rounds a result to the storage dtype; the identity on exact values."""


@dataclass(frozen=True)
class EvaluationPlan:
    """One way to evaluate the outputs of a contract.

    formulas: called as formulas(store, **arguments of the contract's closed form), returns the
    outputs. stores_every_result: every operation's result is stored, `store` is not called.
    summary: what the kernels do that follow it, in a phrase.
    """

    name: str
    formulas: Callable[..., dict[str, Any]]
    summary: str
    stores_every_result: bool = False


def _scaled(product: M, factor: Scalar) -> M:
    return product if factor == 1 else product.scale(factor)


def _deferred(product: M, *factors: Scalar) -> M:
    """A product that a kernel may multiply by one of the factors, which stand further up."""
    for factor in factors:
        product = product if factor == 1 else product.scale(1)
    return product


def _linear_merged(
    store: Store[M], *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> dict[str, M]:
    """W' = W + s B A;  y = x W'^T,  dX = G W',  dW = s G^T x,  dA = B^T dW,  dB = dW A^T."""
    merged = store(weight + _scaled(store(lora_b @ lora_a), scaling))
    grad_weight = _scaled(store(grad_output.T @ x), scaling)
    return {
        "output": store(x @ merged.T),
        "grad_x": store(grad_output @ merged),
        "grad_lora_a": _deferred(store(lora_b.T @ grad_weight), scaling),
        "grad_lora_b": _deferred(store(grad_weight @ lora_a.T), scaling),
    }


def _linear_unmerged(
    store: Store[M], *, x: M, weight: M, lora_a: M, lora_b: M, scaling: Scalar, grad_output: M
) -> dict[str, M]:
    """h = x A^T, g = s G B;  y = x W^T + s h B^T,  dX = G W + g A,  dA = g^T x,  dB = s G^T h."""
    hidden = store(x @ lora_a.T)
    grad_hidden = _scaled(store(grad_output @ lora_b), scaling)
    low_rank = _scaled(store(hidden @ lora_b.T), scaling)
    grad_low_rank = _deferred(store(grad_hidden @ lora_a), scaling)
    return {
        "output": store(store(x @ weight.T) + low_rank),
        "grad_x": store(store(grad_output @ weight) + grad_low_rank),
        "grad_lora_a": _deferred(store(grad_hidden.T @ x), scaling),
        "grad_lora_b": _scaled(store(grad_output.T @ hidden), scaling),
    }


def _projected_merged(store: Store[M], x: M, w: M, b: M, a: M, scaling: Scalar) -> M:
    """x (w + s b a), the sum formed first."""
    return store(x @ store(w + _scaled(store(b @ a), scaling)))


def _projected_unmerged(store: Store[M], x: M, w: M, b: M, a: M, scaling: Scalar) -> M:
    """x w + s (x b) a."""
    return store(store(x @ w) + _scaled(store(store(x @ b) @ a), scaling))


def _adapter_merged(store: Store[M], x: M, grad: M, b: M, a: M, scaling: Scalar) -> tuple[M, M]:
    """dW = s x^T grad;  dA = b^T dW,  dB = dW a^T."""
    grad_weight = _scaled(store(x.T @ grad), scaling)
    return (
        _deferred(store(b.T @ grad_weight), scaling),
        _deferred(store(grad_weight @ a.T), scaling),
    )


def _adapter_unmerged(store: Store[M], x: M, grad: M, b: M, a: M, scaling: Scalar) -> tuple[M, M]:
    """dA = s (x b)^T grad,  dB = x^T (s grad a^T)."""
    grad_a = _scaled(store(store(x @ b).T @ grad), scaling)
    grad_hidden = _scaled(store(grad @ a.T), scaling)
    return grad_a, _deferred(store(x.T @ grad_hidden), scaling)


def _attention_stored(
    store: Store[M], queries: M, keys: M, values: M, y: M, beta: Scalar
) -> tuple[M, M, M]:
    """The gradients in Q, K and V, every result stored.

    f = softmax(beta Q K^T),  c = f V - Y,  q = c V^T,  r = <f, q>,  p = beta (f o q - diag(r) f);
    dQ = p K,  dK = p^T Q,  dV = f^T c.
    f o (q - r 1^T) has no larger errors, entry by entry: f |q - r| <= |f o q| + |r| f.
    """
    f = store(_scaled(store(queries @ keys.T), beta).softmax_rows())
    c = store(store(f @ values) - y)
    q = store(c @ values.T)
    r = store(store(f * q).row_sum())
    p = _scaled(store(store(f * q) - store(f.scale_rows(r))), beta)
    return (
        _deferred(store(p @ keys), beta),
        _deferred(store(p.T @ queries), beta),
        store(f.T @ c),
    )


def _attention_flash(
    store: Store[M], queries: M, keys: M, values: M, y: M, beta: Scalar
) -> tuple[M, M, M]:
    """The same with scores, f, q and p in the accumulators' format, and f computed twice.

    z = f V and c = z - Y are stored, r = <c, z>, p = f o (q - r 1^T); f and p are stored as factors
    of the next product alone.
    """

    def probabilities() -> M:
        return _scaled(queries @ keys.T, beta).softmax_rows()

    z = store(store(probabilities()) @ values)
    c = store(z - y)
    r = c.row_dot(z)
    f = probabilities()
    p = store(f * (c @ values.T - r.take_columns([0] * keys.shape[0])))
    return (
        store(_scaled(p @ keys, beta)),
        store(_scaled(p.T @ queries, beta)),
        store(store(f).T @ c),
    )


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


_MERGED = "weights merged first; every result of an operation stored, as in plain torch"
_UNMERGED = "low-rank path kept apart; every result of an operation stored, as in plain torch"
_MERGED_FLASH = "weights merged first; scores, f and p in registers, as in FlashAttention"
_UNMERGED_FLASH = "low-rank path kept apart; scores, f and p in registers, as in FlashAttention"


def _attention_plans(
    build: Callable[[_Project, _Attend, _Adapt], Callable[..., dict[str, Any]]],
    gradient: Callable[..., dict[str, Any]],
) -> dict[str, EvaluationPlan]:
    merged, unmerged = (
        (_projected_merged, _adapter_merged),
        (_projected_unmerged, _adapter_unmerged),
    )
    ways = (
        ("merged", _attention_stored, merged, _MERGED),
        ("unmerged", _attention_stored, unmerged, _UNMERGED),
        ("merged-flash", _attention_flash, merged, _MERGED_FLASH),
        ("unmerged-flash", _attention_flash, unmerged, _UNMERGED_FLASH),
    )
    plans = [
        EvaluationPlan(name, build(project, attend, adapt), summary)
        for name, attend, (project, adapt), summary in ways
    ]
    return {plan.name: plan for plan in (*plans, _as_written(gradient))}


PLANS: Mapping[str, Mapping[str, EvaluationPlan]] = {
    "lora-linear": {
        "merged": EvaluationPlan("merged", _linear_merged, _MERGED),
        "unmerged": EvaluationPlan("unmerged", _linear_unmerged, _UNMERGED),
    },
    "aloragc": _attention_plans(_aloragc, aloragc_gradient),
    "lora-attention": _attention_plans(_lora_attention, lora_attention_gradient),
}
"""The plans of each contract, by name."""
