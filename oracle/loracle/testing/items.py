"""The tests of `pytest --loracle TARGET`, which lie in no file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loracle.errors import UsageError
from loracle.pytest_plugin import expected_failures_of
from loracle.testing.conformance import Part, Parts
from loracle.testing.outcome import settle

__all__ = ["PartItem", "Targets"]


class Targets(pytest.Collector):
    """All that --loracle names, in that order."""

    def collect(self) -> Iterator[pytest.Item]:
        """Raises CollectError, in one line, on a target or an option that means nothing."""
        try:
            for target in dict.fromkeys(self.config.getoption("loracle")):
                for part in self._parts(target):
                    name = f"{target}[{part.name}]"
                    yield PartItem.from_parent(self, name=name, part=part)
        except UsageError as error:
            raise self.CollectError(f"--loracle: {error}") from None

    def _parts(self, target: str) -> Parts:
        def option(name: str) -> Any:
            return self.config.getoption(f"loracle_{name}")

        names = ("contract", "device", "machine", "plan", "epsilon", "timeout")
        parts = Parts(
            target,
            {
                **{name: option(name) for name in names},
                "dtype": option("dtype") or "float32",
                "seed": option("seed") or 0,
                "regimes": option("regime") or None,
            },
            only_proven=option("only_proven"),
        )
        if path := expected_failures_of(self.config):
            parts.expect(path)
        return parts


class PartItem(pytest.Item):
    """One of these tests."""

    def __init__(self, *, part: Part, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.loracle_part = part

    def runtest(self) -> None:
        """Judges the kernel in this part."""
        settle(self.loracle_part, self)

    def reportinfo(self) -> tuple[Path, None, str]:
        """There is no file and no line; pytest wants a folder for one."""
        return self.config.rootpath, None, self.name
