"""What of an axis counts twice: its end, or what a last block moved back has in common with the one
before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["REPEATS", "SHORT_REPEATS", "Repeat"]

_BLOCKS = (16, 32, 64, 128)


@dataclass(frozen=True)
class Repeat:
    """words: what counts twice, "of the keys" or the like to be put in for {axis}. span: of the
    length of an axis, the first entry that does and the one after the last."""

    words: str
    span: Callable[[int], tuple[int, int]]

    def of(self, axis: str) -> str:
        """What counts twice, of an axis."""
        return self.words.format(axis=axis)

    def explanation(self, axis: str, place: str = "") -> str:
        """Of an output that has it, whose name is to be put in for {output}."""
        return f"{{output}} is what comes out if {self.of(axis)} count twice{place}"

    def weights(self, size: int) -> npt.NDArray[np.float64] | None:
        """2 where an entry counts twice, 1 elsewhere (size,); None if none does."""
        start, stop = self.span(size)
        if not 0 <= start < stop:
            return None
        places = np.arange(size)
        return np.where((places >= start) & (places < stop), 2.0, 1.0)

    def tells(self, size: int) -> bool:
        """Whether it is told from a factor: some entries count twice and some do not."""
        start, stop = self.span(size)
        return 0 <= start < stop and (start, stop) != (0, size)


_LAST = Repeat("the last of the {axis}", lambda n: (n - 1, n))


def _tail(block: int) -> Repeat:
    words = f"the {{axis}} beyond the last whole block of {block}"
    return Repeat(words, lambda n: (n // block * block, n))


def _tail_if_any_block(block: int) -> Repeat:
    words = f"the {{axis}} beyond the last whole block of {block}, where there is one,"
    return Repeat(words, lambda n: (n // block * block or n, n))


def _overlap(block: int) -> Repeat:
    """A last block whose start is min(start, n - block); fewer than one block are not moved."""
    words = f"the {{axis}} that the last block of {block} takes again, moved back to fit,"
    return Repeat(words, lambda n: (n - block, n // block * block) if n % block else (n, n))


_OVERLAPS = tuple(_overlap(block) for block in _BLOCKS)
_TAILS_IF_ANY_BLOCK = tuple(_tail_if_any_block(block) for block in _BLOCKS)

REPEATS: tuple[Repeat, ...] = (
    _LAST,
    *_OVERLAPS,
    *_TAILS_IF_ANY_BLOCK,
    *(_tail(block) for block in _BLOCKS),
)

SHORT_REPEATS: tuple[Repeat, ...] = (
    _LAST,
    _OVERLAPS[0],
    _OVERLAPS[2],
    _TAILS_IF_ANY_BLOCK[0],
    _TAILS_IF_ANY_BLOCK[2],
)
"""For axes that are seldom long."""
