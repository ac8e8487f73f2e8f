"""The smallest instance that refutes a claim: smallest sizes first, then the simplest entries."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from loracle_proofs.examination import evaluate, judge
from loracle_proofs.relation import Outcome, decide
from loracle_proofs.setting import Instance, Setting, show_entries
from loracle_proofs.statement import Claim, Part
from loracle_reference.arithmetic.ball import Ball, BallMatrix

__all__ = ["Counterexample", "smallest_counterexample"]

_PRECISION = 128
_ATTEMPTS = 40


@dataclass(frozen=True)
class Counterexample:
    """Sizes, the entries that the claim uses, and the two sides at one entry that differs."""

    sizes: dict[str, int]
    entries: dict[str, Any]
    sides: str


def smallest_counterexample(
    claim: Claim, part: Part, setting: Setting, *, printed: bool, limit: int = 4
) -> Counterexample | None:
    """The first failure in the order of the sum of the sizes, its entries made zero or one where
    it still fails. Rigorous: balls exclude that the sides agree. None if there is none."""
    source = random.Random(0)
    for sizes in setting.all_sizes(printed=printed, limit=limit):
        for attempt in range(_ATTEMPTS):
            pool = (0, 1) if attempt < _ATTEMPTS // 2 else (-2, -1, 0, 1, 2)
            entries = _draw(setting, sizes, source, pool)
            if _refutes(claim, part, setting, sizes, entries):
                _simplify(claim, part, setting, sizes, entries)
                return _describe(claim, setting, sizes, entries)
    return None


def _draw(
    setting: Setting, sizes: dict[str, int], source: random.Random, pool: tuple[int, ...]
) -> dict[str, Any]:
    entries: dict[str, Any] = {
        name: [
            [Fraction(source.choice(pool)) for _ in range(sizes[columns])]
            for _ in range(sizes[rows])
        ]
        for name, (rows, columns) in setting.shapes.items()
    }
    return entries | {name: Fraction(source.choice((1, 2, 3))) for name in setting.scalars}


def _refutes(
    claim: Claim, part: Part, setting: Setting, sizes: dict[str, int], entries: dict[str, Any]
) -> bool:
    instance = Instance(setting, sizes, Ball(_PRECISION), entries)
    if part.hypotheses is not None and judge(part.hypotheses, instance)[0] is not Outcome.HOLDS:
        return False
    return judge(claim.relation, instance)[0] is Outcome.FAILS


def _simplify(
    claim: Claim, part: Part, setting: Setting, sizes: dict[str, int], entries: dict[str, Any]
) -> None:
    for simpler in (Fraction(0), Fraction(1)):
        for name in setting.shapes:
            for row in entries[name]:
                for column, old in enumerate(row):
                    if old in (Fraction(0), simpler):
                        continue
                    row[column] = simpler
                    if not _refutes(claim, part, setting, sizes, entries):
                        row[column] = old
    for name in setting.scalars:
        old, entries[name] = entries[name], Fraction(1)
        if not _refutes(claim, part, setting, sizes, entries):
            entries[name] = old


def _describe(
    claim: Claim, setting: Setting, sizes: dict[str, int], entries: dict[str, Any]
) -> Counterexample:
    instance = Instance(setting, sizes, Ball(_PRECISION), entries)
    relation = next(
        one for one in evaluate(claim.relation, instance) if decide(one) is Outcome.FAILS
    )
    names = {"=": "is not", "<=": "is not at most", "<": "is not less than"}
    return Counterexample(
        sizes, show_entries(instance), _sides(relation.left, names[relation.sign], relation.right)
    )


def _sides(left: Any, verb: str, right: Any) -> str:
    if not isinstance(left, BallMatrix):
        return f"{left} {verb} {right}"
    pairs = list(zip(left.entries, right.entries, strict=True))
    differing = [pair for pair in pairs if not (pair[0] - pair[1]).contains(0)]
    # Equal sides refute a strict inequality.
    first, second = (differing or pairs)[0]
    return f"{_number(first)} {verb} {_number(second)}"


def _number(ball: Any) -> str:
    return f"{float(ball.mid()):.6g}"
