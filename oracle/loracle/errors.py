"""What was asked for that cannot be done, said in one line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import ParamSpec, TypeVar

__all__ = ["Declined", "UsageError", "checks_keywords", "near_names", "nearest"]

P = ParamSpec("P")
R = TypeVar("R")

_NEAR = 0.5
_AS_NEAR = 0.1
_MOST_NAMES = 3


class UsageError(ValueError):
    """A bad argument or a target that cannot be loaded. The message is one line that says what was
    wrong and what would be right; the command line prints it and exits with status 2."""


class Declined(UsageError):
    """Raised by a kernel in place of a result: it does not support this one call. The message is
    one line that says why. The case is skipped out loud with it, and never counted as passed."""


def checks_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, but a keyword that it does not have is a UsageError, which names the
    nearest that it has, in place of Python's TypeError."""
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        # pytest then shows the line of the test, and none of this function.
        __tracebackhide__ = True
        for name in kwargs:
            if name not in known:
                hint = nearest(name, known) or f"; it has: {', '.join(known)}"
                raise UsageError(f"{function.__name__} has no argument {name!r}{hint}")
        return function(*args, **kwargs)

    return checked


def near_names(name: str, candidates: Iterable[str]) -> list[str]:
    """Those that are near a name, the nearest first: that one, and what is about as near."""
    ratios = {one: SequenceMatcher(None, name, one).ratio() for one in candidates}
    enough = max(_NEAR, max(ratios.values(), default=0.0) - _AS_NEAR)
    close = sorted((one for one in ratios if ratios[one] >= enough), key=lambda one: -ratios[one])
    return close[:_MOST_NAMES]


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean A or B?`, the end of a message about a name that is unknown, or nothing where
    no candidate is near."""
    close = near_names(name, candidates)
    return f"; did you mean {' or '.join(close)}?" if close else ""
