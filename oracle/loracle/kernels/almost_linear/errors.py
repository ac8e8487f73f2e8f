"""When the almost-linear gradient declines."""

from __future__ import annotations

from loracle.errors import Declined

__all__ = ["OutOfReach"]


class OutOfReach(Declined):
    """The accuracy asked for needs more features, memory or digits than there are. One line: what
    would be needed, and what the exact streaming kernel costs instead."""
