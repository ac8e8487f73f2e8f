"""What came of one claim, and whether that is what was claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import loracle
from loracle.corpus.catalogue import WrongKernel
from loracle.report import Report
from loracle.selftest.plan import Claim

__all__ = ["PROVEN_IN", "Accusation", "Outcome", "judge", "outcome_of"]

PROVEN_IN = ("float64", "float32")
"""Where roundings are so small that a wrong kernel must be proven wrong, not merely suspected."""


_SEEN = {"non-finite"}
"""Says what was seen, not why, and is wrong of no defect."""


@dataclass(frozen=True)
class Accusation:
    """One finding: its verdict, the output it blames, and the names of its diagnoses."""

    verdict: str
    output: str | None
    names: tuple[str, ...]

    def __str__(self) -> str:
        named = f" ({', '.join(self.names)})" if self.names else ""
        return f"{self.verdict} {self.output or 'the call'}{named}"


@dataclass(frozen=True)
class Outcome:
    """The verdict on a kernel under one claim. seeds: those that were run; for an exemption, up to
    the first for which it was needed. seconds: of all runs. reason: the report's."""

    claim: Claim
    verdict: str
    reason: str
    accusations: tuple[Accusation, ...]
    seeds: tuple[int, ...]
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether the oracle found something (in the last of the runs)."""
        return bool(self.accusations)

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """The diagnoses that would be right; none if there is no class for the defect."""
        entry = self.claim.entry
        return entry.hypotheses if isinstance(entry, WrongKernel) else ()

    @property
    def named(self) -> bool:
        """Whether some finding names the defect."""
        return any(set(a.names) & set(self.hypotheses) for a in self.accusations)

    @property
    def misnamed(self) -> tuple[Accusation, ...]:
        """The findings that name something, and not the defect."""
        right = set(self.hypotheses)
        return tuple(
            a for a in self.accusations if set(a.names) - _SEEN and not right & set(a.names)
        )

    @property
    def problem(self) -> str:
        """What is not as claimed, in one line; empty if all is. A defect without a right name is
        none here: the share is what counts."""
        if self.claim.expected == "passes":
            return "" if self.verdict == "pass" and not self.caught else f"accused: {self._told()}"
        if self.claim.is_exemption:
            return self._problem_of_exemption()
        return self._problem_of_wrong()

    def _problem_of_exemption(self) -> str:
        caught_only = self.claim.expected == "escapes"
        if not (self.caught if caught_only else self.named):
            return ""
        what = "caught" if caught_only else "named"
        return f"exemption expired: {what} for every seed of {', '.join(map(str, self.seeds))}"

    def _problem_of_wrong(self) -> str:
        entry = self.claim.entry
        if not self.caught:
            return f"missed: verdict {self.verdict}"
        if self.claim.dtype in PROVEN_IN and self.verdict != "fail":
            return f"suspected, not proven: {self._told()}"
        affected = entry.outputs if isinstance(entry, WrongKernel) else ()
        innocent = [a for a in self.accusations if a.output and affected]
        innocent = [a for a in innocent if a.output not in affected]
        if innocent:
            return f"blames a right output: {', '.join(map(str, innocent))}"
        if self.misnamed:
            return f"wrong name: {', '.join(map(str, self.misnamed))}"
        return ""

    def _told(self) -> str:
        what = ", ".join(map(str, self.accusations)) or self.reason
        return f"verdict {self.verdict}: {what}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        claim = self.claim
        return {
            "kernel": claim.entry.name,
            "contract": claim.entry.contract,
            "defect": claim.entry.defect if isinstance(claim.entry, WrongKernel) else None,
            "dtype": claim.dtype,
            "seeds": list(self.seeds),
            "expected": claim.expected,
            "verdict": self.verdict,
            "problem": self.problem,
            "named": self.named if self.hypotheses else None,
            "findings": [
                {"verdict": a.verdict, "output": a.output, "diagnosis": list(a.names)}
                for a in self.accusations
            ],
            "seconds": self.seconds,
        }


def judge(claim: Claim, device: str = "cpu") -> Outcome:
    """Runs the oracle with default arguments, the kernel on the given device; imports torch."""
    reports: list[Report] = []
    for seed in claim.seeds:
        reports.append(
            loracle.validate(
                claim.entry.load(),
                contract=claim.entry.contract,
                dtype=claim.dtype,
                seed=seed,
                device=device,
            )
        )
        if claim.is_exemption and not outcome_of(claim, reports).problem:
            break
    return outcome_of(claim, reports)


def outcome_of(claim: Claim, reports: list[Report]) -> Outcome:
    """What the reports, one for each seed that was run, say about the claim: the last one counts,
    for the runs of an exemption end with the first that needs it."""
    last = reports[-1]
    return Outcome(
        claim=claim,
        verdict=last.verdict,
        reason=last.reason,
        accusations=tuple(
            Accusation(f.verdict, f.output, tuple(d.hypothesis for d in f.diagnosis))
            for f in last.findings
        ),
        seeds=claim.seeds[: len(reports)],
        seconds=sum(report.seconds for report in reports),
    )
