"""Where low rank pays: degree, rank and operations against the largest score, at a fixed error.

Nothing is timed. The degree is the smallest one of a polynomial with a certified relative error
epsilon of exp on [-R, R], R = beta d Gamma^2 being what norms bound the scores by; the rank is
C(d + g, g); the operations are those of Problem 2, counted in the specification's code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from loracle import __version__
from loracle.bench.request import between
from loracle.bench.sheet import Sheet
from loracle.errors import UsageError
from loracle_reference import cost
from loracle_reference.minimax import minimax_degree
from loracle_reference.monomials import monomial_count
from loracle_reference.norm_conditions import rank_exponent, required_degree

__all__ = ["SCHEMA", "Transition", "TransitionRow", "find_transition", "positive_numbers", "sheet"]

SCHEMA = "loracle-bench-transition/1"
"""The name of the form of `Transition.to_dict`."""

_LARGEST_SCORE = 100
"""Of degree above 100: no rank comes near any length, and polynomials take long to find."""

_MOST = 1000
"""The degree beyond which nothing is looked for."""


@dataclass(frozen=True)
class TransitionRow:
    """score: R. degree: g of the best polynomial; series_degree: of Taylor's or Chebyshev's.

    exponent: log k / log L. operations: of the almost-linear evaluation at L; crossover: the
    smallest length from which on it takes fewer than the exact one; cheaper: which does at L.
    """

    score: float
    degree: int
    series_degree: int
    rank: int
    exponent: float
    operations: int
    ratio: float
    crossover: int
    cheaper: str


@dataclass(frozen=True)
class Transition:
    """One row for each score, at one length, width, rank of the adapters and error."""

    length: int
    dim: int
    adapter_rank: int
    epsilon: float
    exact_operations: int
    rows: tuple[TransitionRow, ...]

    @property
    def command(self) -> str:
        """The command that finds these rows."""
        scores = ",".join(f"{row.score:g}" for row in self.rows)
        return (
            f"loracle bench --transition --scores {scores} --length {self.length}"
            f" --dim {self.dim} --rank {self.adapter_rank} --epsilon {self.epsilon:g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        found = asdict(self)
        found["rows"] = [asdict(row) for row in self.rows]
        return {"schema": SCHEMA, "loracle": __version__, "command": self.command, **found}


def find_transition(
    scores: Sequence[float], *, length: int, dim: int, adapter_rank: int, epsilon: float
) -> Transition:
    """The rows, by rising score.

    Raises UsageError for lengths below 2, widths and ranks below 1, an epsilon that is not between
    0 and 1, scores that are not between 0 and 100, and degrees beyond 1000.
    """
    between("--length", length, 2, math.inf)
    between("--dim", dim, 1, math.inf)
    between("--rank", adapter_rank, 1, math.inf)
    between("--epsilon", epsilon, 0, 1, open_ended=True)
    for score in scores:
        between("--scores", score, 0, _LARGEST_SCORE)
    sizes = {cost.LENGTH: length, cost.WIDTH: dim, cost.RANK: adapter_rank}
    exact = int(cost.exact_gradient_operations().substitute(sizes).total)
    almost_linear = cost.almost_linear_operations().substitute(sizes).total
    rows = []
    for score in sorted(set(scores)):
        degree = minimax_degree(Fraction(score), Fraction(epsilon), most=_MOST)
        if degree is None:
            raise UsageError(
                f"at a score of {score:g}, --epsilon {epsilon:g} needs a degree above {_MOST}"
            )
        rank = monomial_count(dim, degree)
        operations = int(almost_linear.subs({cost.FEATURES: rank}))
        rows.append(
            TransitionRow(
                score=score,
                degree=degree,
                series_degree=required_degree(Fraction(score), Fraction(epsilon)),
                rank=rank,
                exponent=rank_exponent(rank, length),
                operations=operations,
                ratio=operations / exact,
                crossover=cost.crossover(dim, adapter_rank, max(rank, dim + 1)),
                cheaper="almost-linear" if operations < exact else "exact",
            )
        )
    return Transition(length, dim, adapter_rank, epsilon, exact, tuple(rows))


def positive_numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of a list separated by commas. Raises UsageError unless all are above 0 and
    finite."""
    found = []
    for word in text.split(","):
        try:
            found.append(float(word))
        except ValueError:
            raise UsageError(
                f"{option} takes numbers separated by commas, not {word.strip()!r}"
            ) from None
        between(option, found[-1], 0, math.inf, open_ended=True)
    return tuple(found)


def sheet(transition: Transition) -> Sheet:
    """The rows as a table."""
    return Sheet(
        title=(
            f"L = {transition.length}, d = {transition.dim}, r = {transition.adapter_rank},"
            f" exp to a relative error of {transition.epsilon:g}"
        ),
        columns=(
            "beta d Γ²",
            "degree",
            "of a\nseries",
            "rank k",
            "log k /\nlog L",
            "operations",
            "of exact",
            "pays from\nlength",
            "cheaper\nhere",
        ),
        rows=tuple(
            (
                f"{row.score:g}",
                str(row.degree),
                str(row.series_degree),
                _count(row.rank),
                f"{row.exponent:.2f}",
                _count(row.operations),
                f"{row.ratio:.3g}",
                _count(row.crossover),
                row.cheaper,
            )
            for row in transition.rows
        ),
        notes=(
            f"the exact evaluation takes {_count(transition.exact_operations)} operations",
            "counted for Problem 2, in the specification's code; nothing is timed",
        ),
    )


def _count(number: int) -> str:
    return str(number) if number < 10**7 else f"{number:.3g}"
