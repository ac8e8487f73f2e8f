"""Multi-head attention with adapters, with one defect each in the projections or around them."""

from __future__ import annotations

from typing import Any, Unpack, cast

import torch
from torch import Tensor

from loracle.corpus.calls import LoraMhaCall, Outputs, kernel
from loracle.corpus.mha_steps import project, project_back, run

__all__ = [
    "adapter_a_of_q_used_for_k",
    "adapter_of_values_ignored",
    "first_sample_only",
    "grad_k_and_grad_v_swapped",
    "grad_q_wrong_sign",
    "grad_v_detached",
    "grad_x_without_adapters",
    "grad_x_without_values",
    "heads_not_moved_back",
    "key_rank_axis_permuted",
    "scaling_missing_in_grad_b_v",
    "scaling_of_first_call",
    "scaling_of_q_used_for_k",
    "scaling_squared_in_keys",
    "upstream_taken_for_ones",
    "x_overwritten",
]


def _with(call: LoraMhaCall, **changed: Any) -> LoraMhaCall:
    return cast(LoraMhaCall, {**call, **changed})


@kernel
def adapter_a_of_q_used_for_k(**call: Unpack[LoraMhaCall]) -> Outputs:
    """K is projected, and its gradients go back, through A of Q."""
    return run(_with(call, lora_a_k=call["lora_a_q"]))


@kernel
def scaling_of_q_used_for_k(**call: Unpack[LoraMhaCall]) -> Outputs:
    """One scaling for Q and K: that of Q."""
    return run(_with(call, scaling_k=call["scaling_q"]))


@kernel
def scaling_squared_in_keys(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The adapter of K has its scaling twice."""
    return run(_with(call, scaling_k=call["scaling_k"] ** 2))


@kernel
def scaling_missing_in_grad_b_v(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dB_v = dV^T (X A_v^T)."""
    results = run(call)
    return results | {"grad_lora_b_v": results["grad_lora_b_v"] / call["scaling_v"]}


@kernel
def adapter_of_values_ignored(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The forward pass projects V without its adapter; the backward pass has it."""

    def forward(given: LoraMhaCall, m: str) -> Tensor:
        return given["x"] @ given["weight_v"].T if m == "v" else project(given, m)

    return run(call, project=forward)


@kernel
def grad_k_and_grad_v_swapped(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The gradients of the adapters of K and V are returned as each other's."""
    results = run(call)
    exchanged = {
        f"grad_lora_{f}_{m}": results[f"grad_lora_{f}_{other}"]
        for f in "ab"
        for m, other in (("k", "v"), ("v", "k"))
    }
    return results | exchanged


@kernel
def grad_q_wrong_sign(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The gradients of the adapter of Q are negated."""
    results = run(call)
    return results | {name: -results[name] for name in ("grad_lora_a_q", "grad_lora_b_q")}


@kernel
def grad_v_detached(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The gradients of the adapter of V are zeros."""
    results = run(call)
    names = ("grad_lora_a_v", "grad_lora_b_v")
    return results | {name: torch.zeros_like(results[name]) for name in names}


@kernel
def grad_x_without_values(**call: Unpack[LoraMhaCall]) -> Outputs:
    """What comes back through V is not added to dX."""

    def back(given: LoraMhaCall, m: str, grad: Tensor) -> dict[str, Tensor]:
        found = project_back(given, m, grad)
        return {**found, "x": torch.zeros_like(found["x"])} if m == "v" else found

    return run(call, back=back)


@kernel
def grad_x_without_adapters(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dX has the terms of the frozen weights alone."""

    def back(given: LoraMhaCall, m: str, grad: Tensor) -> dict[str, Tensor]:
        weight = cast(dict[str, Tensor], given)[f"weight_{m}"]
        return {**project_back(given, m, grad), "x": grad @ weight}

    return run(call, back=back)


@kernel
def heads_not_moved_back(**call: Unpack[LoraMhaCall]) -> Outputs:
    """(batch, heads, length, head_dim) is viewed as (batch, length, heads * head_dim)."""
    results = run(call)
    heads = results["output"].reshape(*call["x"].shape[:2], call["num_heads"], -1).transpose(1, 2)
    return results | {"output": heads.reshape(results["output"].shape)}


@kernel
def key_rank_axis_permuted(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The ranks of A_k are reversed, those of B_k are not."""
    return run(_with(call, lora_a_k=call["lora_a_k"].flip(0)))


@kernel
def first_sample_only(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The gradients of the adapters are sums over the first sample."""
    first = run(_with(call, x=call["x"][:1], grad_output=call["grad_output"][:1]))
    return run(call) | {n: value for n, value in first.items() if n.startswith("grad_lora")}


@kernel
def upstream_taken_for_ones(**call: Unpack[LoraMhaCall]) -> Outputs:
    """The gradient of the sum of the output."""
    return run(_with(call, grad_output=torch.ones_like(call["grad_output"])))


@kernel
def x_overwritten(**call: Unpack[LoraMhaCall]) -> Outputs:
    """dX is written into x."""
    results = run(call)
    results["grad_x"] = call["x"].copy_(results["grad_x"])
    return results


_FIRST_SCALING: list[float] = []


@kernel
def scaling_of_first_call(**call: Unpack[LoraMhaCall]) -> Outputs:
    """scaling_v is read once, at the first call, and kept when the adapter is rescaled."""
    _FIRST_SCALING.append(call["scaling_v"])
    return run(_with(call, scaling_v=_FIRST_SCALING[0]))
