"""Judges as a Collector, and takes out of the findings those that are expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from loracle.cases import Case
from loracle.contracts import Contract
from loracle.errors import nearest
from loracle.expectations.entries import CALL, WHOLE, Entry
from loracle.expectations.hypotheses import known_hypotheses, names_of
from loracle.generation.regimes import REGIMES
from loracle.judgement.findings import Collector
from loracle.judgement.reference import CaseReference
from loracle.observation import Observation
from loracle.report import ExpectedFailure, Finding

__all__ = ["ExpectingCollector"]


class ExpectingCollector(Collector):
    """Counts everything as a Collector does. For the findings, what is expected is judged apart
    from all else: every expected output of a regime by itself, and every output without the regimes
    where it is expected to fail, so that a failure that is known neither hides another one nor
    blurs its diagnosis.

    entries: those of this kernel and dtype. absent: outputs and regimes that the kernel declares it
    does not have.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        absent: Iterable[str],
        contract: Contract,
        outputs: tuple[str, ...],
        epsilon: float | None,
        replay: Callable[[Case | None], str],
    ) -> None:
        super().__init__(contract, outputs, epsilon, replay)
        self._entries = tuple(entries)
        self._absent = frozenset(absent)
        self.expected: list[ExpectedFailure] = []
        """What became of every entry; complete after `findings`."""
        self._expected_in: dict[str, frozenset[str]] = {
            regime: frozenset(e.output for e in entries if e.regime == regime)
            for regime in dict.fromkeys(e.regime for e in entries)
        }
        self._known = {
            regime: self._part(tuple(o for o in outputs if o in expected))
            for regime, expected in self._expected_in.items()
            if regime != WHOLE
        }
        elsewhere: dict[frozenset[str], list[str]] = {}
        for output in outputs:
            regimes = frozenset(r for r in self._known if output in self._expected_in[r])
            elsewhere.setdefault(regimes, []).append(output)
        self._others = [(regimes, self._part(tuple(o))) for regimes, o in elsewhere.items()]
        self._calls = self._part(())
        """For what is found of the call as a whole, or of an input."""

    def _part(self, outputs: tuple[str, ...]) -> Collector:
        return Collector(self.contract, outputs, self.epsilon, self.replay)

    def add(self, reference: CaseReference, observation: Observation) -> Finding | None:
        """Judge one case; returns its worst new finding unless that is expected."""
        latest = super().add(reference, observation)
        if observation.declined is not None:
            return latest
        regime = reference.case.regime
        expected = self._expected_in.get(regime, frozenset())
        if regime in self._known:
            known = self._known[regime]
            known.add(reference, _of(observation, {*known.outputs, *expected}))
        for regimes, part in self._others:
            if regime not in regimes:
                part.add(reference, _of(observation, set(part.outputs)))
        rest = {_label(problem.output) for problem in observation.problems}
        self._calls.add(reference, _of(observation, rest - set(self.outputs) - expected))
        return None if latest is not None and _label(latest.output) in expected else latest

    @property
    def worst(self) -> Literal["pass", "suspect", "fail"]:
        """The worst verdict so far on what is not expected."""
        found = {part.worst for part in (self._calls, *(part for _, part in self._others))}
        return "fail" if "fail" in found else "suspect" if "suspect" in found else "pass"

    def findings(self, *, across_cases: bool = True) -> list[Finding]:
        """Those that are not expected, worst first."""
        failed: dict[Entry, Finding] = {}
        other: dict[Entry, Finding] = {}
        unexpected: list[Finding] = []
        for regime, found in self._found(across_cases=across_cases):
            entry = self._entry(regime, found)
            if entry is None:
                unexpected.append(found)
            elif entry.hypothesis in (None, *names_of(found.diagnosis)):
                failed.setdefault(entry, found)
            else:
                other.setdefault(entry, found)
                unexpected.append(found)
        self.expected = [
            self._fate(entry, failed.get(entry), other.get(entry), across_cases)
            for entry in self._entries
        ]
        return sorted(unexpected, key=lambda finding: finding.verdict != "fail")

    def _found(self, *, across_cases: bool) -> list[tuple[str, Finding]]:
        """Every finding with the regime it is looked up by, which is empty where none is expected
        there."""
        found = [("", finding) for finding in self._calls.findings()]
        for _, part in self._others:
            single = part.findings(across_cases=False)
            found += [("", finding) for finding in single]
            if across_cases:
                everything = part.findings()
                found += [(WHOLE, finding) for finding in everything if finding not in single]
        for regime, part in self._known.items():
            found += [(regime, finding) for finding in part.findings(across_cases=False)]
        return found

    def _entry(self, regime: str, finding: Finding) -> Entry | None:
        label = _label(finding.output)
        return next((e for e in self._entries if (e.regime, e.output) == (regime, label)), None)

    def _fate(
        self, entry: Entry, failed: Finding | None, other: Finding | None, across_cases: bool
    ) -> ExpectedFailure:
        def fate(state: str, problem: str = "", finding: Finding | None = None) -> ExpectedFailure:
            return ExpectedFailure(
                entry=entry.place,
                kernel=entry.kernel,
                output=entry.output,
                regime=entry.regime,
                dtype=entry.dtype,
                hypothesis=entry.hypothesis,
                reason=entry.reason,
                state=state,
                problem=problem,
                finding=finding,
            )

        if failed is not None:
            return fate("failed", finding=failed)
        if other is not None:
            names = ", ".join(names_of(other.diagnosis))
            return fate("differs", f"it fails otherwise: {names}", other)
        if problem := self._mismatch(entry):
            return fate("unknown", problem)
        if not self._was_judged(entry, across_cases):
            return fate("not-judged")
        return fate("passes", "it passes now; remove the entry")

    def _mismatch(self, entry: Entry) -> str:
        """Why the entry can match nothing, whatever is run; empty if it can."""
        labels = (*self.contract.outputs, *self.contract.tensors, CALL)
        regimes = (*(n for n, r in REGIMES.items() if self.contract.name in r.makers), WHOLE)
        for what, name, there_is in (
            ("output", entry.output, labels),
            ("regime", entry.regime, regimes),
        ):
            if name not in there_is:
                known = nearest(name, there_is) or f"; it has: {', '.join(there_is)}"
                return f"{self.contract.name} has no {what} {name!r}{known}"
        diagnoses = known_hypotheses(self.contract.name)
        if entry.hypothesis is not None and entry.hypothesis not in diagnoses:
            hint = nearest(entry.hypothesis, diagnoses)
            return f"{self.contract.name} has no diagnosis {entry.hypothesis!r}{hint}"
        absent = {entry.output, entry.regime} & self._absent
        if absent:
            return f"the kernel declares that it does not have {absent.pop()}"
        return ""

    def _was_judged(self, entry: Entry, across_cases: bool) -> bool:
        """Whether the run has all default cases of the entry's regime, or of every regime."""
        if entry.regime != WHOLE:
            return self._is_complete(entry.regime)
        default = [
            n for n, r in REGIMES.items() if self.contract.name in r.makers and not r.on_request
        ]
        complete = all(self._is_complete(name) for name in default if name not in self._absent)
        tested = [part for _, part in self._others if entry.output in part.outputs]
        return across_cases and complete and all(part.worst == "pass" for part in tested)

    def _is_complete(self, regime: str) -> bool:
        summary = self.regimes.get(regime)
        default = REGIMES[regime].cases_of(self.contract.name)
        return summary is not None and summary.cases + summary.declined >= default


def _of(observation: Observation, labels: set[str]) -> Observation:
    """The outputs and problems of these names alone."""
    return replace(
        observation,
        outputs={name: value for name, value in observation.outputs.items() if name in labels},
        problems=tuple(p for p in observation.problems if _label(p.output) in labels),
    )


def _label(output: str | None) -> str:
    return CALL if output is None else output
