"""Which hypotheses explain every failing case of an output."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loracle.diagnosis.coarser_machine import coarser_machine
from loracle.diagnosis.evidence import Evidence
from loracle.diagnosis.fitted import constant_factor
from loracle.diagnosis.hypotheses import table_of
from loracle.diagnosis.hypothesis import Hypothesis
from loracle.diagnosis.labels import term_of
from loracle.diagnosis.matching import (
    Match,
    count,
    explains,
    match,
    probes,
    said,
    say_enough,
    without_outdone,
)
from loracle.diagnosis.pairs import pairs
from loracle.report import Diagnosis

__all__ = ["are_too_few", "diagnose"]

_PROBES_FOR_NEXT = 2
"""Cases on which the next best is looked for; then it is counted over all."""

Ask = Callable[[Hypothesis, Evidence], bool]
"""Whether a hypothesis explains a case."""

_MOST_CASES = 64
"""Failing cases that are compared; more would only cost time."""


def diagnose(failing: Sequence[Evidence], kind: str = "failing") -> tuple[Diagnosis, ...]:
    """All hypotheses that explain the failing cases of one output, specific before generic; none
    where none fits. kind: what they are called where they are counted.

    A hypothesis must come close in every case. A name is
    listed once, by its closest explanation. Two at once are tried where no single one fits, a
    coarser machine where no mistake in the formulas does. Results that are not finite are compared
    by themselves, and by what the finite ones do not contradict.
    """
    usable = _usable(failing)
    finite = [e for e in usable if e.finite]
    not_finite = [e for e in usable if not e.finite]
    apart = finite and not_finite
    return (
        *_of_not_finite(not_finite, finite, f"not finite {kind}" if apart else kind),
        *_of_finite(finite, f"finite {kind}" if apart else kind),
    )


def are_too_few(failing: Sequence[Evidence]) -> bool:
    """Whether the numbers of these cases say too little to name any mistake in a formula, however
    well it fits, unless the results are the wrong truth to the last bit."""
    usable = _usable(failing)
    return not say_enough(len(usable), sum(evidence.most_bits() for evidence in usable))


def _usable(failing: Sequence[Evidence]) -> list[Evidence]:
    usable = [e for e in failing if math.isfinite(e.slack)]
    return sorted(usable, key=Evidence.clarity, reverse=True)[:_MOST_CASES]


def _of_not_finite(
    failing: Sequence[Evidence], finite: Sequence[Evidence], kind: str
) -> tuple[Diagnosis, ...]:
    """finite: the other failing cases, which must not contradict it: a larger mistake may overflow
    where this one does."""
    if not failing:
        return ()
    found = _matches(table_of(failing[0].contract.name).non_finite, failing)
    few = probes(finite)
    return tuple(
        _diagnosis(one, failing[0], kind, "")
        for one in found
        if all(explains(one.hypothesis, evidence) for evidence in few)
    )


def _of_finite(failing: Sequence[Evidence], kind: str) -> tuple[Diagnosis, ...]:
    if not failing:
        return ()
    table, first = table_of(failing[0].contract.name), failing[0]
    ask = _once(explains)
    multiple = constant_factor([e for e in failing if e.truth.any()])
    found = without_outdone(_matches(table.mistakes, failing, ask), failing)
    if found:
        named = tuple(
            _diagnosis(
                one, first, kind, _next_best(one.hypothesis, table.mistakes, found, failing, ask)
            )
            for one in found
        )
        return (*named, *multiple)
    together = _together(table.mistakes, failing, kind)
    if together or multiple:
        return (*together, *multiple)
    rounded = _matches(table.roundings, failing)
    if rounded:
        return tuple(_diagnosis(one, first, kind, "") for one in rounded)
    return coarser_machine(failing)


def _once(ask: Ask) -> Ask:
    """The same, which remembers its answers: the next best is looked for in the cases by which the
    others were rejected."""
    answers: dict[tuple[Hypothesis, int], bool] = {}

    def remembered(hypothesis: Hypothesis, evidence: Evidence) -> bool:
        key = hypothesis, id(evidence)
        if key not in answers:
            answers[key] = ask(hypothesis, evidence)
        return answers[key]

    return remembered


def _matches(
    hypotheses: Sequence[Hypothesis], failing: Sequence[Evidence], ask: Ask = explains
) -> list[Match]:
    """One per name, in the order of the table."""
    few = probes(failing)
    found: dict[str, Match] = {}
    for hypothesis in hypotheses:
        if _rejected(hypothesis, few, ask):
            continue
        matched = match(hypothesis, failing)
        if matched is None:
            continue
        known = found.get(hypothesis.name)
        if known is None or (-matched.explained, matched.closeness) < (
            -known.explained,
            known.closeness,
        ):
            found[hypothesis.name] = matched
    return list(found.values())


def _rejected(hypothesis: Hypothesis, few: Sequence[Evidence], ask: Ask) -> bool:
    """Whether it is contradicted by one of a few cases; a pattern of roundings, by all of them."""
    if hypothesis.echo:
        return not any(ask(hypothesis, evidence) for evidence in few)
    return not all(ask(hypothesis, evidence) for evidence in few)


def _diagnosis(found: Match, of: Evidence, kind: str, next_best: str) -> Diagnosis:
    hypothesis = found.hypothesis
    text = hypothesis.explanation.format(output=of.output) + said(found, kind, next_best)
    return Diagnosis(hypothesis.name, text, term_of(of.contract.name, hypothesis.term, of.output))


def _next_best(
    best: Hypothesis,
    mistakes: Sequence[Hypothesis],
    found: Sequence[Match],
    failing: Sequence[Evidence],
    ask: Ask,
) -> str:
    """Of the other classes, the one that explains most of the cases."""
    others = [one.hypothesis.name for one in found if one.hypothesis.name != best.name]
    if others:
        return f"{' and '.join(others[:2])} {'does' if len(others) == 1 else 'do'} too"
    few = probes(failing, _PROBES_FOR_NEXT)
    counted = [(sum(ask(h, e) for e in few), h) for h in mistakes if h.name != best.name]
    most, runner = max(counted, key=lambda pair: pair[0])
    return f"next best {runner.name}, in {count(runner, failing) if most else 0}"


def _together(
    mistakes: Sequence[Hypothesis], failing: Sequence[Evidence], kind: str
) -> list[Diagnosis]:
    """Both of every pair, each with a word on the other."""
    told: dict[str, Diagnosis] = {}
    for pair in pairs(mistakes, failing):
        for one, other in ((pair.other, pair.factor), (pair.factor, pair.other)):
            found = _diagnosis(one, failing[0], kind, f"together with {other.hypothesis.name}")
            told.setdefault(one.hypothesis.name, found)
    return list(told.values())
