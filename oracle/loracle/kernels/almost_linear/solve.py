"""The almost-linear gradient of a group of heads, with the bounds of its errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from loracle.kernels.almost_linear.certificate import Bounds, Ledger
from loracle.kernels.almost_linear.coordinates import Centred, centre
from loracle.kernels.almost_linear.covariance import Expectations, expectations
from loracle.kernels.almost_linear.errors import OutOfReach
from loracle.kernels.almost_linear.expectations import key_moments, query_sums
from loracle.kernels.almost_linear.features import Columns
from loracle.kernels.almost_linear.plan import Options, Plan, cheaper_exactly, make_plan
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.row_bounds import RowBounds
from loracle.kernels.almost_linear.statistics import KeyStatistics

__all__ = ["Prepared", "Solution", "prepare", "probability_share", "solve"]

_SAMPLE = 1024
"""Queries on which the certificate is foreseen before any work is done."""

_FORESIGHT = 0.9
"""Share of the allowed error aimed at: what was foreseen on a sample may be exceeded a little."""

_TRIES = 4

_LARGEST = 2.0**120


@dataclass(frozen=True)
class Prepared:
    """A problem with all that is known of it before the first feature, and how it will be solved.

    given: the residual is an upstream gradient, handed in later.
    """

    problem: Problem
    centred: Centred
    statistics: KeyStatistics
    plan: Plan
    given: bool = False

    @cached_property
    def columns(self) -> Columns:
        """What is summed over the keys."""
        return Columns.of(self.centred, self.statistics)

    def sums(self) -> Iterator[tuple[slice, Tensor]]:
        """The two passes: block after block of queries, what `expectations` takes."""
        plan, centred = self.plan, self.centred
        index_set = plan.polynomial.index_set
        moments = key_moments(
            centred.keys, self.columns, index_set, dtype=plan.dtype, block=plan.key_block
        )
        rows, block = plan.row_block, plan.query_block
        return query_sums(
            centred.queries, moments, index_set, dtype=plan.dtype, rows=rows, block=block
        )

    def expected(self, part: slice, sums: Tensor, upstream: Tensor | None = None) -> Expectations:
        """`expectations` of a block of queries; overwrites the sums."""
        return expectations(self.problem, self.centred, self.columns, sums, part, upstream)

    def rows(self, part: slice, expected: Expectations) -> RowBounds:
        """`RowBounds` of a block of queries."""
        return RowBounds.of(
            self.problem,
            self.centred,
            self.statistics,
            expected,
            part,
            self.plan.polynomial.coefficients,
            self.plan.delta,
            self.plan.machine,
            given=self.given,
        )

    def account(self) -> Account:
        """An empty account of the cores and of the certificate."""
        return Account(self)


class Account:
    """Adds up the two d x d cores and the certificate, block after block of queries."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        problem = prepared.problem
        shape = (problem.heads, problem.width, problem.width)
        self._core_qk = problem.y.new_zeros(shape)
        self._core_v = problem.y.new_zeros(shape)
        self._ledger = Ledger(
            problem,
            prepared.statistics,
            mean_z=prepared.centred.mean_v,
            constant=abs(prepared.plan.polynomial.coefficients[0]),
            delta=prepared.plan.delta,
            machine=prepared.plan.machine,
            given=prepared.given,
        )

    def add(self, part: slice, expected: Expectations) -> None:
        """A block of queries."""
        prepared = self._prepared
        inputs = prepared.problem.q.inputs[..., part]
        self._core_qk += inputs @ expected.covariance.mT
        self._core_v += (expected.mean_z + prepared.centred.mean_v) @ expected.residual.mT
        self._ledger.add(part, expected, prepared.rows(part, expected))

    def solution(self) -> Solution:
        """What was added up."""
        bounds = self._ledger.bounds()
        return Solution(self._core_qk, self._core_v, bounds, self._prepared.plan)


@dataclass(frozen=True)
class Solution:
    """core_qk (H, d, d): X_Q^T p X_K. core_v (H, d, d): X_V^T f^T c. bounds: by output."""

    core_qk: Tensor
    core_v: Tensor
    bounds: dict[str, Bounds]
    plan: Plan


def probability_share(epsilon: float) -> float:
    """delta with 2 delta / (1 - delta) = epsilon: then |f~ - f| <= epsilon f, entry by entry."""
    return epsilon / (2 + epsilon)


def solve(problem: Problem, options: Options) -> Solution | None:
    """Solve within options.epsilon; None where method "auto" leaves it to the exact kernel.

    The polynomial is chosen by what the certificate would be on a sample of the queries. Where the
    certificate of all of them exceeds epsilon after all, a sharper polynomial is taken. Raises
    OutOfReach if no polynomial, or no number of digits, will do.
    """
    try:
        prepared = prepare(problem, options)
        for _ in range(_TRIES):
            if options.method == "auto" and cheaper_exactly(problem, prepared.plan.rank):
                return None
            account = prepared.account()
            for part, sums in prepared.sums():
                account.add(part, prepared.expected(part, sums))
            solution = account.solution()
            error = _largest_error(solution.bounds, prepared.plan, options)
            if error >= float(prepared.plan.delta.max()):
                return solution
            plan = make_plan(problem, prepared.centred, options, _FORESIGHT * error)
            prepared = replace(prepared, plan=plan)
    except OutOfReach:
        if options.method == "auto":
            return None
        raise
    raise OutOfReach(f"no certificate within epsilon = {options.epsilon:g} after {_TRIES} tries")


def prepare(problem: Problem, options: Options) -> Prepared:
    """Everything before the first feature; raises OutOfReach."""
    centred = centre(problem)
    statistics = KeyStatistics.of(problem, centred)
    _require_size(statistics)
    most = probability_share(options.epsilon) if options.promise == "probabilities" else 0.5
    error = min(options.epsilon, most)
    for _ in range(_TRIES):
        prepared = Prepared(
            problem, centred, statistics, make_plan(problem, centred, options, error)
        )
        delta = float(prepared.plan.delta.max())
        allowed = _largest_error(_foreseen(prepared), prepared.plan, options)
        # A larger error would do with fewer features: worth another look if much larger.
        if delta <= allowed and (options.promise == "probabilities" or allowed < 2 * delta):
            break
        error = min(_FORESIGHT * allowed, most)
    return prepared


def _require_size(statistics: KeyStatistics) -> None:
    """OutOfReach where what is left of inputs or values, less their means, is of a magnitude whose
    powers float64 does not hold; the limits of the inputs do not exclude that."""
    for name, largest in statistics.largest.items():
        magnitudes = largest[largest != 0]
        within = (magnitudes > 1 / _LARGEST) & (magnitudes < _LARGEST)
        if not bool(within.all()):
            what = {"x": "inputs of K", "z": "inputs of V", "v": "values"}[name[-1]]
            raise OutOfReach(
                f"the {what} differ from their mean by no more than {float(largest.max()):.3g}:"
                f" nothing is certified below {1 / _LARGEST:.2g} or beyond {_LARGEST:.2g}"
            )


def _foreseen(prepared: Prepared) -> dict[str, Bounds]:
    """The bounds that a sample of the queries would have if each expected the mean value."""
    queries = prepared.problem.queries
    part = slice(0, queries, -(-queries // _SAMPLE))
    y = prepared.centred.y(part)
    nothing = torch.zeros_like(y)
    account = prepared.account()
    account.add(part, Expectations(nothing, nothing, -y, nothing, nothing[:, :1]))
    return account.solution().bounds


def _largest_error(bounds: dict[str, Bounds], plan: Plan, options: Options) -> float:
    """The relative error of exp at which every certificate is within epsilon; OutOfReach if
    rounding alone exceeds it.

    What is approximated goes with delta / (1 - delta) (and its square, which is left out where
    delta is to grow), what is rounded hardly depends on it.
    """
    delta = float(plan.delta.max())
    growth = float("inf")
    for name, bound in bounds.items():
        parts = (bound.approximation, bound.rounding, bound.natural_scale)
        for approximation, rounding, natural in zip(*(p.tolist() for p in parts), strict=True):
            allowed = options.epsilon * natural
            if not math.isfinite(approximation):
                raise OutOfReach(f"no bound of grad_{name} is finite: the scores are too far apart")
            if rounding != 0 and not rounding < allowed:
                floor = rounding / natural if natural > 0 else float("inf")
                raise OutOfReach(
                    f"epsilon = {options.epsilon:g} is below the rounding floor {floor:.2g} of"
                    f" grad_{name} at rank {plan.rank} with"
                    f" {str(plan.dtype).removeprefix('torch.')} features{_why(plan)}"
                )
            if approximation > 0:
                growth = min(growth, (allowed - rounding) / approximation)
    step = growth * delta / (1 - delta)
    return step / (1 + step) if step < float("inf") else 1.0


def _why(plan: Plan) -> str:
    """A hint, where the floor is not the dtype's own."""
    if plan.machine.operands == 0:
        return ""
    return (
        ", which torch multiplies in less than float32 here:"
        " torch.set_float32_matmul_precision('highest') lowers it"
    )
