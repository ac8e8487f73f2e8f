"""The adapters judge the real, installed packages, and give what autograd gives in float64."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from loracle.adapters import ADAPTERS, Adapter, find_adapter, installed_version
from loracle.adapters.lora_alpha import alpha_for, alpha_for_root
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS, Contract, contract_named
from loracle.errors import Declined, UsageError
from loracle.harness import KernelProcess
from loracle.kernels.mha import lora_mha

SIZES = [
    {"batch": 1, "length": 1, "in": 1, "out": 1, "L": 1, "M": 1, "d": 1, "r": 1},
    {"batch": 2, "length": 5, "in": 6, "out": 3, "L": 7, "M": 3, "d": 5, "r": 2},
    {"batch": 3, "length": 17, "in": 16, "out": 9, "L": 3, "M": 41, "d": 3, "r": 3},
    {"batch": 2, "length": 33, "in": 8, "out": 8, "L": 65, "M": 64, "d": 16, "r": 7},
]
HEADS = [(1, 1, 1, True), (6, 2, 3, False), (3, 1, 2, True), (4, 2, 5, True)]
"""To the sizes: heads of queries, heads of keys, their dimension, causal."""

SERVED = [(a.name, contract) for a in ADAPTERS.values() for contract in a.contracts]
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
PROCESSES = {
    ("peft", "lora-linear"),
    ("loralib", "lora-linear"),
    ("torch-sdpa-flash", "lora-attention"),
    ("torch-flex", "lora-mha"),
}
"""Those that are started in a process of their own, which takes seconds; the others are too in the
deep tests."""

LINEAR = CONTRACTS["lora-linear"]


def inputs(contract: Contract, index: int, scaling: float = -0.75) -> Inputs:
    """Eighths, exact in every dtype; small enough that no softmax is a single one."""
    heads, kv_heads, head_dim, causal = HEADS[index]
    sizes = {
        **SIZES[index],
        "model": SIZES[index]["in"],
        "q_width": heads * head_dim,
        "kv_width": kv_heads * head_dim,
    }
    random = np.random.default_rng(sum(SIZES[index].values()))
    tensors = {
        name: random.integers(-4, 5, [sizes[s] for s in shape]) / 8
        for name, shape in contract.tensors.items()
    }
    values: dict[str, float] = {
        "scaling": scaling,
        "beta": 0.625,
        "scaling_q": scaling,
        "scaling_k": 1.5,
        "scaling_v": -1.25,
        "softmax_scale": 0.625,
        "num_heads": heads,
        "num_kv_heads": kv_heads,
        "causal": causal,
    }
    return Inputs(tensors, {n: values[n] for n in (*contract.scalars, *contract.options)})


def kernel_of(adapter: str, contract: str) -> Callable[..., Mapping[str, Tensor]]:
    module, _, function = ADAPTERS[adapter].contracts[contract].partition(":")
    kernel: Callable[..., Mapping[str, Tensor]] = getattr(importlib.import_module(module), function)
    return kernel


def combinations() -> Iterator[Any]:
    """Adapter, contract, dtype, index of the sizes: all that are declared to be supported; one that
    is skipped, with what installs it, where a package is missing."""
    for name, contract in SERVED:
        adapter = ADAPTERS[name]
        if adapter.missing():
            yield pytest.param(name, contract, "", 0, marks=pytest.mark.skip(why(adapter)))
            continue
        for dtype in UNIT:
            if dtype not in adapter.declaration_on("cpu").unsupported:
                yield from ((name, contract, dtype, index) for index in range(len(SIZES)))


def why(adapter: Adapter) -> str:
    return f"{', '.join(adapter.missing())} not installed: {adapter.install}"


def served_in_a_process() -> Iterator[Any]:
    for name, contract in SERVED:
        missing = ADAPTERS[name].missing()
        marks = [pytest.mark.skip(why(ADAPTERS[name]))] if missing else []
        if (name, contract) not in PROCESSES:
            marks.append(pytest.mark.deep)
        yield pytest.param(name, contract, marks=marks)


def call(
    kernel: Callable[..., Mapping[str, Tensor]], given: Inputs, dtype: str
) -> dict[str, Tensor]:
    tensors = {k: torch.tensor(v, dtype=getattr(torch, dtype)) for k, v in given.tensors.items()}
    results = kernel(**tensors, **given.scalars)
    assert {v.dtype for v in results.values()} == {getattr(torch, dtype)}
    return {name: value.detach().double() for name, value in results.items()}


def run(adapter: str, contract: Contract, given: Inputs, dtype: str) -> dict[str, Tensor]:
    return call(kernel_of(adapter, contract.name), given, dtype)


def truth_of(contract: Contract, given: Inputs) -> dict[str, Tensor]:
    if contract.name == "lora-mha":
        return call(lora_mha, given, "float64")
    return run("autograd", contract, given, "float64")


@pytest.mark.parametrize(("adapter", "contract", "dtype", "index"), list(combinations()))
def test_an_adapter_gives_what_autograd_gives(
    adapter: str, contract: str, dtype: str, index: int
) -> None:
    declared = ADAPTERS[adapter].declaration_on("cpu")
    chosen = contract_named(contract)
    given = inputs(chosen, index)
    truth = truth_of(chosen, given)
    found = run(adapter, chosen, given, dtype)
    assert set(found) == set(declared.outputs or chosen.outputs)
    for name, value in found.items():
        assert value.shape == truth[name].shape
        # Sanity, not judgement: that is the oracle's, with bounds.
        scale = 1 + truth[name].abs().max()
        assert (value - truth[name]).abs().max() <= 40 * UNIT[dtype] * scale * len(truth) ** 2


@pytest.mark.parametrize(("adapter", "contract"), list(served_in_a_process()))
def test_an_adapter_is_served_by_name_and_passes_its_probes(adapter: str, contract: str) -> None:
    chosen, chosen_adapter = contract_named(contract), ADAPTERS[adapter]
    with KernelProcess(adapter, contract=chosen, dtype="bfloat16") as process:
        loaded = process.start()
        seen = process.observe(inputs(chosen, 1))
    overwrites = {("mutates-input", "x")} if "inplace" in adapter else set()
    assert {(problem.hypothesis, problem.name) for problem in seen.problems} == overwrites
    assert set(seen.outputs) == set(loaded.outputs)
    assert loaded.declaration == chosen_adapter.declaration_on("cpu")
    package = chosen_adapter.packages[0]
    assert loaded.name == f"{adapter} ({package} {installed_version(package)})"
    assert loaded.environment["versions"][package] == installed_version(package)


@pytest.mark.parametrize("adapter", ["peft", "loralib"])
def test_the_packages_own_division_by_the_rank_is_what_runs(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package's layer replaced by a wrong one, the adapter's results are wrong."""
    given = inputs(LINEAR, 1)
    right = run(adapter, LINEAR, given, "float64")
    package = importlib.import_module({"peft": "peft.tuners.lora", "loralib": "loralib"}[adapter])
    forward = package.Linear.forward

    def unscaled(self: torch.nn.Module, x: Tensor) -> Tensor:
        scaling = self.scaling
        self.scaling = dict.fromkeys(scaling, 1.0) if adapter == "peft" else 1.0  # type: ignore
        result: Tensor = forward(self, x)
        self.scaling = scaling
        return result

    monkeypatch.setattr(package.Linear, "forward", unscaled)
    wrong = run(adapter, LINEAR, given, "float64")
    assert (right["grad_lora_b"] * (1 / -0.75) - wrong["grad_lora_b"]).abs().max() < 1e-12
    assert (right["grad_lora_b"] - wrong["grad_lora_b"]).abs().max() > 0.1


@pytest.mark.parametrize("adapter", ["peft", "loralib", "loralib-merged", "peft-dora"])
def test_a_scaling_that_the_package_cannot_have_is_said_aloud(adapter: str) -> None:
    scaling = next(s for s in (0.1 * k for k in range(1, 99)) if s * 3 / 3 != s)
    with pytest.raises(ValueError, match=r"no lora_alpha has lora_alpha / 3 == "):
        run(adapter, LINEAR, inputs(LINEAR, 2, scaling), "float64")
    assert alpha_for(1.25, 3) == 3.75


def test_the_root_of_the_rank_costs_one_rounding_at_most() -> None:
    assert alpha_for_root(1.25, 4) == 2.5
    for rank in range(1, 40):
        for scaling in (1.5, -0.75, 2.75, 0.1):
            found = alpha_for_root(scaling, rank) / np.sqrt(rank)
            assert abs(found - scaling) <= np.spacing(abs(scaling))


def test_doras_norm_is_detached_and_its_magnitudes_reach_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A norm through which gradients flow is another function's gradient, and so it comes out."""
    from peft.tuners.lora.dora import DoraLinearLayer

    given = inputs(LINEAR, 2)
    right = run("peft-dora", LINEAR, given, "float64")
    norm = DoraLinearLayer.get_weight_norm
    layer: Any = DoraLinearLayer
    weights: list[Tensor] = []
    product = DoraLinearLayer.get_lora_weight

    def remembered(self: Any, *args: Any, **kwargs: Any) -> Tensor:
        weights.append(product(self, *args, **kwargs))
        return weights[-1]

    def attached(
        self: Any, weight: Tensor, lora_weight: Tensor, scaling: float, **more: Any
    ) -> Any:
        if not weights or not torch.is_grad_enabled():
            return norm(self, weight, lora_weight, scaling, **more)
        found = norm(self, weight, weights[-1], scaling, **more)
        return SimpleNamespace(detach=lambda: found)

    monkeypatch.setattr(layer, "get_lora_weight", remembered)
    monkeypatch.setattr(layer, "get_weight_norm", attached)
    wrong = run("peft-dora", LINEAR, given, "float64")
    assert torch.equal(wrong["output"], right["output"])
    assert (wrong["grad_lora_b"] - right["grad_lora_b"]).abs().max() > 0.1


def test_dora_declines_a_row_of_norm_zero() -> None:
    given = inputs(LINEAR, 1)
    given.tensors["weight"][0] = given.tensors["lora_b"][0] = 0
    with pytest.raises(Declined, match="one is zero"):
        run("peft-dora", LINEAR, given, "float64")


@pytest.mark.parametrize("adapter", ["torch-sdpa-math", "torch-sdpa-flash"])
def test_the_sdpa_backend_is_the_one_named(adapter: str) -> None:
    chosen = CONTRACTS["lora-attention"]
    given = inputs(chosen, 3)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run(adapter, chosen, given, "float32")
    flash = any("flash" in event.name for event in profile.events() or ())
    assert flash is (adapter == "torch-sdpa-flash")


def test_what_is_declared_depends_on_the_device() -> None:
    flash = ADAPTERS["torch-sdpa-flash"]
    assert flash.declaration_on("cuda:1").unsupported == ("float64", "float32")
    assert flash.declaration_on("cpu").unsupported == ()
    flex = ADAPTERS["torch-flex"]
    assert flex.declaration_on("cpu").outputs == ("output",)
    assert flex.declaration_on("cuda").outputs is None


def test_unknown_adapters_and_missing_packages() -> None:
    with pytest.raises(UsageError, match=r"'torch-spda' is no adapter .* did you mean torch-sdpa"):
        find_adapter("torch-spda")
    assert installed_version("no-such-distribution") is None


def test_listing_the_adapters_imports_no_torch() -> None:
    text = (
        f"import sys; sys.path[:] = {sys.path!r}; import loracle.adapters as a;"
        "[a.installed_version(p) for x in a.ADAPTERS.values() for p in x.packages];"
        "sys.exit('torch' in sys.modules or 'peft' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0
