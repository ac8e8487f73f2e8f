"""The oracle beside the rules in use elsewhere: who misses and who rejects what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loracle.corpus.catalogue import WrongKernel
from loracle.corpus.entry import ALL_DTYPES, Entry
from loracle.selftest.outcome import Outcome
from loracle.selftest.plan import Claim, claims_of
from loracle.selftest.rivals.result import RULES, RivalResult, RivalTask

__all__ = ["OURS", "Judged", "Score", "behind", "judged", "scores", "tasks"]

OURS = "loracle"


@dataclass(frozen=True)
class Judged:
    """What one rule made of a kernel in one dtype: a mistake is a wrong kernel that was let pass,
    or a right one that was rejected (by the oracle: for any of the seeds)."""

    rule: str
    entry: Entry
    dtype: str
    wrong: bool
    mistaken: bool

    @property
    def defect(self) -> str:
        """The class of a wrong kernel's defect, empty for right kernels."""
        return self.entry.defect if self.wrong and isinstance(self.entry, WrongKernel) else ""


@dataclass(frozen=True)
class Score:
    """Mistakes among so many kernels."""

    mistakes: int
    total: int

    def __str__(self) -> str:
        return f"{self.mistakes} of {self.total}" if self.total else "-"

    def worse_than(self, other: Score) -> bool:
        """Whether the share of mistakes is larger."""
        return self.mistakes * other.total > other.mistakes * self.total


def tasks(entries: Iterable[Entry], dtypes: Sequence[str]) -> list[RivalTask]:
    """All kernels in all of the dtypes in which they are claimed to be wrong, or right."""
    claims = [claim for entry in entries for claim in claims_of(entry, dtypes, (0,))]
    return [
        RivalTask(claim.entry, claim.dtype, claim.expected == "caught")
        for claim in claims
        if not claim.is_exemption
    ]


def judged(outcomes: Iterable[Outcome], rivals: Iterable[RivalResult]) -> list[Judged]:
    """Every rule on every kernel and dtype; the oracle's seeds taken together."""
    ours: dict[tuple[Entry, str], Judged] = {}
    for outcome in outcomes:
        claim = outcome.claim
        if claim.is_exemption:
            continue
        before = ours.get((claim.entry, claim.dtype))
        mistaken = _mistaken(claim, outcome) or (before is not None and before.mistaken)
        ours[claim.entry, claim.dtype] = Judged(
            OURS, claim.entry, claim.dtype, claim.expected == "caught", mistaken
        )
    theirs = [
        Judged(r.rule, r.task.entry, r.task.dtype, r.task.wrong, r.rejected != r.task.wrong)
        for r in rivals
    ]
    return [*ours.values(), *theirs]


def _mistaken(claim: Claim, outcome: Outcome) -> bool:
    return not outcome.caught if claim.expected == "caught" else bool(outcome.problem)


def scores(everything: Iterable[Judged], *, wrong: bool) -> dict[str, dict[str, Score]]:
    """By rule and dtype (and "all"): of the wrong kernels those missed, or of the right ones those
    rejected."""
    relevant = [j for j in everything if j.wrong == wrong]
    found: dict[str, dict[str, Score]] = {}
    for rule in (OURS, *RULES):
        of_rule = [j for j in relevant if j.rule == rule]
        found[rule] = {
            dtype: Score(sum(j.mistaken for j in group), len(group))
            for dtype, group in (
                *((d, [j for j in of_rule if j.dtype == d]) for d in ALL_DTYPES),
                ("all", of_rule),
            )
        }
    return found


def behind(everything: Sequence[Judged]) -> list[str]:
    """The columns in which a rule makes a smaller share of mistakes than the oracle, in words."""
    lost = []
    for wrong, what in ((True, "wrong kernels missed"), (False, "right kernels rejected")):
        table = scores(everything, wrong=wrong)
        for rule in RULES:
            for column, score in table[rule].items():
                ours = table[OURS][column]
                if score.total and ours.total and ours.worse_than(score):
                    lost.append(f"{what}, {column}: {OURS} {ours}, {rule} {score}")
    return lost
