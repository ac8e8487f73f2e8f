"""torch's count of the kernels' matrix products against the counting arithmetic's."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from loracle.contracts import CONTRACTS
from loracle.kernels import exact, streaming
from loracle_reference.arithmetic import Counting
from loracle_reference.gradient import aloragc_gradient, score_gradient

L, M, d, r = sympy.symbols("L M d r", positive=True, integer=True)
SYMBOLS = {"L": L, "M": M, "d": d, "r": r}
KERNELS = {
    ("exact", "aloragc"): exact.aloragc,
    ("exact", "lora-attention"): exact.lora_attention,
    ("streaming", "aloragc"): streaming.aloragc,
    ("streaming", "lora-attention"): streaming.lora_attention,
}
_SIZES = st.fixed_dictionaries({s: st.integers(1, 12) for s in SYMBOLS})


def _torch_flops(kernel: Any, contract: str, sizes: dict[str, int], **options: Any) -> int:
    tensors = {
        name: torch.ones([sizes[s] for s in shape])
        for name, shape in CONTRACTS[contract].tensors.items()
    }
    scalars = dict.fromkeys(CONTRACTS[contract].scalars, 0.5)
    with FlopCounterMode(display=False) as counter:
        kernel(**tensors, **scalars, **options)
    return int(counter.get_total_flops())


def _project(x: Any, w: Any, b: Any, a: Any) -> Any:
    """As `projection.project`: B A is never formed."""
    return x @ w + (x @ b) @ a


def _adapters(x: Any, grad: Any, b: Any, a: Any) -> None:
    """As `projection.adapter_gradients`: X B and grad A^T first."""
    _ = (x @ b).T @ grad, x.T @ (grad @ a.T)


def _attention_exact(queries: Any, keys: Any, values: Any, y: Any) -> tuple[Any, Any, Any]:
    """As `exact.attention_gradients`, whose three gradients are formed for every contract."""
    f = (queries @ keys.T).softmax_rows()
    c = f @ values - y
    p = score_gradient(f, c, values)
    return p @ keys, p.T @ queries, f.T @ c


def _attention_streaming(
    queries: Any, keys: Any, values: Any, y: Any, *, all_three: bool
) -> tuple[Any, ...]:
    """As `streaming.Attention`: scores anew in each pass, q and p anew in each backward pass.

    The blocks partition queries and keys, and the products of blocks cost what the whole costs.
    """
    c = (queries @ keys.T).softmax_rows() @ values - y
    grad_queries = score_gradient((queries @ keys.T).softmax_rows(), c, values) @ keys
    if not all_three:
        return (grad_queries,)
    f = (queries @ keys.T).softmax_rows()
    return grad_queries, score_gradient(f, c, values).T @ queries, f.T @ c


def _counted_flops(kernel: str, contract: str) -> Any:
    """The products of the same evaluation, as a polynomial."""
    counting = Counting()
    t = {
        name: counting.symbol_matrix(*(SYMBOLS[s] for s in shape))
        for name, shape in CONTRACTS[contract].tensors.items()
    }
    if contract == "aloragc":
        x, adapters = {"q": t["c1"]}, {"q": (t["w"], t["b"], t["a"])}
        projected = [_project(t["c1"], *adapters["q"]), t["c2"], t["c3"]]
    else:
        x = {m: t[f"x_{m}"] for m in "qkv"}
        adapters = {m: (t[f"w_{m}"], t[f"b_{m}"], t[f"a_{m}"]) for m in "qkv"}
        projected = [_project(x[m], *adapters[m]) for m in "qkv"]
    grads: tuple[Any, ...]
    if kernel == "exact":
        grads = _attention_exact(*projected, t["y"])
    else:
        grads = _attention_streaming(*projected, t["y"], all_three=contract != "aloragc")
    for (m, (_, b, a)), grad in zip(adapters.items(), grads, strict=False):
        _adapters(x[m], grad, b, a)
    return counting.operations.flops


@pytest.mark.parametrize(("kernel", "contract"), KERNELS)
@settings(max_examples=10)
@given(sizes=_SIZES)
def test_kernels_do_the_products_that_are_counted(
    kernel: str, contract: str, sizes: dict[str, int]
) -> None:
    counted = _counted_flops(kernel, contract).subs({SYMBOLS[s]: n for s, n in sizes.items()})
    assert _torch_flops(KERNELS[kernel, contract], contract, sizes) == counted


@pytest.mark.parametrize("contract", ["aloragc", "lora-attention"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (5, 2), (7, 11)])
def test_blocks_do_not_change_the_count(contract: str, rows: int, columns: int) -> None:
    sizes = {"L": 7, "M": 11, "d": 3, "r": 2}
    kernel = KERNELS["streaming", contract]
    blocked = _torch_flops(kernel, contract, sizes, block_queries=rows, block_keys=columns)
    assert blocked == _counted_flops("streaming", contract).subs(
        {SYMBOLS[s]: n for s, n in sizes.items()}
    )


def test_recomputing_costs_products() -> None:
    """The counts tell the evaluations apart: streaming does more for all three gradients."""
    exact_flops, streaming_flops = (
        _counted_flops(kernel, "lora-attention") for kernel in ("exact", "streaming")
    )
    # Scores twice more and q once more, each 2 L M d.
    assert sympy.expand(streaming_flops - exact_flops) == 6 * L * M * d


def test_another_association_is_told_apart() -> None:
    """The closed form of the specification forms B A and dL/dW, the kernel neither."""
    counting = Counting()
    aloragc_gradient(
        **{
            name: counting.symbol_matrix(*(SYMBOLS[s] for s in shape))
            for name, shape in CONTRACTS["aloragc"].tensors.items()
        }
    )
    point = {L: 7, M: 11, d: 3, r: 2}
    found = _torch_flops(exact.aloragc, "aloragc", {str(s): n for s, n in point.items()})
    assert counting.operations.substitute(point).flops != found
