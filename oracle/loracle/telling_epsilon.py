"""Whether an epsilon is small enough to tell a right kernel from one that returns zeros."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from loracle.judgement.reference import CaseReference

__all__ = ["LargestTruths"]


class LargestTruths:
    """The largest true value, in magnitude, of every output in every case that was judged: an
    epsilon that is not below it is met by zeros, and the case is no evidence."""

    def __init__(self, outputs: Iterable[str]) -> None:
        self._known: dict[str, list[float]] = {output: [] for output in outputs}

    def add(self, reference: CaseReference) -> None:
        """Of one more case."""
        for output, known in self._known.items():
            truth = reference.truth[output]
            known.append(float(np.max(np.abs(truth.mid) - truth.radius, initial=0.0)))

    def note(self, epsilon: float, enough: int) -> str:
        """What is said of an epsilon with which fewer than `enough` cases of some output are
        evidence, and which one would do; empty if none is to blame."""
        masked = {o: sum(one <= epsilon for one in known) for o, known in self._known.items()}
        judged = max(map(len, self._known.values()), default=0)
        wanted = min(enough, judged)
        outputs = [o for o, count in masked.items() if count and judged - count < wanted]
        if not outputs:
            return ""
        text = (
            f"epsilon {_short(epsilon)} is at least as large as every true value of"
            f" {', '.join(outputs)} in {max(masked[o] for o in outputs)} of {judged} cases, so"
            " that zeros would pass there"
        )
        limit = min(sorted(known, reverse=True)[wanted - 1] for known in self._known.values())
        if limit <= 0:
            return f"{text}; where the true value is zero no epsilon tells: judge other regimes"
        right = _short(_rounded_down(limit))
        return f"{text}; below {right} it tells in {wanted} cases of each output"


def _rounded_down(value: float) -> float:
    """To two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.floor(value / unit) * unit


def _short(value: float) -> str:
    """1e6 and 2e-5."""
    return f"{value:.2g}".replace("e+0", "e").replace("e-0", "e-")
