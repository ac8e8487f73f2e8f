"""What a report says, in words that the terminal, the HTML and the JUnit report share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loracle.generation import REGIMES
from loracle.report import STRUCTURAL, Finding, Report

__all__ = [
    "blocks_of",
    "conditions",
    "count_of_declined",
    "element",
    "error_lines",
    "in_brief",
    "limits",
    "meaning",
    "not_judged",
    "number",
    "strength",
    "subject",
    "telling_digits",
    "undiagnosed",
    "versions_of",
]

_PROMISED = {"certificate": "kernel's own certificate", "epsilon": "declared epsilon"}


def number(value: float | None, digits: int = 2) -> str:
    """A number in `digits` significant digits, as short as can be: 0.31, 2.4e-7, inf."""
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{float(text):.0f}" if 0 <= int(exponent) < 6 else f"{mantissa}e{int(exponent)}"


def conditions(report: Report) -> list[str]:
    """How the kernel was judged: dtype, device, machine, seed, and what is not as usual."""
    machine = report.machine if "machine" in report.machine else f"{report.machine} machine"
    facts = [report.dtype, report.device, machine]
    facts += [] if report.plan is None else [f"plan {report.plan}"]
    facts += [f"seed {report.seed}"]
    facts += ["compiled"] if report.compiled else []
    facts += [f"{report.repeats} calls a case"] if report.repeats != 2 else []
    if report.epsilon is not None:
        facts.append(f"declared epsilon {number(report.epsilon)}")
    return facts


def blocks_of(findings: Sequence[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """The findings to show, each with those told in the same block: what is suspect of an output
    that also fails."""
    shown: list[tuple[Finding, list[Finding]]] = []
    first_fail: dict[str | None, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: f.verdict != "fail"):
        if finding.verdict == "suspect" and finding.output in first_fail:
            first_fail[finding.output].append(finding)
            continue
        also: list[Finding] = []
        shown.append((finding, also))
        if finding.verdict == "fail":
            first_fail.setdefault(finding.output, also)
    return shown


def versions_of(environment: dict[str, object]) -> dict[str, object]:
    """The versions that are worth a line, by package."""
    packages = environment.get("versions")
    found: dict[str, object] = {
        name: environment[name] for name in ("loracle", "torch", "python") if name in environment
    }
    return found | (packages if isinstance(packages, dict) else {})


def in_brief(finding: Finding) -> str:
    """Verdict and number of cases, and the structural diagnoses."""
    where = f"{finding.verdict} in {finding.count} of {finding.cases_total} cases"
    structural = [d.hypothesis for d in finding.diagnosis if d.hypothesis in STRUCTURAL]
    return f"{where}: {', '.join(structural)}" if structural else where


def subject(finding: Finding) -> str:
    """What the finding is about."""
    return finding.output or "the call"


def undiagnosed(finding: Finding) -> str:
    """What is said of a finding without a diagnosis."""
    if finding.too_few_numbers and finding.count < finding.cases_total:
        return "too few numbers are far enough beyond rounding to tell one"
    if finding.too_few_numbers:
        return "too few numbers for one: judge more cases"
    return "none of the known mistakes explains it"


def element(finding: Finding) -> str:
    """Where the worst element is, with its computed and its true value."""
    index = ", ".join(str(i) for i in finding.element or ())
    digits = telling_digits(finding)
    return (
        f"[{index}]: computed {number(finding.computed, digits)}"
        f", true value {number(finding.truth, digits)}"
    )


def telling_digits(finding: Finding) -> int:
    """Enough digits for the computed and the true value to look different."""
    error, truth = finding.error, finding.truth
    if not error or not truth or not math.isfinite(error) or not math.isfinite(truth):
        return 6
    return min(17, max(6, 3 + math.ceil(math.log10(abs(truth)) - math.log10(error))))


def error_lines(finding: Finding) -> list[str]:
    """The error of the worst element, then, a line each, how it compares with its limits."""
    error = finding.error
    if error is None:
        return []
    lines = [number(error, 3)]
    for name, limit in limits(finding):
        if 0 < limit < math.inf and math.isfinite(error):
            lines.append(f"{number(error / limit)} times the {name}, {number(limit)}")
        else:
            lines.append(f"{name} {number(limit)}")
    return lines


def limits(finding: Finding) -> list[tuple[str, float]]:
    """What the error is held against, by name."""
    known = [("proven bound", finding.bound), ("calibrated tolerance", finding.tolerance)]
    if finding.promise is not None:
        known = [(_PROMISED[finding.promise], finding.bound)]
    return [(name, limit) for name, limit in known if limit is not None]


def not_judged(report: Report) -> list[tuple[str, str]]:
    """What was not judged, with the reason; the declined cases of one regime as one."""
    plain: list[tuple[str, str]] = []
    declined: dict[str, list[dict[str, str]]] = {}
    for entry in report.skipped:
        regime, colon, _ = entry["what"].partition(":")
        if colon and regime in report.regimes:
            declined.setdefault(regime, []).append(entry)
        else:
            plain.append((entry["what"], entry["reason"]))
    for regime, entries in declined.items():
        (reason, *others) = dict.fromkeys(entry["reason"] for entry in entries)
        what = entries[0]["what"] if len(entries) == 1 else f"{len(entries)} cases of {regime}"
        plain.append((f"{what}, declined", f"{reason} (and others)" if others else reason))
    return plain


def count_of_declined(report: Report) -> int:
    """The number of cases that the kernel declined."""
    return sum(regime.declined for regime in report.regimes.values())


def strength(report: Report) -> list[str]:
    """How much stands behind the verdict: evidence, false alarms, time."""
    facts = []
    judged = report.cases and _has_numbers(report)
    if report.evidence and judged:
        facts.append(_evidence(min(report.evidence.values())))
    if report.false_alarm_probability is not None and judged:
        facts.append(f"false alarms at most {number(report.false_alarm_probability)}")
    if report.seconds:
        facts.append(f"{report.seconds:.1f} s")
    return facts


def _has_numbers(report: Report) -> bool:
    """Whether an error was measured: a kernel that raises, or returns other shapes, has none."""
    measured = any(regime.worst_error_to_bound is not None for regime in report.regimes.values())
    return measured or any(report.evidence.values())


def _evidence(cases: int) -> str:
    if cases == 0:
        return "no case is evidence for every output"
    return f"at least {cases} {'case is' if cases == 1 else 'cases are'} evidence for each output"


def meaning(report: Report) -> str:
    """The verdict as a sentence, without its name."""
    what = f"{report.contract} in {report.dtype}"
    if report.verdict == "fail":
        return _meaning_of_fail(report, what)
    if report.reason == "insufficient-evidence":
        return _meaning_of_too_little(report)
    if report.reason == "interrupted":
        return "interrupted; the report is of what was judged until then."
    certified = any(report.certified.values())
    if report.verdict == "suspect":
        limit = f"the proven bound{_of_plan(report)}"
        limit += " or its own certificate" if certified else ""
        return (
            f"no error exceeds {limit}, but some are larger than rounding makes them in "
            f"legal evaluations of {what}."
        )
    if report.epsilon is not None:
        also = f", nor the {_PROMISED['certificate']} where that is smaller" if certified else ""
        return f"no error exceeds the declared epsilon, {number(report.epsilon)}{also}."
    which = (
        "a legal evaluation" if report.plan is None else f"an evaluation by the plan {report.plan}"
    )
    legal = f"one that {which} of {what} makes"
    if not certified:
        return f"every error is {legal}."
    if report.false_alarm_probability is None:
        return f"no error exceeds the {_PROMISED['certificate']}."
    return f"every error is within the {_PROMISED['certificate']}, or is {legal}."


def _of_plan(report: Report, begin: str = "") -> str:
    return "" if report.plan is None else f"{begin} of the plan {report.plan}"


def _meaning_of_too_little(report: Report) -> str:
    declined = count_of_declined(report)
    if report.cases == 0:
        return f"not judged: {'every case was declined' if declined else 'declared unsupported'}."
    cases = "this case" if report.cases == 1 else f"these {report.cases} cases"
    # None: by promises alone, in which a plan has no part.
    cases += "" if report.false_alarm_probability is None else _of_plan(report, " by the bound")
    if declined:
        return f"no finding in {cases}; too few for a verdict ({declined} declined)."
    if _epsilon_is_to_blame(report):
        return (
            f"no finding in {cases}, but the declared epsilon, {number(report.epsilon)}, exceeds"
            " the true values themselves, so that nothing can be told: see the note."
        )
    advice = "judge all regimes" if _regimes_left_out(report) else "judge more, with --cases"
    return f"no finding in {cases}; too few for a verdict ({advice})."


def _epsilon_is_to_blame(report: Report) -> bool:
    """Whether there are outputs with a promise so weak that most of their cases are no evidence."""
    if report.epsilon is None:
        return False
    masked = dict.fromkeys(report.evidence, 0)
    for regime in report.regimes.values():
        for output, counts in regime.outputs.items():
            masked[output] = masked.get(output, 0) + counts.no_evidence
    return any(masked[output] > told for output, told in report.evidence.items())


def _regimes_left_out(report: Report) -> set[str]:
    """Regimes that were neither judged nor skipped: the user chose others."""
    known = {
        name
        for name, regime in REGIMES.items()
        if report.contract in regime.makers and not regime.on_request
    }
    return known - set(report.regimes) - {skipped["what"] for skipped in report.skipped}


def _meaning_of_fail(report: Report, what: str) -> str:
    fails = [f for f in report.findings if f.verdict == "fail"]
    if (
        fails
        and all(d.hypothesis in STRUCTURAL for f in fails for d in f.diagnosis[:1])
        and all(f.error is None for f in fails)
    ):
        return f"the kernel breaks the contract {report.contract}."
    promised = {f.promise for f in fails if f.error is not None}
    if promised == {"epsilon"}:
        return f"an error exceeds the declared epsilon, {number(report.epsilon)}."
    if promised and None not in promised:
        return f"an error exceeds the {_PROMISED['certificate']}."
    by = "" if report.plan is None else f" that follows the plan {report.plan}"
    return f"proven wrong; no implementation of {what} on this machine{by} makes such an error."
