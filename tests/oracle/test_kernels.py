"""The project's own kernels: against autograd, in memory, block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from loracle.adapters import autograd
from loracle.contracts import CONTRACTS, infer_contract
from loracle.errors import UsageError
from loracle.kernels import exact, streaming

Kernel = Callable[..., dict[str, Tensor]]
TRUTHS: Mapping[str, Kernel] = {
    "aloragc": autograd.aloragc,
    "lora-attention": autograd.lora_attention,
}
EXACT: Mapping[str, Kernel] = {
    "aloragc": exact.aloragc,
    "lora-attention": exact.lora_attention,
}
STREAMING: Mapping[str, Kernel] = {
    "aloragc": streaming.aloragc,
    "lora-attention": streaming.lora_attention,
}
contracts = st.sampled_from(sorted(TRUTHS))
sizes = st.fixed_dictionaries(
    {"L": st.integers(1, 40), "M": st.integers(1, 40), "d": st.integers(1, 9)}
)
ranks = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)


def arguments(
    contract: str,
    sizes: Mapping[str, int],
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Any] = {}
    for name, shape in CONTRACTS[contract].tensors.items():
        value = torch.randn([sizes[s] for s in shape], generator=random, dtype=torch.float64)
        # Weights and adapters shrink with d: the scores stay of order one.
        shrink = max(sizes["d"], sizes["r"]) if len({*shape} & {"L", "M"}) == 0 else 1
        tensors[name] = (value / shrink).to(dtype).to(device)
    values = {"scaling": -0.75, "beta": 0.625}
    return {**tensors, **{name: values[name] for name in CONTRACTS[contract].scalars}}


def distance(found: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> float:
    """The largest error, relative to the largest gradient, which is exactly zero for one key."""
    assert set(found) == set(truth)
    largest = max(float(t.abs().max()) for t in truth.values())
    errors = [(found[k].double().cpu() - truth[k].cpu()).abs().max() for k in truth]
    return float(max(errors)) / max(largest, 1e-6)


@given(contract=contracts, sizes=sizes, r=ranks, seed=seeds)
def test_the_closed_form_is_autograds_gradient(
    contract: str, sizes: dict[str, int], r: int, seed: int
) -> None:
    given_ = arguments(contract, {**sizes, "r": r}, seed)
    assert distance(EXACT[contract](**given_), TRUTHS[contract](**given_)) < 1e-12


@given(
    contract=contracts,
    sizes=sizes,
    r=ranks,
    seed=seeds,
    block_queries=st.integers(1, 50),
    block_keys=st.integers(1, 50),
    reverse=st.booleans(),
)
def test_streaming_is_exact_for_any_blocks_and_order(
    contract: str,
    sizes: dict[str, int],
    r: int,
    seed: int,
    block_queries: int,
    block_keys: int,
    reverse: bool,
) -> None:
    given_ = arguments(contract, {**sizes, "r": r}, seed)
    found = STREAMING[contract](
        **given_, block_queries=block_queries, block_keys=block_keys, reverse=reverse
    )
    assert distance(found, TRUTHS[contract](**given_)) < 1e-12


def forgets_the_correction(**given_: Any) -> dict[str, Tensor]:
    """p = f o q: the commonest mistake in a backward pass of attention."""

    class Wrong(streaming.Attention):
        def _probabilities_and_p(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
            f, p = super()._probabilities_and_p(rows, columns)
            return f, p + f * self._correction[rows]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "Attention", Wrong)
        return streaming.lora_attention(**given_)


def forgets_to_rescale(**given_: Any) -> dict[str, Tensor]:
    """The online softmax keeps sums that belong to an older maximum."""

    class Wrong(streaming.Attention):
        def _forward(self) -> tuple[Tensor, Tensor]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(torch, "maximum", lambda old, new: new)
                return super()._forward()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "Attention", Wrong)
        patch.setattr(torch, "exp", lambda x: Tensor.exp(x.clamp(max=0)))
        return streaming.lora_attention(**given_, block_keys=2)


@pytest.mark.parametrize("wrong", [forgets_the_correction, forgets_to_rescale])
def test_the_comparison_catches_wrong_streaming(wrong: Kernel) -> None:
    given_ = arguments("lora-attention", {"L": 7, "M": 9, "d": 4, "r": 2})
    assert distance(wrong(**given_), autograd.lora_attention(**given_)) > 1e-3


@pytest.mark.parametrize("contract", TRUTHS)
def test_large_scores_do_not_overflow(contract: str) -> None:
    given_ = arguments(contract, {"L": 6, "M": 8, "d": 3, "r": 2})
    name = "c1" if contract == "aloragc" else "x_q"
    given_[name] = given_[name] * 2000
    truth = TRUTHS[contract](**given_)
    for kernel in (EXACT[contract], STREAMING[contract]):
        assert distance(kernel(**given_), truth) < 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("contract", TRUTHS)
def test_sixteen_bits_are_accumulated_in_float32(contract: str, dtype: torch.dtype) -> None:
    given_ = arguments(contract, {"L": 150, "M": 130, "d": 8, "r": 3}, dtype=dtype)
    wide = {k: v.double() if isinstance(v, Tensor) else v for k, v in given_.items()}
    truth = TRUTHS[contract](**wide)
    for kernel in (EXACT[contract], STREAMING[contract]):
        found = kernel(**given_)
        assert {value.dtype for value in found.values()} == {dtype}
        # One rounding of the result, and the errors of float32 before it.
        assert distance(found, truth) < torch.finfo(dtype).eps / 2 + 1e-5


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the number of elements of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.elements = max(self.elements, leaf.numel())
        return result


@pytest.mark.parametrize("contract", TRUTHS)
def test_streaming_makes_no_tensor_larger_than_its_inputs_or_a_block(contract: str) -> None:
    given_ = arguments(contract, {"L": 512, "M": 384, "d": 8, "r": 2})
    with LargestTensor() as streamed:
        STREAMING[contract](**given_, block_queries=64, block_keys=32)
    assert streamed.elements <= max(512 * 8, 64 * 32)
    with LargestTensor() as whole:
        EXACT[contract](**given_)
    assert whole.elements >= 512 * 384, "the measurement sees an L x M matrix where there is one"


def test_empty_blocks_are_refused() -> None:
    given_ = arguments("aloragc", {"L": 3, "M": 4, "d": 2, "r": 1})
    wrongs: list[dict[str, Any]] = [{"block_queries": 0}, {"block_keys": -1}]
    for wrong in wrongs:
        with pytest.raises(UsageError, match="at least one row"):
            streaming.aloragc(**given_, **wrong)


@pytest.mark.parametrize("contract", TRUTHS)
def test_the_contract_shows_in_the_signature_and_the_inputs_stay(contract: str) -> None:
    given_ = arguments(contract, {"L": 5, "M": 4, "d": 3, "r": 2})
    before = {k: v.clone() if isinstance(v, Tensor) else v for k, v in given_.items()}
    for kernel in (EXACT[contract], STREAMING[contract]):
        assert infer_contract(kernel).name == contract
        kernel(**given_)
        for name, value in before.items():
            assert not isinstance(value, Tensor) or torch.equal(given_[name], value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("contract", TRUTHS)
def test_on_cuda(contract: str, dtype: torch.dtype) -> None:
    given_ = arguments(contract, {"L": 300, "M": 260, "d": 16, "r": 4}, dtype=dtype, device="cuda")
    wide = {k: v.double().cpu() if isinstance(v, Tensor) else v for k, v in given_.items()}
    truth = TRUTHS[contract](**wide)
    for kernel in (EXACT[contract], STREAMING[contract]):
        found = kernel(**given_)
        assert all(value.is_cuda for value in found.values())
        assert distance(found, truth) < torch.finfo(dtype).eps + 1e-5
