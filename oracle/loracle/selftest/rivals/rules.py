"""The rules: a kernel and arguments in, an AssertionError out if they reject it.

What a rule is compared with is plain torch, differentiated by autograd: the kernel `eager_autograd`
of the corpus. Anything that the kernel itself raises counts as a rejection too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from loracle.contracts import CONTRACTS
from loracle.corpus import mha_steps
from loracle.corpus.calls import LoraMhaCall
from loracle.corpus.right import aloragc, lora_attention, lora_linear, lora_mha
from loracle.selftest.rivals.inputs import Call, in_dtype

__all__ = ["applies", "check"]

Kernel = Callable[..., Mapping[str, Any]]

_EAGER: Mapping[str, Kernel] = {
    "lora-linear": lora_linear.eager_autograd,
    "aloragc": aloragc.eager_autograd,
    "lora-attention": lora_attention.eager_autograd,
    "lora-mha": lora_mha.repeat_kv,
}


def applies(rule: str, dtype: str) -> bool:
    """gradcheck is for float64 alone, and twice the error of eager in float64 would need something
    more exact than float64 to measure it with."""
    return {"gradcheck": dtype == "float64", "twice-eager": dtype != "float64"}.get(rule, True)


def check(rule: str, contract: str, kernel: Kernel, call: Call, dtype: str) -> None:
    """Raises if the rule rejects what the kernel does with the call."""
    _CHECKS[rule](contract, kernel, in_dtype(call, dtype))


def _assert_close(contract: str, kernel: Kernel, call: Call) -> None:
    expected = _EAGER[contract](**_copy(call))
    results = kernel(**_copy(call))
    for name in CONTRACTS[contract].outputs:
        torch.testing.assert_close(results[name], expected[name], msg=name)


def _twice_eager(contract: str, kernel: Kernel, call: Call) -> None:
    """As flash-attention's tests have it, with a reference in float64."""
    truth = _EAGER[contract](**in_dtype(call, "float64"))
    eager = _EAGER[contract](**_copy(call))
    results = kernel(**_copy(call))
    for name in CONTRACTS[contract].outputs:
        allowed = 2 * (eager[name].double() - truth[name]).abs().max()
        error = (results[name].double() - truth[name]).abs().max()
        assert error <= allowed, name


def _gradcheck(contract: str, kernel: Kernel, call: Call) -> None:
    """The kernel's gradients as the backward pass of the exact forward pass; of contracts
    with an output, whose kernels have a forward pass of their own, that too."""
    names = [n.removeprefix("grad_") for n in CONTRACTS[contract].outputs if n.startswith("grad_")]
    leaves = [cast(Tensor, call[name]).clone().requires_grad_() for name in names]

    def called(**arguments: Any) -> dict[str, Any]:
        # A function of autograd runs without grad mode, which a kernel may expect.
        with torch.enable_grad():
            results = kernel(**arguments)
        return {n: v.detach() if isinstance(v, Tensor) else v for n, v in results.items()}

    forwards = [_FORWARDS[contract]]
    if "output" in CONTRACTS[contract].outputs:
        forwards.append(lambda **arguments: called(**arguments)["output"])
    for forward in forwards:
        torch.autograd.gradcheck(_function(called, forward, call, names), leaves)


def _function(
    kernel: Kernel, forward: Callable[..., Tensor], call: Call, names: list[str]
) -> Callable[..., Tensor]:
    """A function of the leaves whose derivative is what the kernel says it is."""

    class Judged(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *leaves: Tensor) -> Tensor:
            ctx.save_for_backward(*leaves)
            return forward(**{**_copy(call), **dict(zip(names, map(_plain, leaves), strict=True))})

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Any:
            leaves = dict(zip(names, map(_plain, ctx.saved_tensors), strict=True))
            arguments = {**_copy(call), **leaves}
            if "grad_output" in call:
                results = kernel(**{**arguments, "grad_output": upstream.clone()})
                return tuple(results[f"grad_{name}"] for name in names)
            results = kernel(**arguments)
            return tuple(upstream * results[f"grad_{name}"] for name in names)

    return cast(Callable[..., Tensor], Judged.apply)


def _plain(leaf: Tensor) -> Tensor:
    return leaf.detach().clone()


def _copy(call: Call) -> Call:
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in call.items()}


def _lora_linear_output(
    *, x: Tensor, weight: Tensor, lora_a: Tensor, lora_b: Tensor, scaling: float, **_: Any
) -> Tensor:
    return x @ weight.T + scaling * (x @ lora_a.T @ lora_b.T)


def _aloragc_loss(
    *, c1: Tensor, c2: Tensor, c3: Tensor, w: Tensor, a: Tensor, b: Tensor, y: Tensor
) -> Tensor:
    f = torch.softmax(c1 @ (w + b @ a) @ c2.T, dim=1)
    return 0.5 * (f @ c3 - y).square().sum()


def _lora_attention_loss(**call: Any) -> Tensor:
    queries, keys, values = (
        call[f"x_{m}"] @ (call[f"w_{m}"] + call["scaling"] * (call[f"b_{m}"] @ call[f"a_{m}"]))
        for m in "qkv"
    )
    z = torch.softmax(call["beta"] * (queries @ keys.T), dim=1) @ values
    return cast(Tensor, 0.5 * (z - call["y"]).square().sum())


def _lora_mha_output(**call: Any) -> Tensor:
    return mha_steps.run(cast(LoraMhaCall, call))["output"]


_FORWARDS: Mapping[str, Callable[..., Tensor]] = {
    "lora-linear": _lora_linear_output,
    "aloragc": _aloragc_loss,
    "lora-attention": _lora_attention_loss,
    "lora-mha": _lora_mha_output,
}

_CHECKS: Mapping[str, Callable[[str, Kernel, Call], None]] = {
    "gradcheck": _gradcheck,
    "assert_close": _assert_close,
    "twice-eager": _twice_eager,
}
