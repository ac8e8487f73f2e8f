"""Arguments between guard bands: memory of ours on both sides, which no kernel may write. Runs in
the child; needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from loracle.observation import Problem

__all__ = ["GuardBands"]

_BAND = 1 << 14
"""Bytes on each side."""

_ALIGNMENT = 64
"""Of torch's own allocations on the CPU, which vectorised kernels may rely on."""

_SENTINEL = 0xFF
"""Repeated, a NaN in every floating-point format: what is read from a band does not go unseen."""


@dataclass
class GuardBands:
    """Allocates tensors between bands and tells which bands were written."""

    _memory: dict[str, tuple[npt.NDArray[np.uint8], int, int]] = field(default_factory=dict)
    """Per name, all of the memory and where in it the tensor begins and ends."""

    def tensor(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """A copy of a contiguous CPU tensor: a contiguous leaf that begins and ends with its own
        storage, which lies between the bands."""
        memory = np.full(value.nbytes + 2 * _BAND + _ALIGNMENT, _SENTINEL, np.uint8)
        start = _BAND + -(memory.ctypes.data + _BAND) % _ALIGNMENT
        end = start + value.nbytes
        self._memory[name] = (memory, start, end)
        inside = torch.from_numpy(memory[start:end]).untyped_storage()
        tensor = torch.empty(0, dtype=value.dtype, device="cpu")
        tensor.set_(inside, 0, value.shape, value.stride())
        return tensor.copy_(value)

    def problems(self) -> list[Problem]:
        """One for every tensor whose bands were written."""
        found = []
        for name, (memory, start, end) in self._memory.items():
            if _untouched(memory[:start]) and _untouched(memory[end:]):
                continue
            before = np.flatnonzero(memory[:start] != _SENTINEL)
            after = np.flatnonzero(memory[end:] != _SENTINEL)
            places = []
            if before.size:
                places.append(f"{_bytes(before.size)} up to {start - before[0]} before {name}")
            if after.size:
                places.append(f"{_bytes(after.size)} up to {after[-1] + 1} past its end")
            text = f"{name} was written out of bounds: {' and '.join(places)}"
            found.append(Problem("writes-out-of-bounds", name, text))
        return found


_UNTOUCHED = bytes([_SENTINEL]) * (_BAND + _ALIGNMENT)


def _untouched(band: npt.NDArray[np.uint8]) -> bool:
    return band.tobytes() == _UNTOUCHED[: band.size]


def _bytes(count: int) -> str:
    return f"{count} byte{'s' if count > 1 else ''}"
