"""What was seen when a kernel ran on one case, before any judgement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Observation", "Problem"]


@dataclass(frozen=True)
class Problem:
    """A structural defect: hypothesis is one of crash, timeout, missing-output, wrong-shape,
    wrong-dtype, mutates-input, invalid-certificate, nondeterministic; output is the output's or the
    input's name, None for the call."""

    hypothesis: str
    output: str | None
    explanation: str


@dataclass(frozen=True)
class Observation:
    """The results of running a kernel twice on the same inputs.

    outputs: the first run's results, converted exactly to float64 (every judged dtype embeds in
    it), only those with the right shape and dtype, and no certificate that means nothing. repeated:
    the second run's, only those that differ from the first's in some value (zeros of either sign,
    and all NaN, being one value) or in their certificate. spread: per output, the largest absolute
    difference between the two runs. certificates, repeated_certificates: per output, where the
    first, or the second, run gave one, its own bound on the largest absolute error; not negative,
    maybe infinite. declined: why the kernel declined both calls, in one line, None if it did not;
    then there is nothing else. seconds: the wall time of the second run.
    """

    outputs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    repeated: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    certificates: dict[str, float] = field(default_factory=dict)
    repeated_certificates: dict[str, float] = field(default_factory=dict)
    declined: str | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
