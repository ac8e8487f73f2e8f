"""The adapters judge the real, installed packages, and give what autograd gives in float64."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from loracle.adapters import ADAPTERS, find_adapter, installed_version
from loracle.adapters.lora_alpha import alpha_for
from loracle.cases import Inputs
from loracle.contracts import CONTRACTS, Contract, contract_named
from loracle.errors import UsageError
from loracle.harness import KernelProcess

SIZES = [
    {"batch": 1, "length": 1, "in": 1, "out": 1, "L": 1, "M": 1, "d": 1, "r": 1},
    {"batch": 2, "length": 5, "in": 6, "out": 3, "L": 7, "M": 3, "d": 5, "r": 2},
    {"batch": 3, "length": 17, "in": 16, "out": 9, "L": 3, "M": 41, "d": 3, "r": 3},
    {"batch": 2, "length": 33, "in": 8, "out": 8, "L": 65, "M": 64, "d": 16, "r": 7},
]
SERVED = [(a.name, contract) for a in ADAPTERS.values() for contract in a.contracts]
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}


def inputs(contract: Contract, sizes: Mapping[str, int], scaling: float = -0.75) -> Inputs:
    """Eighths, exact in every dtype; small enough that no softmax is a single one."""
    random = np.random.default_rng(sum(sizes.values()))
    tensors = {
        name: random.integers(-4, 5, [sizes[s] for s in shape]) / 8
        for name, shape in contract.tensors.items()
    }
    values = {"scaling": scaling, "beta": 0.625}
    return Inputs(tensors, {name: values[name] for name in contract.scalars})


def kernel_of(adapter: str, contract: str) -> Callable[..., Mapping[str, Tensor]]:
    module, _, function = ADAPTERS[adapter].contracts[contract].partition(":")
    kernel: Callable[..., Mapping[str, Tensor]] = getattr(importlib.import_module(module), function)
    return kernel


def run(adapter: str, contract: Contract, given: Inputs, dtype: str) -> dict[str, Tensor]:
    tensors = {k: torch.tensor(v, dtype=getattr(torch, dtype)) for k, v in given.tensors.items()}
    results = kernel_of(adapter, contract.name)(**tensors, **given.scalars)
    assert {v.dtype for v in results.values()} == {getattr(torch, dtype)}
    return {name: value.detach().double() for name, value in results.items()}


@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize(("adapter", "contract"), SERVED)
def test_an_adapter_gives_what_autograd_gives(
    adapter: str, contract: str, dtype: str, sizes: Mapping[str, int]
) -> None:
    chosen = contract_named(contract)
    given = inputs(chosen, sizes)
    truth = run("autograd", chosen, given, "float64")
    found = run(adapter, chosen, given, dtype)
    assert set(found) == set(chosen.outputs)
    for name, value in found.items():
        # Sanity, not judgement: that is the oracle's, with bounds.
        scale = 1 + truth[name].abs().max()
        assert (value - truth[name]).abs().max() <= 40 * UNIT[dtype] * scale * len(truth) ** 2


@pytest.mark.parametrize(("adapter", "contract"), SERVED)
def test_an_adapter_is_served_by_name_and_passes_its_probes(adapter: str, contract: str) -> None:
    chosen = contract_named(contract)
    with KernelProcess(adapter, contract=chosen, dtype="bfloat16") as process:
        loaded = process.start()
        seen = process.observe(inputs(chosen, SIZES[1]))
    assert seen.problems == ()
    assert seen.notes == ()
    assert set(seen.outputs) == set(chosen.outputs)
    package = ADAPTERS[adapter].packages[0]
    assert loaded.name == f"{adapter} ({package} {installed_version(package)})"
    assert loaded.environment["versions"][package] == installed_version(package)


@pytest.mark.parametrize("adapter", ["peft", "loralib"])
def test_the_packages_own_division_by_the_rank_is_what_runs(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package's layer replaced by a wrong one, the adapter's results are wrong."""
    chosen = CONTRACTS["lora-linear"]
    given = inputs(chosen, SIZES[1])
    right = run(adapter, chosen, given, "float64")
    package = importlib.import_module({"peft": "peft.tuners.lora", "loralib": "loralib"}[adapter])
    forward = package.Linear.forward

    def unscaled(self: torch.nn.Module, x: Tensor) -> Tensor:
        scaling = self.scaling
        self.scaling = dict.fromkeys(scaling, 1.0) if adapter == "peft" else 1.0  # type: ignore
        result: Tensor = forward(self, x)
        self.scaling = scaling
        return result

    monkeypatch.setattr(package.Linear, "forward", unscaled)
    wrong = run(adapter, chosen, given, "float64")
    assert (right["grad_lora_b"] * (1 / -0.75) - wrong["grad_lora_b"]).abs().max() < 1e-12
    assert (right["grad_lora_b"] - wrong["grad_lora_b"]).abs().max() > 0.1


@pytest.mark.parametrize("adapter", ["peft", "loralib"])
def test_a_scaling_that_the_package_cannot_have_is_said_aloud(adapter: str) -> None:
    scaling = next(s for s in (0.1 * k for k in range(1, 99)) if s * 3 / 3 != s)
    chosen = CONTRACTS["lora-linear"]
    with pytest.raises(ValueError, match=r"no lora_alpha has lora_alpha / 3 == "):
        run(adapter, chosen, inputs(chosen, SIZES[2], scaling), "float64")
    assert alpha_for(1.25, 3) == 3.75


@pytest.mark.parametrize("adapter", ["torch-sdpa-math", "torch-sdpa-flash"])
def test_the_sdpa_backend_is_the_one_named(adapter: str) -> None:
    chosen = CONTRACTS["lora-attention"]
    given = inputs(chosen, SIZES[3])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run(adapter, chosen, given, "float32")
    flash = any("flash" in event.name for event in profile.events() or ())
    assert flash is (adapter == "torch-sdpa-flash")


def test_flash_declares_what_it_has_not_on_cuda() -> None:
    assert ADAPTERS["torch-sdpa-flash"].unsupported_on == {"cuda": ("float64", "float32")}
    process = KernelProcess("torch-sdpa-flash", contract=CONTRACTS["lora-attention"])
    with process:
        assert process.start().declaration.unsupported == ()


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
