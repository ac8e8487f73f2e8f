"""Adapters: installed third-party code, made to speak a contract. Importing this needs no torch."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

from loracle.errors import UsageError

__all__ = ["ADAPTERS", "Adapter", "find_adapter", "installed_version"]


@dataclass(frozen=True)
class Adapter:
    """A third party that can be judged by name.

    packages: the distributions it needs. contracts maps a contract's name to `module:function`.
    install: the command that installs what it needs. unsupported_on: dtypes or regimes that it does
    not support on a kind of device (cpu, cuda), declared for it.
    """

    name: str
    packages: tuple[str, ...]
    contracts: Mapping[str, str]
    install: str
    description: str
    unsupported_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def require_installed(self) -> None:
        """Raises UsageError, with the command that installs it, if a package is missing."""
        missing = [package for package in self.packages if installed_version(package) is None]
        if missing:
            raise UsageError(
                f"the adapter {self.name!r} needs {', '.join(missing)},"
                f" which is not installed here: {self.install}"
            )


def installed_version(distribution: str) -> str | None:
    """The installed version of a distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def find_adapter(name: str) -> Adapter:
    """The adapter called `name`; raises UsageError with the nearest names if there is none."""
    if name in ADAPTERS:
        return ADAPTERS[name]
    close = difflib.get_close_matches(name, ADAPTERS, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise UsageError(
        f"{name!r} is no adapter (there are {', '.join(ADAPTERS)}) and has no"
        f" ':' as package.module:name and path/to/file.py:name have{hint}"
    )


_TORCH = 'pip install "torch>=2.6"'
_SDPA = "loracle.adapters.torch_sdpa"

ADAPTERS: Mapping[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter(
            name="peft",
            packages=("peft", "torch"),
            contracts={"lora-linear": "loracle.adapters.peft_linear:lora_linear"},
            install='pip install "peft>=0.17"',
            description="peft.tuners.lora.Linear around torch.nn.Linear",
        ),
        Adapter(
            name="loralib",
            packages=("loralib", "torch"),
            contracts={"lora-linear": "loracle.adapters.loralib_linear:lora_linear"},
            install='pip install "loralib>=0.1.2"',
            description="loralib.Linear",
        ),
        Adapter(
            name="torch-sdpa",
            packages=("torch",),
            contracts={"lora-attention": f"{_SDPA}:default_backend"},
            install=_TORCH,
            description="scaled_dot_product_attention, the backend chosen by torch",
        ),
        Adapter(
            name="torch-sdpa-math",
            packages=("torch",),
            contracts={"lora-attention": f"{_SDPA}:math_backend"},
            install=_TORCH,
            description="scaled_dot_product_attention, math backend",
        ),
        Adapter(
            name="torch-sdpa-flash",
            packages=("torch",),
            contracts={"lora-attention": f"{_SDPA}:flash_backend"},
            install=_TORCH,
            description="scaled_dot_product_attention, flash backend",
            # CUDA has flash kernels for 16-bit dtypes alone, the CPU for all.
            unsupported_on={"cuda": ("float64", "float32")},
        ),
        Adapter(
            name="autograd",
            packages=("torch",),
            contracts={
                "lora-linear": "loracle.adapters.autograd:lora_linear",
                "lora-attention": "loracle.adapters.autograd:lora_attention",
                "aloragc": "loracle.adapters.autograd:aloragc",
            },
            install=_TORCH,
            description="plain torch operations, differentiated by torch.autograd",
        ),
    )
}
"""The adapters by name."""
