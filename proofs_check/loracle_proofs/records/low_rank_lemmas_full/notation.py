"""How the record of a lemma says that it is meant for Q and for K."""

from __future__ import annotations

__all__ = ["BOTH"]

BOTH = r"\quad\mu=Q,K"
