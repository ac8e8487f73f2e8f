"""A validation that is made up, in the place of `loracle.validate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loracle.errors import UsageError
from loracle.report import Report

MakeReport = Callable[..., Report]


class FakeValidation:
    """Stands in for `loracle.validate`: remembers what it was asked, answers what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, Any] = {}
        self.answer: Report | BaseException = UsageError("no answer was set")
        monkeypatch.setattr("loracle.validation.validate", self.validate)

    def validate(self, kernel: str, *, on_progress: Callable[..., None], **options: Any) -> Report:
        self.asked = {"kernel": kernel, **options}
        on_progress(1, 2, "designed", "pass", None)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer
