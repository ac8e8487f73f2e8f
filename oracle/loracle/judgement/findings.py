"""From the judgements of all cases to findings: one per output and verdict, its worst case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from loracle.cases import Case
from loracle.contracts import Contract
from loracle.diagnosis import Evidence, are_too_few, diagnose
from loracle.generation import generate, regimes_of
from loracle.judgement.bias_findings import Leaning
from loracle.judgement.further_runs import difference, shows_nan
from loracle.judgement.judged import JudgedRun, judge_run
from loracle.judgement.promises import Promise, promise_in_force
from loracle.judgement.reference import CaseReference
from loracle.judgement.verdicts import errors_of
from loracle.observation import FurtherRun, Observation, Problem
from loracle.report import (
    BEYOND_PLAN,
    Diagnosis,
    ErrorMap,
    Finding,
    OutputSummary,
    RegimeSummary,
)
from loracle.scatter import Scatter

__all__ = ["Collector"]

_MOST_EVIDENCE = 64
"""Failing cases kept for the diagnosis of one output."""

Bad = Literal["fail", "suspect"]


@dataclass
class _Group:
    """All cases with one verdict on one output. largest: the first with the most elements.
    beyond_plan_alone: in how many of them."""

    worst: JudgedRun
    largest: JudgedRun
    count: int = 0
    beyond_plan_alone: int = 0

    @property
    def remarks(self) -> tuple[Diagnosis, ...]:
        """Those on the worst case. That it may not follow its plan is said only where no case is
        proven wrong without one."""
        excused = self.beyond_plan_alone == self.count
        return tuple(r for r in self.worst.remarks if excused or r.hypothesis != BEYOND_PLAN)

    @property
    def errors(self) -> tuple[ErrorMap, ...]:
        other = self.largest.case != self.worst.case
        return (self.worst.errors, self.largest.errors) if other else (self.worst.errors,)


@dataclass
class _Structural:
    """All cases with one structural problem."""

    verdict: Bad
    case: Case
    problem: Problem
    count: int = 0


@dataclass
class Collector:
    """Judges case after case and sums up.

    outputs: those that are judged. epsilon: see `judge`; the certificate of a call is a promise
    likewise. replay: makes the command that runs a case again, or the whole run for None. declined:
    `{"what", "reason"}` of the cases that the kernel declined, which are neither judged nor counted
    in `cases`. undecided: the outputs of cases whose error is too close to its limit to tell on
    which side it is, however precise the truth; that is no fail.
    """

    contract: Contract
    outputs: tuple[str, ...]
    epsilon: float | None
    replay: Callable[[Case | None], str]
    regimes: dict[str, RegimeSummary] = field(default_factory=dict)
    evidence: dict[str, int] = field(default_factory=dict)
    certified: dict[str, int] = field(default_factory=dict)
    declined: list[dict[str, str]] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    scatter: dict[str, Scatter] = field(default_factory=dict)
    cases: int = 0
    _groups: dict[tuple[str, Bad], _Group] = field(default_factory=dict)
    _structural: dict[tuple[str, str | None], _Structural] = field(default_factory=dict)
    _failing: dict[str, list[tuple[float, Evidence]]] = field(default_factory=dict)
    _biases: dict[str, tuple[Leaning, Leaning]] = field(default_factory=dict)
    """Of the first calls, and of the last ones of those that differ."""
    _later: dict[str, str] = field(default_factory=dict)
    """How those are told from the first."""
    _latest: dict[str, JudgedRun] = field(default_factory=dict)
    """Of those judged without a promise."""
    _promised: bool = False

    def __post_init__(self) -> None:
        self.evidence = dict.fromkeys(self.outputs, 0)
        self.certified = dict.fromkeys(self.outputs, 0)
        self.scatter = {output: Scatter() for output in self.outputs}
        self._biases = {
            output: (Leaning(self.contract, output), Leaning(self.contract, output))
            for output in self.outputs
        }

    def add(self, reference: CaseReference, observation: Observation) -> Finding | None:
        """Judge one case; returns its worst new finding, without diagnosis of other cases."""
        case = reference.case
        summary = self.regimes.setdefault(case.regime, RegimeSummary())
        if observation.declined is not None:
            summary.declined += 1
            self.declined.append({"what": case.key, "reason": observation.declined})
            return None
        summary.cases += 1
        self.cases += 1
        latest = self._add_problems(case, observation, summary)
        reference, judged_runs = self._decided(reference, observation)
        for output, runs in judged_runs.items():
            judged = max(runs, key=lambda run: run.badness)
            self._count(summary, output, judged)
            self._add_to_bias(reference, output, runs)
            if judged.judgement.verdict in ("fail", "suspect"):
                new = self._keep(reference, output, judged)
                latest = new if latest is None or new.verdict == "fail" else latest
            self._check_further(reference, output, observation)
        return latest

    @property
    def only_promised(self) -> bool:
        """Whether outputs were judged, and all of them by a promise: then no tolerance had a part
        in the verdict."""
        return self._promised and not self._latest

    @property
    def worst(self) -> Literal["pass", "suspect", "fail"]:
        """The worst verdict so far."""
        found: set[str] = {verdict for _, verdict in self._groups}
        found |= {structural.verdict for structural in self._structural.values()}
        return "fail" if "fail" in found else "suspect" if found else "pass"

    def findings(self, *, across_cases: bool = True) -> list[Finding]:
        """All findings, diagnosed, worst first; those of the bias test if across_cases is set."""
        structural = [self._structural_finding(s) for s in self._structural.values()]
        diagnoses = {
            output: diagnose([evidence for _, evidence in kept], self._kind_of_cases(output))
            for output, kept in self._failing.items()
        }
        too_few = {
            output: not diagnoses[output] and are_too_few([evidence for _, evidence in kept])
            for output, kept in self._failing.items()
        }
        judged = [
            replace(
                self._finding(output, verdict, group, diagnoses.get(output, ())),
                too_few_numbers=too_few.get(output, False),
            )
            for (output, verdict), group in self._groups.items()
        ]
        judged.sort(key=lambda f: (f.verdict != "fail", -_severity(f)))
        named = any(finding.diagnosis for finding in (*structural, *judged))
        biased = [
            finding
            for output in self._biases
            if across_cases
            and not any(output == name for name, _ in self._groups)
            and (finding := self._bias_finding(output, others_named=named)) is not None
        ]
        everything = [*structural, *judged, *biased]
        return sorted(everything, key=lambda finding: finding.verdict != "fail")

    def _kind_of_cases(self, output: str) -> str:
        """Of those that a diagnosis counts: where some are suspect, a finding, which counts those
        of one verdict, has fewer."""
        if (output, "suspect") not in self._groups:
            return "failing"
        return "failing or suspect" if (output, "fail") in self._groups else "suspect"

    def _decided(
        self, reference: CaseReference, observation: Observation
    ) -> tuple[CaseReference, dict[str, list[JudgedRun]]]:
        """The reference with a truth fine enough to tell fail from not fail for every output, or
        as fine as truths get, and what is judged by it; the outputs that it does not decide are
        counted."""

        def judged(known: CaseReference) -> dict[str, list[JudgedRun]]:
            return {
                output: self._judged(known, observation, output)
                for output in self.outputs
                if output in observation.outputs
            }

        def undecided(runs: dict[str, list[JudgedRun]]) -> list[str]:
            return [o for o, each in runs.items() if any(r.judgement.undecided for r in each)]

        runs = judged(reference)
        if not undecided(runs):
            return reference, runs
        decided = reference.decided(lambda known: bool(undecided(judged(known))))
        runs = judged(decided)
        self.undecided += [f"{output} of {reference.case.key}" for output in undecided(runs)]
        return decided, runs

    def _judged(
        self, reference: CaseReference, observation: Observation, output: str
    ) -> list[JudgedRun]:
        """The first call and those of the equal ones that differ, each by its own promise."""
        first = FurtherRun(None, "", observation.outputs, {}, observation.certificates)
        return [
            judge_run(reference, run, output, self._promise(run, output))
            for run in (first, *observation.repeats)
            if output in run.outputs
        ]

    def _promise(self, run: FurtherRun | Observation, output: str) -> Promise | None:
        return promise_in_force(run.certificates.get(output), self.epsilon)

    def _add_to_bias(self, reference: CaseReference, output: str, runs: list[JudgedRun]) -> None:
        """What is promised is the size of an error, nothing about its sign: only the other runs."""
        for leaning, run in zip(self._biases[output], (runs[0], runs[-1]), strict=True):
            if run.promise is None:
                leaning.add(reference, run.computed)
                self._later.update({output: run.how} if run.how else {})
        by_tolerance = [run for run in runs if run.promise is None]
        if by_tolerance:
            self._latest[output] = max(by_tolerance, key=lambda run: run.badness)
        self._promised |= len(by_tolerance) < len(runs)

    def _add_problems(
        self, case: Case, observation: Observation, summary: RegimeSummary
    ) -> Finding | None:
        latest = None
        lost = set(self.outputs) - set(observation.outputs)
        summary.fail += len(lost)
        for output in lost:
            summary.outputs.setdefault(output, OutputSummary()).fail += 1
        for problem in observation.problems:
            structural = self._note(case, problem, "fail")
            if problem.output not in lost and problem.output is not None:
                summary.fail += 1
                summary.outputs.setdefault(problem.output, OutputSummary()).fail += 1
            latest = latest or self._structural_finding(structural)
        return latest

    def _note(self, case: Case, problem: Problem, verdict: Bad) -> _Structural:
        key = (problem.hypothesis, problem.output)
        structural = self._structural.setdefault(key, _Structural(verdict, case, problem))
        structural.count += 1
        if verdict == "fail":
            structural.verdict = "fail"
        return structural

    def _check_further(
        self, reference: CaseReference, output: str, observation: Observation
    ) -> None:
        """How far the other runs are from the first. A result that varies between equal calls,
        or with memory that was never written, says nothing of the other conditions; that of memory
        shows all the same where its NaN come through."""
        first, varies = self._promise(observation, output), False
        for run in (*observation.repeats, *observation.under_conditions):
            if varies and run.condition is not None and not shows_nan(run, output):
                continue
            promises = (first, self._promise(run, output))
            found = difference(run, output, reference, promises)
            if found is not None:
                verdict, problem = found
                self._note(reference.case, problem, verdict)
                varies |= run.condition in (None, "uninitialised-memory")

    def _count(self, summary: RegimeSummary, output: str, judged: JudgedRun) -> None:
        judgement, promise = judged.judgement, judged.promise
        if promise is not None and promise.kind == "certificate":
            self.certified[output] += 1
        if judgement.verdict != "no_evidence":
            self.evidence[output] += 1
        one = summary.outputs.setdefault(output, OutputSummary())
        for counts in (summary, one):
            counts.no_evidence += judgement.verdict == "no_evidence"
            counts.passed += judgement.verdict == "pass"
            counts.suspect += judgement.verdict == "suspect"
            counts.fail += judgement.verdict == "fail"
            for name in ("error_to_bound", "error_to_tolerance"):
                known = getattr(counts, f"worst_{name}")
                new = getattr(judgement, name)
                setattr(counts, f"worst_{name}", new if known is None else max(known, new))
        error = errors_of(judged.computed, judged.truth)
        self.scatter[output].add(error, judged.bound, judgement.tolerance)

    def _keep(self, reference: CaseReference, output: str, judged: JudgedRun) -> Finding:
        judgement, computed = judged.judgement, judged.computed
        verdict: Bad = "fail" if judgement.verdict == "fail" else "suspect"
        group = self._groups.setdefault((output, verdict), _Group(judged, judged))
        group.count += 1
        group.beyond_plan_alone += judged.beyond_plan_alone
        if judged.badness > group.worst.badness:
            group.worst = judged
        if judged.computed.size > group.largest.computed.size:
            group.largest = judged
        slack = min(reference.null[output].tolerance, float(reference.proven[output].bound.max()))
        if judged.promise is not None:
            slack = max(slack, judged.promise.limit)
        truth = reference.truth[output].mid
        inputs, dtype = reference.inputs, reference.case.dtype
        evidence = Evidence(
            self.contract, inputs, output, computed, truth, slack, dtype, judged.bound
        )
        kept = self._failing.setdefault(output, [])
        kept.append((judgement.error_to_tolerance, evidence))
        kept.sort(key=lambda pair: pair[0], reverse=True)
        del kept[_MOST_EVIDENCE:]
        alone = _Group(judged, judged, group.count, group.beyond_plan_alone)
        return self._finding(output, verdict, alone, ())

    def _finding(
        self,
        output: str,
        verdict: Bad,
        group: _Group,
        diagnosis: tuple[Diagnosis, ...],
    ) -> Finding:
        worst = group.worst
        case, judgement = worst.case, worst.judgement
        return Finding(
            verdict=verdict,
            output=output,
            regime=case.regime,
            case=str(case),
            count=group.count,
            cases_total=self.cases,
            diagnosis=(*group.remarks, *diagnosis),
            error=judgement.error,
            bound=judgement.bound,
            tolerance=judgement.tolerance,
            element=judgement.element,
            truth=judgement.truth,
            computed=judgement.computed,
            reason=worst.how,
            replay=self.replay(case),
            promise=worst.promise.kind if worst.promise else None,
            inputs_sha256=_digest(case),
            errors=group.errors,
        )

    def _structural_finding(self, structural: _Structural) -> Finding:
        problem, case = structural.problem, structural.case
        return Finding(
            verdict=structural.verdict,
            output=problem.output,
            regime=case.regime,
            case=str(case),
            count=structural.count,
            cases_total=self.cases,
            diagnosis=(Diagnosis(problem.hypothesis, problem.explanation),),
            replay=self.replay(case),
            inputs_sha256=_digest(case),
        )

    def _bias_finding(self, output: str, *, others_named: bool) -> Finding | None:
        """None unless one of the two tests finds a bias. others_named: whether a finding of a
        single case has a diagnosis."""
        first, last = self._biases[output]
        in_first = first.found()
        found = in_first or last.found()
        if found is None:
            return None
        latest, reason = self._latest[output], found.reason
        if in_first is None:
            reason += f"; {self._later[output]}"
        if not found.is_explained:
            if others_named:
                reason += "; it may come of the mistake that is named elsewhere"
            elif not self.regimes.keys() >= set(regimes_of(self.contract)):
                reason += "; other regimes may show more: judge all of them"
        finding = self._finding(
            output, "suspect", _Group(latest, latest, found.cases), found.diagnosis
        )
        return replace(finding, reason=reason, across_cases=True, replay=self.replay(None))


def _severity(finding: Finding) -> float:
    limit = finding.bound if finding.verdict == "fail" else finding.tolerance
    return (finding.error or 0.0) / limit if limit else float("inf")


@lru_cache
def _digest(case: Case) -> str:
    """The cases that fail, fail in several outputs."""
    return generate(case).digest()
