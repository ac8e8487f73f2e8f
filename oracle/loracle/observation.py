"""What was seen when a kernel ran on one case, before any judgement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Observation", "Problem"]


@dataclass(frozen=True)
class Problem:
    """A structural defect: hypothesis is one of crash, timeout, missing-output, wrong-shape,
    wrong-dtype, mutates-input; output is the output's or the input's name, None for the call."""

    hypothesis: str
    output: str | None
    explanation: str


@dataclass(frozen=True)
class Observation:
    """The results of running a kernel twice on the same inputs.

    outputs: the first run's results, converted exactly to float64 (every judged dtype embeds in
    it), only those with the right shape and dtype. repeated: the second run's, only those that
    differ from the first's in some value (zeros of either sign, and all NaN, being one value).
    spread: per output, the largest absolute difference between the two runs. seconds: the wall time
    of the second run.
    """

    outputs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    repeated: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
