"""What was seen when a kernel ran on one case, before any judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["CONDITIONS", "Condition", "FurtherRun", "Observation", "Problem"]

Condition = Literal["uninitialised-memory", "stale-cache", "second-backward"]
"""Under which no right kernel gives another result, named after the defect that it reveals."""

CONDITIONS: Mapping[Condition, str] = {
    "uninitialised-memory": "with fresh memory filled with NaN",
    "stale-cache": "after its inputs were changed in place",
    "second-backward": "in a second backward through the same graph",
}
"""The conditions that a case can be run under beside the equal calls, in words."""


@dataclass(frozen=True)
class Problem:
    """A structural defect: hypothesis is one of crash, timeout, missing-output, wrong-shape,
    wrong-dtype, mutates-input, writes-out-of-bounds, invalid-certificate, nondeterministic,
    uninitialised-memory, stale-cache; output is the output's or the input's name, None for the
    call."""

    hypothesis: str
    output: str | None
    explanation: str


@dataclass(frozen=True)
class FurtherRun:
    """A run beyond the first: an equal call (condition None), or one under a condition.

    how: the words that tell it from the first, as "in the second of two calls with equal inputs".
    outputs: those that differ from the first run's in some value (zeros of either sign, and all
    NaN, being one value) or in their certificate. spread: per output that both runs have, the
    largest absolute difference. certificates: see `Observation`.
    """

    condition: Condition | None
    how: str
    outputs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    certificates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """The results of running a kernel on one case, at least twice.

    outputs: the first run's results, converted exactly to float64 (every judged dtype embeds in
    it), only those with the right shape and dtype, and no certificate that means nothing.
    certificates: per output, where the first run gave one, its own bound on the largest absolute
    error; not negative, maybe infinite. further: the other runs. declined: why the kernel declined
    all calls, in one line, None if it did not; then there is nothing else. seconds: the wall time
    of the second run.
    """

    outputs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    certificates: dict[str, float] = field(default_factory=dict)
    further: tuple[FurtherRun, ...] = ()
    declined: str | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def under_conditions(self) -> tuple[FurtherRun, ...]:
        """The other runs beside `repeats`."""
        return tuple(run for run in self.further if run.condition is not None)

    @property
    def repeats(self) -> tuple[FurtherRun, ...]:
        """The calls that are equal to the first."""
        return tuple(run for run in self.further if run.condition is None)
