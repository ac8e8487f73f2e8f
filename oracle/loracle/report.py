"""The report of a validation: verdict, findings, regimes, environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from loracle.scatter import Scatter

__all__ = [
    "BEYOND_PLAN",
    "SCHEMA",
    "STRUCTURAL",
    "Diagnosis",
    "ErrorMap",
    "ExpectedFailure",
    "Finding",
    "OutputSummary",
    "PromiseKind",
    "RegimeSummary",
    "Report",
    "Verdict",
]

Verdict = Literal["pass", "suspect", "fail"]

PromiseKind = Literal["certificate", "epsilon"]
"""Of a kernel's own accuracy: returned with a result, or declared (or asked for) for all."""

SCHEMA = "loracle-report/1"
"""The name of the form of `Report.to_dict`; `loracle/schema/report.schema.json` describes it."""

STRUCTURAL = frozenset(
    {
        "crash",
        "false-certificate",
        "invalid-certificate",
        "missing-output",
        "mutates-input",
        "nondeterministic",
        "non-finite",
        "second-backward",
        "stale-cache",
        "timeout",
        "uninitialised-memory",
        "writes-out-of-bounds",
        "wrong-dtype",
        "wrong-shape",
    }
)
"""Diagnoses of what was seen before, or beside, the size of the error."""

BEYOND_PLAN = "beyond-plan"
"""Diagnosis of an error that the declared evaluation plan excludes, and a legal evaluation does
not."""


@dataclass(frozen=True)
class ErrorMap:
    """Every element of an output in one case of a finding: arrays of one shape. error: absolute,
    infinite where a result is not finite. bound: what it was judged by. tolerance: of the output.
    element: the index of the worst one. For pictures; no part of the JSON."""

    case: str
    truth: npt.NDArray[np.float64]
    computed: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    bound: npt.NDArray[np.float64]
    tolerance: float
    element: tuple[int, ...]


@dataclass(frozen=True)
class Diagnosis:
    """One hypothesis that explains the error. term: the term of the specification that it affects,
    with the paper's label; empty where there is none, as for a crash."""

    hypothesis: str
    explanation: str
    term: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "hypothesis": self.hypothesis,
            "explanation": self.explanation,
            "term": self.term or None,
        }


@dataclass(frozen=True)
class Finding:
    """The worst case of one output and verdict.

    error, bound, tolerance, truth and computed are those of the worst element (absolute, None for a
    structural finding or where nothing is claimed); element is its index; count of cases_total
    cases of this output have this verdict. across_cases: the finding comes from the bias test over
    all cases, and the one named is an example. reason says how large the bias is, or which of the
    equal calls was the worst if not the first.
    replay is the command that runs the case again. promise is the kind of the kernel's promise that
    bound and tolerance both are, None if they are the proven and the calibrated one. inputs_sha256
    is the digest of the inputs of that case (`Inputs.digest`). too_few_numbers: nothing is named
    since too few numbers failed to tell any mistake. errors: where there are numbers,
    those of every element, of the worst case and of the largest one if that is another.
    """

    verdict: Literal["fail", "suspect"]
    output: str | None
    regime: str
    case: str
    count: int
    cases_total: int
    diagnosis: tuple[Diagnosis, ...]
    error: float | None = None
    bound: float | None = None
    tolerance: float | None = None
    element: tuple[int, ...] | None = None
    truth: float | None = None
    computed: float | None = None
    reason: str = ""
    replay: str | None = None
    promise: PromiseKind | None = None
    across_cases: bool = False
    inputs_sha256: str | None = None
    too_few_numbers: bool = False
    errors: tuple[ErrorMap, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        """One line: verdict, output, how often, diagnosis, the size of the error."""
        told = ", ".join(d.hypothesis for d in self.diagnosis) or "unexplained"
        count = f"in {self.count} of {self.cases_total} cases"
        line = f"{self.verdict.upper()}  {self.output or 'the call'}  {count}: {told}"
        if self.error is not None:
            line += f"; error {self.error:.2g}"
            limits: dict[str, float | None] = {self.promise or "bound": self.bound}
            limits |= {} if self.promise else {"tolerance": self.tolerance}
            line += "".join(f", {name} {x:.2g}" for name, x in limits.items() if x is not None)
        return f"{line} ({self.case.partition(' ')[0]})" if self.case else line

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; non-finite numbers become the strings "inf", "-inf", "nan"."""
        return {
            "verdict": self.verdict,
            "output": self.output,
            "regime": self.regime,
            "case": self.case,
            "error": _number(self.error),
            "bound": _number(self.bound),
            "tolerance": _number(self.tolerance),
            "promise": self.promise,
            "element": None if self.element is None else list(self.element),
            "truth": _number(self.truth),
            "computed": _number(self.computed),
            "count": self.count,
            "cases_total": self.cases_total,
            "reason": self.reason,
            "across_cases": self.across_cases,
            "replay": self.replay,
            "inputs_sha256": self.inputs_sha256,
            "too_few_numbers": self.too_few_numbers,
            "diagnosis": [d.to_dict() for d in self.diagnosis],
        }


@dataclass(frozen=True)
class ExpectedFailure:
    """What became of one entry of the file of expected failures, whose place is `entry`.

    state: `failed`, as expected, and then finding is what was found; `not-judged`, since the run
    has not all of the cases that it speaks of; otherwise it is outdated, and problem says why:
    `passes`, `differs` (it fails, but with another diagnosis) or `unknown` (it can match nothing).
    """

    entry: str
    kernel: str
    output: str
    regime: str
    dtype: str | None
    hypothesis: str | None
    reason: str
    state: str
    problem: str = ""
    finding: Finding | None = None

    @property
    def outdated(self) -> bool:
        """Whether the file must be changed."""
        return self.state not in ("failed", "not-judged")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        finding = None if self.finding is None else self.finding.to_dict()
        return {**self.__dict__, "finding": finding}


@dataclass
class OutputSummary:
    """Counts over the judged cases of one regime for one output (or for an input that the kernel
    changed), and the worst ratios, None where there is none."""

    passed: int = 0
    suspect: int = 0
    fail: int = 0
    no_evidence: int = 0
    worst_error_to_bound: float | None = None
    worst_error_to_tolerance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "pass": self.passed,
            "suspect": self.suspect,
            "fail": self.fail,
            "no_evidence": self.no_evidence,
            "worst_error_to_bound": _number(self.worst_error_to_bound),
            "worst_error_to_tolerance": _number(self.worst_error_to_tolerance),
        }


@dataclass
class RegimeSummary:
    """Counts over the outputs of the judged cases of one regime, and the worst ratios of error to
    bound and to tolerance (None where there is none). declined: cases that the kernel declined,
    which are not among `cases`. outputs: the same counts output by output."""

    cases: int = 0
    passed: int = 0
    suspect: int = 0
    fail: int = 0
    no_evidence: int = 0
    worst_error_to_bound: float | None = None
    worst_error_to_tolerance: float | None = None
    declined: int = 0
    outputs: dict[str, OutputSummary] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "cases": self.cases,
            "declined": self.declined,
            "pass": self.passed,
            "suspect": self.suspect,
            "fail": self.fail,
            "no_evidence": self.no_evidence,
            "worst_error_to_bound": _number(self.worst_error_to_bound),
            "worst_error_to_tolerance": _number(self.worst_error_to_tolerance),
            "outputs": {name: summary.to_dict() for name, summary in self.outputs.items()},
        }


@dataclass
class Report:
    """What `loracle.validate` returns and `--json` writes."""

    verdict: Verdict
    kernel: str
    contract: str
    dtype: str
    device: str
    machine: str
    seed: int
    cases: int
    regimes: dict[str, RegimeSummary]
    findings: list[Finding]
    reason: str = ""
    """Why the verdict is not pass although nothing was found: `insufficient-evidence`,
    `interrupted`, `outdated-expectations`."""
    plan: str | None = None
    """The evaluation plan that the kernel declares, whose bound is the proven one."""
    epsilon: float | None = None
    repeats: int = 2
    """Equal calls of each case."""
    compiled: bool = False
    """Whether the kernel ran under torch.compile."""
    skipped: list[dict[str, str]] = field(default_factory=list)
    """What was not judged: `{"what", "reason"}`."""
    notes: list[str] = field(default_factory=list)
    evidence: dict[str, int] = field(default_factory=dict)
    """Per output, the number of cases that are evidence."""
    certified: dict[str, int] = field(default_factory=dict)
    """Per output, the number of cases that were judged by the kernel's own certificate."""
    expected_failures: list[ExpectedFailure] = field(default_factory=list)
    """What became of the entries for this kernel; their findings are not among `findings`."""
    false_alarm_probability: float | None = None
    seconds: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    """What the fields above do not tell of what was asked for: target (None for a callable), cases,
    regimes, only_cases, timeout."""
    scatter: dict[str, Scatter] = field(default_factory=dict, compare=False, repr=False)
    """Per output, its errors against their bounds. For pictures; no part of the JSON."""

    def __str__(self) -> str:
        """The verdict in a line, then a line for each finding and the call that replays it."""
        cases = "1 case" if self.cases == 1 else f"{self.cases} cases"
        reason = f" ({self.reason})" if self.reason else ""
        plan = "" if self.plan is None else f", plan {self.plan}"
        lines = [
            f"{self.verdict.upper()}{reason}: {self.kernel} against {self.contract} in {self.dtype}"
            f" on {self.device}, {self.machine} machine{plan}, seed {self.seed}, {cases}"
        ]
        for finding in self.findings:
            lines.append(str(finding))
            lines += [f"  replay  {finding.replay}"] if finding.replay else []
        lines += [f"skipped: {one['what']}: {one['reason']}" for one in self.skipped]
        return "\n".join(lines)

    def __repr__(self) -> str:
        findings = "1 finding" if len(self.findings) == 1 else f"{len(self.findings)} findings"
        what = f"{self.kernel}, {self.contract}, {self.dtype}"
        return f"<Report {self.verdict}: {what}, {findings}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON (the schema is named under "schema")."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "reason": self.reason,
            "kernel": self.kernel,
            "contract": self.contract,
            "dtype": self.dtype,
            "device": self.device,
            "machine": self.machine,
            "plan": self.plan,
            "seed": self.seed,
            "epsilon": _number(self.epsilon),
            "repeats": self.repeats,
            "compiled": self.compiled,
            "cases": self.cases,
            "regimes": {name: summary.to_dict() for name, summary in self.regimes.items()},
            "evidence": dict(self.evidence),
            "certified": dict(self.certified),
            "skipped": list(self.skipped),
            "notes": list(self.notes),
            "findings": [finding.to_dict() for finding in self.findings],
            "expected_failures": [expected.to_dict() for expected in self.expected_failures],
            "false_alarm_probability": _number(self.false_alarm_probability),
            "seconds": self.seconds,
            "environment": dict(self.environment),
            "request": dict(self.request),
        }


def _number(value: float | None) -> float | str | None:
    """Strict JSON has no infinities or NaN: they are written as strings."""
    if value is None or value - value == 0:
        return value
    return str(float(value))
