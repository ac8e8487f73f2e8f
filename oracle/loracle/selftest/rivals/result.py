"""What one rule says of one kernel of the corpus; importing it does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loracle.corpus.entry import Entry

__all__ = ["RULES", "RivalResult", "RivalTask"]

RULES = {
    "gradcheck": "torch.autograd.gradcheck, which needs float64",
    "assert_close": "torch.testing.assert_close against autograd in the same dtype",
    "twice-eager": "error at most twice that of eager in the same dtype, against float64",
}
"""The rules, and what each compares with what; all with default arguments."""


@dataclass(frozen=True)
class RivalTask:
    """A kernel that all rules are to judge in one dtype, where it is wrong or right."""

    entry: Entry
    dtype: str
    wrong: bool


@dataclass(frozen=True)
class RivalResult:
    """What the rule said: whether it rejected the kernel, and why in one line."""

    task: RivalTask
    rule: str
    rejected: bool
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "rule": self.rule,
            "kernel": self.task.entry.name,
            "dtype": self.task.dtype,
            "wrong": self.task.wrong,
            "rejected": self.rejected,
            "why": self.why,
        }
