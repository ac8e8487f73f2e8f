"""A report as one HTML page that needs nothing beside itself: no script, no file, no network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from loracle.generation import REGIMES
from loracle.presentation.error_maps import LEVELS, Pictures, pictures
from loracle.presentation.scatter_plot import GUTTER, HEIGHT, WIDTH, scatter_plots
from loracle.presentation.wording import (
    blocks_of,
    count_of_declined,
    in_brief,
    limits,
    meaning,
    not_judged,
    number,
    strength,
    subject,
    telling_digits,
    versions_of,
)
from loracle.report import Finding, OutputSummary, Report

__all__ = ["as_html"]

_MOST_PICTURES = 16
"""Findings with pictures; a report has seldom more with numbers at all."""


@dataclass(frozen=True)
class _Block:
    """A finding as it is shown."""

    finding: Finding
    subject: str
    facts: list[tuple[str, str, str]]
    pictures: list[Pictures]
    limit_name: str
    also: list[str]


def as_html(report: Report) -> str:
    """Verdict, findings, regimes, plots, what was skipped, environment; in the colours that the
    reader's system prefers."""
    environment = Environment(
        loader=PackageLoader("loracle.presentation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    drawn = {name: one for name, one in report.scatter.items() if len(one.points)}
    text: str = environment.get_template("report.html.j2").render(
        report=report,
        meaning=_capitalised(meaning(report)),
        strength=strength(report),
        facts=_facts(report),
        blocks=_blocks(report),
        outputs=_outputs(report),
        verdict_of=_verdict_of,
        reveals={name: REGIMES[name].reveals for name in report.regimes if name in REGIMES},
        plots=scatter_plots(drawn) if drawn else [],
        promised=report.epsilon is not None or any(report.certified.values()),
        geometry={"width": WIDTH, "height": HEIGHT, "gutter": GUTTER},
        levels=LEVELS,
        declined=count_of_declined(report),
        not_judged=not_judged(report),
        versions=versions_of(report.environment),
        environment=_flat(report.environment),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return text


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _facts(report: Report) -> list[tuple[str, str]]:
    """What was judged, and how."""
    facts = [
        ("contract", report.contract),
        ("dtype", report.dtype),
        ("device", report.device),
        ("machine", report.machine),
        ("plan", report.plan or ""),
        ("epsilon", "" if report.epsilon is None else number(report.epsilon)),
        ("torch.compile", "yes" if report.compiled else ""),
        ("cases", str(report.cases)),
        ("calls a case", str(report.repeats)),
        ("seed", str(report.seed)),
    ]
    return [(name, value) for name, value in facts if value]


def _blocks(report: Report) -> list[_Block]:
    shown = blocks_of(report.findings)
    return [
        _Block(
            finding=finding,
            subject=subject(finding),
            facts=_numbers(finding),
            pictures=_pictures(finding) if place < _MOST_PICTURES else [],
            limit_name=_limit_name(finding),
            also=[in_brief(other) for other in also],
        )
        for place, (finding, also) in enumerate(shown)
    ]


def _numbers(finding: Finding) -> list[tuple[str, str, str]]:
    """The worst element, its values and the limits, with the multiples of them that the error
    is."""
    facts = [("an example" if finding.across_cases else "worst case", finding.case, "")]
    if finding.error is None:
        return facts
    digits = telling_digits(finding)
    facts += [
        ("element", f"[{', '.join(str(i) for i in finding.element or ())}]", ""),
        ("computed", number(finding.computed, digits), ""),
        ("true value", number(finding.truth, digits), ""),
        ("error", number(finding.error, 3), ""),
    ]
    for name, limit in limits(finding):
        known = 0 < limit < math.inf and math.isfinite(finding.error)
        times = f"the error is {number(finding.error / limit)} times that" if known else ""
        facts.append((name, number(limit), times))
    return facts


def _limit_name(finding: Finding) -> str:
    """Of what the errors in the picture are compared with."""
    named = limits(finding)
    return named[0 if finding.verdict == "fail" else -1][0] if named else ""


def _pictures(finding: Finding) -> list[Pictures]:
    suspect = finding.verdict == "suspect"
    return [pictures(one, by_tolerance=suspect) for one in finding.errors]


def _outputs(report: Report) -> list[str]:
    """All that have counts, the judged ones first."""
    counted = (name for regime in report.regimes.values() for name in regime.outputs)
    return list(dict.fromkeys([*report.evidence, *counted]))


def _verdict_of(counts: OutputSummary) -> str:
    if counts.fail:
        return "fail"
    if counts.suspect:
        return "suspect"
    return "pass" if counts.passed else "no_evidence"


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The leaves of nested mappings, named by their paths."""
    found: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name} ")
        else:
            found.append((f"{prefix}{name}".replace("_", " "), _shown(value)))
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
