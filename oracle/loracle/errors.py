"""What the user asked for that cannot be done, said in one line."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(ValueError):
    """A bad argument or a target that cannot be loaded. The message is one line that says what was
    wrong and what would be right; the command line prints it and exits with status 2."""
