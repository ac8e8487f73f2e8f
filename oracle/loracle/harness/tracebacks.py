"""Where a kernel failed: the innermost line of code that is neither torch's, Python's nor ours."""

from __future__ import annotations

import importlib.util
import os
import re
import sysconfig
import traceback
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from loracle.errors import UsageError
from loracle.harness.words import one_line

__all__ = ["describe_exception", "place_of_death"]

_HARNESS = os.path.dirname(os.path.abspath(__file__))
_REFUSING = frozenset(
    os.path.join(os.path.dirname(_HARNESS), file)
    for file in ("declaration.py", "errors.py", "plans.py")
)
"""They refuse what the user's file declares: the place is there."""
_FATAL_LINE = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in ', re.MULTILINE)


def describe_exception(error: BaseException) -> str:
    """One line, `TypeError: message at file.py:12`; no place if none of the user's code ran. What
    is refused by us, as a wrong declaration, is told by its message alone, after its place."""
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    text = one_line(error)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        # No frame of that file ran; the message names it without its folder.
        frames.append((error.filename, error.lineno))
        text = text.replace(f" ({os.path.basename(error.filename)}, line {error.lineno})", "")
    place = _innermost_of_user(reversed(frames))
    if isinstance(error, UsageError):
        return f"{place}: {error}" if place else str(error)
    return f"{text} at {place}" if place else text


def place_of_death(stderr_tail: str) -> str | None:
    """`file.py:12` from the traceback that faulthandler writes before the process dies, if any."""
    _, fatal, report = stderr_tail.rpartition("Fatal Python error: ")
    if not fatal:
        return None
    lines = ((m["file"], int(m["line"])) for m in _FATAL_LINE.finditer(report))
    # Outside of ours, a forked child's stack goes on with the parent's.
    return _innermost_of_user(takewhile(lambda frame: not _is_ours(frame[0]), lines))


def _innermost_of_user(frames: Iterable[tuple[str, int | None]]) -> str | None:
    for file, line in frames:
        if not _is_machinery(file):
            return f"{_short(file)}:{line}"
    return None


def _is_machinery(file: str) -> bool:
    if file.startswith("<"):
        return True
    path = os.path.abspath(file)
    if _is_ours(path) or path.startswith(_torch_folder() + os.sep):
        return True
    installed = any(part in path.split(os.sep) for part in ("site-packages", "dist-packages"))
    return not installed and path.startswith(sysconfig.get_path("stdlib") + os.sep)


def _is_ours(path: str) -> bool:
    return path.startswith(_HARNESS + os.sep) or path in _REFUSING


def _torch_folder() -> str:
    spec = importlib.util.find_spec("torch")
    return os.path.dirname(spec.origin) if spec and spec.origin else os.devnull


def _short(file: str) -> str:
    """Relative to the working directory where the file lies below it."""
    path = Path(file).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
