"""The forms of a report that are written to a file, by the name of their option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loracle.presentation.report_files import Form
    from loracle.report import Report

__all__ = ["as_json", "report_forms"]


def as_json(report: Report) -> str:
    """Strict JSON, as `loracle/schema/report.schema.json` describes it."""
    import json

    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"


def report_forms(*, only_proven: bool) -> Mapping[str, Form]:
    """What writes each form. only_proven: what is merely suspect is no failure in JUnit's."""

    def junit(report: Report) -> str:
        from loracle.presentation.junit import as_junit

        return as_junit(report, only_proven=only_proven)

    def html(report: Report) -> str:
        from loracle.presentation.html import as_html

        return as_html(report)

    return {"json": as_json, "junit": junit, "html": html}
