"""What was asked for that cannot be done, said in one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

__all__ = ["Declined", "UsageError", "nearest"]

_NEAR = 0.5
_AS_NEAR = 0.1
_MOST_NAMES = 3


class UsageError(ValueError):
    """A bad argument or a target that cannot be loaded. The message is one line that says what was
    wrong and what would be right; the command line prints it and exits with status 2."""


class Declined(UsageError):
    """Raised by a kernel in place of a result: it does not support this one call. The message is
    one line that says why. The case is skipped out loud with it, and never counted as passed."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean A or B?`, the end of a message about a name that is unknown, or nothing where
    no candidate is near. Those are named that are about as near as the nearest one."""
    ratios = {one: SequenceMatcher(None, name, one).ratio() for one in candidates}
    enough = max(_NEAR, max(ratios.values(), default=0.0) - _AS_NEAR)
    close = sorted((one for one in ratios if ratios[one] >= enough), key=lambda one: -ratios[one])
    return f"; did you mean {' or '.join(close[:_MOST_NAMES])}?" if close else ""
