"""The arithmetics the specification can be evaluated in.

Each is imported when it is first asked for, so that no user pays for the libraries of another.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from loracle_reference.arithmetic.protocol import Arithmetic, Matrix

if TYPE_CHECKING:
    from loracle_reference.arithmetic.ball import Ball
    from loracle_reference.arithmetic.counting import Counting
    from loracle_reference.arithmetic.double import Double
    from loracle_reference.arithmetic.exact import Exact
    from loracle_reference.arithmetic.interval import Interval
    from loracle_reference.arithmetic.multiprecision import Multiprecision
    from loracle_reference.arithmetic.planned import Planned
    from loracle_reference.arithmetic.polynomial import Polynomial
    from loracle_reference.arithmetic.rational import Rational
    from loracle_reference.arithmetic.rounding import Rounding
    from loracle_reference.arithmetic.simulated import Simulated
    from loracle_reference.arithmetic.stochastic import Stochastic

__all__ = [
    "Arithmetic",
    "Ball",
    "Counting",
    "Double",
    "Exact",
    "Interval",
    "Matrix",
    "Multiprecision",
    "Planned",
    "Polynomial",
    "Rational",
    "Rounding",
    "Simulated",
    "Stochastic",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
