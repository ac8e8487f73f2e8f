"""Where an axis ends too early: one short, at the last whole block, or after the first block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CUTS", "SHORT_CUTS", "WHOLE_BLOCKS", "Cut"]

_BLOCKS = (16, 32, 64, 128)


@dataclass(frozen=True)
class Cut:
    """words: what is missing, "of the keys" or the like to be put in for {axis}. kept: of the
    length of an axis, how many entries remain."""

    words: str
    kept: Callable[[int], int]

    def of(self, axis: str) -> str:
        """What is missing, of an axis."""
        return self.words.format(axis=axis)

    def mask(self, size: int) -> npt.NDArray[np.float64] | None:
        """1 where an entry remains, 0 where it is missing (size,); None if none is."""
        kept = self.kept(size)
        return None if kept >= size else np.asarray(np.arange(size) < kept, dtype=np.float64)


_LAST = Cut("the last {axis}", lambda n: n - 1)


def _whole_blocks(block: int) -> Cut:
    words = f"{{axis}} beyond the last whole block of {block}"
    return Cut(words, lambda n: n // block * block)


def _whole_blocks_or_all(block: int) -> Cut:
    words = f"{{axis}} beyond the last whole block of {block}, where there is one,"
    return Cut(words, lambda n: n // block * block or n)


def _first_block(block: int) -> Cut:
    return Cut(f"{{axis}} beyond the first block of {block}", lambda n: min(n, block))


WHOLE_BLOCKS: tuple[Cut, ...] = tuple(_whole_blocks(block) for block in _BLOCKS)
"""Everything is missing where there is no whole block."""

_WHOLE_BLOCKS_OR_ALL = tuple(_whole_blocks_or_all(block) for block in _BLOCKS)

CUTS: tuple[Cut, ...] = (
    _LAST,
    *_WHOLE_BLOCKS_OR_ALL,
    *WHOLE_BLOCKS,
    *(_first_block(block) for block in _BLOCKS),
)

SHORT_CUTS: tuple[Cut, ...] = (_LAST, _WHOLE_BLOCKS_OR_ALL[0], _WHOLE_BLOCKS_OR_ALL[2])
"""For axes that are seldom long."""
