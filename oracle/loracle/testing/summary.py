"""The lines of loracle in pytest's summary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loracle.testing.properties import EXPECTED, NOT_JUDGED, SUSPECT

__all__ = ["summary_lines"]

_WORDS = {NOT_JUDGED: "not judged", SUSPECT: "only suspect", EXPECTED: "expected"}


def summary_lines(reports: Iterable[Any]) -> list[str]:
    """What was not judged, and what is only suspect or expected, of all tests; each thing once."""
    return list(
        dict.fromkeys(
            f"{_WORDS[name]}: {text}"
            for report in reports
            for name, text in getattr(report, "user_properties", ())
            if name in _WORDS
        )
    )
