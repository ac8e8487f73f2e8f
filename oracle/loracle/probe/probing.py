"""A device's observations and the machine models that fit them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from loracle.harness.devices import checked_device
from loracle.probe.device import torch_product
from loracle.probe.fitting import fitting_machines
from loracle.probe.observing import Observations, observe
from loracle.request import checked_dtype
from loracle_reference.floating_point import FORMATS

__all__ = ["Probed", "probe_device"]


@dataclass(frozen=True)
class Probed:
    """The observations of one dtype and the names of the machine models that fit, most specific
    first."""

    observations: Observations
    machines: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self.observations), "machines": list(self.machines)}


def probe_device(device: str = "cpu", dtype: str | None = None) -> list[Probed]:
    """Observe torch.matmul on a device in one dtype, or in all; raises UsageError on a device or
    dtype that is not known or not there."""
    checked_device(device)
    dtypes = tuple(FORMATS) if dtype is None else (checked_dtype(dtype),)
    seen = [observe(torch_product(name, device), name) for name in dtypes]
    return [Probed(observations, fitting_machines(observations)) for observations in seen]
