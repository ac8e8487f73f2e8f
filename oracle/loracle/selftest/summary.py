"""The counts of a self-test: sensitivity, false alarms, the share that is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loracle.corpus.catalogue import WrongKernel
from loracle.selftest.outcome import Outcome
from loracle.selftest.rivals.result import RivalResult

__all__ = ["NAMED_AT_LEAST", "Counts", "SelfTest"]

NAMED_AT_LEAST = 0.9
"""Share of the runs on defects that have a class of diagnosis in which it must be named."""

SCHEMA = "loracle-selftest/1"


@dataclass(frozen=True)
class Counts:
    """Over some runs. wrong, caught: those on wrong kernels, and those in which something was
    found. right, accused: those on right ones, likewise. nameable, named: those caught whose defect
    has a class, and those in which it was named. misnamed: runs with a finding whose only names are
    wrong. seconds: of all runs."""

    wrong: int
    caught: int
    right: int
    accused: int
    nameable: int
    named: int
    misnamed: int
    seconds: float

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Counts:
        """Exemptions count in neither group."""
        wrong = [o for o in outcomes if o.claim.expected == "caught"]
        right = [o for o in outcomes if o.claim.expected == "passes"]
        nameable = [o for o in wrong if o.hypotheses]
        return cls(
            wrong=len(wrong),
            caught=sum(o.caught for o in wrong),
            right=len(right),
            accused=sum(bool(o.problem) for o in right),
            nameable=len(nameable),
            named=sum(o.named for o in nameable),
            misnamed=sum(bool(o.misnamed) for o in wrong),
            seconds=sum(o.seconds for o in outcomes),
        )

    @property
    def enough_named(self) -> bool:
        """Whether the share of what is named is as large as required."""
        return self.named >= NAMED_AT_LEAST * self.nameable

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "wrong": self.wrong,
            "caught": self.caught,
            "right": self.right,
            "accused": self.accused,
            "nameable": self.nameable,
            "named": self.named,
            "misnamed": self.misnamed,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class SelfTest:
    """All that a self-test found. command: what was typed. planned: the number of claims there
    were; fewer outcomes if the run was interrupted. wall: seconds that passed. rivals: what the
    rules in use elsewhere say of the same kernels, empty if they were not asked."""

    command: str
    outcomes: tuple[Outcome, ...]
    planned: int
    wall: float
    jobs: int
    interrupted: bool = False
    rivals: tuple[RivalResult, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> Counts:
        """Of all runs."""
        return Counts.of(self.outcomes)

    @property
    def problems(self) -> tuple[Outcome, ...]:
        """The runs that are not as claimed."""
        return tuple(o for o in self.outcomes if o.problem)

    @property
    def ok(self) -> bool:
        """Whether everything required holds."""
        return not self.problems and self.counts.enough_named and not self.interrupted

    def by(self, key: Callable[[Outcome], str]) -> dict[str, Counts]:
        """The counts of each group, the groups in the order in which they first come."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault(key(outcome), []).append(outcome)
        return {name: Counts.of(group) for name, group in groups.items()}

    def by_defect(self) -> dict[str, Counts]:
        """The counts of each class of defects, over the wrong kernels alone."""
        wrong = [o for o in self.outcomes if o.claim.expected == "caught"]
        groups: dict[str, list[Outcome]] = {}
        for outcome in wrong:
            entry = outcome.claim.entry
            if isinstance(entry, WrongKernel):
                groups.setdefault(entry.defect, []).append(outcome)
        return {name: Counts.of(groups[name]) for name in sorted(groups)}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "ok": self.ok,
            "interrupted": self.interrupted,
            "planned": self.planned,
            "counts": self.counts.to_dict(),
            "by_contract": _plain(self.by(lambda o: o.claim.entry.contract)),
            "by_dtype": _plain(self.by(lambda o: o.claim.dtype)),
            "by_defect": _plain(self.by_defect()),
            "runs": [outcome.to_dict() for outcome in self.outcomes],
            "rivals": [rival.to_dict() for rival in self.rivals],
            "wall_seconds": self.wall,
            "jobs": self.jobs,
            "environment": dict(self.environment),
        }


def _plain(counts: dict[str, Counts]) -> dict[str, Any]:
    return {name: count.to_dict() for name, count in counts.items()}
