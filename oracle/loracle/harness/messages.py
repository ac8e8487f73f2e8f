"""What parent and child say to each other. Nothing here needs torch or the specification."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loracle.cases import Inputs
from loracle.declaration import Declaration
from loracle.observation import Condition, Observation

__all__ = ["Call", "LoadedKernel", "Observed", "Parameter", "Refused", "Target"]


@dataclass(frozen=True)
class Target:
    """A kernel named in text. Exactly one of module (dotted) and path (absolute) is set; attribute
    may be dotted; adapter is the adapter's name, where it came from one; packages are the
    distributions whose versions belong into the environment."""

    text: str
    attribute: str
    module: str | None = None
    path: str | None = None
    adapter: str | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One parameter: can it be given by name, must it be given, does it take the rest."""

    name: str
    by_name: bool
    required: bool
    takes_rest: bool


@dataclass(frozen=True)
class LoadedKernel:
    """The child's answer when the kernel is ready. parameters: None if Python cannot tell them;
    an *args is none."""

    name: str
    parameters: tuple[Parameter, ...] | None
    declaration: Declaration
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The child's answer when there is no kernel to run: one line for a UsageError."""

    reason: str


@dataclass(frozen=True)
class Call:
    """One case to run: the inputs, the shapes of the outputs that are expected, the number of equal
    calls (at least two), and the conditions to run it under beside them."""

    inputs: Inputs
    outputs: Mapping[str, tuple[int, ...]]
    repeats: int = 2
    conditions: tuple[Condition, ...] = ()

    @property
    def seed(self) -> int:
        """A number that depends on the values of all inputs alone."""
        checksum = 0
        for value in self.inputs.tensors.values():
            checksum = zlib.crc32(value.tobytes(), checksum)
        return checksum


@dataclass(frozen=True)
class Observed:
    """One of the child's answers to a Call: the first has what was seen in the equal calls, each
    other one what was seen under a condition. poisoned: the device is lost, the child must be
    replaced, and nothing follows. pending: the conditions of which the answers follow."""

    observation: Observation
    poisoned: bool = False
    pending: tuple[Condition, ...] = ()
