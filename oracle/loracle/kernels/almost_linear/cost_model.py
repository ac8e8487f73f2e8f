"""What the two methods cost, in operations, and which is cheaper.

The almost-linear passes: each of L + M tokens takes k products for its features and one product of
matrices with (1 + d)^2 columns, 2 k (1 + d)^2 operations (`loracle_reference.cost` counts them).
The exact kernel: for each of L M scores an exponential in each of three passes, and products with
d columns, of which there are nine.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cost", "almost_linear_cost", "exact_cost"]

_EXPONENTIAL = 40.0
"""Time of an exponential and of what else is done entry by entry to a score, in operations of a
large product of matrices."""

_ENTRYWISE = 40.0
"""Time of a product that is written to memory, in the same unit."""


@dataclass(frozen=True)
class Cost:
    """operations: multiplications and additions of the large products. time: with everything that
    is done entry by entry weighted by what it takes, in the same unit."""

    operations: int
    time: float


def almost_linear_cost(*, queries: int, keys: int, width: int, rank: int) -> Cost:
    """Of both passes for one head."""
    columns = (1 + width) ** 2
    tokens = queries + keys
    operations = 2 * tokens * rank * columns
    return Cost(operations, operations + _ENTRYWISE * tokens * (rank + 4 * columns))


def exact_cost(*, queries: int, keys: int, width: int) -> Cost:
    """Of the streaming kernel for one head."""
    operations = 18 * queries * keys * width
    return Cost(operations, operations + 3 * _EXPONENTIAL * queries * keys)
