"""Sizes for counting the operations of the low-rank chain."""

from __future__ import annotations

import sympy

__all__ = ["FEATURES", "K1", "K2", "LENGTH", "WIDTH"]

LENGTH, WIDTH, FEATURES, K1, K2 = sympy.symbols("L d k k1 k2", positive=True, integer=True)
