"""What parent and child say to each other. Nothing here needs torch or the specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loracle.cases import Inputs
from loracle.declaration import Declaration
from loracle.observation import Observation

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
    """The child's answer when the kernel is ready. parameters: None if Python cannot tell them."""

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
    """One observation to make: the inputs and the shapes of the outputs that are expected."""

    inputs: Inputs
    outputs: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Observed:
    """The child's answer to a Call. poisoned: the device is lost, the child must be replaced."""

    observation: Observation
    poisoned: bool = False
