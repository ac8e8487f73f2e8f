"""What importing loracle loads, how soon its help answers, and the names that it has."""

from __future__ import annotations

import resource
import subprocess

import pytest

import loracle

from .command_line import command, in_a_fresh_process


@pytest.mark.parametrize(
    "module",
    [
        "loracle",
        "loracle.cli",
        "loracle.presentation.terminal",
        "loracle.presentation.progress",
        "loracle.presentation.listings",
    ],
)
def test_the_parent_process_never_imports_torch(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'hypothesis'}} & set(sys.modules))"
    assert in_a_fresh_process(code) == "set()"


def test_help_answers_at_once() -> None:
    """Processor time, as other work may hold the cores; what is imported for it has no numpy."""
    best = min(_seconds_of("--help") for _ in range(3))
    assert best < 0.3
    code = (
        "import sys, loracle.cli\n"
        "print({'numpy', 'scipy', 'rich', 'flint', 'jsonschema'} & set(sys.modules))"
    )
    assert in_a_fresh_process(code) == "set()"


def _seconds_of(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert command(*arguments, stdout=subprocess.DEVNULL) == (0, "")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_public_names_are_there() -> None:
    assert all(getattr(loracle, name) is not None for name in loracle.__all__)
    assert set(loracle.__all__) <= set(dir(loracle))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = loracle.nonsense
