"""Before any work is done: the polynomial, the blocks, and whether the accuracy is within reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from loracle.errors import UsageError
from loracle.kernels.almost_linear.coordinates import FLOAT64_UNIT, Centred
from loracle.kernels.almost_linear.cost_model import almost_linear_cost, exact_cost
from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.matmul_precision import operand_error
from loracle.kernels.almost_linear.polynomial import Polynomial, choose_polynomial, needed_rank
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.row_bounds import Machine, gamma
from loracle_reference.monomials import monomial_count

__all__ = [
    "METHODS",
    "PROMISES",
    "Method",
    "Options",
    "Plan",
    "Promise",
    "cheaper_exactly",
    "make_plan",
]

Promise = Literal["probabilities", "gradient"]
Method = Literal["almost-linear", "streaming", "auto"]

PROMISES: tuple[Promise, ...] = ("probabilities", "gradient")
METHODS: tuple[Method, ...] = ("almost-linear", "streaming", "auto")

_ROUNDING_SHARE = 2.0**-5
"""Share of epsilon that the unit roundoff times the keys of a block may take: the sums over a block
stay in the features' dtype, so their rounding grows with it, and not with the length."""

_SHORTEST_KEY_BLOCK = 512

_SHORTEST_BLOCK = 64

_FEATURE_BYTES = 1 << 24
"""Memory for the features of one block: what still fits the last cache. Smaller blocks would fit a
nearer one, and lose more to the calls of torch that each takes."""

_LONGEST_BLOCK = 1 << 13
"""Queries whose expectations and bounds are taken at once: enough to hide what a call of torch
costs, few enough for a cache."""

_LARGEST_RADIUS = 100.0
"""Beyond, whatever the accuracy, the features leave the range of float64 (the degree is of the
order of the radius): declined before a polynomial is looked for, which would take seconds."""

_LEAST_UNDERFLOW = 2.0**-51


@dataclass(frozen=True)
class Options:
    """What the caller asks for; UsageError on a value that means nothing.

    epsilon: the error promised, relative to the natural scale. promise: "gradient" is that alone,
    "probabilities" that and that the result is the gradient for probabilities within epsilon of f,
    relatively, entry by entry. dtype: of the features. max_rank: of features. max_bytes: of memory
    beyond the inputs and what is linear in the length.
    """

    epsilon: float
    promise: Promise
    method: Method
    dtype: torch.dtype
    max_rank: int
    max_bytes: int

    def __post_init__(self) -> None:
        if not (isinstance(self.epsilon, int | float) and 0 < self.epsilon < 1):
            raise UsageError(f"epsilon must lie between 0 and 1, not {self.epsilon!r}")
        if self.promise not in PROMISES:
            raise UsageError(f"promise must be one of {', '.join(PROMISES)}, not {self.promise!r}")
        if self.method not in METHODS:
            raise UsageError(f"method must be one of {', '.join(METHODS)}, not {self.method!r}")
        if self.dtype not in (torch.float32, torch.float64):
            raise UsageError(f"features must be torch.float32 or torch.float64, not {self.dtype}")
        if self.max_rank < 1 or self.max_bytes < 1:
            raise UsageError("max_rank and max_bytes must be at least 1")

    @property
    def unit(self) -> float:
        """u of the features' dtype."""
        return FLOAT64_UNIT if self.dtype == torch.float64 else 2.0**-24


@dataclass(frozen=True)
class Plan:
    """How one group of heads is computed.

    machine: what rounding may do. delta (H, 1, 1): the relative error of exp, polynomial and
    rounded scores together. operations: useful ones of the contractions, for all heads of the
    group. key_block, query_block: tokens whose features are in memory at once; row_block: queries
    whose expectations are.
    """

    polynomial: Polynomial
    machine: Machine
    delta: Tensor
    dtype: torch.dtype
    key_block: int
    query_block: int
    row_block: int
    operations: int

    @property
    def degree(self) -> int:
        """g, the degree of the polynomial."""
        return self.polynomial.degree

    @property
    def rank(self) -> int:
        """k, the number of features."""
        return self.polynomial.index_set.rank


def make_plan(problem: Problem, centred: Centred, options: Options, error: float) -> Plan:
    """The plan for a relative error of exp of at most `error` for every head.

    Raises OutOfReach if that takes more rank or memory than there may be, or more digits.
    """
    radius = float(centred.radius.max())
    if radius > _LARGEST_RADIUS:
        rank = monomial_count(problem.width, int(radius))
        raise OutOfReach(
            f"scores of up to {radius:.3g} would need rank {_short(rank)} or so, and features that"
            f" leave the range of {_name(options.dtype)} ({_instead(problem)})"
        )
    score_error = centred.score_error + 2.1 * options.unit * centred.radius
    largest = min(float(score_error.max()), 100.0)
    left = (1 + error * math.exp(-4 * largest)) / math.exp(largest) - 1
    if left <= 0:
        raise OutOfReach(
            f"epsilon = {options.epsilon:g} is below the rounding floor: rounding alone moves"
            f" scores of up to {radius:.3g} by {float(score_error.max()):.1g} in"
            f" {_name(options.dtype)} ({_instead(problem)})"
        )
    spreads = centred.spreads.amax(0).cpu().numpy()
    # Rounding to the features' dtype may lengthen queries and keys.
    room = 1 + 4 * options.unit
    polynomial = choose_polynomial(radius * room, spreads * room, left, options.max_rank)
    if polynomial is None:
        raise OutOfReach(_out_of_rank(problem, radius, left, options))
    rank = polynomial.index_set.rank
    key_block, query_block, row_block = _blocks(problem, rank, options)
    key_block = min(key_block, problem.keys)
    return Plan(
        polynomial=polynomial,
        machine=_machine(problem, polynomial, key_block, radius, options),
        delta=_total_error(polynomial, score_error),
        dtype=options.dtype,
        key_block=key_block,
        query_block=query_block,
        row_block=row_block,
        operations=problem.heads
        * almost_linear_cost(
            queries=problem.queries, keys=problem.keys, width=problem.width, rank=rank
        ).operations,
    )


def _total_error(polynomial: Polynomial, score_error: Tensor) -> Tensor:
    """delta: the polynomial's error and that of the scores. The bounds take deviations under the
    probabilities of the rounded scores, at most exp(4 score_error) less than the exact ones' in the
    products that occur, and are linear in delta / (1 - delta): so that is enlarged."""
    delta = (1 + polynomial.error) * torch.exp(score_error) - 1
    enlarged = delta * torch.exp(4 * score_error)
    return enlarged / (1 - delta + enlarged)


def cheaper_exactly(problem: Problem, rank: int) -> bool:
    """Whether the exact kernel takes less time by the cost model."""
    sizes = {"queries": problem.queries, "keys": problem.keys, "width": problem.width}
    return exact_cost(**sizes).time < almost_linear_cost(**sizes, rank=rank).time


def _blocks(problem: Problem, rank: int, options: Options) -> tuple[int, int, int]:
    """Keys and queries whose features are in memory at once, and queries whose expectations are;
    OutOfReach if not even small blocks fit."""
    itemsize = options.dtype.itemsize
    columns = (1 + problem.width) ** 2
    moments = problem.heads * rank * columns * (8 + 2 * itemsize)
    token = problem.heads * (rank + columns) * itemsize
    least = moments + _SHORTEST_BLOCK * token
    if least > options.max_bytes:
        raise OutOfReach(
            f"rank {rank} takes {least / 2**20:.0f} MiB, more than max_bytes ="
            f" {options.max_bytes / 2**20:.0f} MiB allows ({_instead(problem)})"
        )
    fitting = (options.max_bytes - moments) // token
    cached = max(256, _FEATURE_BYTES // (rank * itemsize))
    query_block = max(_SHORTEST_BLOCK, min(fitting, cached, _LONGEST_BLOCK))
    row_block = min(_LONGEST_BLOCK, max(query_block, fitting // 8))
    harmless = int(_ROUNDING_SHARE * options.epsilon / options.unit) - rank
    return min(query_block, max(_SHORTEST_KEY_BLOCK, harmless)), query_block, row_block


def _machine(
    problem: Problem, polynomial: Polynomial, key_block: int, radius: float, options: Options
) -> Machine:
    """Roundings on the way of a term through the sums; OutOfReach where features underflow."""
    width, degree, rank = problem.width, polynomial.degree, polynomial.index_set.rank
    unit, key_blocks = options.unit, -(-problem.keys // key_block)
    # Features of both sides, the columns' own roundings, weights, moments, and the two sums.
    roundings = key_block + rank + 2 * degree + width + 16
    double_roundings = key_blocks + 2 * width + 16
    # Two passes with two factors each, should torch multiply in less than float32.
    operands = operand_error(options.dtype, problem.y.device)
    sums = gamma(roundings, unit) + gamma(double_roundings, FLOAT64_UNIT) + 4 * operands
    query_blocks = -(-problem.queries // _SHORTEST_BLOCK)
    dust = gamma(
        min(problem.queries, _LONGEST_BLOCK) + query_blocks + 16 * width + 64, 2 * FLOAT64_UNIT
    )
    smallest = 2.0**-126 if options.dtype == torch.float32 else 2.0**-1022
    # log2 of the product of a query's and a key's feature; the sides are balanced up to a factor.
    largest_feature = degree * math.log2(max(1.0, 2 * radius))
    terms = math.log2(problem.keys * rank * (2 * degree + 4))
    if terms + largest_feature + math.log2(smallest) > math.log2(_LEAST_UNDERFLOW * unit):
        raise OutOfReach(
            f"rank {rank} (degree {degree}) would be needed for scores of up to {radius:.3g}, and"
            f" its features leave the range of {_name(options.dtype)} ({_instead(problem)})"
        )
    return Machine(
        sums=sums * (1 + 2.0**-8),
        contraction=gamma(width + 4, unit),
        dust=dust,
        operands=operands,
    )


def _out_of_rank(problem: Problem, radius: float, error: float, options: Options) -> str:
    """One line: what would be needed and what the exact kernel costs."""
    degree, rank = needed_rank(radius, problem.width, error, options.max_rank)
    return (
        f"scores of up to {radius:.3g} at epsilon = {options.epsilon:g} would need rank"
        f" {_short(rank)} (degree {degree}), more than max_rank = {options.max_rank}"
        f" ({_instead(problem)})"
    )


def _instead(problem: Problem) -> str:
    operations = (
        problem.heads
        * exact_cost(queries=problem.queries, keys=problem.keys, width=problem.width).operations
    )
    return f"the exact streaming kernel takes {operations:.2g} operations instead"


def _short(rank: int) -> str:
    """A rank in a few digits, however large."""
    digits = len(str(rank))
    return str(rank) if digits <= 9 else f"{str(rank)[0]}e{digits - 1}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
