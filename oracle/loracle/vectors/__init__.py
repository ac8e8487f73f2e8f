"""Certified vectors: cases with inputs, truth, radius and bound, for kernels in any language.

The names below are loaded when first used: `loracle --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loracle.vectors.building import build
    from loracle.vectors.reading import CertifiedOutput, Vector, VectorSet, load
    from loracle.vectors.verification import verify

__all__ = ["CertifiedOutput", "Vector", "VectorSet", "build", "load", "verify"]

_HOME = {
    "CertifiedOutput": "reading",
    "Vector": "reading",
    "VectorSet": "reading",
    "build": "building",
    "load": "reading",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
