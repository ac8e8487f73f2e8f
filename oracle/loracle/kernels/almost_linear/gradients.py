"""The almost-linear gradient for contracts `aloragc` and `lora-attention`, batched over heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels import streaming
from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.inputs import aloragc_problem, attention_problem
from loracle.kernels.almost_linear.plan import Method, Options, Promise
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.results import (
    OUTPUT_UNITS,
    Gradients,
    PlanSummary,
    gathered,
    require_within,
)
from loracle.kernels.almost_linear.solve import Solution, solve
from loracle.kernels.projection import compute_dtype

__all__ = [
    "aloragc",
    "aloragc_gradients",
    "checked_options",
    "lora_attention",
    "lora_attention_gradients",
]

MAX_RANK = 1 << 16
MAX_BYTES = 1 << 31


def aloragc_gradients(
    *,
    c1: Tensor,
    c2: Tensor,
    c3: Tensor,
    w: Tensor,
    a: Tensor,
    b: Tensor,
    y: Tensor,
    epsilon: float = 1e-2,
    promise: Promise = "probabilities",
    method: Method = "almost-linear",
    features: torch.dtype | None = None,
    max_rank: int = MAX_RANK,
    max_bytes: int = MAX_BYTES,
    heads_at_once: int | None = None,
) -> Gradients:
    """Problem 2 for any number of heads; as `lora_attention_gradients`.

    Shapes: those of contract `aloragc`, with the heads' dimensions in front.
    """
    tensors = {"c1": c1, "c2": c2, "c3": c3, "w": w, "a": a, "b": b, "y": y}
    options = checked_options(epsilon, promise, method, features, c1.dtype, max_rank, max_bytes)
    problem, leading = aloragc_problem(tensors)
    solutions = _solutions(problem, options, heads_at_once, c1.device)

    def exactly() -> Gradients:
        return _streamed(streaming.aloragc, tensors, {}, leading)

    if solutions is None:
        return exactly()
    renamed = {"a_q": "grad_a", "b_q": "grad_b"}
    gradients = gathered(problem, solutions, renamed, leading, c1.dtype)
    return _promised(gradients, options, exactly)


def lora_attention_gradients(
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
    epsilon: float = 1e-2,
    promise: Promise = "probabilities",
    method: Method = "almost-linear",
    features: torch.dtype | None = None,
    max_rank: int = MAX_RANK,
    max_bytes: int = MAX_BYTES,
    heads_at_once: int | None = None,
) -> Gradients:
    """Problems 1 and 3 for any number of heads, in almost linear time, with a certificate.

    epsilon: every error is at most epsilon times the output's natural scale, the closed form
    evaluated with absolute values. promise: "probabilities" (the default) promises also that the
    outputs are, but for rounding, the exact gradients for probabilities within epsilon of f,
    relatively, entry by entry; "gradient" does without, and takes far fewer features. method:
    "auto" takes the exact streaming kernel where the cost model says that it is cheaper, or where
    epsilon is out of reach. features: torch.float32 or torch.float64, the inputs' dtype if None
    (float32 for 16-bit inputs); all that is not per feature is float64. max_rank bounds the number
    of features, max_bytes the memory of blocks and moments. heads_at_once: heads in one batch; one
    on a CPU, all on a GPU if None.

    Shapes: those of contract `lora-attention`, with any dimensions of heads in front (weights and
    adapters may lack them). Raises UsageError on arguments that do not fit, OutOfReach, which is
    Declined, where epsilon is below the dtype's rounding floor or needs more rank or memory.
    """
    tensors = {
        "x_q": x_q,
        "x_k": x_k,
        "x_v": x_v,
        "w_q": w_q,
        "w_k": w_k,
        "w_v": w_v,
        "a_q": a_q,
        "b_q": b_q,
        "a_k": a_k,
        "b_k": b_k,
        "a_v": a_v,
        "b_v": b_v,
        "y": y,
    }
    options = checked_options(epsilon, promise, method, features, x_q.dtype, max_rank, max_bytes)
    problem, leading = attention_problem(tensors, scaling, beta)
    solutions = _solutions(problem, options, heads_at_once, x_q.device)

    def exactly() -> Gradients:
        scalars = {"scaling": scaling, "beta": beta}
        return _streamed(streaming.lora_attention, tensors, scalars, leading)

    if solutions is None:
        return exactly()
    names = {f"{f}_{m}": f"grad_{f}_{m}" for m in "qkv" for f in "ab"}
    gradients = gathered(problem, solutions, names, leading, x_q.dtype)
    return _promised(gradients, options, exactly)


def aloragc(
    *,
    c1: Tensor,
    c2: Tensor,
    c3: Tensor,
    w: Tensor,
    a: Tensor,
    b: Tensor,
    y: Tensor,
    epsilon: float = 1e-2,
    promise: Promise = "probabilities",
    method: Method = "almost-linear",
) -> dict[str, Tensor | dict[str, float]]:
    """Contract `aloragc`, whose shapes it takes and returns, with a `certificate`.

    Options and errors as `lora_attention_gradients`.
    """
    result = aloragc_gradients(
        c1=c1, c2=c2, c3=c3, w=w, a=a, b=b, y=y, epsilon=epsilon, promise=promise, method=method
    )
    return _returned(result)


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
    epsilon: float = 1e-2,
    promise: Promise = "probabilities",
    method: Method = "almost-linear",
) -> dict[str, Tensor | dict[str, float]]:
    """Contract `lora-attention`, whose shapes it takes and returns, with a `certificate`.

    Options and errors as `lora_attention_gradients`.
    """
    result = lora_attention_gradients(
        x_q=x_q,
        x_k=x_k,
        x_v=x_v,
        w_q=w_q,
        w_k=w_k,
        w_v=w_v,
        a_q=a_q,
        b_q=b_q,
        a_k=a_k,
        b_k=b_k,
        a_v=a_v,
        b_v=b_v,
        scaling=scaling,
        beta=beta,
        y=y,
        epsilon=epsilon,
        promise=promise,
        method=method,
    )
    return _returned(result)


def _returned(result: Gradients) -> dict[str, Tensor | dict[str, float]]:
    """Outputs and certificate as a contract has them; no certificate where the result is exact."""
    if result.certificate is None:
        return {**result.outputs}
    certificate = {name: float(error) for name, error in result.certificate.errors.items()}
    return {**result.outputs, "certificate": certificate}


def checked_options(
    epsilon: float,
    promise: Promise,
    method: Method,
    features: torch.dtype | None,
    dtype: torch.dtype,
    max_rank: int,
    max_bytes: int,
) -> Options:
    """The options for inputs of a dtype; UsageError on what means nothing."""
    if dtype not in OUTPUT_UNITS:
        raise UsageError(f"inputs must be floating-point tensors, not {dtype}")
    chosen = compute_dtype(dtype) if features is None else features
    return Options(epsilon, promise, method, chosen, max_rank, max_bytes)


def _solutions(
    problem: Problem, options: Options, heads_at_once: int | None, device: torch.device
) -> list[Solution] | None:
    """Group after group of heads; None where the exact kernel is to do it."""
    if options.method == "streaming":
        return None
    group = heads_at_once or (1 if device.type == "cpu" else problem.heads)
    solutions = []
    for start in range(0, problem.heads, group):
        solution = solve(problem.head_group(start, start + group), options)
        if solution is None:
            return None
        solutions.append(solution)
    return solutions


def _promised(
    gradients: Gradients, options: Options, exactly: Callable[[], Gradients]
) -> Gradients:
    """The gradients if they keep the promise in their own dtype; else OutOfReach, or the exact ones
    for method "auto"."""
    try:
        return require_within(gradients, options.epsilon)
    except OutOfReach:
        if options.method != "auto":
            raise
        return exactly()


def _streamed(
    kernel: Callable[..., dict[str, Tensor]],
    tensors: Mapping[str, Tensor],
    scalars: Mapping[str, float],
    leading: tuple[int, ...],
) -> Gradients:
    """The exact kernel, head after head."""
    count = math.prod(leading)
    flat = {
        name: t.expand(*leading, *t.shape[-2:]).reshape(count, *t.shape[-2:])
        for name, t in tensors.items()
    }
    results = [
        kernel(**{name: t[head] for name, t in flat.items()}, **scalars) for head in range(count)
    ]
    outputs = {
        name: torch.stack([r[name] for r in results]).reshape(*leading, *results[0][name].shape)
        for name in results[0]
    }
    dtype = compute_dtype(next(iter(tensors.values())).dtype)
    return Gradients(outputs, None, PlanSummary("streaming", 0, 0, 0, dtype))
