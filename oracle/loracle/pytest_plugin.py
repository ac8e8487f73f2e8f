"""The pytest plugin: `@loracle.conformance(kernel)` and `pytest --loracle TARGET`.

pytest loads it in every project where loracle is installed: it imports nothing that is not loaded
already, until there is a kernel to test.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from loracle.testing.conformance import Part

__all__ = ["expected_failures_of"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of --loracle."""
    group = parser.getgroup("loracle", "judge LoRA kernels against the specification")
    group.addoption(
        "--loracle",
        action="append",
        default=[],
        metavar="TARGET",
        help="judge this kernel, which needs no test file: package.module:name,"
        " path/to/file.py:name or an adapter's name; repeatable; with no paths beside it nothing"
        " else is collected",
    )
    group.addoption(
        "--loracle-dtype",
        action="append",
        default=[],
        metavar="D",
        help="float64, float32, bfloat16, float16; repeatable; float32 if omitted",
    )
    group.addoption(
        "--loracle-seed",
        action="append",
        default=[],
        type=int,
        metavar="S",
        help="other cases; repeatable; 0 if omitted",
    )
    group.addoption(
        "--loracle-contract", metavar="C", help="what TARGET promises, if not told by itself"
    )
    group.addoption("--loracle-device", default="cpu", metavar="D", help="cpu or cuda")
    group.addoption("--loracle-machine", metavar="M", help="the arithmetic to judge it by")
    group.addoption(
        "--loracle-plan", metavar="NAME", help="the evaluation plan it follows, or none"
    )
    group.addoption(
        "--loracle-regime", action="append", default=[], metavar="R", help="only this; repeatable"
    )
    group.addoption("--loracle-epsilon", type=float, metavar="E", help="promised absolute error")
    group.addoption("--loracle-timeout", type=float, default=60, metavar="SECONDS", help="a case")
    group.addoption(
        "--loracle-only-proven",
        action="store_true",
        help="what is only suspect fails no test of --loracle",
    )
    group.addoption(
        "--loracle-expected-failures",
        metavar="FILE",
        help="what is known to fail, in TOML, for --loracle and @loracle.conformance",
    )
    parser.addini(
        "loracle_expected_failures", "the file of --loracle-expected-failures", type="string"
    )


def expected_failures_of(config: pytest.Config) -> str:
    """The file of the option, else that of the ini file, seen from the root; empty if none."""
    named: str | None = config.getoption("loracle_expected_failures")
    if named:
        return named
    configured: str = config.getini("loracle_expected_failures") or ""
    return str(config.rootpath / configured) if configured else ""


def pytest_configure(config: pytest.Config) -> None:
    """With --loracle and no paths there is nothing else to collect."""
    if config.getoption("loracle") and config.args_source is not config.ArgsSource.ARGS:
        config.args[:] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each part of a decorated function."""
    if "loracle_part" not in metafunc.fixturenames:
        return
    from loracle.errors import UsageError
    from loracle.testing.conformance import PARAMETER, parts_of

    parts = parts_of(metafunc.function)
    if parts is None:
        return
    if path := expected_failures_of(metafunc.config):
        parts.expect(path)
    try:
        every: list[Part] = list(parts)
    except UsageError as error:
        raise pytest.Collector.CollectError(f"{_place_of(metafunc)}: {error}") from None
    metafunc.parametrize(PARAMETER, every, ids=[part.name for part in every])


def _place_of(metafunc: pytest.Metafunc) -> str:
    """File and line of the function with its decorators."""
    file = metafunc.definition.nodeid.partition("::")[0]
    return f"{file}:{inspect.unwrap(metafunc.function).__code__.co_firstlineno}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """What a test file says wrongly to loracle is one line, with its place there."""
    report = yield
    errors = sys.modules.get("loracle.errors")
    raised = getattr(getattr(report, "call", None), "excinfo", None)
    if errors and raised and isinstance(raised.value, errors.UsageError):
        own = [one for one in raised.traceback if one.path == getattr(collector, "path", None)]
        place = f"{collector.nodeid}:{own[-1].lineno + 1}: " if own else ""
        report.longrepr = f"{place}{raised.value}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds the tests of --loracle, before -k and -m choose among all."""
    if config.getoption("loracle"):
        from loracle.testing.items import Targets

        items.extend(
            session.genitems(Targets.from_parent(session, name="loracle", nodeid="loracle"))
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A kernel's process ends with the last of its tests."""
    try:
        return (yield)
    finally:
        if "loracle.testing.conformance" in sys.modules:
            this, following = _part_of(item), _part_of(nextitem)
            if this is not None and (following is None or following.tests is not this.tests):
                this.tests.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The short summary, which pytest does not shorten where CI is set, has what a failure says in
    brief; all of it stands above."""
    report = yield
    if report.failed and "loracle.testing.conformance" in sys.modules and _part_of(item):
        raised = call.excinfo.value if call.excinfo else None
        place = getattr(report.longrepr, "reprcrash", None)
        if place and isinstance(raised, pytest.fail.Exception) and not raised.pytrace:
            place.message = place.message.partition("\n")[0]
    return report


def _part_of(item: pytest.Item | None) -> Part | None:
    from loracle.testing.conformance import PARAMETER

    callspec = getattr(item, "callspec", None)
    part: Part | None = getattr(item, PARAMETER, None)
    return part if callspec is None else callspec.params.get(PARAMETER)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was left out is said aloud, and so is what was not counted."""
    reports = [r for several in terminalreporter.stats.values() for r in several]
    if not any(getattr(report, "user_properties", ()) for report in reports):
        return
    from loracle.testing.summary import summary_lines

    lines = summary_lines(reports)
    if lines:
        terminalreporter.section("loracle")
        for line in lines:
            terminalreporter.write_line(line)
