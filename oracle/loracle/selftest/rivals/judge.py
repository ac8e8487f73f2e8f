"""Lets every rule that applies judge a kernel of the corpus; imports torch when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from loracle.corpus.entry import Entry
from loracle.selftest.rivals.result import RULES, RivalResult, RivalTask

__all__ = ["judge_by_rivals"]

_LONGEST = 160


def judge_by_rivals(task: RivalTask) -> tuple[RivalResult, ...]:
    """What each rule says, in the calls of a typical unit test one after the other.

    Every rule meets the kernel as it is when its module has just been imported, without what an
    earlier rule's calls left behind.
    """
    from loracle.selftest.rivals.rules import applies

    return tuple(_judged_by(rule, task) for rule in RULES if applies(rule, task.dtype))


def _judged_by(rule: str, task: RivalTask) -> RivalResult:
    import torch

    from loracle.selftest.rivals.inputs import calls
    from loracle.selftest.rivals.rules import check

    torch.manual_seed(0)
    kernel = _fresh(task.entry)
    try:
        for call in calls(task.entry.contract):
            check(rule, task.entry.contract, kernel, call, task.dtype)
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return RivalResult(task, rule, rejected=True, why=why[:_LONGEST])
    return RivalResult(task, rule, rejected=False)


def _fresh(entry: Entry) -> Callable[..., Mapping[str, Any]]:
    module = sys.modules.get(entry.target.partition(":")[0])
    if module is not None:
        importlib.reload(module)
    return entry.load()
