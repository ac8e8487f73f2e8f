"""The codes on which Lemma 3.3 as printed fails, made once."""

from __future__ import annotations

from functools import cache

from loracle_reference.approximate_rank import FullRankInstance, printed_threshold_counterexample

__all__ = ["WIDTH_PER_BIT", "code_instances", "one_code"]

WIDTH_PER_BIT = 4
"""d <= 4 log2 L for every code here."""


def code_instances() -> list[FullRankInstance]:
    """Gamma = beta = 1 and L = 2, 4, ..., 2^10."""
    return [one_code(bits) for bits in range(1, 11)]


@cache
def one_code(bits: int) -> FullRankInstance:
    """Gamma = beta = 1 and L = 2^bits."""
    return printed_threshold_counterexample(bits)
