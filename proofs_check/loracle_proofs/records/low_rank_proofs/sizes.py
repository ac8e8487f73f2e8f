"""Sizes for counting the operations of the low-rank chain, with L = M."""

from __future__ import annotations

import sympy

__all__ = ["K1", "K2", "LENGTH", "WIDTH"]

LENGTH, WIDTH, K1, K2 = sympy.symbols("L d k1 k2", positive=True, integer=True)
"""Sizes for counting operations, with L = M."""
