"""What was asked for that cannot be done, said in one line."""

from __future__ import annotations

__all__ = ["Declined", "UsageError"]


class UsageError(ValueError):
    """A bad argument or a target that cannot be loaded. The message is one line that says what was
    wrong and what would be right; the command line prints it and exits with status 2."""


class Declined(UsageError):
    """Raised by a kernel in place of a result: it does not support this one call. The message is
    one line that says why. The case is skipped out loud with it, and never counted as passed."""
