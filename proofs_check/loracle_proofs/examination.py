"""Running a claim: symbols at every small size, rationals beyond, balls, and where it is attained.

Everything is drawn from a seed made of the claim's own name, so two runs of the same code agree.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from loracle_proofs.relation import NotOrdered, Outcome, Relation, decide, tight, worst
from loracle_proofs.setting import Instance, Setting, symbolic_instance
from loracle_proofs.statement import Claim, Part
from loracle_reference.arithmetic.ball import Ball
from loracle_reference.arithmetic.protocol import Matrix
from loracle_reference.arithmetic.rational import Rational
from loracle_reference.arithmetic.shapes import ShapeError

__all__ = ["FULL", "QUICK", "Effort", "Examination", "ball_instances", "evaluate", "examine"]

_PRECISION = 128

_ATTEMPTS = 20
"""Instances drawn for each that is wanted; hypotheses that fewer meet leave a claim open."""


@dataclass(frozen=True)
class Effort:
    """How much is run: the largest size for symbols, and how many rational and ball cases."""

    symbolic_limit: int
    rational_cases: int
    ball_cases: int


FULL = Effort(symbolic_limit=3, rational_cases=60, ball_cases=200)
QUICK = Effort(symbolic_limit=2, rational_cases=6, ball_cases=12)


@dataclass(frozen=True)
class Examination:
    """What running one claim gave.

    symbolic: the sizes at which every entry was a symbol and the claim was proved; unproved: those
    at which the normal form decided nothing. rational, balls: how many cases held; largest: the
    largest sizes among the rational ones. attained: at how many extremal instances a bound is an
    equation. exact: a claim about plain values, run once; free: such a claim with free symbols.
    met: the first instance that satisfies the hypotheses. detail: what failed, and where.
    """

    outcome: Outcome
    symbolic: tuple[dict[str, int], ...] = ()
    unproved: tuple[dict[str, int], ...] = ()
    rational: int = 0
    largest: tuple[tuple[str, int], ...] = ()
    balls: int = 0
    attained: int = 0
    exact: bool = False
    free: bool = False
    met: Instance | None = None
    detail: str = ""


def evaluate(relation: Callable[..., Any], instance: Instance | None) -> list[Relation]:
    """The relations that a claim asserts of an instance, or of nothing."""
    asserted = relation() if instance is None else instance.call(relation)
    return [asserted] if isinstance(asserted, Relation) else list(asserted)


def judge(relation: Callable[..., Any], instance: Instance | None) -> tuple[Outcome, str]:
    """The worst outcome over what a claim asserts, and the shapes that do not fit if there are."""
    try:
        relations = evaluate(relation, instance)
    except ShapeError as error:
        return Outcome.ILL_TYPED, str(error)
    outcomes = [decide(one) for one in relations]
    for one, outcome in zip(relations, outcomes, strict=True):
        if outcome is Outcome.ILL_TYPED:
            return outcome, f"the sides have shapes {_shape(one.left)} and {_shape(one.right)}"
    failing = [one for one, o in zip(relations, outcomes, strict=True) if o is Outcome.FAILS]
    witness = _plain_words(failing[0]) if failing else ""
    return worst(outcomes), witness


_VERBS = {"=": "is not", "<=": "is not at most", "<": "is not less than"}


def _plain_words(relation: Relation) -> str:
    """What fails, where the sides are plain values: matrices have their counterexamples."""
    if isinstance(relation.left, Matrix):
        return relation.witness
    words = f"{relation.left} {_VERBS[relation.sign]} {relation.right}"
    return f"{relation.witness}: {words}" if relation.witness else words


def _shape(side: Any) -> Any:
    return getattr(side, "shape", "a number")


def examine(claim: Claim, part: Part, *, printed: bool, effort: Effort, seed: str) -> Examination:
    """Run a claim of a part. Stops at what shows that the claim is false or ill-typed."""
    setting = claim.setting or part.setting
    if setting is None:
        return _examine_values(claim)
    if (failure := _first_ill_typed(claim, setting, printed)) is not None:
        return failure
    symbolic, unproved = _symbolic(claim, part, setting, printed, effort)
    rational, largest = _rational(claim, part, setting, printed, effort, seed)
    met: Instance | None = None
    held = undecided = 0
    drawn = ball_instances(setting, seed, printed=printed)
    for instance in itertools.islice(drawn, _ATTEMPTS * effort.ball_cases):
        if held == effort.ball_cases or undecided > effort.ball_cases:
            break
        if not _meets(part, instance):
            continue
        met = met or instance
        outcome, detail = judge(claim.relation, instance)
        if outcome in (Outcome.FAILS, Outcome.ILL_TYPED):
            return Examination(outcome, met=met, detail=detail)
        held += outcome is Outcome.HOLDS
        undecided += outcome is Outcome.UNDECIDED
    attained, detail = _attained(claim, setting)
    if detail:
        return Examination(Outcome.FAILS, met=met, detail=detail)
    decided = held >= effort.ball_cases
    return Examination(
        Outcome.HOLDS if decided else Outcome.UNDECIDED,
        symbolic=symbolic,
        unproved=unproved,
        rational=rational,
        largest=largest,
        balls=held,
        attained=attained,
        met=met,
        detail="" if decided else f"only {held} of {effort.ball_cases} ball cases were decided",
    )


def _examine_values(claim: Claim) -> Examination:
    outcome, detail = judge(claim.relation, None)
    free = outcome is Outcome.HOLDS and any(
        getattr(side, "free_symbols", None)
        for relation in evaluate(claim.relation, None)
        for side in (relation.left, relation.right)
    )
    return Examination(outcome, exact=True, free=free, detail=detail)


def _first_ill_typed(claim: Claim, setting: Setting, printed: bool) -> Examination | None:
    """The smallest sizes at which the claim has no meaning; symbols show it as well as numbers."""
    for sizes in setting.all_sizes(printed=printed):
        entries = _random_entries(setting, sizes, random.Random(0), _small_integer)
        instance = Instance(setting, sizes, Ball(_PRECISION), entries)
        outcome, detail = judge(claim.relation, instance)
        if outcome is Outcome.ILL_TYPED:
            return Examination(outcome, detail=f"{show_sizes(sizes)}: {detail}")
    return None


def _symbolic(
    claim: Claim, part: Part, setting: Setting, printed: bool, effort: Effort
) -> tuple[tuple[dict[str, int], ...], tuple[dict[str, int], ...]]:
    """Sizes proved with symbols, and sizes left open; nothing under hypotheses, which symbols
    cannot meet, and nothing for an inequality."""
    if part.hypotheses is not None:
        return (), ()
    proved: list[dict[str, int]] = []
    left_open: list[dict[str, int]] = []
    for sizes in setting.all_sizes(printed=printed, limit=effort.symbolic_limit):
        try:
            outcome, _ = judge(claim.relation, symbolic_instance(setting, sizes))
        except NotOrdered:
            return (), ()
        except OverflowError:
            # More exponentials or reciprocals than the ring has: these sizes are left open.
            outcome = Outcome.UNDECIDED
        (proved if outcome is Outcome.HOLDS else left_open).append(sizes)
    return tuple(proved), tuple(left_open)


def _rational(
    claim: Claim, part: Part, setting: Setting, printed: bool, effort: Effort, seed: str
) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many rational cases held, exp uninterpreted; none if one of them did not, for what such
    a case refutes is the algebra, and balls decide about the statement."""
    source = random.Random(f"{seed}/rational")
    held = 0
    largest: dict[str, int] = {}
    for _ in range(_ATTEMPTS * effort.rational_cases):
        if held == effort.rational_cases:
            break
        sizes = _random_sizes(setting, source, 6, printed)
        entries = _random_entries(setting, sizes, source, _rational_number)
        instance = Instance(setting, sizes, Rational(), entries)
        if not _meets(part, instance):
            continue
        if judge(claim.relation, instance)[0] is not Outcome.HOLDS:
            return 0, ()
        held += 1
        largest = max(largest, sizes, key=lambda one: sum(one.values()))
    return held, tuple(largest.items())


def ball_instances(setting: Setting, seed: str, *, printed: bool) -> Iterator[Instance]:
    """Endless random instances of sizes up to 5 in balls, small and large entries in turn."""
    source = random.Random(f"{seed}/ball")
    while True:
        for draw in (_small_integer, _quarter, _unit, _wide):
            sizes = _random_sizes(setting, source, 5, printed)
            entries = _random_entries(setting, sizes, source, draw)
            yield Instance(setting, sizes, Ball(_PRECISION), entries)


def _attained(claim: Claim, setting: Setting) -> tuple[int, str]:
    """At how many extremal instances every inequality is an equation; and what is not attained."""
    for sizes, entries in claim.extremal:
        instance = Instance(setting, sizes, Ball(_PRECISION), entries)
        for relation in evaluate(claim.relation, instance):
            if decide(relation) is not Outcome.HOLDS:
                return 0, f"the claim does not hold at its extremal instance {show_sizes(sizes)}"
            if relation.sign == "<=" and decide(tight(relation)) is not Outcome.HOLDS:
                return 0, f"the bound is not attained at {show_sizes(sizes)}"
    return len(claim.extremal), ""


def _meets(part: Part, instance: Instance) -> bool:
    return part.hypotheses is None or judge(part.hypotheses, instance)[0] is Outcome.HOLDS


def show_sizes(sizes: Any) -> str:
    """Sizes as they are written: L=2, d=1."""
    return ", ".join(f"{name}={size}" for name, size in dict(sizes).items())


def _random_sizes(
    setting: Setting, source: random.Random, most: int, printed: bool
) -> dict[str, int]:
    while True:
        sizes = {name: source.randint(1, most) for name in setting.size_names}
        if printed:
            sizes |= {one: sizes[other] for one, other in setting.square.items()}
        if setting.admits(sizes, printed=printed):
            return sizes


def _random_entries(
    setting: Setting,
    sizes: dict[str, int],
    source: random.Random,
    draw: Callable[[random.Random], Fraction],
) -> dict[str, Any]:
    entries: dict[str, Any] = {
        name: [[draw(source) for _ in range(sizes[columns])] for _ in range(sizes[rows])]
        for name, (rows, columns) in setting.shapes.items()
    }
    return entries | {name: draw(source) or Fraction(1) for name in setting.scalars}


def _small_integer(source: random.Random) -> Fraction:
    return Fraction(source.choice((-2, -1, -1, 0, 1, 1, 2)))


def _quarter(source: random.Random) -> Fraction:
    return Fraction(source.randint(-(2**20), 2**20), 2**22)


def _unit(source: random.Random) -> Fraction:
    return Fraction(source.randint(-(2**20), 2**20), 2**20)


def _wide(source: random.Random) -> Fraction:
    return Fraction(source.randint(-(2**20), 2**20), 2**18)


def _rational_number(source: random.Random) -> Fraction:
    return Fraction(source.randint(-(2**16), 2**16), source.randint(1, 2**8))
