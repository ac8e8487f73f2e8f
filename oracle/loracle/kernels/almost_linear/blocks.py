"""Tokens in blocks."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["blocks"]


def blocks(length: int, block: int) -> Iterator[slice]:
    """Slices of at most `block` tokens that cover range(length)."""
    return (slice(i, min(i + block, length)) for i in range(0, length, block))
