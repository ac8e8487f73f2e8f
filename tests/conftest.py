"""Hypothesis profiles, and the guard that `make test` switches on: the tests that judge real third
parties must have run."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# What is printed is compared as it is in a pipe, whatever whoever runs the tests prefers to see.
for _preference in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
    os.environ.pop(_preference, None)

_SLOW_MACHINES = [HealthCheck.too_slow]

settings.register_profile(
    "dev", max_examples=20, deadline=None, suppress_health_check=_SLOW_MACHINES
)
settings.register_profile(
    "ci",
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=_SLOW_MACHINES,
)
settings.register_profile(
    "deep", max_examples=500, deadline=None, print_blob=True, suppress_health_check=_SLOW_MACHINES
)
settings.load_profile(
    os.environ.get("LORACLE_HYPOTHESIS_PROFILE")
    or ("ci" if os.environ.get("CI", "").lower() in {"1", "true"} else "dev")
)

THIRD_PARTIES = ("peft", "loralib", "sdpa")
"""A test belongs to a third party if its node id names it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --require-third-party."""
    parser.addoption(
        "--require-third-party",
        action="store_true",
        help=f"fail unless tests of {', '.join(THIRD_PARTIES)} passed and none was skipped",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Only the controlling process of pytest-xdist sees every report, so the guard lives there."""
    if config.getoption("--require-third-party") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ThirdPartyGuard(), "third-party-guard")


class ThirdPartyGuard:
    """Fails the session if the tests of a third party were skipped, or if there were none."""

    def __init__(self) -> None:
        self.passed = dict.fromkeys(THIRD_PARTIES, 0)
        self.skipped: dict[str, list[str]] = {name: [] for name in THIRD_PARTIES}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts the passed and the skipped tests of each third party; a machine without a GPU may
        skip those that need one."""
        if "gpu" in report.keywords:
            return
        for name in THIRD_PARTIES:
            if name in report.nodeid:
                if report.skipped:
                    self.skipped[name].append(report.nodeid)
                elif report.passed and report.when == "call":
                    self.passed[name] += 1

    def complaints(self) -> list[str]:
        """What is missing, one line each."""
        lines = [f"tests of {n} were skipped: {', '.join(s)}" for n, s in self.skipped.items() if s]
        return lines + [f"no test of {name} passed" for name, n in self.passed.items() if n == 0]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turns an otherwise green session red."""
        if self.complaints() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says why."""
        for line in self.complaints():
            terminalreporter.write_line(f"--require-third-party: {line}", red=True)
