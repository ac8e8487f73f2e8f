"""Runs kernels isolated in child processes. Importing this, and running it, loads no torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loracle.harness.agreement import Loaded
    from loracle.harness.process import KernelProcess
    from loracle.harness.targets import Target, parse_target

__all__ = ["KernelProcess", "Loaded", "Target", "parse_target"]

_HOMES = {
    "KernelProcess": "process",
    "Loaded": "agreement",
    "Target": "targets",
    "parse_target": "targets",
}


def __getattr__(name: str) -> Any:
    # Lazy, because the child imports its own modules from here and needs none of the parent's.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
