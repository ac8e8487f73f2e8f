"""How much memory a piece of work took at its peak, above what was there before."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

__all__ = ["PeakMemory", "free_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MEMORY = Path("/proc/meminfo")

_RESET_PEAK = "5"
"""What sets VmHWM back to VmRSS (Linux, Documentation/filesystems/proc.rst)."""


class PeakMemory:
    """`with PeakMemory(device) as memory: ...`, then `memory.bytes`, and `memory.source`: what
    counted them.

    On CUDA torch counts what tensors take. Otherwise the peak of resident memory is set back before
    the work, where Linux permits that; else the largest peak of the process so far is taken, which
    misses what stays below an earlier peak.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._before = 0
        self.bytes = 0
        self.source = ""

    def __enter__(self) -> Self:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self.source = "torch.cuda.max_memory_allocated"
            self._before = torch.cuda.memory_allocated(self._device)
            return self
        _give_back_freed_memory()
        if _reset_peak():
            self.source = "VmHWM"
            self._before = _status_bytes("VmRSS")
        else:
            self.source = "ru_maxrss"
            self._before = _largest_resident()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.source == "VmHWM":
            peak = _status_bytes("VmHWM")
        elif self.source == "ru_maxrss":
            peak = _largest_resident()
        else:
            peak = torch.cuda.max_memory_allocated(self._device)
        self.bytes = max(0, peak - self._before)


def free_bytes(device: str) -> int | None:
    """Memory that is free on the device; None where that cannot be told."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError, StopIteration):
        lines = _MEMORY.read_text().splitlines()
        return next(_kibibytes(line) for line in lines if line.startswith("MemAvailable:"))
    return None


def _give_back_freed_memory() -> None:
    """What malloc keeps of freed memory would be used again without being counted."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _status_bytes(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(_kibibytes(line) for line in lines if line.startswith(f"{name}:"))


def _kibibytes(line: str) -> int:
    """The bytes of a line such as `VmHWM:   10984 kB`."""
    return int(line.split()[1]) * 1024


def _largest_resident() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
