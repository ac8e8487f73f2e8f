"""A case: the compact, replayable description of one call of a kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Case", "Inputs"]


@dataclass(frozen=True)
class Case:
    """Everything that determines the inputs, and nothing else (no arrays).

    sizes maps the symbols of the contract's shapes (L, M, d, r, batch, ...) to numbers; index
    counts the cases of one regime. The inputs are made from it by `loracle.generation.generate`.
    """

    contract: str
    regime: str
    dtype: str
    seed: int
    index: int
    sizes: tuple[tuple[str, int], ...]

    @property
    def key(self) -> str:
        """`regime:index`, which with contract, dtype and seed names the case (`--case`)."""
        return f"{self.regime}:{self.index}"

    def __str__(self) -> str:
        sizes = " ".join(f"{symbol}={size}" for symbol, size in self.sizes)
        return f"{self.key} ({sizes})"


@dataclass(frozen=True)
class Inputs:
    """The arguments of one call: float64 arrays whose entries are exact in the case's dtype, of the
    contract's shapes, and float arguments, exact in the dtype too.

    layouts: how some of the tensors lie in memory (`loracle.harness.layouts`); the others are
    contiguous. The values are the same in every layout.
    """

    tensors: Mapping[str, npt.NDArray[np.float64]]
    scalars: Mapping[str, float]
    layouts: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of names, shapes, values (bit for bit) and layouts, in hexadecimal digits."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(repr((name, tensor.shape, self.layouts.get(name))).encode())
            digest.update(np.ascontiguousarray(tensor, dtype="<f8").tobytes())
        digest.update(repr(sorted(self.scalars.items())).encode())
        return digest.hexdigest()
