"""Processes that a kernel has forked, and that come back into the harness as if they were it."""

from __future__ import annotations

import os

__all__ = ["end_if_stray"]


def end_if_stray(serving: int) -> None:
    """End this process at once, writing nothing, unless its id is `serving`."""
    if os.getpid() != serving:
        os._exit(0)
