"""Expected failures, in words: those that came, and the entries that are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loracle.report import ExpectedFailure, Report

__all__ = ["expected_line", "expected_lines", "outdated_by_place", "outdated_lines", "qualified"]


def expected_lines(report: Report) -> list[tuple[str, str]]:
    """A label and a line for each entry; outdated ones last, where they are seen."""
    came = [one for one in report.expected_failures if one.state == "failed"]
    lines = [("expected", expected_line(one)) for one in came]
    return [*lines, *(("outdated", line) for line in outdated_lines(report.expected_failures))]


def outdated_lines(entries: Iterable[ExpectedFailure]) -> list[str]:
    """A line for each place of `outdated_by_place`."""
    return list(outdated_by_place(entries).values())


def outdated_by_place(entries: Iterable[ExpectedFailure]) -> dict[str, str]:
    """What is outdated, by its place in the file; entries that can match nothing for one reason,
    such as a name that is misspelt in all of them, share one."""
    groups: dict[tuple[str, ...], list[ExpectedFailure]] = {}
    for one in entries:
        if one.outdated:
            own = () if one.state == "unknown" else (one.entry, one.output, one.regime)
            groups.setdefault((one.problem, *own), []).append(one)
    told: dict[str, list[str]] = {}
    for group in groups.values():
        place = _place(group)
        line = f"{group[0].problem} ({place})" if group[1:] else expected_line(group[0])
        told.setdefault(place, []).append(line)
    return {place: "; ".join(lines) for place, lines in told.items()}


def _place(entries: Sequence[ExpectedFailure]) -> str:
    """`FILE, entry 1` or `FILE, entries 1, 3`."""
    file = entries[0].entry.rpartition(", entry ")[0]
    numbers = list(dict.fromkeys(one.entry.rpartition(", entry ")[2] for one in entries))
    return f"{file}, entries {', '.join(numbers)}" if numbers[1:] else entries[0].entry


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
    outdated = len({one.entry for one in report.expected_failures if one.outdated})
    if report.verdict == "suspect" and not report.findings and outdated:
        entries = "1 entry" if outdated == 1 else f"{outdated} entries"
        return f"nothing unexpected was found, but {entries} of the expected failures must change."
    failed = sum(one.state == "failed" for one in report.expected_failures)
    if report.verdict != "pass" or not failed:
        return meaning
    return f"but for {failed} expected {'failure' if failed == 1 else 'failures'}, {meaning}"
