"""What the command asks of a child process, and what the child answers: plain data, no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Answer",
    "Certificate",
    "Environment",
    "EnvironmentOrder",
    "Failed",
    "FloatArray",
    "MeasureOrder",
    "Measured",
    "Order",
    "ScaleOrder",
    "Scaled",
    "Setting",
    "TooLong",
    "TooMuchMemory",
    "Truth",
    "TruthOrder",
    "Unsupported",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """The problem of a run but for its length and heads, and where and how it is computed.

    dim: d; rank: r of the adapters; data: `independent` or `correlated`; max_score: the largest
    |beta <q_j, k_l>|; epsilon: what certified methods promise; threads: None for torch's default.
    """

    dim: int
    rank: int
    data: str
    max_score: float
    epsilon: float
    seed: int
    dtype: str
    device: str
    threads: int | None = None


@dataclass(frozen=True)
class EnvironmentOrder:
    """Tell what the machine is."""

    setting: Setting


@dataclass(frozen=True)
class ScaleOrder:
    """Find the factor of one head's query inputs that makes its largest score `max_score`."""

    setting: Setting
    distinct: int
    head: int


@dataclass(frozen=True)
class TruthOrder:
    """Find the gradients of one head of `distinct` rows, as sharply as `limit` seconds allow."""

    setting: Setting
    distinct: int
    head: int
    factor: float
    limit: float


@dataclass(frozen=True)
class MeasureOrder:
    """Run one method at one length, `length` / `distinct` copies of the distinct rows.

    factors: one per head, those of `ScaleOrder`. limit: seconds that one call of an exact method
    may take. block: rows in a block of the streaming kernel; None to try some and keep the fastest.
    """

    setting: Setting
    method: str
    length: int
    distinct: int
    factors: tuple[float, ...]
    limit: float
    block: int | None = None

    @property
    def heads(self) -> int:
        """H, the number of heads."""
        return len(self.factors)


Order = EnvironmentOrder | ScaleOrder | TruthOrder | MeasureOrder


@dataclass(frozen=True)
class Environment:
    """facts: as the report shows them. free_bytes: memory of the device; None if unknown."""

    facts: dict[str, Any]
    free_bytes: int | None


@dataclass(frozen=True)
class Scaled:
    """The factor that was asked for."""

    factor: float


@dataclass(frozen=True)
class Truth:
    """Gradients by output name, (r, d) or (d, r), each within `radius` of the exact one.

    kind: `interval`, whose radius is proven, or `float64 streaming`, whose radius is not known and
    set to 0.
    """

    values: dict[str, FloatArray]
    radius: dict[str, float]
    kind: str


@dataclass(frozen=True)
class Certificate:
    """What a certified method promised and says it achieved, by output name and head, absolute and
    in the max norm; the degree and rank of its features, its useful operations."""

    errors: Mapping[str, tuple[float, ...]]
    natural_scale: Mapping[str, tuple[float, ...]]
    gradient_max: Mapping[str, tuple[float, ...]]
    probability_error: float
    degree: int
    rank: int
    operations: int


@dataclass(frozen=True)
class Measured:
    """seconds: of every repeat. peak_bytes: above what the inputs take. outputs: (H, ...) by name.

    facts: what else is worth keeping, such as the backend or the block that ran.
    """

    seconds: tuple[float, ...]
    peak_bytes: int
    outputs: dict[str, FloatArray]
    certificate: Certificate | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TooLong:
    """A call would take about `predicted` seconds: one of length `at` took `seconds`."""

    predicted: float
    at: int
    seconds: float


@dataclass(frozen=True)
class TooMuchMemory:
    """The device has no room."""

    reason: str


@dataclass(frozen=True)
class Unsupported:
    """The method or the machine cannot do what was asked; in one line."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """The process died, or the method raised what it should not; in one line."""

    reason: str


Answer = Environment | Scaled | Truth | Measured | TooLong | TooMuchMemory | Unsupported | Failed
