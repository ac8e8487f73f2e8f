"""Expected failures, in words: those that came, and the entries that are wrong."""

from __future__ import annotations

from loracle.report import ExpectedFailure, Report

__all__ = ["expected_line", "expected_lines", "qualified"]


def expected_lines(report: Report) -> list[tuple[str, str]]:
    """A label and a line for each entry; outdated ones last, where they are seen."""
    shown = [one for one in report.expected_failures if one.state != "not-judged"]
    ordered = sorted(shown, key=lambda one: one.outdated)
    return [("outdated" if one.outdated else "expected", expected_line(one)) for one in ordered]


def expected_line(expected: ExpectedFailure) -> str:
    """What became of an entry, why it is there or what is wrong, and where it is."""
    what = f"{expected.output} in {expected.regime}"
    if expected.outdated:
        return f"{what}: {expected.problem} ({expected.entry})"
    if expected.finding is None:
        return f"{what}: {expected.reason} ({expected.entry})"
    names = ", ".join(d.hypothesis for d in expected.finding.diagnosis) or "unexplained"
    cases = f"{expected.finding.count} of {expected.finding.cases_total} cases"
    verdict = expected.finding.verdict
    return f"{what}, {verdict} in {cases} ({names}): {expected.reason} ({expected.entry})"


def qualified(report: Report, meaning: str) -> str:
    """The meaning of a verdict, for a report with expected failures."""
    outdated = sum(one.outdated for one in report.expected_failures)
    if report.verdict == "suspect" and not report.findings and outdated:
        entries = "1 entry" if outdated == 1 else f"{outdated} entries"
        return f"nothing unexpected was found, but {entries} of the expected failures must change."
    failed = sum(one.state == "failed" for one in report.expected_failures)
    if report.verdict != "pass" or not failed:
        return meaning
    return f"but for {failed} expected {'failure' if failed == 1 else 'failures'}, {meaning}"
