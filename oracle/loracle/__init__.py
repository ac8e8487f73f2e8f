"""An oracle for LoRA kernels: `validate` proves them right or wrong against rigorous ground truth.

The names below are loaded when first used, so that importing the package costs next to nothing and
never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loracle.adapters import ADAPTERS, Adapter
    from loracle.contracts import CONTRACTS, Contract
    from loracle.declaration import Declaration, declare
    from loracle.errors import Declined, UsageError
    from loracle.report import Diagnosis, Finding, RegimeSummary, Report, Verdict
    from loracle.testing.conformance import conformance
    from loracle.validation import validate

__all__ = [
    "ADAPTERS",
    "CONTRACTS",
    "Adapter",
    "Contract",
    "Declaration",
    "Declined",
    "Diagnosis",
    "Finding",
    "RegimeSummary",
    "Report",
    "UsageError",
    "Verdict",
    "conformance",
    "declare",
    "validate",
]

__version__ = "0.1.0"

_HOME = {
    "ADAPTERS": "adapters",
    "Adapter": "adapters",
    "CONTRACTS": "contracts",
    "Contract": "contracts",
    "Declaration": "declaration",
    "declare": "declaration",
    "Declined": "errors",
    "UsageError": "errors",
    "Diagnosis": "report",
    "Finding": "report",
    "RegimeSummary": "report",
    "Report": "report",
    "Verdict": "report",
    "conformance": "testing.conformance",
    "validate": "validation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
