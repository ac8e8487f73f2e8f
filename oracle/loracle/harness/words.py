"""Small pieces of the messages that parent and child both write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "one_line"]


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean A or B?`, or nothing where no candidate is near."""
    close = difflib.get_close_matches(name, list(candidates), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def one_line(error: BaseException) -> str:
    """`Type: message` with the message's white space collapsed, at most 500 characters."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if len(text) <= 500 else text[:497] + "..."
