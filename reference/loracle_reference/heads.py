"""Where the heads of multi-head attention are: which columns, and which rows are which sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self, TypeVar

from loracle_reference.arithmetic.protocol import Matrix

__all__ = ["Heads", "kv_head_of"]

M = TypeVar("M", bound=Matrix)


def kv_head_of(head: int, num_heads: int, num_kv_heads: int) -> int:
    """g(h) = h // (num_heads / num_kv_heads); raises ValueError unless the heads divide evenly."""
    if num_kv_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads do not divide among {num_kv_heads} of keys")
    return head // (num_heads // num_kv_heads)


@dataclass(frozen=True)
class Heads:
    """head_dim; reads: of each query head the key/value head that it reads; batch: how many samples
    the n rows are, one after the other."""

    head_dim: int
    reads: Sequence[int]
    batch: int

    @classmethod
    def of(cls, weight_q: Matrix, num_heads: int, num_kv_heads: int, batch: int) -> Self:
        reads = [kv_head_of(head, num_heads, num_kv_heads) for head in range(num_heads)]
        return cls(weight_q.shape[0] // num_heads, reads, batch)

    def features(self, head: int) -> Sequence[int]:
        """The columns of Q, K, V or O, or the rows of W and B, that are one head."""
        return range(head * self.head_dim, (head + 1) * self.head_dim)

    def repeated(self, shared: M) -> M:
        """W or B of K or V with the rows of a head once for every query head that reads it."""
        return shared.take_rows([row for head in self.reads for row in self.features(head)])

    def cut(self, matrix: M) -> list[list[M]]:
        """(n, heads * head_dim), of query or of key/value heads, into (L, head_dim), by head and
        sample."""
        length = matrix.shape[0] // self.batch
        samples = [range(k * length, (k + 1) * length) for k in range(self.batch)]
        columns = [
            matrix.take_columns(self.features(head))
            for head in range(matrix.shape[1] // self.head_dim)
        ]
        return [[head.take_rows(rows) for rows in samples] for head in columns]

    def joined(self, heads: Sequence[Sequence[M]]) -> M:
        """The inverse of `cut`."""
        return _side_by_side([_stacked(samples) for samples in heads])

    def added(self, repeated: M) -> M:
        """The transpose of `repeated`: the rows of the query heads that read one head, added up."""
        parts = [repeated.take_rows(self.features(head)) for head in range(len(self.reads))]
        return _stacked(
            [
                reduce(
                    add, [part for part, read in zip(parts, self.reads, strict=True) if read == g]
                )
                for g in range(max(self.reads) + 1)
            ]
        )


def _side_by_side(blocks: Sequence[M]) -> M:
    return reduce(lambda left, right: left.beside(right), blocks)


def _stacked(blocks: Sequence[M]) -> M:
    return blocks[0] if len(blocks) == 1 else _side_by_side([block.T for block in blocks]).T
