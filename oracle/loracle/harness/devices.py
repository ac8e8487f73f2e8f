"""The devices a kernel may be run on."""

from __future__ import annotations

import re

from loracle.errors import UsageError

__all__ = ["checked_device", "settle_device"]

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def checked_device(device: str) -> str:
    """The same name; UsageError if no device is called so, whether it is there or not."""
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}; known: cpu, cuda, cuda:N")
    return device


def settle_device(device: str) -> None:
    """Raises UsageError if the device is not there."""
    import torch

    wanted = torch.device(device)
    if wanted.type != "cuda":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UsageError(f"no CUDA device here for device={device!r}; use device='cpu'")
    if (wanted.index or 0) >= count:
        raise UsageError(f"no device {device!r} here; there are cuda:0 to cuda:{count - 1}")
