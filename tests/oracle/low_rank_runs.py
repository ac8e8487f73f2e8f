"""Factors and runs of the almost-linear kernel, and what of the lemmas they refute."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch

from loracle.cases import Inputs
from loracle.kernels import almost_linear
from loracle.kernels.almost_linear import Gradients, LowRankIntermediates, OutOfReach, gradients
from loracle.kernels.almost_linear.coordinates import centre
from loracle.kernels.almost_linear.plan import Options
from loracle.kernels.almost_linear.projections import Problem
from loracle.kernels.almost_linear.solve import Prepared, Solution, solve
from loracle.kernels.almost_linear.statistics import KeyStatistics
from loracle.kernels.exact import Intermediates
from loracle_reference.monomials import monomial_count

from .lemma_operands import DTYPES
from .lemmas import (
    BALL,
    UNIT,
    Bracket,
    Operands,
    Truth,
    evaluated_in_low_rank,
    gamma,
    refuted,
    specified,
)

MAX_RANK = 3003
"""Of the almost-linear kernel: the factors of p1 have d times as many columns."""


def declines_in_one_line(error: OutOfReach) -> None:
    """It says what rank or degree would be needed, or that rounding is too much, whatever they
    are."""
    assert "\n" not in str(error)
    assert re.search(
        r"rank \d+|a degree beyond \d+|rounding alone moves scores|leave the range", str(error)
    )


def in_low_rank(
    operands: Operands, dtype: str, device: str, **options: Any
) -> LowRankIntermediates | None:
    """None if it is out of reach and says so."""
    tensors = operands.tensors(DTYPES[dtype], device)
    try:
        low = almost_linear.intermediates(**tensors, max_rank=MAX_RANK, **options)
    except OutOfReach as error:
        declines_in_one_line(error)
        return None
    (length, width), keys = operands.queries.shape, len(operands.keys)
    rank = monomial_count(width, low.degree)
    # Lemmas 3.3, 3.5 to 3.7: the ranks k1, k2 = d, k3 = k1 k2 and k4 = k1.
    assert low.rank == rank if low.plan.polynomial.index_set.full else low.rank < rank
    for number, columns in ((1, low.rank), (2, width), (3, low.rank * width), (4, low.rank)):
        u, v = getattr(low, f"u{number}"), getattr(low, f"v{number}")
        assert u.shape == (length, columns)
        assert v.shape == (keys, columns)
        assert u.device.type == v.device.type == device
    return low


def objections(
    low: LowRankIntermediates, operands: Operands, dense: Intermediates | None = None
) -> set[str]:
    """The statements that the factors, or wrong matrices in their place, refute."""
    truth = Truth.of(operands.embedded(BALL))
    magnitude = np.abs(operands.values)
    return refuted(evaluated_in_low_rank(low, dense or low.dense(), truth, magnitude), truth)


KERNELS: dict[str, Callable[..., Gradients]] = {
    "aloragc": almost_linear.aloragc_gradients,
    "lora-attention": almost_linear.lora_attention_gradients,
}


@dataclass(frozen=True)
class Run:
    """One call of the almost-linear kernel for a contract: what it solved, and how."""

    prepared: Prepared
    solution: Solution


def run_of(
    contract: str, inputs: Inputs, dtype: torch.dtype, device: str, **options: Any
) -> Run | None:
    """None if it is out of reach and says so."""
    solved: list[tuple[Problem, Solution]] = []

    def noted(problem: Problem, asked: Options) -> Solution | None:
        solution = solve(problem, asked)
        assert solution is not None
        solved.append((problem, solution))
        return solution

    tensors = {n: torch.tensor(x, dtype=dtype, device=device) for n, x in inputs.tensors.items()}
    try:
        with mock.patch.object(gradients, "solve", noted):
            KERNELS[contract](**tensors, **inputs.scalars, max_rank=MAX_RANK, **options)
    except OutOfReach as error:
        declines_in_one_line(error)
        return None
    ((problem, solution),) = solved
    centred = centre(problem)
    statistics = KeyStatistics.of(problem, centred)
    return Run(Prepared(problem, centred, statistics, solution.plan), solution)


def cores_agree(run: Run, low: LowRankIntermediates) -> bool:
    """Whether X_Q^T (p1~ - p2~) X_K and X_V^T f~^T c~ are what the kernel has, but for rounding:
    relative to the same products with |U1| |V1|^T for f~ and the values' magnitude."""
    problem, dense, unit = run.prepared.problem, low.dense(), UNIT[low.plan.dtype]
    x_q, x_k, x_v = (p.inputs[0].mT for p in (problem.q, problem.k, problem.v))
    f, c = low.u1.abs() @ low.v1.abs().T, low.c.abs()
    values = problem.v.projected_magnitude(slice(None))[0].mT
    p1 = f * (c @ values.T)
    sizes = p1 + p1.sum(1, keepdim=True) * f
    attended = c + f @ values
    allowed = gamma(8 * (low.rank + len(low.c) + len(low.v1) + 64), unit)
    qk = (x_q.T @ (dense.p1 - dense.p2) @ x_k - run.solution.core_qk[0]).abs()
    v = (x_v.T @ dense.f.T @ dense.c - run.solution.core_v[0]).abs()
    return bool((qk <= allowed * (x_q.abs().T @ sizes @ x_k.abs())).all()) and bool(
        (v <= allowed * (x_v.abs().T @ f.T @ attended)).all()
    )


def objections_to_run(run: Run, bracket: Bracket, inputs: Inputs) -> set[str]:
    """As `objections`, from a contract's inputs on."""
    low = LowRankIntermediates.of(run.prepared)
    truth = Truth.of(specified(bracket, inputs, BALL))
    magnitude = run.prepared.problem.v.projected_magnitude(slice(None))[0].mT.cpu().numpy()
    return refuted(evaluated_in_low_rank(low, low.dense(), truth, magnitude), truth)
