"""Third-party files are loaded from what is installed or pointed at, without their packages."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from loracle.adapters import ADAPTERS, installed_version
from loracle.adapters.bare_packages import load_bare
from loracle.adapters.installed import package_folder
from loracle.adapters.three_projections import lora_linear_of
from loracle.cli import main
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError

from . import fake_packages
from .test_adapters import call, inputs, kernel_of, truth_of

LINEAR, MHA = CONTRACTS["lora-linear"], CONTRACTS["lora-mha"]
FAKES = ("unsloth", "unsloth_zoo", "axolotl")


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The fakes in a folder that is pointed at, all that is needed besides called installed."""
    fake_packages.install(tmp_path)
    monkeypatch.setenv("LORACLE_UNSLOTH", str(tmp_path))
    monkeypatch.setenv("LORACLE_AXOLOTL", str(tmp_path))
    monkeypatch.setenv("UNSLOTH_ALLOW_CPU", "1")
    # Where the real ones are installed, other tests may have loaded them.
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if _of_a_fake(name)}
    yield tmp_path
    for name in list(sys.modules):
        if _of_a_fake(name):
            del sys.modules[name]
    sys.modules.update(real)


def _of_a_fake(module: str) -> bool:
    return module.partition(".")[0] in FAKES or module.endswith(("unsloth_lora", "axolotl_lora"))


@pytest.fixture
def no_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loracle.adapters.adapter.Adapter.missing", lambda self: ())


def test_a_folder_that_is_pointed_at_is_taken_and_its_version_read(fakes: Path) -> None:
    assert package_folder("unsloth") == fakes / "unsloth"
    assert installed_version("unsloth") == "7.1"
    assert installed_version("unsloth_zoo") == "7.2"
    assert installed_version("axolotl") == "7.3"
    next(fakes.glob("unsloth-*")).joinpath("METADATA").unlink()
    next(fakes.glob("unsloth-*")).rmdir()
    assert installed_version("unsloth") == f"at {fakes}"


def test_what_is_installed_is_found_without_being_run(
    fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LORACLE_AXOLOTL")
    monkeypatch.syspath_prepend(str(fakes))
    assert package_folder("axolotl") == fakes / "axolotl"
    module = load_bare("axolotl.kernels.lora")
    assert module.__file__ == str(fakes / "axolotl" / "kernels" / "lora.py")
    assert importlib.util.find_spec("axolotl") is not None
    assert load_bare("axolotl.kernels.lora") is module


def test_a_folder_that_holds_nothing_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LORACLE_UNSLOTH", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"holds no folder unsloth: name the folder"):
        installed_version("unsloth")
    with pytest.raises(SystemExit) as ended:
        main(["validate", "unsloth"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"Error: LORACLE_UNSLOTH={tmp_path}/nowhere holds")
    with pytest.raises(UsageError, match="no_such_package is not installed here"):
        package_folder("no_such_package")


@pytest.mark.parametrize("name", [n for n in ADAPTERS if n.startswith(("unsloth", "axolotl"))])
@pytest.mark.usefixtures("fakes", "no_dependencies")
def test_the_adapters_speak_the_signatures_of_unsloth_and_axolotl(name: str) -> None:
    for contract in ADAPTERS[name].contracts:
        chosen = CONTRACTS[contract]
        kernel = kernel_of(name, contract)
        for index in range(4):
            given = inputs(chosen, index)
            truth, found = truth_of(chosen, given), call(kernel, given, "float64")
            for output, value in found.items():
                assert torch.allclose(value, truth[output], rtol=1e-12, atol=1e-12), output


@pytest.mark.usefixtures("fakes", "no_dependencies")
def test_inplace_writes_into_the_inputs_that_are_handed_over() -> None:
    given = inputs(LINEAR, 1)
    for name, changed in (("unsloth-qkv", False), ("unsloth-qkv-inplace", True)):
        tensors = {n: torch.tensor(v) for n, v in given.tensors.items()}
        kernel_of(name, "lora-linear")(**tensors, **given.scalars)
        assert changed is not np.array_equal(tensors["x"].numpy(), given.tensors["x"])


@pytest.mark.usefixtures("fakes", "no_dependencies")
@pytest.mark.parametrize("out", [4, 6])
def test_an_upstream_gradient_reaches_a_fused_kernel_as_it_lies_in_memory(out: int) -> None:
    """axolotl's `.view` of it, live in 0.19.0, is found by one that is transposed."""
    shapes = {"x": (2, 3, 4), "weight": (out, 4), "lora_a": (2, 4), "lora_b": (out, 2)}
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    upstream = torch.ones(3, 2, out).transpose(0, 1)
    kernel_of("unsloth-qkv", "lora-linear")(**tensors, scaling=1.5, grad_output=upstream)
    with pytest.raises(RuntimeError, match="view"):
        kernel_of("axolotl-qkv", "lora-linear")(**tensors, scaling=1.5, grad_output=upstream)


@pytest.mark.parametrize("one_scaling", [False, True])
@pytest.mark.parametrize("field", ["weight", "lora_a", "lora_b", "scaling", "grad"])
@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_fused_kernel_that_takes_one_place_for_another_is_wrong(
    index: int, field: str, one_scaling: bool
) -> None:
    """K and V exchanged in one of the operands, or in the gradients, changes a result."""
    from loracle.adapters.lora_mha import plain_projections

    def mixed_up(x: torch.Tensor, places: object) -> list[torch.Tensor]:
        from dataclasses import replace

        q, k, v = places  # type: ignore[misc]
        if field == "grad":
            a, b, c = plain_projections(x, (q, k, v))
            return [a, b - b.detach() * 0 + (c - c.detach()), c - (c - c.detach())]
        kept = {name: getattr(v, name) for name in (field,)}
        return list(plain_projections(x, (q, replace(k, **kept), v)))

    if field == "scaling" and one_scaling:
        pytest.skip("it has one scaling for all")
    given = inputs(LINEAR, index)
    kernel = lora_linear_of(mixed_up, "mixed_up", "", one_scaling=one_scaling)
    truth, found = truth_of(LINEAR, given), call(kernel, given, "float64")
    assert any((found[name] - truth[name]).abs().max() > 1e-3 for name in truth)
    right = lora_linear_of(plain_projections, "right", "", one_scaling=one_scaling)
    for name, value in call(right, given, "float64").items():
        assert torch.allclose(value, truth[name], atol=1e-13)
