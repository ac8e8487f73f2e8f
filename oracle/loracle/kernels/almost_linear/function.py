"""Attention with LoRA projections as an autograd function: one can train with it.

The forward pass does all the work that is linear in the length; it keeps, for every query, what it
expects of a key ((1 + d)^2 numbers), and the backward pass is a contraction with the upstream
gradient. Gradients are given for the adapters, which is what LoRA trains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels.almost_linear.certificate import Bounds
from loracle.kernels.almost_linear.covariance import Expectations, expected_values
from loracle.kernels.almost_linear.gradients import MAX_BYTES, MAX_RANK, checked_options
from loracle.kernels.almost_linear.inputs import attention_problem
from loracle.kernels.almost_linear.plan import Options
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.results import OUTPUT_UNITS, Certificate, gathered
from loracle.kernels.almost_linear.solve import Prepared, Solution, prepare

__all__ = ["AttentionRecord", "attention"]

_ADAPTERS = tuple(f"{factor}_{projection}" for projection in "qkv" for factor in "ab")


@dataclass
class AttentionRecord:
    """What is certified of one call of `attention`, for who asks for it.

    value_error: a bound of |Z~ - Z| for each query, over its coordinates, with the rounding of Z~
    to its dtype, of the shape of Z without its last dimension, float64. certificate: of the
    gradients, once the backward pass has run, with the upstream gradient taken as exact. degree,
    rank: of the polynomial.
    """

    value_error: Tensor | None = None
    certificate: Certificate | None = None
    degree: int = 0
    rank: int = 0


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
    epsilon: float = 1e-2,
    features: torch.dtype | None = None,
    record: AttentionRecord | None = None,
) -> Tensor:
    """Z = softmax(beta Q K^T) V with Q, K and V adapted projections, in almost linear time.

    The probabilities are within epsilon of the exact ones, relatively, entry by entry (but for
    rounding), and the gradients are those of that Z. record: filled with what is certified.
    Shapes: as contract `lora-attention`, with any dimensions of heads in front; result (..., L, d).
    Differentiable in a_* and b_*. Raises UsageError where another argument requires a gradient or
    shapes do not fit, OutOfReach as `lora_attention_gradients`.
    """
    frozen = {"x_q": x_q, "x_k": x_k, "x_v": x_v, "w_q": w_q, "w_k": w_k, "w_v": w_v}
    wanting = [name for name, tensor in frozen.items() if tensor.requires_grad]
    if wanting and torch.is_grad_enabled():
        raise UsageError(
            f"{', '.join(wanting)} requires a gradient: attention is differentiable in the adapters"
            " alone; detach it"
        )
    adapters = {"a_q": a_q, "b_q": b_q, "a_k": a_k, "b_k": b_k, "a_v": a_v, "b_v": b_v}
    dtype = x_q.dtype
    options = checked_options(
        epsilon, "probabilities", "almost-linear", features, dtype, MAX_RANK, MAX_BYTES
    )
    differentiable = torch.is_grad_enabled() and any(t.requires_grad for t in adapters.values())
    call = _Call(frozen, scaling, beta, options, record or AttentionRecord(), differentiable)
    value: Tensor = _Attention.apply(call, *adapters.values())  # type: ignore[no-untyped-call]
    return value


@dataclass
class _Call:
    """Arguments of one call, and what its forward pass leaves for its backward pass.

    differentiable: whether there may be a backward pass; nothing is kept otherwise.
    """

    frozen: dict[str, Tensor]
    scaling: float
    beta: float
    options: Options
    record: AttentionRecord
    differentiable: bool
    heads: list[_Head] = field(default_factory=list)

    def forward(self, adapters: dict[str, Tensor]) -> Tensor:
        self.problem, self.leading = attention_problem(
            {**self.frozen, **adapters}, self.scaling, self.beta
        )
        dtype = self.frozen["x_q"].dtype
        values, errors, degree, rank = [], [], 0, 0
        for h in range(self.problem.heads):
            head = _Head(self.problem.head_group(h, h + 1), self.options)
            value, error = head.forward(keep=self.differentiable)
            values.append(value.mT.to(dtype))
            errors.append(error + _rounding_error(value, dtype))
            degree = max(degree, head.prepared.plan.degree)
            rank = max(rank, head.prepared.plan.rank)
            if self.differentiable:
                self.heads.append(head)
        self.record.degree, self.record.rank = degree, rank
        shape = (*self.leading, self.problem.queries)
        self.record.value_error = torch.cat(errors).reshape(shape)
        return torch.cat(values).reshape(*shape, self.problem.width)

    def backward(self, upstream: Tensor) -> dict[str, Tensor]:
        flat = upstream.detach().double().reshape(self.problem.heads, -1, self.problem.width).mT
        solutions = [head.backward(flat[h : h + 1]) for h, head in enumerate(self.heads)]
        names = {name: name for name in _ADAPTERS}
        gradients = gathered(self.problem, solutions, names, self.leading, upstream.dtype)
        self.record.certificate = gradients.certificate
        return gradients.outputs


def _rounding_error(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A bound, (1, 1, L), of what rounding Z^T (1, d, L) to a dtype does to a query's entries."""
    unit, smallest = OUTPUT_UNITS[dtype]
    return value.abs().amax(1, keepdim=True) * unit + smallest


class _Head:
    """One head: the sums of its queries, kept between the passes."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self.prepared: Prepared = replace(prepare(problem, options), given=True)
        self._sums: list[tuple[slice, Tensor]] = []

    def forward(self, *, keep: bool) -> tuple[Tensor, Tensor]:
        """Z^T (1, d, L) and the bounds of its errors (1, 1, L); keep what `backward` needs."""
        prepared = self.prepared
        largest_v = prepared.statistics.natural_v.amax(1, keepdim=True)
        values, errors = [], []
        for part, sums in prepared.sums():
            if keep:
                self._sums.append((part, sums))
            mean_z, value = expected_values(prepared.problem, prepared.columns, sums)
            nothing = torch.zeros_like(value)
            rows = prepared.rows(
                part, Expectations(mean_z, value, nothing, nothing, nothing[:, :1])
            )
            values.append(value + prepared.centred.mean_value)
            # The mean that was taken off and is put back was rounded like everything in float64.
            dust = prepared.plan.machine.dust * (1 + rows.growth) * largest_v
            errors.append(rows.value + dust)
        return torch.cat(values, dim=-1), torch.cat(errors, dim=-1)

    def backward(self, upstream: Tensor) -> Solution:
        """The cores for an upstream gradient (1, d, L)."""
        # Everything is proportional to it, and the products with it are in the features' dtype,
        # whose range it may leave.
        scale = _power_of_two(float(upstream.abs().max()))
        upstream = upstream / scale
        account = self.prepared.account()
        for part, sums in self._sums:
            account.add(part, self.prepared.expected(part, sums.clone(), upstream))
        return _scaled(account.solution(), scale)


def _power_of_two(magnitude: float) -> float:
    """At most the magnitude and more than half of it, a normal number; 1 for zero, inf and nan."""
    if magnitude == 0 or not math.isfinite(magnitude):
        return 1.0
    return 2.0 ** max(math.frexp(magnitude)[1] - 1, -1022)


def _scaled(solution: Solution, scale: float) -> Solution:
    bounds = {
        name: Bounds(b.approximation * scale, b.rounding * scale, b.natural_scale * scale)
        for name, b in solution.bounds.items()
    }
    core_qk, core_v = solution.core_qk * scale, solution.core_v * scale
    return replace(solution, core_qk=core_qk, core_v=core_v, bounds=bounds)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *adapters: Tensor) -> Tensor:
        ctx.call = call
        # Saved so that torch notices if an adapter is changed in place before the backward pass.
        ctx.save_for_backward(*adapters)
        return call.forward(dict(zip(_ADAPTERS, adapters, strict=True)))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        adapters = ctx.saved_tensors
        gradients = ctx.call.backward(upstream)
        return (
            None,
            *(
                gradients[name].sum_to_size(adapter.shape)
                for name, adapter in zip(_ADAPTERS, adapters, strict=True)
            ),
        )
